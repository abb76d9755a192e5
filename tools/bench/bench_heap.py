#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Cost of profiling per malloc+free pair, beside the bare trap floor, in one run.

For each depth: no probe, empty probes at the same places (the floor), memprobe exact. Then, at one depth, sampled, and
stepped down to bursts by a program that does nothing but allocate: per pair, over whole seconds. Best of
seven rounds each (three for the last), interleaved, since the machine's speed drifts. Needs root; prints tables.
"""
import os
import re
import subprocess
import sys

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
PAIRS, ROUNDS = "100000", 7
# per round, when stepped down: about a second
LONG_PAIRS, LONG_ROUNDS, LONG_DEPTH = "30000000", 3, 10


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
    def __init__(self, depth, pairs=PAIRS):
        self.process = subprocess.Popen([f"{BUILD}/tools/bench/pairs", str(depth), pairs],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.round()

    def round(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def with_floor(target, at):
    p = subprocess.Popen([f"{BUILD}/tools/bench/trap_floor", str(target.process.pid), at["path"],
                          at["malloc"], at["free"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != "armed\n":
        sys.exit("skip: this kernel has no uprobe sessions")
    value = target.round()
    p.stdin.close()
    p.wait()
    return value


class Watched:
    """memprobe on a target, from the armed line on."""

    def __init__(self, target, *options):
        self.process = subprocess.Popen([MEMPROBE, "-d", "0", "-p", str(target.process.pid), "--no-save", "-f", "folded",
                                         *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while "armed:" not in self.process.stderr.readline():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.communicate()


def with_memprobe(target, *options):
    with Watched(target, *options):
        return target.round()


def table_by_depth(at):
    print(f"{'depth':>5} {'bare':>6} {'floor':>7} {'exact':>9}  ratio   (ns per malloc+free pair)")
    for depth in (2, 10, 30, 60):
        target = Target(depth)
        bare, floor, full = [], [], []
        for _ in range(ROUNDS):
            bare.append(target.round())
            floor.append(with_floor(target, at))
            full.append(with_memprobe(target, "--sample", "off"))
        b, f, m = min(bare), min(floor), min(full)
        print(f"{depth:5} {b:6.0f} {f:7.0f} {m:9.0f}  {m / f:5.2f}")
        target.end()


def table_by_rung(at):
    target, rows = Target(LONG_DEPTH), {"floor": [], "exact": [], "sampled 8K": [], "sampled 64K": []}
    for _ in range(ROUNDS):
        rows["floor"].append(with_floor(target, at))
        rows["exact"].append(with_memprobe(target, "--sample", "off"))
        rows["sampled 8K"].append(with_memprobe(target, "--sample", "8K"))
        rows["sampled 64K"].append(with_memprobe(target, "--sample", "64K"))
    target.end()
    target = Target(LONG_DEPTH, LONG_PAIRS)
    rows["bare"], rows["stepped down"] = [], []
    for _ in range(LONG_ROUNDS):
        rows["bare"].append(target.round())
        with Watched(target):
            target.round() # it steps down in this one
            rows["stepped down"].append(target.round())
    target.end()
    floor, bare = min(rows["floor"]), min(rows["bare"])
    print(f"\n{'rung':<13} {'ns/pair':>8} {'by floor':>9} {'by bare':>8}   (depth {LONG_DEPTH})")
    for name in ("bare", "floor", "exact", "sampled 8K", "sampled 64K", "stepped down"):
        m = min(rows[name])
        print(f"{name:<13} {m:8.1f} {m / floor:9.2f} {m / bare:8.2f}")


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    at = places()
    table_by_depth(at)
    table_by_rung(at)


main()
