#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Code that is mapped while the run goes on."""
import os
import shutil
import tempfile

from harness import build, has_function, main, measure, sum_of, test


@test
def dlopened(t):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "libtest.so.1")
        shutil.copy(build("library"), path)
        truth, results, runs = measure("dlopener", path)
        t.sites({"s_library": "code_opened_during_the_run__has_its_bytes_and_name"}, truth, results)
        stacks = results["live-bytes"]
        later = [f for f, _ in stacks if has_function(f, "s_later")]
        t.equal("code_opened_a_second_ago__has_stacks_that_reach_main",
                sum_of([(f, v) for f, v in stacks if has_function(f, "main")], "s_later"),
                truth["live-bytes"].values["later_bytes"])
        t.true("code_opened_a_second_ago__is_called_by_the_program",
               later and all(has_function(f, "s_library") for f in later), f"{later}")
        t.equal("stacks_through_code_that_was_just_opened__reach_main_or_say_that_they_are_cut",
                [f for f, _ in stacks if has_function(f, "s_library") and
                 not has_function(f, "main") and not f[1].startswith("[")], [])
        for metric, stacks in results.items():
            t.true(f"one_object_opened_during_the_run__costs_at_most_one_incomplete_stack_that_names_it_in_{metric}",
                   [f[1] for f, _ in stacks if f[1].startswith("[")] in
                   ([], ["[truncated: code mapped just before in libtest.so.1]"]), f"{[f for f, _ in stacks]}")
        for run in runs:
            t.no_loss("code_opened_during_the_run__loses_nothing", run)


if __name__ == "__main__":
    main()
