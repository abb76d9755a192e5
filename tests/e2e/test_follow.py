#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""-p PID and its family: living descendants, later children, posix_spawn, --no-follow."""
import collections
import json
import subprocess
import time

from harness import Memprobe, Target, has_function, main, sum_of, test


def by_process(stacks, function):
    """{pid: value} of the stacks through a function."""
    found = collections.Counter()
    for frames, value in stacks:
        if has_function(frames[1:], function):
            found[int(frames[0].rsplit("-", 1)[1])] += value
    return dict(found)


def told(truth, site, metric="live-bytes"):
    """{pid: value} of what children told."""
    return {int(name.split("@")[1]): truth.of(name, metric)
            for name in truth.sites if name.startswith(site + "@")}


def family(t, name, n, *how, options=()):
    with Target("family", n, *how) as target, Memprobe("-d", 0, "-p", target.pid, *options) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        stacks = m.stacks()
        t.equal(f"{name}__the_named_process_is_exact", sum_of(stacks, "s_master", target.pid),
                truth.of("s_master", "live-bytes"))
        t.no_loss(f"{name}__loses_nothing", m)
        return stacks, truth, m.stderr


@test
def living_workers(t):
    for n, how in ((1, ()), (3, ()), (7, ()), (23, ()), (6, ("chain",))):
        name = f"a_master_with_{n}_workers" + ("_in_a_chain" if how else "")
        stacks, truth, err = family(t, name, n, *how)
        workers = told(truth, "s_worker")
        t.equal(f"{name}__all_workers_have_their_own_exact_figures", by_process(stacks, "s_worker"),
                workers)
        t.true(f"{name}__are_{n + 1}_processes", len(workers) == n and
               f" in {n + 1} processes" in err, err)


@test
def no_follow(t):
    stacks, _, err = family(t, "with_no_follow", 3, options=("--no-follow",))
    t.equal("with_no_follow__the_workers_are_left_out", by_process(stacks, "s_worker"), {})
    t.true("with_no_follow__one_process_is_armed", " in 1 process;" in err, err)


@test
def later_children(t):
    """A master that has children when memprobe comes: its next ones count from their first malloc."""
    with Target("family", 2) as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = [target.ask(word) for word in ("fork", "storm", "spawn", "fork", "go")]
        m.stop()
        stacks = m.stacks()
        young = {**told(truth[0], "s_young"), **told(truth[3], "s_young")}
        t.equal("children_forked_later__count_from_their_first_malloc", by_process(stacks, "s_young"),
                young)
        t.equal("20_children_at_once_that_end__count_from_first_to_last",
                by_process(stacks, "s_storm"), told(truth[1], "s_storm"))
        t.equal("children_of_posix_spawn__count_from_the_first_malloc_of_their_image",
                by_process(stacks, "s_image"), told(truth[2], "s_image"))
        t.equal("workers_from_before_and_after_the_attach__are_exact",
                by_process(stacks, "s_worker"), told(truth[4], "s_worker"))
        t.no_loss("later_children__lose_nothing", m)


@test
def first_child(t):
    """A process that had no child: probes for all come with the first one, and say when."""
    for word, site in (("fork", "s_young"), ("spawn", "s_image")):
        with Target("family", 0) as target, Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            before = target.ask("go")
            first = target.ask(word)
            m.wait_for(f"memprobe: process {target.pid} has a child")
            second = target.ask(word)
            after = target.ask("go")
            m.stop()
            stacks = m.stacks()
            got = by_process(stacks, site)
            want = told(second, site)
            t.equal(f"after_the_first_{word}__the_second_counts_from_its_first_malloc",
                    {pid: got.get(pid) for pid in want}, want)
            t.true(f"the_first_{word}__counts_no_more_than_there_was",
                   all(got.get(pid, 0) <= v for pid, v in told(first, site, "alloc-bytes").items()),
                   f"{got} {told(first, site)}")
            t.equal(f"the_parent_of_a_first_{word}__is_exact_over_the_change_of_its_probes",
                    sum_of(stacks, "s_master"),
                    before.of("s_master", "live-bytes") + after.of("s_master", "live-bytes"))
            t.no_loss(f"the_first_{word}__loses_nothing", m)


@test
def under_load(t):
    """The change of probes while two threads allocate as fast as they can: every block counts once."""
    for metric in ("alloc-blocks", "live-blocks"):
        with Target("server") as target:
            target.ask("quiet")
            before = target.ask("pairs").values["pairs"]
            with Memprobe("-d", 0, "-m", metric, "-p", target.pid) as m:
                m.armed()
                target.ask("loud")
                time.sleep(0.3)
                target.ask("fork")
                m.wait_for(f"memprobe: process {target.pid} has a child")
                time.sleep(1.5) # the links of before are closed
                target.ask("quiet")
                pairs = target.ask("pairs").values["pairs"] - before
                m.stop()
                t.equal(f"probes_that_change_under_load__count_each_block_once_in_{metric}",
                        sum_of(m.stacks(), "s_load", target.pid),
                        pairs if metric == "alloc-blocks" else 64)
                t.no_loss(f"probes_that_change_under_load__lose_no_call_in_{metric}", m)


@test
def execs_of_children(t):
    """The kernel faults pages of the new program in before it tells of the exec: that is no exec more."""
    shell = subprocess.Popen(["bash", "-c", "read x; for i in {1..20}; do /bin/true; done; echo done; read x"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with Memprobe("-P", "heap,rss", "-d", 0, "-f", "json", "-p", shell.pid) as m:
            m.armed()
            print(file=shell.stdin, flush=True)
            shell.stdout.readline()
            m.stop()
            lines = [json.loads(line) for line in m.stdout.splitlines()]
    finally:
        shell.communicate("\n")
    processes = collections.Counter((p["comm"], p["state"]) for p in lines if p["type"] == "process")
    t.equal("a_child_that_execs__is_one_process_before_and_one_after", dict(processes),
            {("bash", "running"): 1, ("bash", "execed"): 20, ("true", "exited"): 20})


@test
def the_family_ends(t):
    with Target("family", 2) as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        target.exit()
        m.wait(20)
        t.equal("when_master_and_workers_have_ended__memprobe_ends_by_itself", m.status, 0)
        t.equal("workers_that_have_ended__keep_their_result", by_process(m.stacks(), "s_worker"),
                told(truth, "s_worker"))


if __name__ == "__main__":
    main()
