#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
SIGUSR2 and -M set marks: the report and JSON tell what was born between them and lives, against what the program itself
counted in each interval.
"""
import json
import os
import re
import signal
import tempfile
import time

from harness import Memprobe, Target, main, test

STEPS = 3


def survivors(path, site):
    """By interval: live bytes, live blocks, made bytes, made blocks of one function's stacks."""
    lines = [json.loads(line) for line in open(path)]
    ids = {x["id"] for x in lines if x["type"] == "stack" and site in x["where"]}
    starts = sorted({x["from_ms"] for x in lines if x["type"] == "survivors" and "from_ms" in x})
    rows = {}
    for x in lines:
        if x["type"] == "survivors" and x.get("id") in ids and "from_ms" in x:
            rows[starts.index(x["from_ms"])] = [x[k] for k in ("live_bytes", "live_blocks", "made_bytes", "made_blocks")]
    return rows


@test
def intervals(t):
    with tempfile.TemporaryDirectory() as d, Target("rounds") as target:
        out, text = os.path.join(d, "x.jsonl"), os.path.join(d, "x.txt")
        with Memprobe("-d", 0, "-p", target.pid, "-o", out, "-o", text, "-v") as m:
            m.armed()
            for step in range(STEPS):
                truth = target.ask("go")
                time.sleep(0.02)  # births are known to a millisecond
                if step < STEPS - 1:
                    m.process.send_signal(signal.SIGUSR2)
                    m.wait_for(f"memprobe: mark {step + 1} set")
                time.sleep(0.02)
            m.stop()
        for site in "s_keep", "s_part":
            got = survivors(out, site)
            for i in range(STEPS):
                want = [truth.of(f"{site}.{i}", k) for k in ("live-bytes", "live-blocks", "alloc-bytes", "alloc-blocks")]
                t.equal(f"what_{site}_made_in_interval_{i + 1}_and_lives__is_its_own_count", got.get(i), want)
        report = open(text).read()
        found = re.search(r"^BORN BETWEEN MARKS, ALIVE.*\n((?:.+\n)+)", report, re.M)
        t.true("the_report__has_the_intervals", found and len(found[1].splitlines()) >= 3, report)
        rows = {line[3:].split()[0]: re.findall(r"(\d+\.\d) +(<?\d+) %", line) for line in found[1].splitlines()}
        t.equal("what_stays__is_all_there_in_each_interval", [p for _, p in rows["s_keep"]], ["100"] * STEPS)
        t.equal("what_is_freed_later__is_half_there_but_for_the_last", [p for _, p in rows["s_part"]], ["50", "50", "100"])
        t.true("with_v__ages_are_told", re.search(r"half is not older than .*, nine tenths than ", report), report)


@test
def ages(t):
    """The first of two steps makes 303 blocks, the second 339: half of those that live are from the second."""
    with tempfile.TemporaryDirectory() as d, Target("rounds") as target:
        out = os.path.join(d, "x.jsonl")
        with Memprobe("-d", 0, "-p", target.pid, "-o", out) as m:
            m.armed()
            target.ask("go")
            time.sleep(2)
            target.ask("go")
            time.sleep(1)
            m.stop()
        stack = next(x for x in map(json.loads, open(out)) if x["type"] == "stack" and "s_keep" in x["where"])
        t.between("half_of_what_lives__is_as_young_as_the_second_step", stack["half_ms"], 900, 1900)
        t.between("nine_tenths__are_as_old_as_the_first", stack["nine_tenths_ms"], 2900, 5000)


@test
def freed_at_once(t):
    """10 000 blocks a second, of which each 500th stays."""
    with tempfile.TemporaryDirectory() as d, Target("behaves", "leak_in_garbage") as target:
        out, text = os.path.join(d, "x.jsonl"), os.path.join(d, "x.txt")
        with Memprobe("-d", 8, "-p", target.pid, "--sample", "off", "-v", "-o", out, "-o", text) as m:
            m.wait()
        stacks = [x for x in map(json.loads, open(out)) if x["type"] == "stack" and "s_forget" in x["where"]]
        report = open(text).read()
    made, alive = (sum(s.get(k, 0) for s in stacks) for k in ("recent_blocks", "recent_alive_blocks"))
    if not made and " bursts" in report: # between them nothing can be told
        t.skip("what_is_freed_at_once__is_counted", "the machine was too slow to count all calls")
        return
    t.between("what_is_freed_at_once__is_counted", alive / max(made, 1), 0.9 / 500, 1.1 / 500)
    t.true("with_v__it_is_told", re.search(r"blocks made in the last .* 99\.8 % were freed at once", report), report)


@test
def each_so_often(t):
    with Target("rounds") as target, Memprobe("-d", 2.1, "-M", "600ms", "-p", target.pid, "--json") as m:
        m.wait()
        marks = [x["time_ms"] for x in map(json.loads, m.stdout.splitlines()) if x["type"] == "mark"]
        t.equal("M__sets_a_mark_each_time", len(marks), 3)
        for i, at in enumerate(marks):
            t.between(f"mark_{i + 1}__is_at_its_time", at, 600 * (i + 1), 600 * (i + 1) + 400)


@test
def too_many(t):
    """32 marks are kept: that the next one is not set is said once, though more of them would be due."""
    with Target("rounds") as target, Memprobe("-d", 5, "-M", "100ms", "-p", target.pid, "--json") as m:
        m.wait()
        marks = [x for x in map(json.loads, m.stdout.splitlines()) if x["type"] == "mark"]
        t.equal("the_first_32_marks__are_kept", len(marks), 32)
        t.equal("that_there_is_no_room__is_said_once", m.stderr.count("marks are set already"), 1)


if __name__ == "__main__":
    main()
