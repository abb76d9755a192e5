#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
300 processes of one libc at once, each keeping another number of bytes: named one by one, by name, and as the
whole machine. The times to attach and to detach are printed; tools/bench/bench_processes.py has more of them.
"""
import re
import time

from harness import Memprobe, Target, build, main, test
from test_follow import by_process, told

N = 300
LIMIT_S = 5 # of a machine that does other things too


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


def wrong_ones(m, truth):
    """{pid: (memprobe, truth)} of those that differ."""
    got, want = by_process(m.stacks(), "s_leak"), told(truth, "s_leak")
    return {pid: (got.get(pid), want.get(pid)) for pid in {**got, **want} if got.get(pid) != want.get(pid)}


def exact(t, name, m, truth):
    wrong = wrong_ones(m, truth)
    t.true(name, len(told(truth, "s_leak")) == N and not wrong,
           f"{len(wrong)} differ, (memprobe, truth): {dict(list(wrong.items())[:5])}")


def check(t, name, *select):
    with Target(build("many"), N) as target:
        args = select or ["-p", ",".join(children_of(target.pid))]
        with Memprobe("-d", 0, *args) as m:
            m.armed()
            attach_s = time.monotonic() - m.started
            truth = target.ask("go")
            target.ask("half")
            stop = time.monotonic()
            m.stop()
            detach_s = time.monotonic() - stop
            print(f"     {name}: {attach_s:.2f} s to attach, {detach_s:.2f} s to report and detach")
            exact(t, f"{name}__each_is_exact_to_the_byte_those_that_have_ended_too", m, truth)
            t.equal(f"{name}__half_of_them_have_ended", len(children_of(target.pid)), N // 2)
            t.true(f"{name}__all_are_armed", armed_processes(m) >= N, m.stderr)
            t.no_loss(f"{name}__lose_nothing", m)
            t.between(f"{name}__are_attached_in_seconds", attach_s, 0, LIMIT_S)
            t.between(f"{name}__are_reported_and_let_go_in_seconds", detach_s, 0, LIMIT_S)


def armed_processes(m):
    return int(re.search(r"^memprobe: armed: .* in (\d+) process", m.stderr, re.M)[1])


@test
def by_number(t):
    check(t, "300_processes_by_number")


@test
def by_name(t):
    check(t, "300_processes_by_name", "-n", "many")


@test
def whole_machine(t):
    check(t, "300_processes_of_a_whole_machine", "-m", "live-bytes")


@test
def later(t):
    """A whole machine, or a name, to which 300 come."""
    for name, select in (("by_name", ("-n", "many")), ("on_the_whole_machine", ())):
        with Target(build("many"), 1), Memprobe("-d", 0, *select) as m:
            m.armed()
            with Target(build("many"), N) as target:
                truth = target.ask("go")
                target.ask("half")
            m.stop()
            exact(t, f"300_that_come_later_{name}__are_each_exact_and_stay_in_the_report", m, truth)
            t.no_loss(f"300_that_come_later_{name}__lose_nothing", m)


if __name__ == "__main__":
    main()
