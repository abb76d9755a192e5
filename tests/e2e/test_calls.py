#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Every allocation function of the C library, to the byte, in all four metrics."""
from harness import has_function, main, measure, sum_of, test

CALLS = {
    "s_malloc": "malloc__bytes_and_blocks_equal_the_truth",
    "s_calloc": "calloc__counts_number_times_size",
    "s_reallocarray": "reallocarray__is_one_event_with_number_times_size",
    "s_posix_memalign": "posix_memalign__is_read_from_memory",
    "s_aligned_alloc": "aligned_alloc__counts_its_second_argument",
    "s_memalign": "memalign__counts_its_second_argument",
    "s_valloc": "valloc__counts_what_was_requested_not_pages",
    "s_pvalloc": "pvalloc__counts_what_was_requested_not_pages",
    "s_malloc_zero": "malloc_of_zero_bytes__is_a_block_of_no_bytes",
    "s_malloc_fail": "a_failed_malloc__is_no_block",
    "s_calloc_fail": "a_failed_calloc__is_no_block",
    "s_calloc_overflow": "a_calloc_that_overflows__is_no_block",
    "s_reallocarray_fail": "a_reallocarray_that_overflows__keeps_the_old_block",
    "s_memalign_fail": "M5_posix_memalign_with_a_bad_alignment__is_no_block",
    "s_memalign_nomem": "posix_memalign_without_memory__is_no_block",
    "s_realloc_null": "realloc_of_null__is_malloc",
    "s_realloc_grow": "a_growing_realloc__is_one_block_of_the_new_size",
    "s_realloc_shrink": "a_shrinking_realloc__is_one_block_of_the_new_size",
    "s_realloc_origin": "a_reallocated_block__leaves_the_stack_that_made_it",
    "s_realloc_taker": "a_reallocated_block__belongs_to_the_stack_of_the_realloc",
    "s_realloc_kept": "M6_a_failed_realloc__keeps_the_old_block_and_its_stack",
    "s_realloc_failing": "M6_a_failed_realloc__charges_nothing_to_its_own_stack",
    "s_realloc_zero": "realloc_to_zero__frees",
    "s_realloc_zeroer": "realloc_to_zero__makes_no_block",
    "s_realloc_old": "a_realloc_of_a_block_from_before_the_attach__is_a_new_block",
    "s_realloc_mmap_chain": "M1c_realloc_through_mmap_and_mremap__is_one_chain",
    "s_malloc_1m": "M1_malloc_of_1_MiB__is_counted_once_at_its_caller",
    "s_malloc_64m": "malloc_of_64_MiB__is_counted_once_at_its_caller",
    "s_calloc_300k": "M1b_calloc_by_mmap__is_counted_once_at_its_caller",
    "s_mmap_churn": "M1c_mapped_blocks_that_are_freed__are_gone",
    "s_raised_threshold": "M1b_megabytes_from_the_heap_by_brk__are_counted_once",
    "s_free_elsewhere": "a_block_freed_by_another_function__is_gone",
    "s_freer": "free__is_no_allocation_and_free_of_null_is_nothing",
    "s_vector": "a_vector_grown_1000_times__is_one_block",
}


@test
def every_allocation_function(t):
    truth, results, runs = measure("calls")
    t.sites(CALLS, truth, results)
    for metric, stacks in results.items():
        other = [";".join(frames) for frames, _ in stacks
                 if not any(has_function(frames, site) for site in CALLS)]
        t.equal(f"all_of_{metric}__belongs_to_a_known_caller", other, [])
        cut = [";".join(frames) for frames, _ in stacks if not has_function(frames, "main")]
        t.equal(f"each_stack_of_{metric}__reaches_main", cut, [])
    for run in runs:
        t.no_loss("a_run_of_all_allocation_functions__says_that_it_lost_nothing", run)
        t.equal("a_run_ended_by_SIGINT__exits_with_0", run.status, 0)


@test
def leaf_frames(t):
    _, results, _ = measure("calls", metrics=("live-bytes",))
    stacks = results["live-bytes"]
    for function in ("malloc", "calloc", "posix_memalign", "realloc"):
        site = f"s_{function}" if function != "realloc" else "s_realloc_null"
        leaves = {frames[-1] for frames, _ in stacks if has_function(frames, site)}
        t.true(f"the_leaf_of_an_allocation__is_{function}_below_its_caller",
               leaves == {function} or leaves == {site}, f"leaves of {site}: {leaves}")
    big = [frames for frames, _ in stacks if has_function(frames, "s_malloc_64m")]
    t.true("a_mapped_block__has_no_mmap_frame_of_its_own_and_one_stack", len(big) == 1 and
           sum_of(stacks, "mmap") == 0, f"{big}")


if __name__ == "__main__":
    main()
