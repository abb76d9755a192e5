#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A process that runs out of memory while it is watched: killed at the limit of its control group, or refused memory at a limit of
its own. The report comes when it is gone, and still names what grew: of a C program, and of a node of Erlang.
"""
import contextlib
import re
import resource
import time

from erlang_node import Node, armed, known_release
from harness import Memprobe, Skip, Target, main, test
from test_room import limited
from test_select import enter

MIB = 1 << 20
TOOK = []  # seconds from each death to the end of memprobe


def say_and_wait(target):
    """Until it has ended; its last words. (status, when)"""
    target.say("go")
    status = target.process.wait(timeout=60)
    return status, time.monotonic()


def watch(target):
    m = Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-f", "report", auto=True)
    m.armed()
    return m


def end_of(m, died):
    m.wait()
    TOOK.append(time.monotonic() - died)
    return m.stdout, m.stderr


def size_in(text, pattern):
    """MiB of the first group of a pattern, or -1."""
    found = re.search(pattern, text)
    return float(found[1]) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[found[2]] if found else -1


SIZE = r"([\d.]+) (KiB|MiB|GiB)"


def no_swap(g, limit):
    """False: it may go to swap before it is killed."""
    for name, value in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", limit)):
        try:
            with open(f"{g.path}/{name}", "w") as f:
                f.write(str(value))
            return True
        except OSError:
            pass
    with open("/proc/swaps") as f:
        return len(f.readlines()) < 2


def check_kill(t, who, site, target, g, limit):
    g.set_limit(limit * MIB)
    bounded = no_swap(g, limit * MIB)
    enter(g.path, target.pid)
    with watch(target) as m:
        time.sleep(1)  # it lives no longer than this and what it takes to eat up the rest
        status, died = say_and_wait(target)
        text, said = end_of(m, died)
    first = text.splitlines()[0] if text else ""
    t.equal(f"{who}_at_the_limit_of_its_group__is_killed", status, -9)
    t.equal(f"{who}_killed__memprobe_ends_well", m.status, 0)
    t.true(f"{who}_killed__the_report_begins_with_it", first.startswith("OOM-KILLED ") and f"(pid {target.pid})" in first, text)
    t.true(f"{who}_killed__stderr_tells_at_once", f"process {target.pid} " in said and "out of memory" in said, said)
    head = " ".join(text[:600].split())
    t.between(f"{who}_killed__the_limit_is_that_of_the_group", size_in(head, f"limit {SIZE}"), limit - 0.1, limit + 0.1)
    anonymous = size_in(head, f"{SIZE} anonymous")
    if "anonymous" in head:  # the kernel tells
        t.between(f"{who}_killed__its_memory_is_about_the_limit", anonymous, 0.6 * limit, limit + 64)  # what it had before it entered
    grown, by_site = size_in(head, rf"last [\d.]+ s: \+{SIZE}"), size_in(head, rf"{SIZE} by {re.escape(site)}")
    t.between(f"{who}_killed__what_grew_is_named_though_it_is_gone", by_site / max(grown, 0.001), 0.9, 1)
    if bounded:
        t.between(f"{who}_killed__what_grew_is_about_the_limit", by_site, 4, limit + 16)  # in its last seconds


@test
def killed_at_the_limit_of_a_group(t):
    with limited() as g, Target("eater") as target:
        check_kill(t, "a_program", "s_eat", target, g, 64)


@test
def killed_in_a_group_that_is_watched_on(t):
    """What there is to judge is the process while it lived, at the limit that it met."""
    limit, pace = 80, 5
    with limited() as g, Target("paced", pace * MIB, 0) as target:
        g.set_limit(limit * MIB)
        no_swap(g, limit * MIB)
        enter(g.path, target.pid)
        with Memprobe("-d", 0, "-c", g.path, "-f", "report", auto=True) as m:
            m.armed()
            target.process.wait(timeout=120)
            time.sleep(5)
            m.stop()
            text = m.stdout
    what = "killed_in_a_group_that_is_watched_on"
    t.true(f"{what}__the_report_begins_with_it", text.startswith("OOM-KILLED "), text)
    t.between(f"{what}__the_limit_is_that_of_the_group", size_in(text, f"limit {SIZE}"), limit - 0.1, limit + 0.1)
    t.true(f"{what}__it_is_told_to_have_grown", re.search("^(GROWING|LEAK)", text, re.M), text)
    t.between(f"{what}__as_fast_as_it_did", size_in(text, rf"heap grows {SIZE}/min") / 60, 0.8 * pace, 1.2 * pace)
    t.true(f"{what}__nothing_runs_out_any_more", "Runs out" not in text, text)


@test
def node_killed_at_the_limit_of_a_group(t):
    with limited() as g, Node("hoard", workers=4, requests=1000, every_ms=4) as target:
        known_release(target.pid)
        check_kill(t, "a_node", "feed:handle/2", target, g, 120)


def address_space(pid, more):
    with open(f"/proc/{pid}/status") as f:
        now = int(re.search(r"^VmSize:\s+(\d+) kB", f.read(), re.M)[1]) * 1024
    resource.prlimit(pid, resource.RLIMIT_AS, (now + more, now + more))


@test
def refused_by_the_limit_of_the_address_space(t):
    with Target("eater") as target:
        address_space(target.pid, 48 * MIB)
        with watch(target) as m:
            truth = target.ask("go")
            target.exit()
            text, said = end_of(m, time.monotonic())
    head = " ".join(text[:600].split())
    t.true("a_program_that_was_refused__the_report_begins_with_it", head.startswith("REFUSED "), text)
    t.true("failed_allocations__are_as_many_as_the_program_counts",
           f" {truth.values['failed']} allocations failed" in head, text)
    t.true("a_program_that_was_refused__by_which_limit", "(RLIMIT_AS)" in head, text)
    t.true("nothing_was_killed", "OOM-KILLED" not in text and "out of memory" not in said, text)
    t.between("a_program_that_was_refused__what_grew", size_in(head, f"{SIZE} by s_eat"), truth.values["blocks"] - 1,
              truth.values["blocks"] + 1)


@test
def refused_long_before_its_end(t):
    """Why it ended only where it ended badly, by its own doing. Else what it held was given back, as any other's."""
    ends = {"ends_with_0": "0", "is_ended_by_SIGTERM": "0", "ends_with_3": "3", "aborts": "abort"}
    with contextlib.ExitStack() as stack:
        targets = {name: stack.enter_context(Target("refused", how)) for name, how in ends.items()}
        lives = stack.enter_context(Target("refused", "0"))
        m = stack.enter_context(Memprobe("-d", 0, "-f", "report", *(a for x in (*targets.values(), lives) for a in ("-p", x.pid))))
        m.armed()
        held = [target.ask("hold").of("s_hold", "live-bytes") for target in targets.values()]
        time.sleep(3)
        for name, target in targets.items():
            if "SIGTERM" in name:
                target.process.terminate()
            else:
                target.say("exit")
        status = {name: target.process.wait(timeout=20) for name, target in targets.items()}
        m.stop()
        text = m.stdout
        lives.exit()
    t.equal("refused_long_ago__they_end_as_meant", list(status.values()), [0, -15, 3, -6])
    for name, target in targets.items():
        t.equal(f"refused_long_ago__what_{name}__is_told_to_end_of_it_as_it_should",
                bool(re.search(rf"^REFUSED +refused \(pid {target.pid}\)", text, re.M)), status[name] in (3, -6))
    given = re.search(r"^ +-([\d.]+) .* given back by (\d+) process", text, re.M)
    t.equal("what_the_two_held_that_ended_well__is_given_back", (given and given[2]), "2")
    t.between("what_the_two_held_that_ended_well__is_given_back_in_MiB", float(given[1]) if given else -1,
              sum(held[:2]) / MIB - 0.1, sum(held[:2]) / MIB + 0.1)


@test
def node_refused_by_the_limit_of_the_address_space(t):
    with Node("hoard", workers=4, requests=1000, every_ms=4) as target:
        with watch(target) as m:
            armed(m, target)
            address_space(target.pid, 100 * MIB)
            status, died = say_and_wait(target)
            text, said = end_of(m, died)
    head = " ".join(text[:900].split())
    t.true("a_node_that_was_refused__ends_by_itself", status > 0, f"{status}")
    t.true("a_node_that_was_refused__the_report_begins_with_it", head.startswith("REFUSED beam.smp "), text)
    t.between("a_node_that_was_refused__how_much_it_asked_for_last", size_in(head, f"gave up: {SIZE} for \\[binary\\]"), 3.8, 64)
    t.between("a_node_that_was_refused__its_mappings_failed_first",
              int((re.search(r"(\d+) mappings? refused", head) or [0, 0])[1]), 1, 1000)
    t.true("a_node_that_was_refused__what_grew", "by feed:handle/2" in head, text)
    t.true("nothing_was_killed", "OOM-KILLED" not in text, text)


@test
def reports_are_quick(t):
    """The least of them: the machine has other things to do."""
    if not TOOK:
        raise Skip("nothing has died")
    t.between("the_report__comes_within_2_s", min(TOOK), 0, 2)


if __name__ == "__main__":
    main()
