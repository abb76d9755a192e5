#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""memprobe tries its probes on itself first, and does not take links for probes that fire."""
import os
import subprocess
import tempfile

from harness import BUILD, Memprobe, Target, main, own_libc, run, sum_of, test

LINK_TRIAL = os.path.join(BUILD, "tests", "e2e", "link_trial")


def link_trial(*args):
    ended = subprocess.run([LINK_TRIAL, *args], capture_output=True, text=True, timeout=60, check=True)
    lines = [line.rsplit(": ", 1)[1].split() for line in ended.stdout.splitlines()]
    return [int(error) for error, _ in lines], [float(ms) for _, ms in lines], ended.stderr


@test
def the_trial_of_links(t):
    errors, ms, _ = link_trial()
    t.equal("probes_on_a_sandboxed_process__fire_at_entry_and_return", errors, [0, 0, 0])
    t.true("the_trial_of_links__takes_50_ms_at_most", min(ms) <= 50, f"{ms} ms")
    errors, _, err = link_trial("sandbox")
    t.equal("a_sandboxed_process_that_dies_of_the_trial__forbids_return_probes", errors, [95, 95, 95])
    t.true("a_kernel_whose_return_probes_kill__is_told_with_the_remedy",
           "seccomp" in err and "6.14" in err, err)


def scopes(pid):
    """The PIDs of a process's uprobe_multi links (0: all, or one that has ended); None where the kernel tells none."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}") as f:
            words = dict(line.split(None, 1) for line in f if len(line.split()) > 1)
        if words.get("link_type:", "").strip() == "uprobe_multi":
            found.append(int(words["pid:"]) if "pid:" in words else None)
    return found


@test
def a_filter_of_threads(t):
    """Links of one process see its first thread alone on some kernels, here by a second thread that is none."""
    old = {"MEMPROBE_PID_FILTER": "threads"}
    said = "sees only its first thread"
    for name, env in ("a_kernel_whose_links_see_all_threads", {}), ("a_kernel_whose_links_see_one_thread", old):
        text = run("doctor", env=env).stdout
        line = [l for l in text.splitlines() if "all threads with -p" in l]
        t.equal(f"{name}__is_found_by_the_trial", [l.split()[0] for l in line], ["no" if env else "ok"])
        t.equal(f"{name}__is_told_in_100_columns", [l for l in text.splitlines() if len(l) > 100], [])
        with tempfile.TemporaryDirectory() as d, \
                Target("threads", env=own_libc(d)) as target, Memprobe("-d", 0, "-p", target.pid, env=env) as m:
            m.armed()
            links = scopes(m.process.pid)
            truth = target.ask("go")
            m.stop()
            target.exit()
            m.skip_beside_others()
            t.true(f"{name}__has_links", links, "none")
            if None not in links:
                t.equal(f"{name}__gets_links_for_the_right_processes", target.pid in links, not env)
            t.equal(f"{name}__is_told", said in m.stderr, bool(env))
            t.equal(f"{name}__counts_blocks_of_other_threads", sum_of(m.stacks(), "s_thread_first"),
                    truth.of("s_thread_first", "live-bytes"))
            t.no_loss(f"{name}__loses_nothing", m)


@test
def probes_that_cannot_fire(t):
    with Target("shared_text", "first") as target:
        ended = run("-d", "0.5", "-p", target.pid)
        t.true("links_that_never_fire__fail_before_the_run",
               ended.status == 1 and "armed" not in ended.stderr, f"{ended}")
        t.true("links_that_never_fire__are_told_with_the_object",
               "no probe can fire" in ended.stderr and "libc" in ended.stderr and
               "mapped shared" in ended.stderr, ended.stderr)
        target.ask("go")
        target.exit()


@test
def probes_that_go_away(t):
    with Target("shared_text", "later") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        t.true("the_target__allocated", truth.of("s_hidden", "live-blocks") == 7)
        t.equal("code_that_was_remapped_under_its_probes__was_not_seen",
                sum_of(m.stacks(), "s_hidden"), 0)
        t.equal("a_run_whose_probes_went_away_before_they_fired__fails", m.status, 1)
        t.true("a_run_whose_probes_went_away_before_they_fired__says_so",
               "no probe has fired" in m.stderr, m.stderr)
        target.exit()


@test
def an_idle_process(t):
    with Target("lifecycle", "exit") as target:
        ended = run("-d", "0.5", "-p", target.pid)
        t.equal("a_process_that_calls_no_allocator__is_no_failure", ended.status, 0)
        t.true("a_process_that_calls_no_allocator__is_told_from_probes_that_do_not_work",
               "no allocator call was made" in ended.stderr and "no probe" not in ended.stderr, ended.stderr)
        target.exit()


if __name__ == "__main__":
    main()
