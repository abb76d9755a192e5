#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Two memprobes at once, and memprobe next to other tracers, on one process and on one C library: each is right to the
byte, in both orders of ending, and the target computes what it computes alone.

A target that switches stacks inside its allocator is the hard case: the kernel drops pending return probes that lie
below the stack pointer when another one is taken, whoever owns them, and the target then ends in SIGILL.
"""
import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import time

from harness import BUILD, Failure, Memprobe, Skip, Talk, Target, main, sum_of, test
from test_calls import CALLS


def both(pids, order):
    """Two memprobes, armed one after the other."""
    first = Memprobe("-d", 0, "-p", pids[0])
    second = Memprobe("-d", 0, "-p", pids[1])
    try:
        first.armed()
        second.armed()
    except Failure:
        first.__exit__()
        second.__exit__()
        raise
    return (first, second) if order == "first" else (second, first)


def calls_twice(t, order):
    """One process, two memprobes; what comes after the end of one is the other's alone."""
    with Target("calls") as target:
        ends, stays = both([target.pid, target.pid], order)
        with ends, stays:
            truth = target.ask("go")
            ends.stop()
            for m, what in ((ends, "the_one_that_ends"), (stays, "the_one_that_stays")):
                if m is stays:
                    m.stop()
                for site in CALLS:
                    t.equal(f"two_on_one_process_{order}_ends_first__{what}_has_{site}", sum_of(m.stacks(), site),
                            truth.of(site, "live-bytes"))
                t.no_loss(f"two_on_one_process_{order}_ends_first__{what}_loses_nothing", m)
        t.equal(f"two_on_one_process_{order}_ends_first__the_target_ends_as_ever", target.exit(), 0)


@test
def two_on_one_process(t):
    calls_twice(t, "first")
    calls_twice(t, "second")


def one_library(t, order):
    """The one that stays counts what its target does while the other one's probes go."""
    with Target("calls") as a, Target("calls") as b:
        ends, stays = both([a.pid, b.pid], order)
        ended, stayed = (a, b) if order == "first" else (b, a)
        with ends, stays:
            truth_of_ended = ended.ask("go")
            ends.process.send_signal(signal.SIGINT)
            truth = stayed.ask("go")
            ends.wait()
            stays.stop()
            for site in CALLS:
                t.equal(f"two_on_one_library_{order}_ends_first__it_has_{site}", sum_of(ends.stacks(), site),
                        truth_of_ended.of(site, "live-bytes"))
                t.equal(f"two_on_one_library_{order}_ends_first__the_other_has_{site}",
                        sum_of(stays.stacks(), site), truth.of(site, "live-bytes"))
            t.no_loss("two_on_one_library__the_one_that_stays_loses_nothing", stays)
        t.equal("two_on_one_library__both_targets_end_as_ever", (a.exit(), b.exit()), (0, 0))


@test
def two_on_one_library(t):
    one_library(t, "first")
    one_library(t, "second")


def checksum(case, rounds):
    with Target("hooked", case, rounds) as alone:
        truth = alone.ask("go")
        alone.exit()
        return truth.values["checksum"]


def hooked_under_two(t, case, rounds, what):
    """The second one comes while calls are pending in the first, which is when their records differ."""
    want = checksum(case, rounds)
    with Target("hooked", case, rounds) as target, Memprobe("-d", 0, "-p", target.pid, "-m", "live-blocks") as first:
        first.armed()
        target.say("go")
        with Memprobe("-d", 0, "-p", target.pid, "-m", "live-blocks") as second:
            try:
                second.armed()
                t.true(f"{what}__is_at_work_when_the_second_memprobe_comes",
                       not select.select([target.process.stdout], [], [], 0)[0], "it was done before: more rounds")
                truth = target.until("done")
            except Failure as why:
                t.fail(f"{what}__survives_two_memprobes", why)
                return
            t.equal(f"{what}__computes_the_same_under_two_memprobes", truth.values["checksum"], want)
            for m in (first, second):
                m.stop()
                missed = truth.of("s_after", "live-blocks") - sum_of(m.stacks(), "s_after")
                t.only_told_losses(f"{what}__misses_nothing_without_a_printed_loss", m, missed)
        t.equal(f"{what}__ends_as_ever", target.exit(), 0)


@test
def stack_switching_under_two(t):
    hooked_under_two(t, "switch", 100000, "an_allocator_that_switches_stacks")


@test
def left_by_longjmp_under_two(t):
    hooked_under_two(t, "jump", 500000, "an_allocator_left_by_longjmp")


KERNEL_TYPES = "/sys/kernel/btf/vmlinux" # what memprobe locks while it attaches


@test
def one_attaches_at_a_time(t):
    with Target("calls") as target, open(KERNEL_TYPES, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Memprobe("-d", 0, "-p", target.pid) as m:
            t.equal("a_memprobe__waits_while_another_one_attaches", wait_and_see(m, 2), None)
            fcntl.flock(lock, fcntl.LOCK_UN)
            m.armed()
            truth = target.ask("go")
            m.stop()
            t.equal("and_then_counts_as_ever", sum_of(m.stacks(), "s_malloc"), truth.of("s_malloc", "live-bytes"))


def wait_and_see(m, seconds):
    """What it said of being armed in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if "armed:" in m.stderr or m.process.poll() is not None:
            return m.stderr
        time.sleep(0.05)
    return None


@test
def begun_at_once(t):
    """Two memprobes that begin in the same instant, on two processes of one library: neither misses the other."""
    what = "a_target_that_switches_stacks_under_two_memprobes_begun_at_once"
    want = checksum("switch", 30000)
    with Target("hooked", "switch", 30000) as target, Target("calls") as other, \
            Memprobe("-d", 0, "-p", target.pid, "-m", "live-blocks") as first, Memprobe("-d", 0, "-p", other.pid) as second:
        first.armed()
        second.armed()
        truth = other.ask("go")
        try:
            switched = target.ask("go")
        except Failure as why:
            t.fail(f"{what}__survives", f"{why}\n{first.stderr}{second.stderr}")
            return
        t.equal(f"{what}__computes_the_same", switched.values["checksum"], want)
        for m in (first, second):
            m.stop()
        if "uprobe session" in first.stderr:
            t.true("at_least_one_of_them__says_that_there_is_another", "also probes an object" in first.stderr + second.stderr,
                   first.stderr + second.stderr)
        for site in CALLS:
            t.equal(f"the_other_of_two_begun_at_once__has_{site}", sum_of(second.stacks(), site),
                    truth.of(site, "live-bytes"))


def switching_beside(t, comes_first):
    """Stacks are switched under one memprobe, and another one has links for another process on the same library."""
    what = f"a_target_that_switches_stacks_{'before' if comes_first else 'after'}_another_memprobe_came_for_another_process"
    want = checksum("switch", SWITCHES)
    with Target("hooked", "switch", SWITCHES) as target, Target("server") as other:
        other.ask("quiet")
        mine, theirs = (Memprobe("-d", 0, "-p", p.pid, "-m", "live-blocks") for p in (target, other))
        with mine, theirs:
            first, second = (mine, theirs) if comes_first else (theirs, mine)
            if comes_first:
                first.armed()
                if "uprobe session" not in first.stderr:
                    raise Skip("only sessions can leave a return out")
                target.say("go")
            first.armed()
            second.armed()
            if not comes_first:
                target.say("go")
            try:
                t.true(f"{what}__is_at_work_under_both",
                       not select.select([target.process.stdout], [], [], 0)[0], "it was done before: more rounds")
                truth = target.until("done")
            except Failure as why:
                t.fail(f"{what}__survives", f"{why}\n{first.stderr}{second.stderr}")
                return
            t.equal(f"{what}__computes_the_same", truth.values["checksum"], want)
            answer = other.ask("go")
            for m in (mine, theirs):
                m.stop()
            t.equal(f"{what}__and_the_other_is_exact", sum_of(theirs.stacks(), "s_marked"),
                    answer.of("s_marked", "live-blocks"))
            t.true(f"{what}__each_says_why_it_probes_all", all("also probes an object" in m.stderr for m in (mine, theirs)),
                   f"{mine.stderr}{theirs.stderr}")
        t.equal(f"{what}__ends_as_ever", target.exit(), 0)


SWITCHES = 500000 # some seconds under memprobe


@test
def stack_switching_beside_another_that_came_later(t):
    switching_beside(t, True)


@test
def stack_switching_beside_another_that_was_there(t):
    switching_beside(t, False)


def libc_of(pid):
    with open(f"/proc/{pid}/maps") as f:
        return next(line.split()[-1] for line in f if "/libc.so.6" in line)


class Bpftrace(Talk):
    """Entries and returns of malloc with one of s_marked's sizes, of one process."""

    def __init__(self, pid):
        program = shutil.which("bpftrace")
        if not program:
            raise Skip("no bpftrace")
        malloc = f"{libc_of(pid)}:malloc"
        script = (f"uprobe:{malloc} /pid == {pid} && arg0 >= 1000 && arg0 < 1211/ {{ @size[tid] = arg0; @entries = count(); }} "
                  f"uretprobe:{malloc} /@size[tid]/ {{ @returns = count(); @bytes = sum(@size[tid]); delete(@size[tid]); }} "
                  'interval:ms:100 { printf("ready\\n"); }')
        super().__init__(subprocess.Popen([program, "-e", script], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))

    def armed(self):
        # events are read when all probes are there
        while self.line(30) != "ready":
            pass
        return self

    def figures(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        return {name.decode(): int(n) for name, n in re.findall(rb"@(entries|returns|bytes): (\d+)", self.rest + out)}


class PerfReturn(Talk):
    """A return probe of perf's kind on malloc of one process."""

    def __init__(self, pid):
        super().__init__(subprocess.Popen([os.path.join(BUILD, "tests/e2e/foreign_return"), str(pid), libc_of(pid),
                                           "malloc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def armed(self):
        if self.process.stdout.readline() != b"armed\n":
            raise Skip("this kernel has no perf return probes")
        return self

    def figures(self):
        return int(self.process.communicate(timeout=30)[0])


N_MARKED, BYTES_MARKED = 211, sum(range(1000, 1211))


def beside(t, make, want, memprobe_first, what):
    """memprobe and another tracer; the one that came last goes first or last."""
    with Target("server") as target:
        target.ask("quiet")
        with Memprobe("-d", 0, "-p", target.pid) as m:
            if memprobe_first:
                m.armed()
            other = make(target.pid).armed()
            m.armed()
            truth = target.ask("go")
            if memprobe_first:
                m.stop()
            got = other.figures()
            if not memprobe_first:
                m.stop()
            t.equal(f"{what}__is_right_beside_memprobe", got, want)
            t.equal(f"memprobe__is_right_beside_{what}", sum_of(m.stacks(), "s_marked"),
                    truth.of("s_marked", "live-bytes"))
            t.no_loss(f"memprobe__loses_nothing_beside_{what}", m)
        target.ask("loud")
        t.true(f"after_memprobe_and_{what}__the_target_runs_on", target.ask("rate").values["rate"] > 0)
        t.equal(f"after_memprobe_and_{what}__the_target_ends_as_ever", target.exit(), 0)


@test
def beside_bpftrace(t):
    for first in (True, False):
        beside(t, Bpftrace, {"bytes": BYTES_MARKED, "entries": N_MARKED, "returns": N_MARKED}, first, "bpftrace")


@test
def beside_perf(t):
    for first in (True, False):
        beside(t, PerfReturn, N_MARKED, first, "a_return_probe_of_perf")


if __name__ == "__main__":
    main()
