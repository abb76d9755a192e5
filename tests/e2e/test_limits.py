#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A program that grows below a limit of its control group, of the group above, below memory.high, and where the kernel kills all of
a group: what runs out, when, and what happens there, against what the kernel's own files say. Version 1 or 2, as the machine has.
"""
import json
import os
import re
import tempfile

from harness import Memprobe, Skip, Target, main, test
from test_room import CGROUPS, limited
from test_select import enter, group

MIB = 1 << 20
PACE = 4 * MIB  # bytes per second that the program grows by
SECONDS = 12
LIMIT = 400 * MIB
HIGH = 300 * MIB


def is_version_2(g):
    return g.limit == "memory.max"


def keyed(path, key):
    with open(path) as f:
        return int(re.search(rf"^{key} (\d+)$", f.read(), re.M)[1])


def used(g):
    """Of the group, without page cache that can be dropped: the sum of the processes of all groups below it too."""
    return g.usage() - keyed(f"{g.path}/memory.stat", "inactive_file" if is_version_2(g) else "total_inactive_file")


class Seen:
    """The report and the figures of one run on a program that grows in a group."""

    def __init__(self, path, limiting):
        with tempfile.TemporaryDirectory() as folder, Target("paced", PACE, 0) as target:
            enter(path, target.pid)
            report, figures = f"{folder}/run.txt", f"{folder}/run.jsonl"
            with Memprobe("-d", SECONDS, "-p", target.pid, "-o", report, "-o", figures, "--no-save") as m:
                m.armed()
                self.used = [used(limiting)]
                m.wait(SECONDS + 60)
                self.used.append(used(limiting))
            with open(report) as f:
                self.text = f.read()
            with open(figures) as f:
                rows = [json.loads(line) for line in f]
            self.facts = next(r for r in rows if r["type"] == "process")["now"]
            target.say("exit")


def check(t, what, seen, name):
    t.equal(f"{what}__the_limit_is_that_of_the_kernels_file", seen.facts.get("limit_bytes"), LIMIT)
    t.equal(f"{what}__it_is_named_after_its_group", seen.facts.get("limit_name"), name)
    t.between(f"{what}__what_is_used_of_it_is_what_the_kernel_says", seen.facts.get("limit_used_bytes", 0),
              seen.used[0] - MIB, seen.used[1] + MIB)
    words = " ".join(seen.text.split())
    t.true(f"{what}__the_report_tells_what_runs_out", re.search(rf" Runs out in [^,]*(, near [^,]*)?, at the limit of {name}, 400\.0 MiB", words),
           seen.text)
    told = re.search(r"^Runs out in (?:(\d+) min )?(?:([\d.]+) s)?", seen.text, re.M)
    seconds = int(told[1] or 0) * 60 + float(told[2] or 0) if told else -1
    left = (LIMIT - seen.facts.get("limit_used_bytes", 0)) / PACE
    t.between(f"{what}__and_when", seconds, 0.9 * left, 1.1 * left)


@test
def limit_of_its_own_group(t):
    with limited() as g:
        g.set_limit(LIMIT)
        seen = Seen(g.path, g)
        name = os.path.basename(g.path)
    check(t, "its_own_group", seen, name)
    t.equal("its_own_group__the_limit_is_one_that_kills", (seen.facts.get("limit_kind"), seen.facts.get("limit_end")),
            ("group_max", "killed"))


@test
def limit_of_the_group_above(t):
    with limited() as g, group(g.path, "worker") as inner:
        g.set_limit(LIMIT)
        seen = Seen(inner, g)
        name = os.path.basename(g.path)
    check(t, "the_group_above", seen, name)


@test
def what_only_version_2_has(t):
    """memory.high: from there on the kernel takes memory back and lets the group wait. memory.oom.group: one for all, all for one."""
    with limited() as g:
        if not is_version_2(g):
            raise Skip("version 1 of the memory controller has neither memory.high nor memory.oom.group")
        g.set_limit(LIMIT)
        for name, value in ("memory.high", HIGH), ("memory.oom.group", 1):
            with open(f"{g.path}/{name}", "w") as f:
                f.write(str(value))
        seen = Seen(g.path, g)
        name = os.path.basename(g.path)
    check(t, "version_2", seen, name)
    text = " ".join(seen.text.split())
    t.equal("memory_high__is_told_beside_the_limit", seen.facts.get("limit_slowed_bytes"), HIGH)
    t.true("memory_high__the_report_tells_from_where_on_it_is_slow", "slowed down from 300.0 MiB on (memory.high)" in text, seen.text)
    t.equal("memory_oom_group__is_told_in_the_figures", seen.facts.get("limit_end"), "group_killed")
    t.true("memory_oom_group__the_report_tells_who_dies", "the kernel kills all of its control group" in text, seen.text)


if __name__ == "__main__":
    main()
