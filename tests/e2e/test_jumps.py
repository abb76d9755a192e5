#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Control flow that skips returns, deep recursion, tail calls, user-level stacks."""
from harness import Target, has_function, main, measure, test


@test
def jumps(t):
    truth, results, runs = measure("jumps")
    t.sites({
        "s_jumped": "longjmp_out_of_callers__loses_no_block",
        "s_after_jumps": "allocations_after_longjmp__are_exact",
        "s_handler": "a_signal_handler_on_its_own_stack__is_counted",
        "s_deep": "a_recursion_of_300_frames__has_its_bytes",
    }, truth, results)
    for metric in ("live-bytes", "live-blocks"):
        got = sum(v for f, v in results[metric] if has_function(f, "s_interrupted")
                  and not has_function(f, "s_alarm"))
        t.equal(f"a_loop_interrupted_by_a_handler_that_allocates__is_exact_in_{metric}", got,
                truth[metric].of("s_interrupted", metric))
        t.true("the_jumps_target__was_interrupted", truth[metric].values["alarms"] > 10,
               f"{truth[metric].values}")
    deep = [f for f, _ in results["live-bytes"] if has_function(f, "s_deep")]
    t.true("a_recursion_of_300_frames__shows_its_innermost_frames",
           deep and all(f[-1] in ("malloc", "s_deep") and "s_deep" in f[-2:] for f in deep), f"{deep}")
    t.true("a_cut_stack__says_so",
           deep and all(any(x.startswith("[") for x in f[:4]) or has_function(f, "main")
                        for f in deep), f"{[f[:4] for f in deep]}")
    for run in runs:
        t.equal("a_run_over_jumps__ends_with_0", run.status, 0)


@test
def tail_calls(t):
    truth, results, runs = measure("tailcalls")
    t.sites({
        "s_wrapped": "two_wrappers_that_jump_to_malloc_and_free__are_one_event_each",
        "s_rewrapped": "reallocarray_that_jumps_to_realloc__is_one_event",
    }, truth, results)
    for run in runs:
        t.no_loss("tail_calls__lose_nothing", run)


@test
def coroutines(t):
    with Target("contexts") as alone:
        want = alone.ask("go").values["checksum"]
        alone.exit()
    truth, results, runs = measure("contexts")
    t.sites({"s_coroutine": "coroutines_that_switch_between_allocations__are_exact"}, truth, results)
    for metric in results:
        t.equal("coroutines__compute_the_same_while_profiled", truth[metric].values["checksum"],
                want)
    for run in runs:
        t.no_loss("coroutines__lose_nothing", run)


if __name__ == "__main__":
    main()
