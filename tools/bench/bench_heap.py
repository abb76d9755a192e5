#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Cost of exact profiling per malloc+free pair, beside the bare trap floor, in one run.

For each depth: no probe, empty probes at the same places (the floor), memprobe. Best of seven
rounds each, interleaved, since the machine's speed drifts. Needs root; prints a table.
"""
import os
import re
import subprocess
import sys

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
PAIRS, ROUNDS = "100000", 7


def places():
    """File offsets of memprobe's probes on malloc and free, and the file, from its own -v output."""
    sleeper = subprocess.Popen(["sleep", "30"])
    out = subprocess.run([MEMPROBE, "-v", "-d", "0.1", "-p", str(sleeper.pid)], capture_output=True,
                         text=True).stderr
    sleeper.kill()
    found = {}
    for path, name, off, shift in re.findall(r"(/\S+): (malloc|free) at (0x[0-9a-f]+), probe \+(\d+)", out):
        found[name] = hex(int(off, 16) + int(shift))
        found["path"] = re.sub(r"^/proc/\d+/root", "", path)
    return found


class Target:
    def __init__(self, depth):
        self.process = subprocess.Popen([f"{BUILD}/tools/bench/pairs", str(depth), PAIRS],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.round()

    def round(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def with_floor(target, at):
    p = subprocess.Popen([f"{BUILD}/tools/bench/trap_floor", str(target.process.pid), at["path"],
                          at["malloc"], at["free"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != "armed\n":
        sys.exit("skip: this kernel has no uprobe sessions")
    value = target.round()
    p.stdin.close()
    p.wait()
    return value


def with_memprobe(target):
    p = subprocess.Popen([MEMPROBE, "-d", "0", "-p", str(target.process.pid), "-f", "folded"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while "armed:" not in p.stderr.readline():
        pass
    value = target.round()
    p.terminate()
    p.communicate()
    return value


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    at = places()
    print(f"{'depth':>5} {'bare':>6} {'floor':>7} {'memprobe':>9}  ratio   (ns per malloc+free pair)")
    for depth in (2, 10, 30, 60):
        target = Target(depth)
        bare, floor, full = [], [], []
        for _ in range(ROUNDS):
            bare.append(target.round())
            floor.append(with_floor(target, at))
            full.append(with_memprobe(target))
        b, f, m = min(bare), min(floor), min(full)
        print(f"{depth:5} {b:6.0f} {f:7.0f} {m:9.0f}  {m / f:5.2f}")
        target.process.stdin.close()
        target.process.wait()


main()
