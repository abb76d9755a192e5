#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Functions that only one allocator has; allocators opened by dlopen; two allocators in one process."""
from harness import Skip, main, measure, sum_of, test
from variants import library, prefixed_jemalloc, variant

METRICS = ("live-bytes", "alloc-blocks")


def check(t, what, program, *args, lost=0, env=None, metrics=METRICS):
    """Every site that the program tells, and the losses."""
    truth, results, runs = measure(program, *args, metrics=metrics, env=env)
    names = list(truth["live-bytes"].sites)
    t.true(f"{what}__the_program_told_its_sites", len(names) > 4, f"{names}")
    t.sites({site: f"{what}__{site[2:]}_is_exact" for site in names}, truth, results)
    for run in runs:
        t.equal(f"{what}__{lost or 'nothing'}_is_lost", run.losses(), lost)
    return truth, results, runs


@test
def jemalloc_linked(t):
    check(t, "jemalloc", variant("api_jemalloc", "api_jemalloc.c", "-ljemalloc",
                                 needs=["libjemalloc.so"]))


@test
def jemalloc_prefixed(t):
    for prefix in ("_rjem_", "je_"):
        archive = prefixed_jemalloc(prefix)
        program = variant(f"api_{prefix}jemalloc", "api_jemalloc.c", f"-DPREFIX={prefix}", archive,
                          "-lm", "-lstdc++", "-ldl", inputs=[archive])
        check(t, f"{prefix}jemalloc_next_to_glibc", program)


@test
def tcmalloc(t):
    check(t, "tcmalloc", variant("api_tcmalloc", "api_tcmalloc.c", "-ltcmalloc_minimal",
                                 needs=["libtcmalloc_minimal.so"]))
    check(t, "tcmalloc_archive",
          variant("api_tcmalloc_archive", "api_tcmalloc.c", "-l:libtcmalloc_minimal.a", "-lstdc++",
                  "-lm", needs=["libtcmalloc_minimal.a"]))


def mimalloc_program():
    return variant("api_mimalloc", "api_mimalloc.c", "-lmimalloc", needs=["libmimalloc.so"])


@test
def mimalloc(t):
    check(t, "mimalloc", mimalloc_program())


@test
def mimalloc_heap_destroyed(t):
    truth, results, runs = check(t, "mimalloc_with_a_heap_destroyed", mimalloc_program(), "destroy",
                                 lost=1)
    got = sum_of(results["live-bytes"], "s_destroyed")
    t.equal("a_destroyed_heap__stays_in_live_and_is_a_loss", got,
            truth["live-bytes"].of("s_destroyed", "live-bytes"))
    for run in runs:
        t.true("a_destroyed_heap__is_named_in_the_losses", "heaps destroyed" in run.stderr,
               run.stderr)


# jemalloc's thread-local storage must fit what the loader keeps free
ROOM = {"GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=16384"}
OPENED = [("libjemalloc.so.2", ""), ("libmimalloc.so.2", "mi_"), ("libtcmalloc_minimal.so.4", "tc_")]


@test
def through_dlsym(t):
    program = variant("through_dlsym", "through_dlsym.c", "-ldl")
    for name, prefix in OPENED:
        what = name.split(".")[0]
        try:
            path = library(name)
        except Skip as why:
            t.skip(f"{what}_through_dlsym__is_exact", why)
            continue
        check(t, f"{what}_through_dlsym", program, path, prefix, env=ROOM)
        check(t, f"{what}_opened_during_the_run", program, path, prefix, "later",
              env=ROOM, metrics=("live-bytes",))


if __name__ == "__main__":
    main()
