#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Ruby programs beside busy loops, where the heap is watched in brief bursts at most. The leak is called one: objects of a class are
ever more after full collections, and those that came in the window stay. Not so a full cache, one that fills, a program that keeps
nothing. Against what the programs count themselves.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

from harness import MEMPROBE, Memprobe, main, test
from interpreters import TARGETS, Program, last_snapshot, ruby

FILE = os.path.join(TARGETS, "stories.rb")
RATE, WINDOW_S, COLLECT_S = 20, 60, 2
SERVED = {"leak": 100, "full_cache": 600, "filling_cache": 0, "steady": 100} # before the attach
LEAST_LOOKS, LAST_LOOK = 6, 0.85 # so many, the last so far into the window: fewer, or none for long, tell nothing
LOOK = re.compile(r"after \d+ full collections, ([\d.]+) s:")
TEXTS = 61 # that a request of the leak keeps: of the objects of one class the most
CACHE_TEXTS = 400 # of the bloat, at most


def collect_until(programs, runs):
    """A full collection of each now and then, until the runs are over."""
    start = time.monotonic()
    while any(m.process.poll() is None for m in runs.values()) and time.monotonic() < start + WINDOW_S + 60:
        for program in programs.values():
            program.said.append((time.monotonic() - start, program.tell("major")))
        time.sleep(COLLECT_S)


def watched(d, kinds):
    """kind -> program, with what it said at each collection and its last snapshot: all at the same time, beside a busy loop a CPU."""
    programs = {kind: Program(ruby(), FILE, "bloat" if "cache" in kind else kind, str(RATE)) for kind in kinds}
    busy, runs = [], {}
    try:
        for kind, program in programs.items():
            program.tell(f"serve {SERVED[kind]}")
        for kind, program in programs.items():
            base = os.path.join(d, kind)
            runs[kind] = Memprobe("-vv", "-d", WINDOW_S, "-p", program.process.pid, "-o", base + ".jsonl", "-o", base + ".memprobe", auto=True)
            program.said = [(0, program.tell("count"))]
        for m in runs.values():
            m.armed()
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        collect_until(programs, runs)
        for kind, m in runs.items():
            programs[kind].log = m.wait(60).stderr
            # with -v: on one page not all that speaks for it has room
            programs[kind].text = subprocess.run([MEMPROBE, "report", "-v", "-f", "report", os.path.join(d, kind + ".memprobe")],
                                                 capture_output=True, text=True, timeout=60).stdout
            programs[kind].snapshot = last_snapshot(os.path.join(d, kind + ".jsonl"))
    finally:
        for p in busy:
            p.kill()
            p.wait()
        for m in runs.values():
            m.__exit__()
        for program in programs.values():
            program.__exit__()
    return programs


def why_not(program):
    """Why the machine lets nothing be said of a straight growth; None: it does."""
    last = max(s for s, _ in program.said)
    if max(b[0] - a[0] for a, b in zip(program.said, program.said[1:])) > 4 * COLLECT_S:
        return f"the program was held up: {program.said}"
    served = [min(program.said, key=lambda one, at=at: abs(one[0] - at * last))[1]["served"] for at in (0.1, 0.55, 1)]
    if not 0.8 <= (served[2] - served[1]) / max(served[1] - served[0], 1) <= 1.25:
        return f"it did not work evenly: {served}"
    looks = [float(s) for s in LOOK.findall(program.log)]
    window = re.search(r"^window +(\d+) s to", program.text, re.M) # longer where memprobe itself was held up
    if len(looks) < LEAST_LOOKS or looks[-1] < LAST_LOOK * float(window[1] if window else WINDOW_S):
        return f"its heap was looked at only after {looks} s"
    return None


def check_leak(t, program):
    process, verdict, why = program.snapshot["process"][0], program.snapshot["verdict"][0], why_not(program)
    kept = TEXTS * (program.said[-1][1]["served"] - program.said[0][1]["served"])
    for name in "leak__is_called_one", "leak__what_it_keeps_stays", "leak__that_is_evidence", "leak__the_report_says_so":
        if why:
            t.skip(name, "on this machine " + why)
    if why:
        return
    t.true("leak__is_called_one", verdict["word"] == "LEAK", (verdict, program.text, program.said))
    # 61 texts of a request stay, and 60 hashes
    t.true("leak__what_it_keeps_stays", process.get("staying_class") in ("String", "Hash"), (process, program.log))
    t.between("leak__no_more_than_the_program_kept_and_a_third_at_least", process.get("staying_objects", 0), kept / 3, kept)
    t.between("leak__all_that_came_early_does", process.get("staying_early_alive", 0) / max(process.get("staying_early", 1), 1), 0.99, 1)
    t.between("leak__over_full_collections_that_the_program_made", process.get("staying_collections", 0), 3,
              program.said[-1][1]["full"] - program.said[0][1]["full"])
    t.true("leak__that_is_evidence", "objects" in verdict["why"], verdict)
    t.true("leak__the_report_says_so", "that came in the first half of the window" in " ".join(program.text.split()), program.text)


def check_other(t, kind, program):
    process, verdict = program.snapshot["process"][0], program.snapshot["verdict"][0]
    t.true(f"{kind}__full_collections_were_seen", process.get("collections", 0) >= 4, process)
    if kind != "steady":
        t.between(f"{kind}__it_is_full_at_the_end", program.said[-1][1]["cache"], CACHE_TEXTS - 1, CACHE_TEXTS)
    t.true(f"{kind}__is_called_no_leak", verdict["word"] != "LEAK", program.text)
    t.equal(f"{kind}__no_objects_of_a_class_stay", process.get("staying_class"), None)


@test
def leak_or_full_cache(t):
    with tempfile.TemporaryDirectory() as d:
        programs = watched(d, ["leak", "full_cache"])
    check_leak(t, programs["leak"])
    check_other(t, "full_cache", programs["full_cache"])


@test
def filling_cache_or_nothing(t):
    with tempfile.TemporaryDirectory() as d:
        programs = watched(d, ["filling_cache", "steady"])
    for kind, program in programs.items():
        check_other(t, kind, program)


if __name__ == "__main__":
    main()
