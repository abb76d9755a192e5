#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Nothing that memprobe does, and no end that memprobe finds, may harm its target."""
import json
import os
import re
import shutil
import subprocess
import time

from harness import Failure, Memprobe, Skip, Target, main, sum_of, test

BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/usr/local/sbin:/usr/bin")
MILLION_CALLS = 1000000


def ids_of(pid):
    """Ids of the BPF links and programs that this process holds open."""
    found = {"link": set(), "prog": set()}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}") as f:
            for kind, number in re.findall(r"^(link|prog)_id:\s+(\d+)", f.read(), re.M):
                found[kind].add(int(number))
    return found


def all_ids():
    """Of all processes; an id is never used again."""
    found = {}
    for kind in ("link", "prog"):
        out = subprocess.run([BPFTOOL, "-j", kind, "show"], capture_output=True, check=True).stdout
        found[kind] = {x["id"] for x in json.loads(out)}
    return found


def rate(target, enough=None):
    """The best of a few, as others use this machine too; stops when it is enough."""
    best = 0
    for _ in range(10):
        best = max(best, target.ask("rate").values["rate"])
        if enough and best >= enough:
            break
    return best


@test
def memprobe_is_killed(t):
    if not BPFTOOL:
        raise Skip("no bpftool")
    with Target("server") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        free = rate(target)
        m.armed()
        probed = target.ask("rate").values["rate"]
        held = ids_of(m.process.pid)
        m.process.kill()
        m.process.wait()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            now = all_ids()
            left = {kind: held[kind] & now[kind] for kind in held}
            if not any(left.values()):
                break
            time.sleep(0.05)
        t.true("a_running_memprobe__holds_links_and_programs", held["link"] and held["prog"],
               f"{held}")
        t.equal("after_SIGKILL_of_memprobe__no_link_or_program_stays", left,
                {"link": set(), "prog": set()})
        t.measured("the_probes__were_there", probed < free / 2, f"{probed} pairs/s of {free}")
        # a probed pair takes 100 times as long; other load on the machine takes half at most
        back = rate(target, free * 0.2)
        t.true("after_SIGKILL_of_memprobe__the_throughput_of_the_target_returns",
               back >= free * 0.2, f"{back} pairs/s of {free}")
        target.ask("go")
        t.equal("after_SIGKILL_of_memprobe__the_target_runs_on", target.exit(), 0)


@test
def a_sandboxed_target(t):
    with Target("sandboxed", MILLION_CALLS // 2) as target, \
            Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        t.equal("a_sandboxed_target__survives_a_million_probed_calls_and_is_exact",
                sum_of(m.stacks(), "s_sandboxed"), truth.of("s_sandboxed", "live-bytes"))
        t.no_loss("a_sandboxed_target__loses_nothing", m)
        t.equal("a_sandboxed_target__ends_as_without_memprobe", target.exit(), 0)


def hooked(t, case, rounds, what, exact=True, only_sessions=True):
    with Target("hooked", case, rounds) as alone:
        want = alone.ask("go").values["checksum"]
        alone.exit()
    with Target("hooked", case, rounds) as target, \
            Memprobe("-d", 0, "-p", target.pid, "-m", "live-blocks") as m:
        m.armed()
        if only_sessions and "uprobe session" not in m.stderr:
            raise Skip("return probes of their own (before 6.13) cannot be left out of a call: the kernel ends "
                       "a program that switches its stack inside one")
        try:
            truth = target.ask("go")
        except Failure as why:
            t.fail(f"{what}__survives_a_million_probed_calls", why)
            return
        m.stop()
        t.equal(f"{what}__computes_the_same_while_profiled", truth.values["checksum"], want)
        missed = truth.of("s_after", "live-blocks") - sum_of(m.stacks(), "s_after")
        if exact:
            t.equal(f"{what}__is_exact_again_afterwards", missed, 0)
        t.only_told_losses(f"{what}__misses_nothing_without_a_printed_loss", m, missed)
        t.equal(f"{what}__ends_as_without_memprobe", target.exit(), 0)


@test
def an_allocator_that_switches_stacks(t):
    hooked(t, "switch", 150000, "an_allocator_that_switches_stacks")


@test
def an_allocator_that_never_returns(t):
    # its stack lives on as that of a call that is pending: what comes after cannot be told from
    # calls inside that call, and is lost, with a count
    hooked(t, "abandon", 150000, "an_allocator_that_switches_stacks_and_never_returns", exact=False)


@test
def an_allocator_left_by_longjmp(t):
    hooked(t, "jump", 350000, "an_allocator_left_by_longjmp", only_sessions=False)


@test
def attach_under_load(t):
    with Target("server") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        target.ask("quiet")
        truth = target.ask("go")
        target.ask("loud")
        target.ask("rate")
        m.stop()
        stacks = m.stacks()
        t.equal("attached_under_load__what_is_allocated_afterwards_is_exact",
                sum_of(stacks, "s_marked"), truth.of("s_marked", "live-bytes"))
        t.between("attached_under_load__the_load_holds_no_more_than_it_has_slots",
                  sum_of(stacks, "s_load"), 1, 2 * 33 * 632)
        t.no_loss("attached_under_load__nothing_is_lost", m)
        target.exit()


@test
def attach_and_detach_again_and_again(t):
    with Target("server") as target:
        for i in range(8):
            with Memprobe("-d", 0, "-p", target.pid, "-q") as m:
                time.sleep(0.05 * i)
                m.stop()
                # at 0 ms it may not have begun: then the signal does what it does to any program
                t.true("interrupted_at_any_moment__memprobe_exits_as_documented",
                       m.status in (0, 130) or (i == 0 and m.status == -2 and not m.stderr),
                       f"status {m.status} after {50 * i} ms: {m.stderr}")
                m.stacks()
        target.ask("go")
        t.equal("attached_and_detached_again_and_again__the_target_runs_on", target.exit(), 0)


if __name__ == "__main__":
    main()
