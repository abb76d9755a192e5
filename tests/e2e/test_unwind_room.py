#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Too little room for unwind tables: a quarter of --max-memory, 1 MiB at least (about 250 000 rows). What is not in use
gives way; what can never fit is walked by frame pointers, and that is said.
"""
from harness import build, has_function, main, measure, sum_of, test

SMALL = ("--max-memory", "4M")
SAID = "no room for their unwind tables"


def is_marked(frames):
    return frames[1].startswith("[")


def tails(stacks):
    """Frames without the process, innermost first, without memprobe's own."""
    return {tuple(f for f in reversed(frames[1:]) if not f.startswith("[")) for frames, _ in stacks}


@test
def too_big(t):
    truth, results, runs = measure("full_table", options=SMALL)
    t.sites({"s_inner": "a_table_that_never_fits__costs_no_bytes"}, truth, results)
    stacks = results["live-bytes"]
    t.equal("a_table_that_never_fits__costs_no_callers", sum_of(stacks, "s_outer"),
            sum(site.live_bytes for site in truth["live-bytes"].sites.values()))
    t.equal("a_program_with_frame_pointers__has_whole_stacks_without_its_table",
            sorted({tuple(f[2:]) for f, _ in stacks if not has_function(f, "main")}), [])
    for run in runs:
        t.true("a_table_that_never_fits__is_a_loss_that_is_printed", SAID in run.stderr and run.losses() > 0,
               run.stderr)
    truth, results, runs = measure("full_table", metrics=("live-bytes",))
    t.no_loss("the_same_program_with_enough_room__loses_nothing", runs[0])


@test
def too_big_without_frame_pointers(t):
    _, whole, _ = measure("full_table_bare", metrics=("alloc-bytes",))
    truth, cut, runs = measure("full_table_bare", options=SMALL, metrics=("alloc-bytes",))
    t.true("a_table_that_never_fits__is_a_loss_that_is_printed", SAID in runs[0].stderr, runs[0].stderr)
    whole, cut = whole["alloc-bytes"], cut["alloc-bytes"]
    t.equal("a_program_without_frame_pointers_or_table__has_marked_stacks",
            [f for f, _ in cut if has_function(f, "take") and not has_function(f, "main") and not is_marked(f)], [])
    t.true("a_marked_stack__names_the_object_whose_unwind_info_is_missing",
           any(f[1] == "[truncated: no unwind info in full_table_bare]" for f, _ in cut), f"{[f[:2] for f, _ in cut]}")
    known = tails(whole)
    t.equal("what_is_left_of_marked_stacks__is_true",
            [c for c in tails(cut) if not any(c == w[:len(c)] for w in known)], [])
    t.equal("marked_stacks__have_all_bytes", sum_of(cut, "take"),
            sum(site.alloc_bytes for site in truth["alloc-bytes"].sites.values()))


@test
def takes_turns(t):
    libraries = [build(f"big_library_{n}") for n in ("hot", "a", "b")]
    truth, results, runs = measure("big_libraries", *libraries, options=("-v", *SMALL),
                                   metrics=("alloc-blocks",))
    stacks, truth = results["alloc-blocks"], truth["alloc-blocks"]
    for site in ("s_hot", "s_a", "s_b"):
        t.equal("libraries_whose_tables_take_turns__have_all_their_blocks", sum_of(stacks, site),
                truth.sites[site].alloc_blocks)
    t.equal("a_library_in_use__never_gives_way", sum_of([s for s in stacks if is_marked(s[0])], "s_hot"), 0)
    for site in ("s_a", "s_b"):
        marked = sum_of([s for s in stacks if is_marked(s[0])], site)
        t.between("a_library_that_comes_back__is_marked_only_until_its_table_is_there", marked, 0,
                  truth.sites[site].alloc_blocks // 8)
    t.true("a_library_that_was_not_used__gives_way",
           "gives way" in runs[0].stderr and SAID not in runs[0].stderr, runs[0].stderr)


if __name__ == "__main__":
    main()
