#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Many processes of one libc at once: from start to armed, from the signal to the end, and memprobe's own
memory. Best of ROUNDS. Needs root.

    tools/bench/bench_processes.py [ROUNDS]
"""
import os
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "e2e"))

from harness import Memprobe, Target, build # noqa: E402

COUNTS = 1, 10, 100, 300


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024


def one(n):
    """Seconds to attach, seconds to report and detach, MiB."""
    with Target(build("many"), n) as target, Memprobe("-d", 0, "-n", "many") as m:
        m.armed()
        attach = time.monotonic() - m.started
        target.ask("go")
        mib = peak_mib(m.process.pid)
        asked = time.monotonic()
        m.stop()
        return attach, time.monotonic() - asked, mib


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print("processes  attach  report and detach  memprobe")
    for n in COUNTS:
        best = [min(v) for v in zip(*(one(n) for _ in range(rounds)))]
        print(f"{n:>9}  {best[0] * 1000:>3.0f} ms  {best[1] * 1000:>14.0f} ms  {best[2]:>4.1f} MiB")


main()
