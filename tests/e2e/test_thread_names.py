#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""--threads: what each name of a thread holds; without it, one stack for all of them. The pprof label by go tool pprof."""
import os
import shutil
import subprocess
import tempfile

from harness import Memprobe, Target, main, sum_of, test

NAMES = {"alpha": "alpha", "beta_two": "beta two", "twin": "twin"}


@test
def folded(t):
    with Target("named") as target, Memprobe("-d", 0, "-p", target.pid, "-f", "folded", "--threads") as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        target.exit()
        held = [(frames, value) for frames, value in m.stacks() if "s_hold" in frames]
        for site, name in NAMES.items():
            mine = [(frames, value) for frames, value in held if frames[1] == f"[thread {name}]"]
            t.equal(f"{site}__holds_what_its_threads_hold", sum(v for _, v in mine), truth.of(site, "live-bytes"))
            t.equal(f"{site}__is_one_stack", len(mine), 1)
        t.equal("all_together__is_all", sum_of(m.stacks(), "s_hold"), 42000)
        t.equal("nothing__is_lost", m.losses(), 0)


@test
def without(t):
    with Target("named") as target, Memprobe("-d", 0, "-p", target.pid, "-f", "folded") as m:
        m.armed()
        target.ask("go")
        m.stop()
        target.exit()
        held = [(frames, value) for frames, value in m.stacks() if "s_hold" in frames]
        t.equal("without_threads__there_is_one_stack", [v for _, v in held], [42000])
        t.true("without_threads__no_frame_names_one", "[thread" not in m.stdout, m.stdout)


@test
def pprof(t):
    if not shutil.which("go"):
        t.skip("pprof", "go is not installed")
        return
    with tempfile.TemporaryDirectory() as d, Target("named") as target:
        path = os.path.join(d, "x.pb.gz")
        with Memprobe("-d", 0, "-p", target.pid, "-o", path, "--threads") as m:
            m.armed()
            target.ask("go")
            m.stop()
        target.exit()
        tags = subprocess.run(["go", "tool", "pprof", "-tags", "-sample_index=inuse_space", path], capture_output=True,
                              text=True, timeout=60).stdout
        for name in NAMES.values():
            t.true(f"pprof_has_the_label__{name.replace(' ', '_')}", f": {name}" in tags or f"): {name}" in tags, tags)


if __name__ == "__main__":
    main()
