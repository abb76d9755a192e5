#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Looking at the whole machine beside another memprobe: probes are for every process then, and one whose probes were taken
away, as bursts are for one alone, counts no more. Expected values are the targets' own counts.
"""
import contextlib
import os
import re
import tempfile
import time

from harness import Memprobe, Target, main, test

MIB = 1 << 20
FAST, SLOW, CALLS = 12 * MIB, 3 * MIB, 50000
IN_BURSTS_S = 12


def figures_of(report, pid):
    """The title of a process's details: (bytes, seconds); None when it has none."""
    found = re.search(rf"^\d+  paced {pid}: heap ([+-][\d.]+) ([KMG]iB|B) in ([\d.]+) (s|ms)", report, re.M)
    if not found:
        return None
    unit = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}[found[2]]
    return float(found[1]) * unit, float(found[3]) * (1 if found[4] == "s" else 1e-3)


def check(t, name, report, target, pace):
    found = figures_of(report, target.pid)
    if not t.true(f"{name}__has_details", found, report):
        return
    told, seconds = found
    t.true(f"{name}__grew_by_no_more_than_it_did", told < 1.7 * pace * (seconds + 0.5),
           f"{told / MIB:.1f} MiB in {seconds} s, at {pace / MIB} MiB/s\n{report}")


def two_growers(t, name, beside):
    """Both have probes, until they call their allocators so often that bursts are all that the budget allows."""
    with contextlib.ExitStack() as stack:
        out = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "run.txt")
        third, fast, slow = (stack.enter_context(Target(*args))
                             for args in (("server",), ("paced", FAST, CALLS), ("paced", SLOW, CALLS)))
        third.ask("quiet")
        if beside:
            stack.enter_context(Memprobe("-d", 0, "-p", third.pid)).armed()
        with Memprobe("-d", 0, "-o", out, auto=True) as m:
            m.wait_for("memprobe: armed:", 60)
            for target in fast, slow:
                target.ask("loud")
            m.wait_for("memprobe: exact -> in ", 30)
            time.sleep(IN_BURSTS_S)
            m.stop()
            said = m.stderr
        report = open(out).read()
        if beside:
            t.true(f"{name}__probes_are_for_all", "also probes an object" in said, said)
        check(t, f"{name}__the_faster_one", report, fast, FAST)
        check(t, f"{name}__the_one_whose_probes_were_taken_away", report, slow, SLOW)


@test
def alone(t):
    two_growers(t, "alone", False)


@test
def beside_another(t):
    two_growers(t, "beside_another_memprobe", True)


if __name__ == "__main__":
    main()
