# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Real servers under a real load: redis-server, node, postgres, nginx, each with a client that checks every
answer and times it (client.py; pgbench for postgres).

Loopback or Unix sockets only, in a directory of their own, small. A class raises Skip when what it needs is not
installed. It knows nothing of memprobe.
"""
import array
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import HERE, Failure, Skip
from real import wait_until

NODE_PROGRAM = """
const zlib = require('zlib');
const server = require('http').createServer((q, a) => {
	const n = parseInt(q.url.slice(1)) || 0;
	const text = Buffer.alloc(2000 + n % 500, 'memprobe' + n % 7);
	a.end(zlib.gunzipSync(zlib.gzipSync(text)).toString() + '\\n');
});
server.listen(PORT, '127.0.0.1');
"""

NGINX_CONF = """
daemon off;
worker_processes 2;
error_log %(dir)s/error.log;
pid %(dir)s/pid;
events { worker_connections 64; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path %(dir)s/body;
	proxy_temp_path %(dir)s/proxy;
	fastcgi_temp_path %(dir)s/fastcgi;
	uwsgi_temp_path %(dir)s/uwsgi;
	scgi_temp_path %(dir)s/scgi;
	gzip on;
	gzip_types text/plain;
	gzip_min_length 100;
	server { listen 127.0.0.1:%(port)d; root %(dir)s/www; }
}
"""

PGBENCH_SCRIPT = """
\\set n random(1, 200)
SELECT count(*), sum(length(t)), 1 / (count(*) = :n)::int AS right
FROM (SELECT string_agg(i::text, ',') AS t FROM generate_series(1, :n) AS i GROUP BY i) AS x;
"""


def need(program, directories=()):
    path = os.pathsep.join([*directories, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(program, path=path)
    if not found:
        raise Skip(f"no {program}")
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """From the first answer to the end. quit_signal ends it in order."""

    quit_signal = signal.SIGTERM

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.process = self.start()
        try:
            wait_until(self.answers, f"{type(self).__name__} answers", 30)
        except Failure:
            self.close()
            raise

    def run(self, *words, **kwargs):
        return subprocess.Popen(words, cwd=self.directory, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kwargs)

    def answers(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.process.args[0]} ended, status {self.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def close(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(self.quit_signal)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def load(self):
        return Load(type(self).__name__.lower(), self.port, self.directory)


class Redis(Server):
    def start(self):
        return self.run(need("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                        "--appendonly", "no", "--dir", self.directory, "--daemonize", "no")


class Node(Server):
    def start(self):
        return self.run(need("node"), "-e", NODE_PROGRAM.replace("PORT", str(self.port)))


class Nginx(Server):
    quit_signal = signal.SIGQUIT

    def start(self):
        www = os.path.join(self.directory, "www")
        os.makedirs(www, exist_ok=True)
        os.chmod(self.directory, 0o755)
        with open(os.path.join(www, "page.txt"), "w") as f:
            f.write("".join(f"line {i} of a page\n" for i in range(2000)))
        conf = os.path.join(self.directory, "nginx.conf")
        with open(conf, "w") as f:
            f.write(NGINX_CONF % {"dir": self.directory, "port": self.port})
        return self.run(need("nginx"), "-c", conf, "-p", self.directory)


class Postgres(Server):
    quit_signal = signal.SIGINT

    def start(self):
        directories = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1:]
        self.pgbench = need("pgbench", directories)
        self.user = self._user()
        data = os.path.join(self.directory, "data")
        os.chmod(self.directory, 0o755)
        if not os.path.exists(data):
            os.makedirs(data)
            os.chown(data, self.user.pw_uid, self.user.pw_gid)
            subprocess.run([need("initdb", directories), "-D", data, "-N", "-A", "trust", "--locale=C"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data,
                           **self._as_user())
        return self.run(need("postgres", directories), "-D", data, "-k", data, "-p", str(self.port),
                        "-h", "127.0.0.1", "-F", "-c", "max_connections=12", "-c", "shared_buffers=8MB",
                        **self._as_user())

    @staticmethod
    def _user():
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                pass
        raise Skip("no user to run postgres as")

    def _as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def load(self):
        return PgbenchLoad(self)


class Load:
    """client.py at work: answers that are wrong are errors; each is timed."""

    def __init__(self, kind, port, directory):
        self.path = os.path.join(directory, "times")
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "client.py"), kind, str(port), self.path],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdout.readline() # the first answer has come

    def stop(self):
        """([(monotonic time, seconds), ...] of all answers, what went wrong)"""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=30)
        values = array.array("d")
        if os.path.exists(self.path):
            with open(self.path, "rb") as f:
                values.frombytes(f.read())
        if self.process.returncode:
            errors += f"status {self.process.returncode}"
        return list(zip(values[::2], values[1::2])), errors


class PgbenchLoad:
    """The time of each transaction from its log; the script divides by zero when a result is wrong."""

    def __init__(self, server):
        script = os.path.join(server.directory, "script.sql")
        with open(script, "w") as f:
            f.write(PGBENCH_SCRIPT)
        self.prefix = os.path.join(server.directory, "log")
        self.offset = time.time() - time.monotonic()
        self.command = [server.pgbench, "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user.pw_name, "-n", "-c", "2",
                        "-l", "--log-prefix", self.prefix, "-T", "3000", "-f", script, "postgres"]
        self.process = self._begin()
        wait_until(self._has_begun, "pgbench has an answer")

    def _begin(self):
        return subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _has_begun(self):
        """A server that takes connections may still refuse to work ("is starting up"), and pgbench then ends."""
        if self.process.poll() is not None:
            _, errors = self.process.communicate()
            if "starting up" not in errors:
                raise Failure(f"pgbench: status {self.process.returncode}: {errors}")
            self.process = self._begin()
        return self._lines()

    def _lines(self):
        lines = []
        for path in glob.glob(self.prefix + ".*"):
            with open(path) as f:
                lines += f.read().splitlines(True)
        return [l.split() for l in lines if l.endswith("\n")]

    def stop(self):
        # it has no end in order before its time: what it wrote is looked at first
        time.sleep(0.2)
        ended = self.process.poll()
        if ended is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=30)
        answers = sorted((int(l[4]) + int(l[5]) * 1e-6 - self.offset, int(l[2]) * 1e-6) for l in self._lines())
        errors = "".join(l for l in errors.splitlines(True) if not l.startswith("pgbench (") and "vacuum" not in l)
        return answers, errors + (f"ended with {ended}" if ended is not None else "")
