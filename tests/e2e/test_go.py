#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Go: no return probe in its text, as its runtime moves stacks by the return addresses on them."""
from harness import Memprobe, Target, main, measure, run, sum_of, test
from interpreters import go_program
from variants import run_tool, variant


@test
def stand_in(t):
    program = variant("looks_like_go", "looks_like_go.c")
    t.true("the_stand_in__is_recognised_by_its_build_info",
           ".go.buildinfo" in run_tool("readelf", "-SW", program))
    truth, results, runs = measure(program, metrics=("live-bytes", "alloc-blocks"))
    t.sites({"s_c": "malloc_next_to_Go_code__is_exact",
             "s_c_realloc": "realloc_next_to_Go_code__is_exact"}, truth, results)
    for metric, stacks in results.items():
        t.equal(f"return_addresses_in_Go_code__are_left_alone_for_{metric}",
                truth[metric].values["hijacked"], 0)
        t.equal(f"an_allocator_in_Go_code__is_not_counted_in_{metric}",
                (sum_of(stacks, "s_go"), sum_of(stacks, "s_go_realloc")), (0, 0))
    t.equal("the_stand_in__looked_at_its_return_addresses", truth["live-bytes"].values["calls"],
            2 * 101 - 67 + 4 * 101 - 67)
    for one in runs:
        t.no_loss("a_run_over_Go_code__loses_nothing", one)


@test
def goroutines(t):
    program = go_program("goroutines", "goroutines.go")
    other = variant("family_glibc", "malloc_family.c")
    with Target(program) as target, Target(other) as with_malloc:
        ended = run("-d", 1, "-p", target.pid)
        t.equal("a_Go_program_without_C__exits_with_4", ended.status, 4)
        with Memprobe("-d", 0, "-p", f"{target.pid},{with_malloc.pid}") as m:
            m.armed()
            truth = target.ask("go", timeout_s=30)
            m.stop()
        t.equal("a_Go_program__computes_the_same_while_profiled", truth.values["sum"], 20 * 20 * 2000)


if __name__ == "__main__":
    main()
