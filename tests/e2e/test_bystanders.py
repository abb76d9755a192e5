#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Processes that are not profiled: at their page faults a program of memprobe's runs only while that costs them next to
nothing. Which programs are attached is read from /proc/PID/fdinfo of memprobe, and what others do from /proc/vmstat, not
from what memprobe says.
"""
import json
import os
import time

from harness import Failure, Memprobe, Target, has_function, main, run, test

PAGE = 4096
RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))
SLACK = 0 if RELEASE >= (6, 2) else 64  # as test_rss.py
AT_FAULTS = {"rss_stat", "page_fault_user", "page_fault_kernel"}
# Of others, per second: half of what is too much for all three.
BUSY = 12500
# So many within the third of a second before arming are too much, and twice that.
ENOUGH = 200000


def at_faults(pid):
    """The tracepoints of page faults that the process has programs on."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                found |= {line.split()[1] for line in f if line.startswith(("tp_name:", "raw_tp_name:"))}
        except (OSError, IndexError):
            continue
    return found & AT_FAULTS


def page_faults():
    with open("/proc/vmstat") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("pgfault "))


class Clock:
    """How busy the machine is, beside the processes named."""

    def __init__(self, *pids):
        self.pids = pids
        self.begin, self.faults = time.monotonic(), page_faults() - self.own()

    def own(self):
        found = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as f:
                words = f.read().rsplit(")", 1)[1].split()
            found += int(words[7]) + int(words[9])
        return found

    def rate(self):
        return (page_faults() - self.own() - self.faults) / (time.monotonic() - self.begin)


def wait_until(is_so, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def tells_links(t, m):
    """Does this kernel tell the tracepoint of a link? (5.10 and later do; a test of our own eyes)"""
    if at_faults(m.process.pid):
        return True
    t.skip("which_programs_are_attached", "the kernel does not tell it, or has no such tracepoints")
    return False


class Report:
    def __init__(self, text):
        lines = [json.loads(line) for line in text.splitlines()]
        names = {o["id"]: o["name"] for o in lines if o["type"] == "frame"}
        self.unwatched = [o for o in lines if o["type"] == "unwatched"]
        self.processes = [o for o in lines if o["type"] == "process"]
        self.stacks = [(o, [names[f] for f in o["frames"]]) for o in lines if o["type"] == "stack"]

    def pages(self, function):
        return sum(o.get("rss_bytes", 0) for o, frames in self.stacks if has_function(frames, function)) // PAGE


@test
def insisted(t):
    with Target("touches") as target, Target("page_storm") as other:
        other.ask("go")
        with Memprobe("-d", 0, "-P", "heap,vm,rss", "--json", "-p", target.pid, auto=True) as m:
            m.armed()
            if not tells_links(t, m):
                return
            time.sleep(2) # the purse of a run that does not insist is empty in a tenth of it
            t.equal("who_names_the_plane__has_it__whatever_others_pay", at_faults(m.process.pid), AT_FAULTS)
            truth = target.ask("write").values
            m.stop()
            report = Report(m.stdout)
        t.between("then_first_touches__are_all_seen", report.pages("do_write"), truth["pages"] - SLACK, truth["pages"] + SLACK)
        t.equal("then_first_touches__are_not_called_incomplete", (report.unwatched, [p for p in report.processes
                                                                 if "incomplete" in p["rss"]]), ([], []))


@test
def busy_before(t):
    with Target("touches") as target, Target("page_storm") as other:
        other.ask("go")
        clock = Clock(target.pid)
        with Memprobe("-d", 0, "--json", "-p", target.pid, auto=True) as m:
            m.armed()
            rate = clock.rate()
            if rate < ENOUGH: # it gets no CPU
                return t.skip("page_faults_of_others", f"only {rate:.0f} a second")
            found = at_faults(m.process.pid)
            time.sleep(1)
            found |= at_faults(m.process.pid)
            m.stop()
            report = Report(m.stdout)
        t.equal("where_others_do_nothing_but_page_faults__no_program_is_ever_at_them", found, set())
        t.equal("it_is_told_in_JSON", [(o["what"], o["begin_ms"]) for o in report.unwatched], [("first_touches", 0)])
        t.equal("the_figures__are_called_incomplete", [p["rss"].get("incomplete") for p in report.processes], [True])
        told = report.unwatched[0] if report.unwatched else {"unseen_ms": 0, "others_faults_per_s": 0}
        t.true("what_others_do__is_told", told["others_faults_per_s"] > BUSY and told["unseen_ms"] > 0, f"{told}")
        text = run("-d", 1, "--report", "-p", target.pid, auto=True).stdout
        t.true("the_report__says_so__and_how_to_insist",
               "first touches: not seen" in text and "(-P heap,vm,rss insists)" in text and "other processes make" in text, text)


def calm_run(t, target, *others):
    """memprobe, with first touches watched; None where others do too much for that."""
    clock = Clock(*others)
    m = Memprobe("-d", 0, "--json", "-p", target.pid, auto=True)
    try:
        m.armed()
        rate, found = clock.rate(), at_faults(m.process.pid)
        if found == AT_FAULTS:
            return m
        if "first touches:" not in m.stderr and not found:
            tells_links(t, m)
        elif rate > BUSY:
            t.skip("a_calm_machine", f"others make {rate:.0f} page faults/s")
        else:
            t.equal("on_a_calm_machine__all_is_watched", found, AT_FAULTS)
    except Failure:
        m.__exit__()
        raise
    m.__exit__()
    return None


@test
def storm_and_calm(t):
    with Target("touches") as target, Target("page_storm") as other:
        m = calm_run(t, target, target.pid, other.pid)
        if not m:
            return
        with m:
            pid = m.process.pid
            seen = target.ask("mlock").values
            if at_faults(pid) != AT_FAULTS:
                return t.skip("a_calm_machine", "others have begun to make page faults")
            clock = Clock(target.pid, pid)
            other.ask("go")
            is_gone = wait_until(lambda: not at_faults(pid), 30)
            rate = clock.rate()
            if not is_gone and rate < ENOUGH / 2: # it gets no CPU
                return t.skip("page_faults_of_others", f"only {rate:.0f} a second")
            t.true("when_others_make_many_page_faults__the_programs_go", is_gone, f"{at_faults(pid)}, {rate:.0f} a second")
            target.ask("populate")
            other.ask("halt")
            clock = Clock(target.pid, other.pid, pid)
            is_back = wait_until(lambda: at_faults(pid) == AT_FAULTS, 20)
            rate = clock.rate()
            late = target.ask("write").values
            m.stop()
            report = Report(m.stdout)
        t.between("what_was_touched_before__stays", report.pages("s_mlock"), seen["pages"] - SLACK, seen["pages"] + SLACK)
        t.equal("what_was_touched_meanwhile__is_not_made_up", report.pages("s_populate"), 0)
        t.equal("the_gap__is_told", [o["what"] for o in report.unwatched], ["first_touches"])
        t.equal("sums_with_a_gap__are_called_incomplete", [p["rss"].get("incomplete") for p in report.processes], [True])
        if not is_back and rate > BUSY / 2:
            return t.skip("when_they_are_calm_again", f"others make {rate:.0f} page faults/s")
        t.true("when_they_are_calm_again__the_programs_come_back", is_back, f"others make {rate:.0f} page faults/s")
        t.between("what_is_touched_then__is_seen", report.pages("do_write"), late["pages"] - SLACK, late["pages"] + SLACK)


if __name__ == "__main__":
    main()
