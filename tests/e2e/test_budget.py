#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The budget, at default options: a program keeps its speed in every second, and a leak of one allocation in a hundred
is still the first row of the report.

What a second costs is told by two twins that nobody looks at, in turns on the same CPU (workers.py). A share of the target's
work is meant: of a program that works little, of the half CPU that it has to spare (README).

A machine that does other things makes seconds look dear, those of a twin too, when the other one is the measure. So a
program is too dear when its seconds are so more often than those of its twins, and not by chance (Fisher's exact test),
in each of two runs; or in half of all its seconds, whatever the twins do.

    LONG=1      60 s per program (make check-budget), else as long as its leak takes to stand out
"""
import math
import os
import re
import time

from harness import Memprobe, Skip, main, test
from workers import Twins, loop, redis, script

BUDGET, TOLERANCE = 0.10, 0.02
CHANCE = 0.02
RATE = 300 # requests per second of those that do not do as many as they can
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


def is_dear(s, spare):
    """Did the probes take more of its CPU than they may?"""
    return s.cost > (BUDGET + TOLERANCE) * max(s.own_cpu, min(0.5 * s.seconds, s.own_cpu + spare))


class Seconds:
    """Slices of a program and of its twins, and which of them were too dear or too late."""

    def __init__(self):
        self.slices, self.dear, self.late = [], [], []
        self.n_bare = self.bare_dear = self.bare_late = 0

    def add(self, slices, paced):
        self.slices += slices
        for s in slices:
            bare = s.among_the_bare()
            self.n_bare += len(bare)
            self.bare_dear += sum(is_dear(b, s.spare()) for b in bare)
            if is_dear(s, s.spare()):
                self.dear.append(s)
        for before, s in zip(slices, slices[1:]) if paced else ():
            late = [i for i in range(3) if self.is_late(before, s, i)]
            self.bare_late += sum(i > 0 for i in late)
            if 0 in late:
                self.late.append(s)

    @staticmethod
    def is_late(before, s, i):
        """
        Of its requests per second, what was not served in time, in a second in which the bare ones were in time, and in the
        one before: what is late is made up for.
        """
        others = [j for j in (1, 2) if j != i]
        on_time = all(0.95 * RATE * x.seconds <= x.members[j][0] <= 1.05 * RATE * x.seconds
                      for x in (before, s) for j in (*others, i) if x is before or j != i)
        return on_time and s.members[i][0] < RATE * s.seconds / (1 + BUDGET + TOLERANCE)

    def too_often(self, found, bare_found):
        """Is it more than what chance makes of the noise between the bare ones?"""
        n, m, x, k = len(self.slices), self.n_bare, len(found), bare_found
        p = sum(math.comb(n, i) * math.comb(m, x + k - i) for i in range(x, min(n, x + k) + 1)) / math.comb(n + m, x + k)
        return p < CHANCE or x > n / 2

    def are_dear(self):
        return self.too_often(self.dear, self.bare_dear)

    def are_late(self):
        return self.too_often(self.late, self.bare_late)

    def __str__(self):
        return "\n  ".join([f"dear: {len(self.dear)} of {len(self.slices)} seconds, of the bare ones' {self.n_bare}: "
                            f"{self.bare_dear}; late: {len(self.late)} and {self.bare_late}; of:", *map(str, self.slices)])


def watch(make, seconds, cpu_seconds):
    """(slices after the first half second, report)"""
    with Twins(make, bare=2) as twins:
        twins.warm_up(2)
        with Memprobe("-d", seconds, "-p", twins.pid, "--no-save", "-v", "--report", auto=True) as m:
            m.armed()
            twins.slice(FIRST - COUNTED)
            slices = []
            while m.process.poll() is None:
                slices.append(twins.slice(1, cpu_seconds))
            m.wait()
            return slices[:-1], m.stdout # the last one was cut by the end


def check(t, name, make, seconds, site, paced=False):
    """
    Twice where seconds were too dear: what the probes cost shows each time. The ranking must be right each time. The last report.
    """
    all_seconds, again = Seconds(), True
    while again:
        slices, report = watch(make, 60 if LONG else seconds, 0 if paced else 3 * 0.45)
        one = Seconds()
        one.add(slices, paced)
        all_seconds.add(slices, paced)
        row = first_row(report)
        ranked = re.search(rf"\b{site}\b", row)
        found = one.are_dear() or one.are_late()
        again = (ranked and found and len(slices) == len(all_seconds.slices) and
                 time.monotonic() - STARTED <= LAST_SECOND_TRY)
        if t.verbose:
            print(f"     {name}: {one}")
    t.true(f"{name}__its_leak_of_one_in_a_hundred_is_ranked_first", ranked, f"no {site} in {row!r} of\n{report}")
    told = f"{all_seconds}\n{report}"
    t.true(f"{name}__keeps_its_speed_in_every_second", slices and not (found and all_seconds.are_dear()), told)
    if paced:
        t.true(f"{name}__serves_its_requests_in_time", not (found and all_seconds.are_late()), told)
    return report


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
    check(t, "a_saturated_cxx_loop", loop, 20, "s_leak")


@test
def redis_under_load(t):
    report = check(t, "redis_under_load", needed(lambda: redis(550000 if LONG else 140000)), 20, "dbAdd")
    t.true("what_its_allocator_maps_between_bursts__is_no_mapping_of_its_own", not re.search(r"\[mmap\].*jemalloc", report), report)


@test
def python_at_300_requests(t):
    check(t, "python_at_300_requests_per_s", needed(lambda: script("python3", RATE, 3000)), 20, "PyByteArray_Resize", True)


@test
def ruby_at_300_requests(t):
    check(t, "ruby_at_300_requests_per_s", needed(lambda: script("ruby", RATE, 3000)), 30, "rb_str_plus", True)


if __name__ == "__main__":
    main()
