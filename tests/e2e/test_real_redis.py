#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""redis-server (jemalloc): the growth of the heap against the growth of its own used_memory."""
import shutil
import socket
import subprocess
import tempfile

from harness import Skip, main, test
from real import Pair, compare, jemalloc_usable, wait_until

N_REQUESTS = 60000
VALUE_BYTES = 1000 # all values are of one size: one stack, one size, rounded exactly


class Redis:
    """A server of our own on the loopback, in a directory of its own, without persistence."""

    def __init__(self, directory):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", directory, "--daemonize", "no"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket = None
        wait_until(self._connect, "redis-server answers")

    def _connect(self):
        try:
            self.socket = socket.create_connection(("127.0.0.1", self.port))
            return True
        except OSError:
            return False

    def close(self):
        if self.socket:
            self.socket.close()
        self.process.terminate()
        self.process.wait(20)

    def ask(self, *words):
        """The raw answer to one short command."""
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        data = self.socket.recv(65536)
        if data[:1] == b"$":
            head, rest = data.split(b"\r\n", 1)
            while len(rest) < int(head[1:]) + 2:
                rest += self.socket.recv(65536)
            return rest.decode()
        return data.decode()

    def info(self, key):
        for line in self.ask("INFO", "ALL").splitlines():
            if line.startswith(key + ":"):
                return int(line.split(":")[1])
        raise KeyError(key)

    def load(self, n):
        subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "-t", "set",
                        "-n", str(n), "-r", "40000", "-d", str(VALUE_BYTES), "-P", "8", "-q"],
                       stdout=subprocess.DEVNULL, check=True, timeout=120)

    def quiet(self):
        """used_memory when the clients of the load are gone."""
        wait_until(lambda: self.info("connected_clients") == 1, "clients are gone")
        last = [0]

        def is_steady():
            now = self.info("used_memory")
            steady, last[0] = now == last[0], now
            return steady
        wait_until(is_steady, "used_memory is steady")
        return last[0]


@test
def redis(t):
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        raise Skip("no redis-server")
    with tempfile.TemporaryDirectory() as d:
        server = Redis(d)
        try:
            with Pair(server.process.pid) as pair:
                server.load(N_REQUESTS // 6)
                used_before, before = server.quiet(), pair.snapshot()
                server.load(N_REQUESTS)
                for i in range(0, 2000, 7):
                    server.ask("DEL", f"key:{i:012}")
                used_after, after = server.quiet(), pair.snapshot()
                compare(t, "redis__net_growth_of_the_heap_equals_used_memory_within_1_percent",
                        before, after, jemalloc_usable, used_after - used_before)
                pair.stop()
                for m in pair.runs:
                    t.no_loss("redis__nothing_is_lost", m)
                    t.equal("redis__the_run_ends_with_0", m.status, 0)
                names = " ".join(after)
                t.true("redis__allocations_are_seen_at_their_callers_not_only_the_allocator",
                       all(s.count(";") >= 3 for s in after) and "redis-server" in names,
                       "\n".join(list(after)[:5]))
            t.true("redis__serves_on_after_the_run", "PONG" in server.ask("PING"))
        finally:
            server.close()


@test
def size_classes(t):
    for size, usable in ((0, 8), (8, 8), (9, 16), (24, 32), (100, 112), (128, 128), (129, 160),
                         (1000, 1024), (1006, 1024), (300000, 327680), (4097, 5120)):
        t.equal(f"jemalloc_{size}__has_{usable}_usable_bytes", jemalloc_usable(size), usable)


if __name__ == "__main__":
    main()
