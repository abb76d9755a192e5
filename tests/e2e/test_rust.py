#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Rust programs: the system's allocator, jemalloc and mimalloc as their crates call them; panics."""
from harness import has_function, main, measure, sum_of, test
from variants import library, prefixed_jemalloc, rust

SITES = {
    "s_vector": "a_vector__counts_its_capacity",
    "s_zeroed": "zeroed_memory__counts_once",
    "s_boxed": "a_box__counts_its_value",
    "s_aligned": "an_aligned_box__counts_what_was_asked_for",
    "s_grown": "a_vector_that_grows__is_one_block",
    "s_shrunk": "a_vector_that_shrinks__is_one_block_of_the_new_size",
    "s_text": "a_string__counts_its_text",
    "s_thread": "threads__count",
}


def check(t, what, program):
    truth, results, runs = measure(program)
    t.sites({site: f"{what}__{name}" for site, name in SITES.items()}, truth, results)
    for metric in ("live-bytes", "live-blocks"):
        t.equal(f"{what}__what_panics_freed_is_gone_in_{metric}", sum_of(results[metric], "s_panics"), 0)
    for metric in results:
        t.equal(f"{what}__panics_are_caught_while_profiled", truth[metric].values["caught"], 53)
        t.equal(f"{what}__stacks_of_{metric}_reach_main_or_a_threads_begin",
                [";".join(f) for f, _ in results[metric]
                 if not has_function(f, "main") and not has_function(f, "start_thread")], [])
    for run in runs:
        t.no_loss(f"{what}__nothing_is_lost", run)


@test
def system(t):
    check(t, "rust", rust("rust_system", "rust_program.rs"))


@test
def jemalloc(t):
    archive = prefixed_jemalloc("_rjem_")
    check(t, "rust_with_jemalloc",
          rust("rust_jemalloc", "rust_program.rs", "--cfg", "jemalloc", "-C", f"link-arg={archive}",
               "-C", "link-args=-lstdc++ -lm -ldl -lpthread -lc", inputs=[archive]))


@test
def mimalloc(t):
    check(t, "rust_with_mimalloc",
          rust("rust_mimalloc", "rust_program.rs", "--cfg", "mimalloc", "-C",
               f"link-arg={library('libmimalloc.so')}"))


if __name__ == "__main__":
    main()
