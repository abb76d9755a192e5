#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a process that is not profiled pays while memprobe works, as CPU time per operation.

Pairs: with memprobe on another process of the same C library, and without, one after the other, the first of them
in turn. The ratio of each pair; their median, its 95 % confidence interval (order statistics), and the quartiles. Goal:
at most 1 % for `-p`. Page faults after a second of nothing else: by then memprobe has left them alone (what they cost until
then, and with -P rss, is bench_faults.py's). The verdict is `yes` or `no` only where the interval says so. `best`: the least of all rounds with by the
least of all without, which a machine's noise, that only ever adds, moves least. `nothing` is the same with a
process that does nothing in memprobe's place: what this machine's noise comes to. The whole machine is for
information, since every process is a target then. Needs root.
"""
import os
import subprocess
import sys
import time

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
PAIRS = int(os.environ.get("PAIRS", "20"))
LOOPS = ("malloc", "getpid", "faults")
GOAL = 1.01
SETTLE_S = 1


class Bystander:
    def __init__(self):
        self.process = subprocess.Popen([f"{BUILD}/tools/bench/bystander"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def round(self):
        values = []
        for loop in LOOPS:
            end = time.monotonic() + (SETTLE_S if loop == "faults" else 0)
            values.append(self.ask(loop))
            while time.monotonic() < end:
                values[-1] = self.ask(loop)
        return values

    def ask(self, loop):
        self.process.stdin.write(loop + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def start(words):
    """memprobe, counting; or what stands for it."""
    if words[0] != MEMPROBE:
        return subprocess.Popen(words, stderr=subprocess.DEVNULL)
    p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = []
    while not lines or "armed:" not in lines[-1]:
        lines.append(p.stderr.readline())
        if not lines[-1]:
            sys.exit("memprobe ended: " + "".join(lines))
    return p


def stop(p):
    p.terminate()
    p.communicate()


def ratios(bystander, words):
    """Of PAIRS pairs, (with, without) of each loop: [[malloc, getpid, faults], ...]"""
    found = []
    bystander.round()
    for i in range(PAIRS):
        values = {}
        for kind in (("with", "without") if i % 2 else ("without", "with")):
            p = start(words) if kind == "with" else None
            values[kind] = bystander.round()
            if p:
                stop(p)
        found.append(list(zip(values["with"], values["without"])))
    return found


def interval(n):
    """Ranks (from 0) of a 95 % confidence interval of the median of n values."""
    below, chance, low = 0.0, 0.5 ** n, 0
    while below + chance < 0.025:
        below += chance
        chance = chance * (n - low) / (low + 1)
        low += 1
    return max(low - 1, 0), n - max(low, 1)


def show(what, pairs, judged):
    v = sorted(a / b for a, b in pairs)
    best = min(a for a, _ in pairs) / min(b for _, b in pairs)
    n = len(v)
    median = (v[n // 2] + v[(n - 1) // 2]) / 2
    low, high = (v[i] for i in interval(n))
    verdict = ""
    if judged:
        verdict = "yes" if high <= GOAL else "no" if low > GOAL else "cannot be told here"
    print(f"{what:<34} {median:7.4f}  {low:.4f}..{high:.4f}  {v[n // 4]:.4f}..{v[3 * n // 4]:.4f}  "
          f"{best:7.4f}  {verdict}", flush=True)


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    kinds = sys.argv[1:]
    target = subprocess.Popen([f"{BUILD}/tools/bench/bystander", "calm"])
    bystander = Bystander()
    print(f"{'ratio to alone, ' + str(PAIRS) + ' pairs':<34}  median  95 % interval   quartiles          best  within 1 %")
    try:
        for what, words, judged in (("nothing", ["sleep", "60"], False),
                                    ("memprobe -p", [MEMPROBE, "-d", "0", "-p", str(target.pid)], True),
                                    ("whole machine", [MEMPROBE, "-d", "0", "-f", "folded"], False)):
            if kinds and what not in kinds:
                continue
            found = ratios(bystander, words)
            for i, loop in enumerate(LOOPS):
                show(f"{what}: {loop}", [r[i] for r in found], judged)
    finally:
        target.kill()
        bystander.process.kill()


main()
