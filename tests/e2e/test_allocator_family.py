#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The malloc family of every allocator, linked and preloaded, shared and static, to the byte."""
from harness import Skip, has_function, main, measure, sum_of, test
from variants import library, variant

SITES = {
    "s_malloc": "malloc__counts_its_size",
    "s_calloc": "calloc__counts_number_times_size",
    "s_realloc": "realloc__from_nothing_up_and_down_is_one_block",
    "s_reallocarray": "reallocarray__is_one_event",
    "s_posix_memalign": "posix_memalign__is_read_from_memory",
    "s_aligned_alloc": "aligned_alloc__counts_its_second_argument",
    "s_memalign": "memalign__counts_its_second_argument",
    "s_valloc": "valloc__counts_what_was_asked_for",
    "s_empty": "malloc_of_no_bytes__is_a_block",
    "s_large": "blocks_from_the_kernel__are_counted_once",
    "s_failed": "calls_that_fail__make_no_block",
    "s_kept": "a_realloc_that_fails__keeps_the_block",
    "s_zeroed": "realloc_to_no_bytes__is_counted_as_the_allocator_answers",
    "s_vector": "a_vector_grown_500_times__is_one_block",
    "s_early": "blocks_from_before_the_attach__count_once_they_are_reallocated",
    "s_strdup": "the_C_librarys_own_malloc__is_counted_at_its_caller",
}

# name, flags, what must be there, compiler
LINKED = [
    ("glibc", [], [], "gcc"),
    ("glibc_static", ["-static"], [], "gcc"),
    ("glibc_static_pie", ["-static-pie"], [], "gcc"),
    ("musl", [], [], "musl-gcc"),
    ("musl_static", ["-static"], [], "musl-gcc"),
    ("jemalloc_linked", ["-ljemalloc"], ["libjemalloc.so"], "gcc"),
    ("jemalloc_archive", ["-l:libjemalloc.a", "-lm", "-lstdc++", "-ldl"], ["libjemalloc.a"], "gcc"),
    ("jemalloc_all_static", ["-static", "-ljemalloc", "-lm", "-lstdc++"], ["libjemalloc.a"], "gcc"),
    ("tcmalloc_linked", ["-ltcmalloc_minimal"], ["libtcmalloc_minimal.so"], "gcc"),
    ("tcmalloc_archive", ["-l:libtcmalloc_minimal.a", "-lstdc++", "-lm"],
     ["libtcmalloc_minimal.a"], "gcc"),
    ("mimalloc_linked", ["-lmimalloc"], ["libmimalloc.so"], "gcc"),
]

PRELOADED = ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libmimalloc.so.2"]


def check(t, what, program, env=None):
    truth, results, runs = measure(program, metrics=("live-bytes", "alloc-blocks"), env=env)
    sites = dict(SITES)
    is_musl = what.startswith("musl")
    if is_musl: # it has no unwind tables: its own callers of malloc have no caller
        del sites["s_strdup"]
    t.sites({site: f"{what}__{name}" for site, name in sites.items()}, truth, results)
    for metric, stacks in results.items():
        cut = [(f, value) for f, value in stacks if not has_function(f, "main")]
        want = truth[metric].of("s_strdup", metric) if is_musl else 0
        t.equal(f"{what}__stacks_of_{metric}_reach_main_or_say_that_they_are_cut",
                sum(value for f, value in cut if f[1].startswith("[truncated")), want)
        t.equal(f"{what}__no_other_stack_of_{metric}_is_cut",
                [";".join(f) for f, _ in cut if not f[1].startswith("[truncated")], [])
    for run in runs:
        t.no_loss(f"{what}__nothing_is_lost", run)


@test
def linked(t):
    for what, flags, needs, compiler in LINKED:
        try:
            program = variant(f"family_{what}", "malloc_family.c", *flags, needs=needs, compiler=compiler)
        except Skip as why:
            t.skip(f"{what}__the_malloc_family_is_exact", why)
            continue
        check(t, what, program)


@test
def preloaded(t):
    program = variant("family_glibc", "malloc_family.c")
    for name in PRELOADED:
        what = name.split(".")[0] + "_preloaded"
        try:
            path = library(name)
        except Skip as why:
            t.skip(f"{what}__the_malloc_family_is_exact", why)
            continue
        check(t, what, program, env={"LD_PRELOAD": path})


@test
def commands(t):
    """Started by memprobe: the program's first allocations, by allocators that it brings along."""
    cases = [("static_glibc", ["-static"], [], "gcc"), ("static_musl", ["-static"], [], "musl-gcc"),
             ("musl", [], [], "musl-gcc"), ("jemalloc", ["-ljemalloc"], ["libjemalloc.so"], "gcc")]
    for what, flags, needs, compiler in cases:
        name = f"{what}_in_a_command__is_exact_from_the_first_block"
        try:
            program = variant(f"family_command_{what}", "malloc_family.c", *flags, needs=needs,
                              compiler=compiler)
        except Skip as why:
            t.skip(name, why)
            continue
        truth, results, runs = measure(program, metrics=("live-bytes",), command=True)
        wrong = [site for site in SITES if site not in ("s_early", "s_strdup") and
                 sum_of(results["live-bytes"], site) != truth["live-bytes"].of(site, "live-bytes")]
        t.equal(name, wrong, [])
        # those of main itself, from before the word `go`: all freed or reallocated since
        t.equal(f"{what}_in_a_command__follows_what_came_before_the_first_word",
                sum(value for f, value in results["live-bytes"] if f[-2] == "main"), 0)
        t.equal(f"{what}_in_a_command__gives_its_status", runs[0].status, 0)


if __name__ == "__main__":
    main()
