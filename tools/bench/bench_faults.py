#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a page fault costs while resident memory is watched (-P rss): a loop that does nothing else.

CPU time per fault (touch of a fresh page, its part of a MADV_DONTNEED of 256), alone and with memprobe, one after the
other, the first of them in turn; the median of the ratios and their quartiles. `bystander`: memprobe watches
another process; `target`: this one. `default`: without -P, where memprobe leaves others alone that make many; after a second of
nothing else. For information; a page fault costs a program far less often than an
allocation does. Needs root.
"""
import os
import subprocess
import sys
import time

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
PAIRS = int(os.environ.get("PAIRS", "8"))


def start(words):
    p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    line = ""
    while "armed:" not in line:
        line = p.stderr.readline()
        if not line:
            sys.exit("memprobe ended")
    return p


def fault_ns(loop, settle_s=0):
    end = time.monotonic() + settle_s
    ns = one_round(loop)
    while time.monotonic() < end:
        ns = one_round(loop)
    return ns


def one_round(loop):
    loop.stdin.write("faults\n")
    loop.stdin.flush()
    return float(loop.stdout.readline())


def pair(loop, words, first_with, settle_s):
    ns = {}
    for is_with in (first_with, not first_with):
        p = start(words) if is_with else None
        ns[is_with] = fault_ns(loop, settle_s)
        if p:
            p.terminate()
            p.communicate()
    return ns


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    program = f"{BUILD}/tools/bench/bystander"
    calm = subprocess.Popen([program, "calm"])
    loop = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"{'ns a fault, ' + str(PAIRS) + ' pairs':<26}   alone    with   ratio  quartiles")
    try:
        fault_ns(loop)
        for what, planes, pid in (("bystander, default", "", calm.pid), ("bystander, -P heap", "heap", calm.pid),
                                  ("bystander, -P rss", "rss", calm.pid),
                                  ("target, -P rss", "rss", loop.pid), ("target, -P heap,rss", "heap,rss", loop.pid)):
            words = [MEMPROBE, "--no-save", "-d", "0", *(["-P", planes] if planes else []), "-p", str(pid)]
            found = [pair(loop, words, i % 2 == 0, 0 if planes else 1) for i in range(PAIRS)]
            ratios = sorted(ns[True] / ns[False] for ns in found)
            alone, used = (sorted(ns[k] for ns in found)[PAIRS // 2] for k in (False, True))
            print(f"{what:<26} {alone:7.0f} {used:7.0f} {ratios[PAIRS // 2]:7.3f}  "
                  f"{ratios[PAIRS // 4]:.3f}..{ratios[3 * PAIRS // 4]:.3f}", flush=True)
    finally:
        calm.kill()
        loop.kill()


main()
