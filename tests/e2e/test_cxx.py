#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C++: operator new in all forms, exceptions."""
from harness import has_function, is_frame_of, main, measure, sum_of, test


def follows(frames, *functions):
    """Are these functions in the stack, in this order from the root?"""
    at = 0
    for function in functions:
        while at < len(frames) and not is_frame_of(frames[at], function):
            at += 1
        if at == len(frames):
            return False
        at += 1
    return True


@test
def operator_new(t):
    truth, results, runs = measure("cxx")
    t.sites({
        "leaky": "M3_a_leaking_function_that_calls_new__has_its_bytes",
        "s_new": "operator_new__is_counted_once",
        "s_new_array": "operator_new_array__is_counted_once",
        "s_new_nothrow": "nothrow_new__is_counted_once",
        "s_new_aligned": "aligned_new__is_counted_once",
        "s_new_sized": "sized_delete__frees",
        "s_after_exceptions": "allocations_after_exceptions__are_exact",
    }, truth, results)
    for metric in ("live-bytes", "live-blocks"):
        at = 0 if metric == "live-bytes" else 1
        for site, name in (("s_new_throws", "a_new_that_throws__is_no_block"),
                           ("s_exception_holder", "a_block_freed_by_unwinding__is_gone")):
            t.equal(f"{name}_in_{metric}", sum_of(results[metric], site),
                    truth[metric].live[site][at])
    for metric in results:
        t.equal("bad_alloc__is_caught_3_of_3_while_profiled", truth[metric].values["caught"], 3)
        t.equal("exceptions__are_caught_100_of_100_while_profiled", truth[metric].values["held"],
                100)
    leaks = [f for f, _ in results["live-bytes"] if has_function(f, "leaky")]
    t.true("M3_the_stack_of_a_leak_by_new__is_main_caller_fn_leaky_operator_new",
           leaks and all(follows(f, "main", "caller_fn", "leaky", "operator new") for f in leaks),
           f"{leaks}")
    for run in runs:
        t.true("a_run_over_exceptions__prints_its_losses", run.losses() is not None, run.stderr)


if __name__ == "__main__":
    main()
