#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Allocators in other places: in the executable, preloaded, or none at all."""
import os
import subprocess

from harness import Memprobe, build, has_function, main, measure, sum_of, test
from test_calls import CALLS

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
NEW = ("leaky", "s_new", "s_new_array", "s_new_nothrow", "s_new_aligned", "s_new_sized",
       "s_after_exceptions")


@test
def static(t):
    truth, results, runs = measure("calls_static", metrics=("live-bytes", "alloc-blocks"))
    t.sites({site: f"M10_statically_linked__{name}" for site, name in CALLS.items()}, truth, results)
    for run in runs:
        t.no_loss("M10_statically_linked__nothing_is_lost", run)


@test
def static_command(t):
    truth, results, runs = measure("calls_static", metrics=("live-bytes",), command=True)
    for site in ("s_malloc", "s_vector", "s_malloc_64m"):
        t.equal(f"M10_a_statically_linked_command__{site}_is_exact",
                sum_of(results["live-bytes"], site), truth["live-bytes"].of(site, "live-bytes"))
    t.equal("M10_a_statically_linked_command__gives_its_status", runs[0].status, 0)


@test
def none(t):
    target = subprocess.Popen([build("noalloc")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    try:
        target.stdout.readline()
        with Memprobe("-d", 1, "-p", target.pid) as m:
            m.wait()
            t.equal("M10_a_program_without_allocator__exits_with_4", m.status, 4)
            t.true("M10_a_program_without_allocator__says_what_was_looked_for",
                   "malloc" in m.stderr and "armed" not in m.stderr, m.stderr)
            t.equal("M10_a_program_without_allocator__has_no_data", m.stdout, "")
    finally:
        target.communicate(b"x")


def preload(t, library, throwing=True):
    path = f"{LIBRARIES}/{library}"
    what = library.split(".")[0]
    if not os.path.exists(path):
        t.skip(f"{what}__operator_new", f"no {path}")
        return
    env = {"LD_PRELOAD": path}
    truth, results, runs = measure("stress", metrics=("live-bytes", "alloc-blocks"), env=env)
    t.sites({"s_stress_malloc": f"{what}__eight_threads_at_full_speed_malloc",
             "s_stress_realloc": f"{what}__eight_threads_at_full_speed_realloc"}, truth, results)
    for run in runs:
        t.no_loss(f"{what}__eight_threads_at_full_speed_lose_nothing", run)
    if not throwing: # it aborts by itself where operator new finds no memory
        return
    truth, results, runs = measure("cxx", metrics=("live-bytes", "alloc-blocks"), env=env)
    # their operator new does not call malloc: what a run cannot follow it says
    not_followed = all("new_not_followed" in run.stderr for run in runs)
    for site in NEW:
        got = {m: sum_of(stacks, site) for m, stacks in results.items()}
        want = {m: truth[m].of(site, m) for m in results}
        t.true(f"{what}__{site}_is_counted_once_or_said_to_be_not_followed",
               got == want or (not_followed and set(got.values()) == {0}),
               f"memprobe {got}, truth {want}")
    for metric in results:
        t.equal(f"{what}__bad_alloc_is_caught_3_of_3_while_profiled",
                truth[metric].values["caught"], 3)
        t.true(f"{what}__stacks_reach_main_in_{metric}",
               all(has_function(f, "main") for f, _ in results[metric] if has_function(f, "leaky")))


@test
def jemalloc(t):
    preload(t, "libjemalloc.so.2")


@test
def tcmalloc(t):
    preload(t, "libtcmalloc_minimal.so.4")


@test
def mimalloc(t):
    preload(t, "libmimalloc.so.2", throwing=False)


if __name__ == "__main__":
    main()
