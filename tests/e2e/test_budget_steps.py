#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The ladder at work: what memprobe says that the probes cost against what they are seen to cost from outside, a load that
comes and goes, what the options fix by hand, and what no burst can keep within.

    LONG=1      longer looks (make check-budget)
"""
import json
import os
import re
import tempfile
import time

from harness import Memprobe, Skip, main, run, test
from workers import Twins, loop, redis, resting_loop, script, sqlite

LONG = os.environ.get("LONG") == "1"
THIRD = 1 / 3


def estimate(report):
    """(percent, of a CPU instead of its own work)"""
    found = re.search(r"est\. ([\d.]+) % of (one CPU|its CPU)", report)
    return (float(found.group(1)) / 100, found.group(2) == "one CPU") if found else (0, False)


def compare(t, name, make, *options):
    """One program: the estimate of a run against its twin in the same time."""
    with Twins(make) as twins:
        twins.warm_up(1.5)
        with Memprobe("-d", 0, "-p", twins.pid, "--no-save", "--report", *options, auto=True) as m:
            m.armed()
            twins.begin()
            s = twins.slice(10 if LONG else 3)
            m.stop()
            report = m.stdout
            value, of_cpu = estimate(report)
    outside = s.cost / s.seconds if of_cpu else s.overhead()
    t.measured(f"{name}_{'_'.join(options).strip('-').replace(' ', '')}__the_estimate_is_within_a_third_of_what_is_seen",
               outside * (1 - THIRD) <= value <= outside * (1 + THIRD),
               f"est. {value:.4f}, seen {outside:.4f}{' of a CPU' if of_cpu else ''}: {s}\n{report}")


PROGRAMS = {
    "cxx_loop": lambda: resting_loop(1000), # 25 000 blocks per second
    "deep_cxx_loop": lambda: resting_loop(1000, 240), # more than 3 us a walk: once told as twice what it costs
    "python3": lambda: script("python3", 0, 2000),
    "perl": lambda: script("perl", 0, 2000),
    "sqlite3": sqlite,
    "redis": redis,
}


def some(name):
    worker = PROGRAMS[name]()
    if not worker:
        raise Skip(f"{name} is not installed")
    return worker


def compare_all(t, *options):
    for name in PROGRAMS:
        try:
            compare(t, name, lambda n=name: some(n), *options)
        except Skip as why:
            t.skip(name, why)


@test
def the_estimate_of_exact_runs(t):
    compare_all(t, "--sample", "off")


@test
def the_estimate_of_sampled_runs(t):
    compare_all(t, "--sample", "32K")


def steps_of(path):
    with open(path) as f:
        return [r for r in map(json.loads, f) if r["type"] == "step"]


def say(worker, word):
    worker.process.stdin.write(word.encode() + b"\n")
    worker.process.stdin.flush()


@test
def a_light_program(t):
    worker = loop(10000).started() # 2 500 blocks per second
    try:
        ended = run("-d", 4, "-p", worker.pid, "--no-save", "--report", auto=True)
    finally:
        worker.close()
    t.true("a_light_program__is_never_sampled", "every malloc and free counted" in ended.stdout, ended.stdout)


@test
def a_load_that_comes_and_goes(t):
    """Light, saturated, light, saturated."""
    rests, told = [2, 2, 14, 2], []
    worker = loop(10000).started()
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.jsonl")
        try:
            with Memprobe("-d", 0, "-p", worker.pid, "--no-save", "-o", path, auto=True) as m:
                m.armed()
                start = time.monotonic()
                for word, rest in zip(("", "fast", "slow", "fast"), rests):
                    if word:
                        told.append((word, (time.monotonic() - start) * 1000))
                        say(worker, word)
                    time.sleep(rest)
                m.stop()
                said = m.stderr
        finally:
            worker.close()
        steps = steps_of(path)
    text = f"{steps}\ntold: {told}\n{said}"
    t.measured("a_load_that_grows__steps_down_within_half_a_second",
               steps and steps[0]["from"] == "exact" and 0 <= steps[0]["time_ms"] - told[0][1] + 50 <= 550, text)
    ups = [s for s in steps if s["to"] == "exact"]
    t.true("a_load_that_has_gone__is_watched_exactly_again", ups and ups[0]["time_ms"] > told[1][1], text)
    t.true("up_once_in_ten_seconds_and_four_changes_at_most", len(steps) <= 4 and all(
        b["time_ms"] - a["time_ms"] >= 10000 for a, b in zip(steps, steps[1:]) if b["to"] == "exact"), text)
    t.true("a_load_that_comes_back__steps_down_again", steps and "exact" not in steps[-1]["to"], text)
    t.true("each_change_is_a_line_of_its_own_on_stderr", said.count(" -> ") == len(steps), text)


@test
def by_hand(t):
    worker = loop().started()
    try:
        ended = run("-d", 1, "-p", worker.pid, "--no-save", "--report", "--sample", "16K", auto=True)
        t.true("sample_16K__is_kept_however_much_it_costs", "sampled every 16 KiB" in ended.stdout and
               "no budget: --sample" in ended.stdout, ended.stdout)
        ended = run("-d", 1, "-p", worker.pid, "--no-save", "--report", "--sample", "off", auto=True)
        t.true("sample_off__is_kept_however_much_it_costs", "every malloc and free counted" in ended.stdout and
               "no budget: --sample" in ended.stdout, ended.stdout)
    finally:
        worker.close()
    for option, value, word in (("--sample", "4K", "8K to 64K"), ("--sample", "1M", "8K to 64K"),
                                ("--max-overhead", "0.4", "from 0.5"), ("--max-overhead", "1001", "from 0.5"),
                                ("--max-memory", "100K", "at least 1M")):
        ended = run(option, value, "-p", "1", auto=True)
        t.true(f"{option[2:]}_{value}__is_refused_with_its_bounds", ended.status == 2 and word in ended.stderr,
               f"status {ended.status}: {ended.stderr}")


def taken_away():
    """A run whose probes are taken away, and what the target's loop was slowed by after that: (report, slice)"""
    with Twins(loop) as twins:
        twins.warm_up(1)
        with Memprobe("-d", 0, "-p", twins.pid, "--no-save", "--report", "--max-overhead", "0.5", auto=True) as m:
            m.wait_for("memprobe: heap probes taken away", 30)
            time.sleep(0.1)
            twins.begin()
            s = twins.slice(2)
            m.stop()
            return m.stdout, s


@test
def no_burst_is_short_enough(t):
    """At 0.5 %, one second in a hundred of a loop that then does nothing but trap is too much."""
    for _ in range(3):  # what is seen before is a millisecond, in which it may leak nothing
        report, s = taken_away()
        if "s_leak" in report:
            break
    t.true("what_even_one_percent_of_the_time_costs_too_much__is_taken_away_and_said",
           re.search(r"no more: even 1 % of the time the probes would cost [\d.]+ % of its CPU; --sample off insists",
                     " ".join(report.split())), report)
    t.measured("what_was_taken_away__costs_nothing", abs(s.overhead()) < 0.03, str(s))
    t.measured("what_was_seen_before__is_still_told", "s_leak" in report, report)


if __name__ == "__main__":
    main()
