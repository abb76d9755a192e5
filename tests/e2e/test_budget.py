#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The budget, at default options: a program keeps its speed in every second, and a leak of one allocation in a hundred
is still the first row of the report.

What a second costs is told by a twin that nobody looks at, in turns on the same CPU (workers.py). A share of the target's
work is meant: of a program that works little, of the half CPU that it has to spare (README).

    LONG=1      60 s per program (make check-budget), else as long as its leak takes to stand out
"""
import os
import re
import time

from harness import Memprobe, Skip, main, test
from workers import Twins, loop, redis, script

BUDGET, TOLERANCE = 0.10, 0.02
LONG = os.environ.get("LONG") == "1"
# what the first half second costs is not promised
FIRST = 0.5
# probes in place before the armed line: calls are counted
COUNTED = 0.25
# no second tries later than this: the file has 240 s
STARTED, LAST_SECOND_TRY = time.monotonic(), 110 if not LONG else 3600


def first_row(report):
    """Row 1 of the table, all its frames."""
    found = re.search(r"^ 1 .*?(?=^ 2 |^ {6,}-?[\d.]+ .*(?:net|frees of))", report, re.M | re.S)
    return found.group(0) if found else ""


def allowed(s):
    """Of its CPU in a slice, what the probes may take."""
    spare = max(0, s.seconds - s.own_cpu - s.twin_cpu) # they share a CPU
    return (BUDGET + TOLERANCE) * max(s.own_cpu, min(0.5 * s.seconds, s.own_cpu + spare))


def watch(make, seconds, cpu_seconds):
    """(slices after the first half second, report, kept speed before and after)"""
    with Twins(make) as twins:
        twins.warm_up(2)
        with Memprobe("-d", seconds, "-p", twins.pid, "--no-save", "-v", "--report", auto=True) as m:
            m.armed()
            twins.slice(FIRST - COUNTED)
            slices = []
            while m.process.poll() is None:
                slices.append(twins.slice(1, cpu_seconds))
            m.wait()
            report = m.stdout
        twins.begin()
        after = twins.slice(1, cpu_seconds)
    return slices[:-1], report, after # the last one was cut by the end


def late_ones(slices):
    """
    Of 300 requests per second, what was not served in time, in the seconds in which its twin was in time, and in
    the one before: what is late is made up for.
    """
    on_time = [0.95 * 300 * s.seconds <= s.twin_work <= 1.05 * 300 * s.seconds for s in slices]
    return [s for a, s, fair in zip(on_time, slices[1:], on_time[1:])
            if a and fair and s.work < 300 * s.seconds / (1 + BUDGET + TOLERANCE)]


def check(t, name, make, seconds, site, paced=False):
    """
    Twice where a second was too dear: what the probes cost shows each time, the noise of a machine that does other
    things does not. The ranking must be right each time.
    """
    for attempt in range(2):
        slices, report, after = watch(make, 60 if LONG else seconds, 0 if paced else 0.9)
        row = first_row(report)
        dear = [s for s in slices if s.cost > allowed(s)]
        late = late_ones(slices) if paced else []
        ranked = re.search(rf"\b{site}\b", row)
        if attempt or not ranked or not (dear or late) or time.monotonic() - STARTED > LAST_SECOND_TRY:
            break
        if t.verbose:
            print(f"     {name}, once more:", *map(str, dear + late), f"bare, afterwards: {after}", sep="\n       ")
    t.true(f"{name}__its_leak_of_one_in_a_hundred_is_ranked_first", ranked, f"no {site} in {row!r} of\n{report}")
    told = "\n  ".join([f"bare, afterwards: {after}", "of:", *map(str, slices), report])
    t.true(f"{name}__keeps_its_speed_in_every_second", slices and not dear, f"too dear: {list(map(str, dear))}\n  {told}")
    if paced:
        t.true(f"{name}__serves_its_requests_in_time", not late, f"late: {list(map(str, late))}\n  {told}")


def needed(make):
    """make, or a skip when what it needs is not there."""
    def made():
        worker = make()
        if not worker:
            raise Skip("not installed")
        return worker
    return made


@test
def a_saturated_loop(t):
    check(t, "a_saturated_cxx_loop", loop, 15, "s_leak")


@test
def redis_under_load(t):
    check(t, "redis_under_load", needed(redis), 20, "dbAdd")


@test
def python_at_300_requests(t):
    check(t, "python_at_300_requests_per_s", needed(lambda: script("python3", 300, 3000)), 15, "PyByteArray_Resize", True)


@test
def ruby_at_300_requests(t):
    check(t, "ruby_at_300_requests_per_s", needed(lambda: script("ruby", 300, 3000)), 40, "rb_str_plus", True)


if __name__ == "__main__":
    main()
