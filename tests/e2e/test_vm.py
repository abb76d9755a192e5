#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The vm plane: mappings that a program makes itself, to the page."""
import json
import os
import re
import signal
import tempfile

from harness import Memprobe, Target, has_function, main, measure, test

PAGE = 4096
SITES = {
    "s_plain": "mmap__bytes_and_calls_equal_the_truth",
    "s_rounded": "a_size_that_is_no_whole_page__is_rounded_up",
    "s_freed": "munmap__ends_the_mapping",
    "s_head": "munmap_of_the_head__leaves_the_rest",
    "s_middle": "munmap_of_the_middle__leaves_both_ends_as_one_block",
    "s_tail": "munmap_of_the_tail__leaves_the_rest",
    "s_in_parts": "a_mapping_unmapped_page_by_page__ends_with_the_last_one",
    "s_under": "MAP_FIXED_into_a_live_mapping__takes_its_pages_away",
    "s_over": "MAP_FIXED__has_its_own_pages",
    "s_under_all": "MAP_FIXED_over_all_of_a_mapping__ends_it",
    "s_over_all": "MAP_FIXED_over_all_of_a_mapping__is_a_new_one",
    "s_two_over": "MAP_FIXED_over_parts_of_two_mappings__is_one_of_its_own",
    "s_grow_origin": "mremap__takes_the_mapping_from_the_stack_that_made_it",
    "s_grower": "mremap_that_grows_in_place__is_one_block_of_the_new_size",
    "s_shrink_origin": "mremap_that_shrinks__takes_the_mapping_from_the_stack_that_made_it",
    "s_shrinker": "mremap_that_shrinks__is_one_block_of_the_new_size",
    "s_move_origin": "mremap_that_moves__leaves_nothing_behind",
    "s_mover": "mremap_to_a_place__is_one_block_there",
    "s_grow_moved_origin": "mremap_that_must_move_to_grow__leaves_nothing_behind",
    "s_grow_mover": "mremap_that_must_move_to_grow__is_one_block_and_can_be_cut",
    "s_old_remap": "mremap_of_a_mapping_from_before_the_attach__is_a_new_one",
    "s_trimmed": "a_mapping_trimmed_at_both_ends__is_what_is_left",
    "s_reserved": "PROT_NONE__is_no_bytes_until_mprotect_commits_them",
    "s_decommitted": "mprotect_to_PROT_NONE__takes_the_bytes_away",
    "s_brk": "brk_by_the_program__is_a_mapping_that_shrinks_from_its_end",
    "s_shm": "shmat__is_a_mapping",
    "s_shm_detached": "shmdt__ends_it",
    "s_shared": "shared_anonymous_memory__counts",
    "s_memfd": "memory_behind_a_file_descriptor__counts",
    "s_file": "a_mapping_of_a_file__does_not_count",
    "s_worker": "threads_that_map_at_once__count_to_the_page",
}
METRICS = ("live-bytes", "live-blocks", "alloc-bytes", "alloc-blocks")


def is_vm(frames):
    return frames[-1] in ("[mmap]", "[thread stack]")


@test
def mappings(t):
    truth, results, runs = measure("mapper", options=("-P", "vm"))
    t.sites(SITES, truth, results)
    failing = {m: [f for f, _ in stacks if has_function(f, "s_failing") and not has_function(f, "s_plain")]
               for m, stacks in results.items()}
    t.equal("calls_that_fail__count_nothing", failing, {m: [] for m in METRICS})
    t.equal("a_mapping_by_an_allocator__is_none_of_the_program", 
            [f for f, _ in results["alloc-bytes"] if has_function(f, "s_malloc")], [])
    t.equal("without_the_heap_plane__every_stack_ends_in_a_mapping",
            [f for f, _ in results["alloc-bytes"] if not is_vm(f)], [])
    t.equal("each_stack_of_a_mapping__reaches_main",
            [f for f, _ in results["live-bytes"]
             if not has_function(f, "main") and not has_function(f, "start_thread")], [])
    stacks = [(f, v) for f, v in results["live-bytes"] if f[-1] == "[thread stack]"]
    t.equal("stacks_of_threads__are_told_apart_and_have_the_size_that_the_threads_see",
            sum(v for _, v in stacks), truth["live-bytes"].values["stack_bytes"])
    for run in runs:
        t.no_loss("a_run_of_all_mapping_calls__says_that_it_lost_nothing", run)


@test
def both_planes(t):
    truth, results, runs = measure("mapper", options=("-P", "heap,vm"), metrics=("live-bytes", "alloc-blocks"))
    vm = {m: [(f, v) for f, v in stacks if is_vm(f)] for m, stacks in results.items()}
    heap = {m: [(f, v) for f, v in stacks if not is_vm(f)] for m, stacks in results.items()}
    t.sites({s: n + "__with_the_heap_plane_too" for s, n in SITES.items()}, truth, vm)
    t.sites({"s_malloc": "what_an_allocator_maps__is_heap_once_and_no_mapping"}, truth, results)
    t.equal("a_heap_stack__is_of_an_allocator_call",
            [f for f, _ in heap["alloc-blocks"]
             if not any(x in f[-1] for x in ("malloc", "calloc", "realloc", "memalign"))], [])
    for run in runs:
        t.no_loss("a_run_of_both_planes__says_that_it_lost_nothing", run)


@test
def a_command(t):
    """From the first instruction on: ld.so's own mappings are files' and its data's."""
    truth, results, runs = measure("mapper", options=("-P", "vm"), metrics=("live-bytes",), command=True)
    t.sites({s: n + "__in_a_command" for s, n in SITES.items() if s != "s_old_remap"}, truth, results)
    for run in runs:
        t.no_loss("a_command__loses_nothing", run)


@test
def by_system_calls(t):
    """As on kernels that have nothing better: the same truth, and what everybody pays for it."""
    os.environ["MEMPROBE_VM"] = "calls"
    try:
        truth, results, runs = measure("mapper", options=("-P", "vm"), metrics=("live-bytes", "alloc-blocks"))
        with Target("page_rounds") as target, Memprobe("-P", "vm", "-d", 0, "--report", "-p", target.pid) as m:
            m.armed()
            target.ask("go")
            m.stop()
            report = m.stdout
            target.exit()
    finally:
        del os.environ["MEMPROBE_VM"]
    t.sites({s: n + "__by_system_calls" for s, n in SITES.items()}, truth, results)
    t.equal("calls_that_fail__count_nothing__by_system_calls",
            [f for stacks in results.values() for f, _ in stacks if has_function(f, "s_failing") and not has_function(f, "s_plain")], [])
    for run in runs:
        t.no_loss("a_run_by_system_calls__says_that_it_lost_nothing", run)
    told = re.search(r"each call of every process takes (\d+) ns more", report)
    t.true("what_each_system_call_of_all_processes_pays__is_in_the_report", told and int(told[1]) > 0, report)


@test
def refused_mappings(t):
    """Only those that wanted memory: a place that is taken, or a size that it has already, is none."""
    for how, env in ("", {}), ("__by_system_calls", {"MEMPROBE_VM": "calls"}):
        with Target("refused", "0", "maps") as target:
            with Memprobe("-P", "vm", "-d", 0, "-f", "json", "-p", target.pid, env=env) as m:
                m.armed()
                truth = target.ask("map")
                m.stop()
                processes = [p for p in map(json.loads, m.stdout.splitlines()) if p["type"] == "process"]
        t.equal(f"refused_mappings__are_those_that_wanted_memory{how}", [str(p.get("refused_mappings")) for p in processes],
                [str(truth.values["refused"])])


@test
def what_was_not_seen(t):
    """memprobe stands still while the target maps more than the event buffer holds; /proc/PID/maps puts it right, in part."""
    rounds, kept = 20, 4 << 20
    with tempfile.TemporaryDirectory() as d, Target("page_rounds") as target:
        files = {k: os.path.join(d, "run." + k) for k in ("jsonl", "txt", "folded")}
        with Memprobe("-P", "vm", "-d", 0, "--max-memory", "8M", "-p", target.pid, *(a for f in files.values() for a in ("-o", f)),
                      auto=True) as m:
            m.armed()
            target.ask("go")
            m.process.send_signal(signal.SIGSTOP)
            for _ in range(rounds):
                target.ask("go")
            target.ask("drop")
            m.process.send_signal(signal.SIGCONT)
            m.stop()
            error = m.stderr
        target.exit()
        text = {k: open(f).read() for k, f in files.items()}
    lost = {x["name"]: x["events"] for x in map(json.loads, text["jsonl"].splitlines()) if x["type"] == "loss"}
    live = sum(int(line.rsplit(" ", 1)[1]) for line in text["folded"].splitlines() if ";touch" in line)
    t.true("calls_that_the_event_buffer_had_no_room_for__are_counted", lost.get("vm_unsent", 0) > 0, f"{lost}\n{error}")
    t.true("mappings_that_ended_unseen__are_put_right_and_counted", lost.get("vm_missed", 0) > 0, f"{lost}\n{error}")
    for kind in "vm_unsent", "vm_missed":
        t.true(f"{kind}__is_in_the_report", f"lost: {kind} {lost.get(kind)}" in text["txt"], text["txt"])
    t.between("what_is_counted_as_mapped__is_no_more_than_there_is", live, 0, rounds * kept)


if __name__ == "__main__":
    main()
