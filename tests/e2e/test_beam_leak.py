#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A leak of a node of Erlang at default options: the word for it, and the function, within half a minute of a process that
is past its start. While it comes of age: how many of the allocations of other nodes have a line of Erlang, busy and idle.
"""
import re
import tempfile
import time

from erlang_node import Node, armed, known_release
from harness import Memprobe, main, test

ENDLESS = 1000000
START_S = 61  # a process that is younger at the end of the window may still be filling
WINDOW_S = 30
# 20 requests a second, and in a minute 2.4 MB for each worker: three times what an idle one may hold of garbage
WORKERS, EVERY_MS = 4, 50


def report_of(target, seconds, *outputs, go=True):
    """Of memprobe at default options."""
    with Memprobe("-v", "--no-follow", "-d", seconds, "-p", target.pid, *(outputs or ("-f", "report")), auto=True) as m:
        armed(m, target)
        if go:
            target.say("go")
        m.wait()
        return m.stdout


def shares(t):
    """Of allocations with a line of the language, as the report tells."""
    for name, workers, every_ms in (("one_busy_process", 1, 0), ("many_busy_processes", 20, 0),
                                    ("one_idle_process", 1, 100), ("many_idle_processes", 20, 200)):
        with Node("all", workers, ENDLESS, every_ms) as target:
            with tempfile.TemporaryDirectory() as d:
                report_of(target, 3, "-m", "alloc-bytes", "-o", f"{d}/report.txt", "-o", f"{d}/stacks.folded")
                text, stacks = (open(f"{d}/{name}", encoding="utf-8").read() for name in ("report.txt", "stacks.folded"))
        share = re.search(r"^runtime BEAM .*: ([\d.]+) % of allocations(?: in its code)? have a line", text, re.M)
        t.between(f"{name}__of_its_allocations_have_a_line_of_the_language", float(share[1]) if share else -1, 99, 100)
        t.true(f"{name}__its_functions_are_named", re.search(r";feed:(encode/2|handle/2);", stacks), f"{stacks}\n{text}")


@test
def busy_nodes(t):
    """Requests one after the other, to one process and to many: the leak is first, whatever the budget leaves."""
    for name, workers in ("one_process", 1), ("many_processes", 20):
        with Node("leak", workers, ENDLESS) as target:
            known_release(target.pid)
            text = report_of(target, 8)
        t.measured(f"busy__{name}__the_function_that_leaks_is_first", re.search(r"^ *1 .* feed:journal/1 feed.erl:\d+$", text, re.M), text)
        t.true(f"busy__{name}__the_rung_is_told", re.search(r"^window .*(bursts|sampled|every malloc)", text, re.M), text)


@test
def a_leak_is_called_one(t):
    with Node("leak", WORKERS, ENDLESS, EVERY_MS) as target:
        born = time.monotonic()
        known_release(target.pid)
        target.say("go")
        shares(t)
        time.sleep(max(0, born + START_S - WINDOW_S - time.monotonic()))
        text = report_of(target, WINDOW_S, go=False)
    t.true("the_verdict__is_leak", re.match(rf"LEAK(, strong evidence)? +beam\.smp \(pid {target.pid}\): (heap|memory) grows ", text), text)
    t.true("the_function_that_leaks__is_first", re.match(r".*\n.* at one call site: #1 feed:journal/1\b", text)
           and re.search(r"^ 1 .* feed:journal/1 feed.erl:\d+$", text, re.M), text)
    why = text.split("\nwhy ")[-1].split("\n\n")[0].split("\nbut ")[0]
    t.true("two_kinds_of_evidence__are_told", why.count("+ ") >= 2 and "still live" in why, text)


if __name__ == "__main__":
    main()
