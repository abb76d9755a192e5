#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Code that is mapped while the run goes on."""
import os
import shutil
import tempfile
import time

from harness import Memprobe, Skip, Target, build, has_function, main, measure, sum_of, test


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


def copy_with_inode(source, path, wanted):
    """As soon as the number comes: other programs make files, too. What it is."""
    for i in range(100):
        shutil.copy(source, f"{path}.{i}")
        if os.stat(f"{path}.{i}").st_ino == wanted:
            break
    os.rename(f"{path}.{i}", path)
    return os.stat(path)


@test
def an_inode_used_again(t):
    """A library without an allocator is looked at and deleted; the next file, with one, has its inode number."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(build("library"))) as d:
        path = os.path.join(d, "libtest.so.1")
        shutil.copy(build("library"), path)
        first = os.stat(path)
        with Target("reopener", path) as target, Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            target.ask("go")
            time.sleep(0.5) # memprobe has looked at it
            target.ask("close")
            os.unlink(path)
            second = copy_with_inode(build("own_malloc"), path, first.st_ino)
            target.ask("open")
            time.sleep(0.5)
            truth = target.ask("allocate")
            m.stop()
            target.exit()
            stacks = m.stacks()
        if (first.st_dev, first.st_ino) != (second.st_dev, second.st_ino):
            raise Skip(f"this file system gave inode {second.st_ino} after {first.st_ino}")
        t.equal("an_allocator_in_a_file_with_a_used_inode_number__is_probed", sum_of(stacks, "s_own"),
                truth.of("s_own", "live-bytes"))


if __name__ == "__main__":
    main()
