#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Threads: arenas, frees in other threads, eight of them at full speed."""
import json

from harness import Memprobe, Target, main, measure, sum_of, test


@test
def first_malloc_of_a_thread(t):
    truth, results, runs = measure("threads")
    t.sites({
        "s_thread_first": "M2_the_first_malloc_of_four_threads__counts_no_arena",
        "s_handed_over": "blocks_freed_by_another_thread__are_gone",
    }, truth, results)
    t.equal("M2_five_threads__cost_five_blocks_in_the_loader",
            sum_of([s for s in results["live-blocks"] if not s[0][-1].startswith("s_")],
                   "pthread_create"), 5)
    total = sum(v for _, v in results["live-bytes"])
    t.between("M2_arena_reservations__are_no_allocations", total, 9247, 9247 + 5 * 4096)
    for run in runs:
        t.no_loss("a_run_over_new_threads__says_that_it_lost_nothing", run)


@test
def eight_threads(t):
    truth, results, runs = measure("stress")
    t.sites({
        "s_stress_malloc": "eight_threads_at_full_speed__malloc_equals_the_truth",
        "s_stress_realloc": "eight_threads_at_full_speed__realloc_equals_the_truth",
    }, truth, results)
    for run in runs:
        t.no_loss("eight_threads_at_full_speed__lose_nothing", run)


@test
def pingpong(t):
    truth, results, runs = measure("pingpong", metrics=("live-bytes", "live-blocks"))
    t.sites({"s_pingpong": "the_same_address_freed_again_by_a_thread_that_only_frees__is_a_new_free"},
            truth, results)
    for metric in results:
        t.true("the_pingpong_target__reuses_addresses",
               truth[metric].values["same_address"] > 500, f"{truth[metric].values}")
    for run in runs:
        t.no_loss("a_thread_that_only_frees__misses_no_free", run)


@test
def thread_ends(t):
    with Target("thread_ends") as target, \
            Memprobe("-d", 0, "-p", target.pid, "-f", "json", "--sample", "off") as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        target.exit()
        lines = [json.loads(line) for line in m.stdout.splitlines()]
    process = next(p for p in lines if "old_free_blocks" in p)
    print(f"   {process['old_free_blocks']} blocks, {process['old_free_bytes']} bytes freed of those from before the attach")
    t.between("what_glibc_frees_once_more_when_a_thread_ends__is_not_from_before_the_attach",
              process["old_free_blocks"], 11, 11 + 4)
    kept = sum(s["live_blocks"] for s in lines if s.get("type") == "stack" and s.get("live_blocks")
               and "s_thread_kept" in json.dumps(s))
    t.equal("what_such_threads_keep__is_live", kept, truth.of("s_thread_kept", "live-blocks"))


@test
def a_thread_per_request(t):
    """
    307 threads with eight allocations and seven frees each, less than is told at once; few are drawn. What lies in a
    thread's cache is freed once more when it ends, and some that was never there (free(NULL)).
    """
    with Target("thread_ends") as target, \
            Memprobe("-d", 0, "-p", target.pid, "-f", "json", "--sample", "64K") as m:
        m.armed()
        target.ask("go")
        m.stop()
        target.exit()
        lines = [json.loads(line) for line in m.stdout.splitlines()]
    calls = next(p["allocator_calls"] for p in lines if "allocator_calls" in p)
    t.between("of_brief_threads__all_calls_are_counted", calls, 307 * (8 + 7 + 7) + 11, 307 * 60)


if __name__ == "__main__":
    main()
