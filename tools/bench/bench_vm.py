#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What watching mappings (-P vm) costs, as CPU time per operation: the target, and processes that are none.

Each round measures alone, with memprobe that only looks (-P none), and with the plane, in turn; the ratios to alone are
of one round, and what is printed is their median and quartiles. System calls that map nothing (getppid) must cost a
bystander nothing: the plane uses no system-call tracepoint. Needs root.
"""
import os
import statistics
import subprocess
import sys

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
ROUNDS = int(os.environ.get("ROUNDS", "9"))
LOOPS = ("maps", "getppid", "faults")


class Loop:
    def __init__(self, *args):
        self.process = subprocess.Popen([f"{BUILD}/tools/bench/bystander", *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def measure(self):
        values = []
        for loop in LOOPS:
            self.process.stdin.write(loop + "\n")
            self.process.stdin.flush()
            values.append(float(self.process.stdout.readline()))
        return values


def measure_with(loop, planes, pid):
    """While memprobe watches pid; alone without planes."""
    if not planes:
        return loop.measure()
    p = subprocess.Popen([MEMPROBE, "--no-save", "-d", "0", "-P", planes, "-p", str(pid)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    line = " "
    while "armed:" not in line:
        line = p.stderr.readline()
        if not line:
            sys.exit("memprobe ended before it was armed")
    try:
        return loop.measure()
    finally:
        p.terminate()
        p.communicate()


def show(who, loop, pid):
    ratios = {"none": [], "vm": []}
    alone_ns = []
    for _ in range(ROUNDS):
        alone = measure_with(loop, None, pid)
        alone_ns.append(alone)
        for planes, found in ratios.items():
            found.append([a / b for a, b in zip(measure_with(loop, planes, pid), alone)])
    for i, name in enumerate(LOOPS):
        base = statistics.median(a[i] for a in alone_ns)
        for planes, found in ratios.items():
            low, median, high = statistics.quantiles([r[i] for r in found], n=4)
            print(f"{who + ': ' + name:<22} {base:9.1f}  -P {planes:<5} {median:7.3f}  {low:.3f}..{high:.3f}  "
                  f"{(median - 1) * base:+9.1f}", flush=True)


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    other, loop = Loop("calm"), Loop()
    print(f"{'CPU time per operation':<22}  ns alone            ratio  quartiles     ns more")
    try:
        show("target", loop, loop.process.pid)
        show("bystander", loop, other.process.pid)
    finally:
        other.process.kill()
        loop.process.kill()


main()
