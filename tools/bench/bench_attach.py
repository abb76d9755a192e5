#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How long memprobe takes to attach and to let go, seen from outside: the target's memory is looked at.

    armed      memprobe started -> it counts (with 0.25 s of counting calls first)
    probes     the first probe in the target's text -> all of them
    report     SIGINT -> the report is there, under its name
    closed     the report is there -> the target's text is clean again (goal: at most 0.5 s)
    ended      SIGINT -> memprobe has ended

Also: did the report come before the first probe went? Targets: a calm process, a busy one with `--sample off`,
four at once, and eight at once (links for all). Needs root.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUILD, MEMPROBE = os.environ["BUILD"], os.environ["MEMPROBE"]
RUNS = int(os.environ.get("RUNS", "20"))
GOAL_S = 0.5


def places(pid):
    """(address, byte of the file) of memprobe's probes on malloc and free, from its own -v output."""
    out = subprocess.run([MEMPROBE, "-v", "-d", "0.1", "-p", str(pid)], capture_output=True, text=True).stderr
    found = []
    with open(f"/proc/{pid}/maps") as f:
        maps = [line.split() for line in f]
    for path, off, shift in re.findall(r"(/\S+): (?:malloc|free|calloc|realloc) at (0x[0-9a-f]+), probe \+(\d+)", out):
        at, path = int(off, 16) + int(shift), re.sub(r"^/proc/\d+/root", "", path)
        for words in maps:
            start, end = (int(x, 16) for x in words[0].split("-"))
            first = int(words[2], 16)
            if words[-1] == path and "x" in words[1] and first <= at < first + end - start:
                with open(path, "rb") as f:
                    f.seek(at)
                    found.append((start + at - first, f.read(1)))
    return found


class Watch(threading.Thread):
    """When probes come and go in the text of a process."""

    def __init__(self, pid, sites):
        super().__init__()
        self.pid, self.sites, self.over = pid, sites, False
        self.first = self.all = self.going = self.clean = None

    def run(self):
        with open(f"/proc/{self.pid}/mem", "rb", 0) as mem:
            while not self.over:
                n = sum(os.pread(mem.fileno(), 1, at) != byte for at, byte in self.sites)
                now = time.monotonic()
                if n and not self.first:
                    self.first = now
                if n == len(self.sites):
                    self.all = self.all or now
                    self.going = self.clean = None
                elif self.all and not self.going:
                    self.going = now
                if self.all and not n and not self.clean:
                    self.clean = now
                time.sleep(0.0005)


def one_run(pids, sites, path, options):
    """Seconds of each part, and whether the report came first."""
    watch = Watch(pids[0], sites)
    watch.start()
    begin = time.monotonic()
    p = subprocess.Popen([MEMPROBE, "-d", "0", "-o", path, *options, "-p", ",".join(map(str, pids))],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if "armed:" in line:
            break
    armed = time.monotonic()
    time.sleep(0.1)
    stop = time.monotonic()
    p.send_signal(signal.SIGINT)
    while not os.path.exists(path) and p.poll() is None:
        time.sleep(0.0005)
    report = time.monotonic()
    p.communicate()
    ended = time.monotonic()
    end = ended + 5
    while not watch.clean and time.monotonic() < end:
        time.sleep(0.001)
    watch.over = True
    watch.join()
    if not (watch.all and watch.clean) or not os.path.exists(path):
        sys.exit("the probes were not seen to come and go")
    os.unlink(path)
    return {"armed": armed - begin, "probes": watch.all - watch.first, "report": report - stop,
            "closed": max(0.0, watch.clean - report), "ended": ended - stop}, report <= watch.going


def measure(what, words, n, options):
    processes = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(n)]
    pids = [p.pid for p in processes]
    try:
        time.sleep(0.2)
        sites = places(pids[0])
        if not sites:
            sys.exit("no probes found by -v")
        with tempfile.TemporaryDirectory() as d:
            runs = [one_run(pids, sites, os.path.join(d, "out.folded"), options) for _ in range(RUNS)]
    finally:
        for p in processes:
            p.kill()
    for part in runs[0][0]:
        v = sorted(r[0][part] * 1e3 for r in runs)
        verdict = ""
        if part == "closed":
            verdict = f"{'within' if v[-1] <= GOAL_S * 1e3 else 'NOT within'} 0.5 s"
            verdict += f"; the report came first in {sum(r[1] for r in runs)} of {len(runs)} runs"
        print(f"{what if part == 'armed' else '':<22} {part:<7} {v[len(v) // 2]:8.1f} {v[-1 - len(v) // 20]:8.1f} "
              f"{v[-1]:8.1f}  {verdict}", flush=True)


def main():
    if os.geteuid():
        sys.exit("skip: needs root")
    calm = [f"{BUILD}/tools/bench/bystander", "calm"]
    busy = [f"{BUILD}/tests/e2e/targets/server"]
    print(f"{'ms, ' + str(RUNS) + ' runs':<30} {'median':>8} {'p95':>8} {'max':>8}")
    measure("a calm process", calm, 1, [])
    measure("a busy process, exact", busy, 1, ["--sample", "off"])
    measure("four calm processes", calm, 4, [])
    measure("eight calm processes", calm, 8, [])


main()
