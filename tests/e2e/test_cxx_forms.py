#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The eight forms of operator new with the twelve of operator delete, under every allocator; and that
each of them, thrown while it is probed, is caught.
"""
from harness import Skip, has_function, main, measure, test
from variants import library, variant

FORMS = ("s_new", "s_new_array", "s_new_nothrow", "s_new_array_nothrow", "s_new_aligned",
         "s_new_array_aligned", "s_new_aligned_nothrow", "s_new_array_aligned_nothrow")
THROWN = 12
AFTER = 37

GLIBC = {
    "libstdc++": [],
    "libstdc++_in_a_static_program": ["-static"],
    "libstdc++_linked_statically": ["-static-libstdc++", "-static-libgcc"],
}
LINKED = {
    "jemalloc_linked": (["-ljemalloc"], ["libjemalloc.so"]),
    "jemalloc_archive": (["-l:libjemalloc.a", "-lm", "-ldl"], ["libjemalloc.a"]),
    "jemalloc_all_static": (["-static", "-ljemalloc", "-lm"], ["libjemalloc.a"]),
    "tcmalloc_linked": (["-ltcmalloc_minimal"], ["libtcmalloc_minimal.so"]),
    "tcmalloc_archive": (["-l:libtcmalloc_minimal.a", "-lm"], ["libtcmalloc_minimal.a"]),
    "mimalloc_linked": (["-lmimalloc"], ["libmimalloc.so"]),
}
PRELOADED = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2")


def blocks_of(stacks, site):
    """Without what exceptions and their unwinder allocate for themselves."""
    return sum(value for frames, value in stacks if has_function(frames, site)
               and not any(f.startswith(("__cxa_", "_Unwind_")) for f in frames))


def check(t, what, program, env=None, bypasses=True):
    """bypasses: operator new does not call malloc there."""
    aborts = "mimalloc" in what # where a throwing new finds no memory, also unprofiled
    args = ["nothrow"] if aborts else []
    truth, results, runs = measure(program, *args, metrics=("live-bytes", "alloc-blocks"), env=env)
    t.sites({site: f"{what}__{site[2:]}_is_counted_once" for site in FORMS}, truth, results)
    if not bypasses or aborts:
        t.sites({"s_after": f"{what}__allocations_after_exceptions_are_exact"}, truth, results)
    for metric in results:
        t.equal(f"{what}__failed_calls_make_no_block_in_{metric}",
                (blocks_of(results[metric], "s_null"), blocks_of(results[metric], "s_throws")), (0, 0))
        t.equal(f"{what}__nothrow_forms_return_null_while_profiled", truth[metric].values["nulls"], 4)
        t.equal(f"{what}__stacks_of_{metric}_reach_main",
                [";".join(f) for f, _ in results[metric]
                 if has_function(f[1:], "s_new") and not has_function(f, "main")], [])
        if aborts:
            continue
        for why in ("size", "limit"):
            t.equal(f"{what}__a_new_that_throws_for_its_{why}_is_caught_while_profiled",
                    truth[metric].values[f"caught_{why}"], THROWN)
    for run in runs:
        if not bypasses or aborts:
            t.no_loss(f"{what}__nothing_is_lost", run)
        else: # under a limit a new might throw: not followed, and that is said
            t.true(f"{what}__what_is_not_followed_is_a_loss",
                   run.losses() == AFTER and "operator new not counted" in run.stderr, run.stderr)


def check_each(t, cases):
    for what, make in cases:
        try:
            program, env, bypasses = make()
        except Skip as why:
            t.skip(f"{what}__all_forms_of_new", why)
            continue
        check(t, what, program, env, bypasses)


@test
def shown_by_malloc(t):
    check_each(t, [(what, lambda w=what, f=flags: (variant(f"cxx_{w}", "cxx_forms.cc", *f), None,
                                                  False))
                   for what, flags in GLIBC.items()])


@test
def linked(t):
    check_each(t, [(what, lambda w=what, f=flags, n=needs:
                    (variant(f"cxx_{w}", "cxx_forms.cc", *f, needs=n), None, True))
                   for what, (flags, needs) in LINKED.items()])


@test
def preloaded(t):
    check_each(t, [(name.split(".")[0] + "_preloaded", lambda n=name:
                    (variant("cxx_libstdc++", "cxx_forms.cc"), {"LD_PRELOAD": library(n)}, True))
                   for name in PRELOADED])


if __name__ == "__main__":
    main()
