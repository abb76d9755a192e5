#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Address spaces that begin and end: exec, exit, kill, fork, vfork."""
import os
import signal
import tempfile
import time

from harness import Failure, Memprobe, Target, build, has_function, main, measure, own_libc, parse_folded, sum_of, test


def roots_of(stacks, function):
    return {frames[0] for frames, _ in stacks if has_function(frames, function)}


@test
def exit_while_attached(t):
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        target.exit()
        m.wait(20)
        t.equal("M9_after_the_exit_of_the_target__memprobe_ends_with_0", m.status, 0)
        t.equal("M9_the_final_report_of_an_ended_process__has_its_bytes_and_symbols",
                sum_of(m.stacks(), "s_parent"), truth.of("s_parent", "live-bytes"))
        t.no_loss("M9_the_exit_of_the_target__loses_nothing", m)


@test
def exit_at_once(t):
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        target.say("go\nexit") # ends right after its last allocation
        truth = target.until("done")
        m.wait(20)
        t.equal("a_process_that_ends_right_after_its_allocations__is_named_and_exact",
                sum_of(m.stacks(), "s_parent"), truth.of("s_parent", "live-bytes"))


@test
def killed(t):
    with Target("server") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        target.process.kill()
        target.process.wait()
        m.wait(20)
        t.equal("after_SIGKILL_of_the_target__memprobe_ends_with_0", m.status, 0)
        t.equal("after_SIGKILL_of_the_target__the_final_report_is_exact",
                sum_of(m.stacks(), "s_marked"), truth.of("s_marked", "live-bytes"))


def attached_again(m):
    """The links of one process do not fire any more, and new ones take their time: a stated gap. Links for all have none."""
    end = time.monotonic() + 30
    while "memprobe: another thread" not in m.stderr and "also probes an object" not in m.stderr:
        if time.monotonic() > end:
            raise Failure(f"it does not say that it attached again:\n{m.stderr}")
        time.sleep(0.01)


def exec_case(t, case, what, wait=None):
    with Target("lifecycle", case) as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        before = target.ask("go")
        target.say("exec")
        target.until("image")
        if wait:
            wait(m)
        after = target.ask("go")
        m.stop()
        stacks = m.stacks()
        t.equal(f"{what}__begins_a_ledger_of_its_own", sum_of(stacks, "s_child"),
                after.of("s_child", "live-bytes"))
        t.equal(f"{what}__ends_the_old_image_and_reports_it", sum_of(stacks, "s_parent"),
                before.of("s_parent", "live-bytes"))
        t.true(f"{what}__keeps_the_images_apart",
               not roots_of(stacks, "s_parent") & roots_of(stacks, "s_child"),
               f"{roots_of(stacks, 's_parent')} {roots_of(stacks, 's_child')}")
        target.exit()


@test
def exec_ends_the_image(t):
    exec_case(t, "exec", "M8_exec")


@test
def exec_by_another_thread(t):
    exec_case(t, "thread-exec", "exec_by_another_thread", attached_again)


@test
def exec_by_another_thread_beside_another(t):
    with Target("server") as other, Memprobe("-d", 0, "-p", other.pid) as m:
        other.ask("quiet")
        m.armed()
        exec_case(t, "thread-exec", "exec_by_another_thread_beside_another_memprobe", attached_again)
        m.stop()


@test
def leaderless(t):
    truth, results, _ = measure("lifecycle", "leaderless", metrics=("live-bytes",))
    t.sites({"s_parent": "a_process_whose_main_thread_has_ended__is_exact"}, truth, results)


@test
def the_leader_goes(t):
    """New links of its process would not fire. After a stop (Ctrl-Z) memprobe makes some, as a gate that opens does."""
    said = "memprobe: the first thread of process"
    for when in "at_once", "when_it_was_seen":
        with tempfile.TemporaryDirectory() as d, \
                Target("lifecycle", "leader-goes", env=own_libc(d)) as target, Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            first = target.ask("go")
            m.skip_beside_others()
            if when != "at_once":
                try:
                    m.wait_for(said, 5)
                except Failure:
                    m.skip_beside_others() # one may have come meanwhile
                    raise
            m.stop_and_go()
            second = target.ask("go")
            m.stop()
            m.skip_beside_others()
            t.true(f"a_leader_that_ends__is_told__{when}", said in m.stderr, m.stderr)
            t.equal(f"what_was_allocated_before_the_stop__is_exact__{when}", sum_of(m.stacks(), "s_parent"),
                    first.of("s_parent", "live-bytes"))
            t.equal(f"what_other_threads_allocate_after_it__is_exact__{when}", sum_of(m.stacks(), "s_child"),
                    second.of("s_child", "live-bytes"))
            t.equal(f"nothing_but_the_stop__is_lost__{when}", m.losses(), 1)
            target.exit()


@test
def fork_by_pid(t):
    for case in ("fork", "fork-stays"):
        truth, results, runs = measure("lifecycle", case)
        for metric, stacks in results.items():
            t.equal(f"M14_frees_of_a_child_in_{case}__leave_the_parent_alone_in_{metric}",
                    sum_of(stacks, "s_parent"), truth[metric].of("s_parent", metric))
            child = truth[metric].of("s_child", metric)
            t.true(f"M14_the_child_in_{case}__is_exact_or_absent_in_{metric}",
                   sum_of(stacks, "s_child") in (0, child), f"{sum_of(stacks, 's_child')}")
        for run in runs:
            t.no_loss(f"M14_{case}__loses_nothing", run)


@test
def fork_of_a_command(t):
    truth, results, runs = measure("lifecycle", "fork", command=True)
    t.sites({
        "s_parent": "M14_the_parent_of_a_fork__keeps_its_ten_blocks",
        "s_child": "M14_the_child_of_a_command__is_followed_and_has_its_own_block",
    }, truth, results)
    for metric, stacks in results.items():
        t.true("M14_the_child__is_another_process_in_the_output",
               not roots_of(stacks, "s_parent") & roots_of(stacks, "s_child"), f"{stacks}")
        child = truth[metric].values["child"]
        t.equal("M14_the_child__is_shown_by_its_process_id",
                sum_of(stacks, "s_child", child), truth[metric].of("s_child", metric))
    for run in runs:
        t.equal("a_command_that_forks__passes_its_status_on", run.status, 0)


@test
def vfork_of_a_command(t):
    truth, results, _ = measure("lifecycle", "vfork", command=True)
    t.sites({
        "s_parent": "the_parent_of_a_vfork__keeps_its_blocks",
        "s_child": "the_parent_after_a_vfork__is_exact",
        "s_vfork_child": "a_block_of_a_vfork_child__belongs_to_the_parent",
    }, truth, results)


@test
def vfork_by_pid(t):
    # the probes of one process do not fire in its vfork child; nothing else may suffer
    truth, results, runs = measure("lifecycle", "vfork")
    t.sites({
        "s_parent": "the_parent_of_a_vfork_by_pid__keeps_its_blocks",
        "s_child": "the_parent_after_a_vfork_by_pid__is_exact",
    }, truth, results)
    for run in runs:
        t.equal("a_vfork_by_pid__does_not_end_the_run", run.status, 0)


@test
def two_targets(t):
    with Target("lifecycle", "exit") as a, Target("lifecycle", "exit") as b, \
            Memprobe("-d", 0, "-p", f"{a.pid},{b.pid}") as m:
        m.armed()
        truth = a.ask("go")
        a.exit()
        time.sleep(0.3)
        t.true("while_one_of_two_targets_lives__memprobe_goes_on", m.process.poll() is None,
               "it has ended")
        b.ask("go")
        b.exit()
        m.wait(20)
        for target in (a, b):
            t.equal("each_of_two_targets__has_its_own_figures",
                    sum_of(m.stacks(), "s_parent", target.pid), truth.of("s_parent", "live-bytes"))


@test
def a_short_lived_tree(t):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.folded")
        first = build("first")
        for what, script, n in (
                ("seven_commands_one_after_the_other", f"for i in 1 2 3 4 5 6 7; do {first} 0; done", 7),
                ("101_commands_at_once", f"for i in $(seq 101); do {first} 0 & done; wait", 101)):
            with Memprobe("-o", path, "--", "sh", "-c", script) as m:
                m.wait()
                stacks = parse_folded(open(path).read())
                t.equal(f"{what}__are_all_seen",
                        (sum_of(stacks, "s_main"), sum_of(stacks, "s_before_main")),
                        (n * 100065, n * 30024))
                t.equal(f"{what}__are_processes_of_their_own",
                        len(roots_of(stacks, "s_main")), n)
                t.equal(f"{what}__leave_the_status_of_the_shell", m.status, 0)
                t.no_loss(f"{what}__lose_nothing", m)


@test
def terminated(t):
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        m.stop(signal.SIGTERM)
        t.equal("SIGTERM__is_a_final_report", (m.status, sum_of(m.stacks(), "s_parent")),
                (0, truth.of("s_parent", "live-bytes")))
        target.exit()


if __name__ == "__main__":
    main()
