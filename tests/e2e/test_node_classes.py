#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Which constructors' objects outlive node's full collections in ever greater number: of a leak; not of a cache that has its size.
"""
import os
import re
import time

from harness import Memprobe, main, test
from interpreters import JsonLines, Program, TARGETS, node

PROGRAM = os.path.join(TARGETS, "contexts.js")
KINDS = "map", "cache"
CACHE = 1000 # entries, of contexts.js
RATE, COLLECT_MS, WINDOW_S = 600, 1000, 30
LEAST_LOOKS = 5 # fewer may tell nothing
LOOK = re.compile(r"after \d+ full collections, ([\d.]+) s:")


def watched():
    """kind -> (what memprobe said it did, its last snapshot, what the program counted each second), both at the same time."""
    programs = {kind: Program(*node(PROGRAM), kind, str(RATE), str(COLLECT_MS)) for kind in KINDS}
    runs, found = {}, {}
    try:
        while programs["cache"].tell("count")["kept"] < CACHE * 1.2: # it is full, classes have their shapes
            time.sleep(0.1)
        for kind, program in programs.items():
            runs[kind] = Memprobe("-vv", "-d", WINDOW_S, "-p", program.process.pid, "--json", auto=True)
        counted = {kind: [program.tell("count")] for kind, program in programs.items()}
        for m in runs.values():
            m.armed()
        while any(m.process.poll() is None for m in runs.values()) and len(counted["map"]) < 2 * WINDOW_S:
            for kind, program in programs.items():
                counted[kind].append(program.tell("count"))
            time.sleep(1)
        for kind, m in runs.items():
            m.wait(WINDOW_S + 60)
            found[kind] = m.stderr, JsonLines(m.stdout.encode()).snapshots[-1], counted[kind]
    finally:
        for m in runs.values():
            m.__exit__()
        for program in programs.values():
            program.__exit__()
    return found


def why_not(log, counted):
    """Why the machine lets nothing be said of a straight growth; None: it does."""
    looks = [float(s) for s in LOOK.findall(log)]
    if sum(s > 0.1 * WINDOW_S for s in looks) < LEAST_LOOKS:
        return f"V8's heap was looked at only after {looks} s"
    kept = [c["kept"] for c in counted]
    first, middle, last = kept[len(kept) // 10], kept[len(kept) * 11 // 20], kept[-1]
    if not 0.9 <= (last - middle) / max(middle - first, 1) <= 1.3:
        return f"node did not work evenly: {kept}"
    return None


def check_leak(t, log, snapshot, counted):
    process, verdict = snapshot["process"][0], snapshot["verdict"][0]
    name = "leak__a_class_that_it_keeps_outlives_collections_in_ever_greater_number"
    why, kept = why_not(log, counted), counted[-1]["kept"] - counted[0]["kept"]
    if why:
        t.skip(name, "on this machine " + why)
        return
    t.true(name, process.get("steady_class") in ("RenderContext", "RecordTable", "Object", "Array"), (process, verdict, counted, log))
    t.between("leak__by_no_more_than_the_program_kept_and_a_quarter_at_least", process.get("steady_objects", 0), kept / 4, kept * 1.1)
    t.between("leak__over_full_collections_that_the_program_made", process.get("steady_collections", 0), 3,
              counted[-1]["collections"] - counted[0]["collections"] + 1)
    t.true("leak__that_is_evidence", verdict["word"] in ("LEAK", "GROWING") and "classes" in verdict["why"], verdict)


@test
def leak_or_cache(t):
    found = watched()
    for kind, (_, snapshot, counted) in found.items():
        t.true(f"{kind}__served_its_requests", counted[-1]["kept"] - counted[0]["kept"] > RATE * WINDOW_S / 4, counted)
        t.true(f"{kind}__full_collections_were_seen", snapshot["process"][0].get("collections", 0) >= 3, snapshot["process"][0])
    check_leak(t, *found["map"])
    _, snapshot, _ = found["cache"]
    t.true("cache__is_called_no_leak", snapshot["verdict"][0]["word"] != "LEAK", snapshot["verdict"][0])
    t.equal("cache__no_class_outlives_collections_in_ever_greater_number", snapshot["process"][0].get("steady_class"), None)


if __name__ == "__main__":
    main()
