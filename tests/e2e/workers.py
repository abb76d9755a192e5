# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Programs that work and count it, for tests and benches of what memprobe costs them: each has a twin that nobody looks
at, and tells its work per second of its own CPU clock. On one CPU, in turns, both have the same machine.

Every program serves requests, keeps one allocation in a hundred for ever, at a site of its own (WORKERS says which
name is in its stack, and in no other), and writes the requests served into the first 8 bytes of a
file. Depends on harness.py only.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from harness import Failure, build

CPU = max(os.sched_getaffinity(0))

# Requests of 100 blocks that malloc sees, above what the interpreters keep for themselves; ARGV: file, requests/s
# (0: as many as possible), loops of plain work in each.
PYTHON = r"""
import mmap, os, sys, time
f = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(f, 4096)
rate, loops = int(sys.argv[2]), int(sys.argv[3])
kept, served, keep_every = [], 0, 1

def s_leak(n):
    kept.append(bytearray(1000 + n % 50)) # in PyByteArray_Resize

def s_request(n):
    total = 0
    for i in range(loops):
        total += i * n
    words = [bytes(700 + (i * 13 + n) % 900) for i in range(99)]
    return total + len(words)

due = time.monotonic()
while True:
    s_request(served)
    s_leak(served)
    served += 1
    m[:8] = served.to_bytes(8, "little")
    if rate:
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))
"""

RUBY = r"""
f = File.open(ARGV[0], "r+b")
rate, loops = ARGV[1].to_i, ARGV[2].to_i
BASES = Array.new(50) { |i| "k" * (1000 + i) }
$kept, served = [], 0

def s_leak(n) # in rb_str_plus
  $kept << (BASES[n % 50] + "k")
end

def s_request(n, loops)
  total = 0
  loops.times { |i| total += i * n }
  words = Array.new(99) { |i| "w" * (700 + (i * 13 + n) % 900) }
  total + words.size
end

due = Process.clock_gettime(Process::CLOCK_MONOTONIC)
loop do
  s_request(served, loops)
  s_leak(served)
  served += 1
  f.pwrite([served].pack("Q<"), 0)
  next if rate == 0
  due += 1.0 / rate
  rest = due - Process.clock_gettime(Process::CLOCK_MONOTONIC)
  sleep rest if rest > 0
end
"""

PERL = r"""
use strict; use Time::HiRes qw(time sleep);
my ($path, $rate, $loops) = @ARGV;
open(my $f, "+<:raw", $path) or die;
my (@kept, $served); $served = 0;
sub s_leak { push @kept, "k" x (1000 + $_[0] % 50); }
sub s_request {
	my ($n, $total, @words) = ($_[0], 0);
	$total += $_ * $n for (1 .. $loops);
	push @words, "w" x (700 + ($_ * 13 + $n) % 900) for (1 .. 99);
	return $total + @words;
}
my $due = time;
while (1) {
	s_request($served); s_leak($served); $served++;
	sysseek($f, 0, 0); syswrite($f, pack("Q<", $served));
	next unless $rate;
	$due += 1 / $rate;
	my $rest = $due - time;
	sleep $rest if $rest > 0;
}
"""

# For redis: batches of 100 requests over 1000 keys, one of them to a new key, whose name the server copies in dbAdd.
# ARGV: file, port, keys to begin with: a table that grows is moved entry by entry while requests are served, which takes a
# fifth more of a server's CPU for a second or two, and of its twins' in another second.
REDIS_CLIENT = r"""
import mmap, os, socket, sys

def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

f = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(f, 4096)
s = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
value, room = b"v" * 300, bytearray(1 << 20)

def ask(data, n_bytes):
    s.sendall(data)
    while n_bytes > 0:
        n_bytes -= s.recv_into(room)

def key(i):
    return b"key:%04d" % (i % 1000)

for i in range(1000):
    ask(command(b"SET", key(i), value), 5)
for i in range(0, int(sys.argv[3]), 1000):
    ask(b"".join(command(b"SET", b"old:%d" % (i + j), b"1") for j in range(1000)), 5000)
batches = [b"".join(command(b"SET", key(i * 37 + j), value) + command(b"GET", key(i * 101 + j * 7)) for j in range(49))
           + command(b"GET", key(i)) for i in range(40)]
answer = 50 * (len(value) + 8) + 50 * 5
served = 0
while True:
    ask(batches[served // 100 % 40] + command(b"SET", b"new:%0396d" % served, b"1"), answer)
    served += 100
    m[:8] = served.to_bytes(8, "little")
"""

# For sqlite3, over its stdin and stdout: batches of statements on a table in memory. ARGV: file.
SQLITE_CLIENT = r"""
import mmap, os, sys

f = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(f, 4096)
served = 0

def ask(text):
    os.write(1, (text + "SELECT 'do' || 'ne';\n").encode())
    data = b""
    while b"done" not in data:
        data = data[-8:] + os.read(0, 65536)

ask("CREATE TABLE t(id INTEGER PRIMARY KEY, words TEXT);\n")
while True:
    ask("".join(f"INSERT INTO t VALUES({served + i}, '{'word ' * (10 + i)}');\n" for i in range(20))
        + f"SELECT sum(length(upper(words))) FROM t WHERE id % 7 = 3;\nDELETE FROM t WHERE id < {served - 100};\n")
    served += 20
    m[:8] = served.to_bytes(8, "little")
"""

SCRIPTS = {"python3": ("/usr/bin/python3", PYTHON), "ruby": ("/usr/bin/ruby", RUBY), "perl": ("/usr/bin/perl", PERL)}


def cpu_clock(pid):
    return ((~pid) << 3) | 2


class Worker:
    """A program and its counter. argv: `{}` is the path of the file that it counts in."""

    def __init__(self, argv, cpu=CPU, stdin=None, stdout=None):
        self.file = tempfile.NamedTemporaryFile()
        self.file.truncate(4096)
        self.process = subprocess.Popen([a.replace("{}", self.file.name) for a in map(str, argv)],
                                        stdin=stdin or subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL)
        self.pid = self.process.pid
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})

    def started(self):
        end = time.monotonic() + 20
        while not self.work():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure(f"{self.process.args[0]} does not work, status {self.process.poll()}")
            time.sleep(0.01)
        return self

    def work(self):
        return int.from_bytes(os.pread(self.file.fileno(), 8, 0), "little")

    def leaked(self):
        return int.from_bytes(os.pread(self.file.fileno(), 8, 8), "little")

    def reading(self):
        return self.work(), time.clock_gettime(cpu_clock(self.pid))

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self.file.close()


class RestingLoop(Worker):
    """
    The loop with its requests' own CPU clock. A thread that sleeps a thousand times a second takes 20 us of CPU for each sleep
    and 2 for the request after it; with 30 us of probes in the request its sleeps were seen to take 10.
    """

    def reading(self):
        return self.work(), int.from_bytes(os.pread(self.file.fileno(), 8, 16), "little") * 1e-9


class Served(Worker):
    """The server is what is looked at; its client, on another CPU, counts."""

    client = None

    def serve(self, text, *args, **kwargs):
        self.client = subprocess.Popen([sys.executable, "-c", text, self.file.name, *args], **kwargs)
        os.sched_setaffinity(self.client.pid, {min(os.sched_getaffinity(0))})

    def close(self):
        if self.client:
            self.client.kill()
            self.client.wait()
        super().close()


class RedisWorker(Served):
    def __init__(self, keys):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        self.directory = tempfile.TemporaryDirectory()
        super().__init__(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                          "--dir", self.directory.name])
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise Failure("redis-server does not answer") from None
                time.sleep(0.05)
        self.serve(REDIS_CLIENT, port, str(keys))

    def close(self):
        super().close()
        self.directory.cleanup()


class SqliteWorker(Served):
    def __init__(self):
        out, answers = os.pipe()
        # interactive: it writes each answer at once
        super().__init__(["sqlite3", "-interactive", ":memory:"], stdin=subprocess.PIPE, stdout=answers)
        os.close(answers)
        self.serve(SQLITE_CLIENT, stdin=out, stdout=self.process.stdin)
        os.close(out)


def redis(keys=140000):
    """By default its table has just grown to 262144 entries: 12 million requests later it grows again."""
    return RedisWorker(keys) if shutil.which("redis-server") else None


def sqlite():
    return SqliteWorker() if shutil.which("sqlite3") else None


def loop(*args, **kwargs):
    return Worker([build("saturated"), "{}", *args], stdin=subprocess.PIPE, **kwargs)


def resting_loop(rest_us, *args):
    return RestingLoop([build("saturated"), "{}", rest_us, *args], stdin=subprocess.PIPE)


def script(name, *args, **kwargs):
    program, text = SCRIPTS[name]
    if not os.path.exists(program):
        return None
    flag = "-c" if name == "python3" else "-e"
    return Worker([program, flag, text, "{}", *args], **kwargs)


class Slice:
    """
    What the first of several equal programs did in a while, the others being the measure of its bare speed.
    members: (work, CPU seconds) of each; bare: what a unit of work takes of each when nobody looks, in any one unit.
    """

    def __init__(self, seconds, members, bare):
        self.seconds = seconds
        self.members, self.bare = members, bare
        self.work, self.cpu = members[0]
        self.twin_work, self.twin_cpu = members[1]
        # what its work takes of CPU when nobody looks, told by the others
        cpu = sum(m[1] for m in members[1:])
        self.own_cpu = self.work * bare[0] * cpu / max(sum(m[0] * b for m, b in zip(members[1:], bare[1:])), 1e-9)
        self.cost = self.cpu - self.own_cpu

    def among_the_bare(self):
        """The same between those that nobody looks at, one by the others: what differs there is the machine's noise."""
        bare = range(1, len(self.members))
        slices = []
        for i in bare if len(bare) > 1 else ():
            others = [j for j in bare if j != i]
            slices.append(Slice(self.seconds, [self.members[j] for j in (i, *others)], [self.bare[j] for j in (i, *others)]))
        return slices

    def spare(self):
        """Seconds of the CPU that they share in which none of them ran."""
        return max(0, self.seconds - self.own_cpu - sum(cpu for _, cpu in self.members[1:]))

    def __str__(self):
        return (f"{self.seconds:.2f} s: {self.work} requests, twin {self.twin_work}; its CPU {self.cpu:.3f} s, of which "
                f"{self.cost:.3f} s the probes: {self.overhead() * 100:.1f} %")

    def overhead(self):
        return self.cost / max(self.own_cpu, 1e-9)

    def kept(self):
        """Of its speed, per second of CPU."""
        return self.own_cpu / max(self.cpu, 1e-9)


class Twins:
    """A program and its twins."""

    def __init__(self, make, bare=1):
        self.members = []
        for _ in range(1 + bare):
            self.members.append(make())
        for m in self.members:
            m.started()
        self.pid = self.members[0].pid
        self.bare = [1e-6] * len(self.members)
        self.last = self.readings()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for m in self.members:
            m.close()

    def readings(self):
        return [(time.monotonic(), *m.reading()) for m in self.members]

    def begin(self):
        self.last = self.readings()

    def slice(self, seconds, cpu_seconds=0):
        """
        A Slice of the time from the last one on: so long, and until all together have had so much of their CPU. A machine
        with other work gives them less of it, and what it gives is what the probes may take a share of.
        """
        end = time.monotonic() + seconds
        while True:
            time.sleep(max(0.01, end - time.monotonic()))
            now = self.readings()
            parts = [(b[1] - a[1], b[2] - a[2]) for a, b in zip(self.last, now)]
            if sum(cpu for _, cpu in parts) >= cpu_seconds or time.monotonic() > end + 10 * seconds:
                break
        passed = now[0][0] - self.last[0][0]
        self.last = now
        return Slice(passed, parts, self.bare)

    def warm_up(self, seconds=1.0):
        """All unprobed: what each does per unit of the others' is 1 from here on."""
        self.slice(0.5)
        self.bare = [cpu / max(work, 1) for work, cpu in self.slice(seconds).members]
        return self
