#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""sqlite3: growth against its own statistics, which count bytes and blocks."""
import os
import re
import shutil
import subprocess
import tempfile

from harness import Skip, main, test
from real import Pair, wait_until

FILL = ("WITH RECURSIVE c(x) AS (SELECT {0} UNION ALL SELECT x+1 FROM c WHERE x<{1}) "
        "INSERT INTO t SELECT x, hex(randomblob({2})) FROM c;")


class Sqlite:
    def __init__(self, directory):
        self.directory, self.n = directory, 0
        self.process = subprocess.Popen(["sqlite3", ":memory:"], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL)
        self.do("CREATE TABLE t(a INTEGER PRIMARY KEY, b);", ".stats on")

    def do(self, *lines):
        """What these lines print; sqlite3 is waiting for the next line afterwards."""
        self.n += 1
        path = os.path.join(self.directory, str(self.n))
        text = [f".output {path}", *lines, ".print done", ".output"]
        self.process.stdin.write("\n".join(text).encode() + b"\n")
        self.process.stdin.flush()
        wait_until(lambda: os.path.exists(path) and open(path).read().endswith("done\n"),
                   f"sqlite3: {lines[0]}", 60)
        return open(path).read()

    def used(self):
        """(bytes, blocks) outstanding, by sqlite's own count, while a short statement runs."""
        text = self.do("SELECT 1;")
        return (int(re.findall(r"Memory Used: +(\d+)", text)[-1]),
                int(re.findall(r"Outstanding Allocations: +(\d+)", text)[-1]))

    def close(self):
        self.process.stdin.close()
        return self.process.wait(20)


@test
def sqlite(t):
    if not shutil.which("sqlite3"):
        raise Skip("no sqlite3")
    with tempfile.TemporaryDirectory() as d:
        sqlite3 = Sqlite(d)
        try:
            with Pair(sqlite3.process.pid) as pair:
                sqlite3.do(FILL.format(1, 5000, 100))
                used_before, before = sqlite3.used(), pair.snapshot()
                sqlite3.do(FILL.format(5001, 60000, 150), "DELETE FROM t WHERE a % 3 = 0;",
                           "CREATE INDEX i ON t(b);")
                used_after, after = sqlite3.used(), pair.snapshot()
                pair.stop()
            n_bytes = sum(v[0] for v in after.values()) - sum(v[0] for v in before.values())
            n_blocks = sum(v[1] for v in after.values()) - sum(v[1] for v in before.values())
            want_bytes, want_blocks = (used_after[i] - used_before[i] for i in (0, 1))
            # sqlite puts its size, 8 bytes, in front of each block (mem1.c)
            t.true("sqlite__net_growth_in_bytes_equals_its_own_within_1_percent",
                   abs(n_bytes - 8 * n_blocks - want_bytes) <= want_bytes / 100,
                   f"memprobe {n_bytes - 8 * n_blocks}, truth {want_bytes}")
            t.true("sqlite__net_growth_in_blocks_equals_its_own_within_1_percent",
                   abs(n_blocks - want_blocks) <= max(want_blocks / 100, 4),
                   f"memprobe {n_blocks}, truth {want_blocks}")
            for name in ("sqlite3_step", "malloc"):
                t.true(f"sqlite__the_name_{name}_is_resolved", name in " ".join(after),
                       "\n".join(list(after)[:5]))
            for m in pair.runs:
                t.true("sqlite__nothing_is_lost", m.status == 0, f"{m.status}")
        finally:
            t.equal("sqlite__ends_as_without_memprobe", sqlite3.close(), 0)


if __name__ == "__main__":
    main()
