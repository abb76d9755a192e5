#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Processes by name (-n) and by control group (-c): those that live, those that come, those that end."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time

from harness import Memprobe, Skip, Target, build, main, run, sum_of, test
from test_follow import by_process, told

CGROUPS = "/sys/fs/cgroup"


@contextlib.contextmanager
def named(*names, program="family"):
    """
    One copy of a target under several names: {name: path}. One file, so that its unwind table is there when a
    later process runs it: in the first milliseconds of a file that nobody has seen stacks are cut, and say so.
    """
    with tempfile.TemporaryDirectory() as d:
        paths = {name: os.path.join(d, name) for name in names}
        shutil.copy(build(program), paths[names[0]])
        for name in names[1:]:
            os.link(paths[names[0]], paths[name])
        yield paths


@test
def by_name(t):
    with named("mpsel-one", "mpsel-two", "mpother", "mpsel-late") as p, \
            Target(p["mpsel-one"], 2) as one, Target(p["mpsel-two"], 0) as two, \
            Target(p["mpother"], 1) as other, Memprobe("-d", 0, "-n", "mpsel-*") as m:
        m.armed()
        t.true("by_name__all_that_match_are_armed", " in 4 processes;" in m.stderr, m.stderr)
        truth = {x.pid: x.ask("go") for x in (one, two, other)}
        with Target(p["mpsel-late"], 0) as late:
            truth[late.pid] = late.ask("go")
            late_young = late.ask("fork")
            late.exit()
        young = one.ask("fork")
        m.stop()
        stacks = m.stacks()
        t.equal("by_name__living_and_later_ones_are_exact_and_others_absent",
                by_process(stacks, "s_master"),
                {x: truth[x].of("s_master", "live-bytes") for x in truth if x != other.pid})
        t.equal("by_name__workers_of_the_same_name_are_exact", by_process(stacks, "s_worker"),
                told(truth[one.pid], "s_worker"))
        t.equal("by_name__children_count_from_their_first_malloc", by_process(stacks, "s_young"),
                {**told(young, "s_young"), **told(late_young, "s_young")})
        t.no_loss("by_name__loses_nothing", m)


@test
def name_after_exec(t):
    """A shell that does not match execs a program that does, and the other way round."""
    with named("mpsel-in", "mpout", program="first") as p, named("mpsel-sh") as sh:
        shutil.copy("/bin/sh", sh["mpsel-sh"])
        with Target("family", 0) as target, named("mpsel-here") as here, \
                Target(here["mpsel-here"], 0) as kept, Memprobe("-d", 0, "-n", "mpsel-*") as m:
            m.armed()
            for _ in range(3):
                subprocess.run(["/bin/sh", "-c", f"exec {p['mpsel-in']} 0"], stdout=subprocess.DEVNULL,
                               check=True)
                subprocess.run([sh["mpsel-sh"], "-c", f"exec {p['mpout']} 0"],
                               stdout=subprocess.DEVNULL, check=True)
            target.ask("go")
            time.sleep(0.2)
            kept.exit()
            time.sleep(0.3)
            t.true("by_name__the_run_goes_on_when_all_have_ended", m.process.poll() is None, m.stderr)
            m.stop()
            got = by_process(m.stacks(), "s_main")
            t.equal("an_exec_into_a_name_that_matches__counts_from_the_first_malloc_and_out_of_it_ends",
                    sorted(got.values()), [100065] * 3)
            t.equal("an_exec_into_a_name_that_matches__has_its_allocations_before_main",
                    sum_of(m.stacks(), "s_before_main"), 3 * 30024)


@test
def unknown_file(t):
    """A later process of a file that nobody has seen: every byte counts, if under a stack that is cut."""
    with named("mpsel-one") as one, named("mpsel-two") as two, Target(one["mpsel-one"], 0), \
            Memprobe("-d", 0, "-n", "mpsel-*") as m:
        m.armed()
        with Target(two["mpsel-two"], 0) as late:
            truth = late.ask("go")
            late.exit()
        m.stop()
        got = sum(value for frames, value in m.stacks() if frames[0] == f"mpsel-two-{late.pid}"
                  and not any(f.startswith("_IO_") or "ready" in f for f in frames))
        t.true("a_later_process_of_an_unknown_file__has_all_its_bytes",
               got >= truth.of("s_master", "live-bytes"), f"{got} {truth.sites}\n{m.stdout}")


@test
def several_patterns(t):
    with named("mpsel,x", "mpselA1", "mpselB2", "mpselC3") as p, Target(p["mpselA1"], 0) as a, \
            Target(p["mpselB2"], 0) as b, Target(p["mpselC3"], 0) as c, \
            Memprobe("-d", 0, "-n", "mpselA?,mpsel[BX][0-9]", "-n", "nobody") as m:
        m.armed()
        for x in (a, b, c):
            x.ask("go")
        m.stop()
        t.equal("several_patterns__take_what_one_of_them_matches",
                sorted(by_process(m.stacks(), "s_master")), sorted([a.pid, b.pid]))


@test
def nothing_matches(t):
    for args, text in ((("-n", "no-such-*"), "no-such-*"), (("-c", "/no/such/group"), "/no/such/group"),
                       (("-c", "deadbeef1234"), "deadbeef1234")):
        ended = run("-d", 1, *args)
        t.true(f"without_a_match__{args[0]}_{text}_exits_with_4_and_says_so",
               ended.status == 4 and text in ended.stderr, f"{ended.status} {ended.stderr}")
        t.equal(f"without_a_match__{args[0]}_{text}_prints_no_data", ended.stdout, "")


# ---- control groups ----

def hierarchies():
    """(what, mount point) of those where a group can be made."""
    if os.path.exists(CGROUPS + "/cgroup.controllers"):
        return [("v2", CGROUPS)]
    found = [("v1", CGROUPS + "/memory"), ("v2", CGROUPS + "/unified"), ("v1_pids", CGROUPS + "/pids")]
    return [(what, path) for what, path in found if os.path.exists(path + "/cgroup.procs")]


@contextlib.contextmanager
def group(mount, name):
    path = f"{mount}/{name}"
    try:
        os.makedirs(path)
    except OSError as why:
        raise Skip(f"no control group can be made in {mount}: {why}") from None
    try:
        yield path
    finally:
        for _ in range(100):
            try:
                os.rmdir(path)
                break
            except OSError:
                time.sleep(0.05)
        parent = os.path.dirname(path)
        while parent != mount:
            os.rmdir(parent)
            parent = os.path.dirname(parent)


def enter(path, pid):
    with open(path + "/cgroup.procs", "w") as f:
        f.write(str(pid))


def members(t, what, mount, name, spell):
    """spell: from (mount, name) to the argument of -c."""
    with group(mount, name) as path:
        with named("mpinside", "mplate") as p, Target(p["mpinside"], 1) as inside, \
                Target("family", 0) as outside:
            enter(path, inside.pid)
            enter(path, inside_worker(inside.pid))
            with Memprobe("-d", 0, "-c", spell(mount, name)) as m:
                m.armed()
                truth = {inside.pid: inside.ask("go")}
                outside.ask("go")
                script = f"echo $$ > {path}/cgroup.procs; exec {p['mplate']} 0"
                with Target("/bin/sh", "-c", script) as late:
                    truth[late.pid] = late.ask("go")
                    late.exit()
                young = inside.ask("fork")
                m.stop()
                stacks = m.stacks()
                t.equal(f"{what}__members_living_and_later_are_exact_and_others_absent",
                        by_process(stacks, "s_master"),
                        {x: truth[x].of("s_master", "live-bytes") for x in truth})
                t.equal(f"{what}__workers_are_exact", by_process(stacks, "s_worker"),
                        told(truth[inside.pid], "s_worker"))
                t.equal(f"{what}__children_count_from_their_first_malloc",
                        by_process(stacks, "s_young"), told(young, "s_young"))
                t.no_loss(f"{what}__loses_nothing", m)
            inside.exit()


def inside_worker(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return int(f.read().split()[0])


@test
def by_group(t):
    name = f"memprobe-test-{os.getpid()}"
    for what, mount in hierarchies():
        members(t, f"a_group_of_{what}_by_its_directory", mount, name, lambda m, n: f"{m}/{n}")


@test
def by_group_below(t):
    name = f"memprobe-test-{os.getpid()}/pod.slice/deep"
    for what, mount in hierarchies()[:2]:
        members(t, f"a_group_of_{what}_by_the_path_of_one_above", mount, name,
                lambda m, n: "/" + n.split("/")[0])


@test
def by_container(t):
    ident = f"{os.getpid():x}0123456789abcdef" + "5e" * 24
    for what, mount in hierarchies()[:2]:
        for name in (f"memprobe-docker-{os.getpid()}/{ident}", f"docker-{ident}.scope"):
            members(t, f"a_container_of_{what}_by_its_first_12_digits", mount, name,
                    lambda m, n: ident[:12])


@test
def two_containers(t):
    first, second = ("ab12" + c * 60 for c in "34")
    mount = hierarchies()[0][1]
    with group(mount, first) as a, group(mount, second) as b, Target("family", 0) as x, \
            Target("family", 0) as y:
        enter(a, x.pid)
        enter(b, y.pid)
        ended = run("-d", 1, "-c", "ab12")
        t.true("a_beginning_of_two_containers__exits_with_4_and_asks_for_more_digits",
               ended.status == 4 and "more digits" in ended.stderr, f"{ended.status} {ended.stderr}")
        with Memprobe("-d", 0, "-c", "ab124") as m:
            m.armed()
            x.ask("go")
            y.ask("go")
            m.stop()
            t.equal("one_more_digit__takes_one_of_them", list(by_process(m.stacks(), "s_master")), [y.pid])
        x.exit()
        y.exit()


if __name__ == "__main__":
    main()
