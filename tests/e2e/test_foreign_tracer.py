#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Another tracer's return probe below an allocation: the return address in the stack is the kernel's, the caller is known
to that tracer only. The stack ends there and says so; no byte is lost, no frame is wrong.
"""
import os
import subprocess

from harness import BUILD, Memprobe, Skip, Talk, Target, build, has_function, is_frame_of, main, sum_of, test

MARK = "[truncated: another tracer's return probe]"


class Tracer(Talk):
    """foreign_return on one function of a process."""

    def __init__(self, target, function):
        super().__init__(subprocess.Popen([os.path.join(BUILD, "tests/e2e/foreign_return"), str(target.pid),
                                           build("traced"), function],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        if self.process.stdout.readline() != b"armed\n":
            raise Skip("this kernel has no perf return probes")

    def hits(self):
        return int(self.process.communicate(timeout=30)[0])


def run(functions):
    """(hits per function, truth, stacks, memprobe)"""
    with Target("traced") as target:
        tracers = [Tracer(target, f) for f in functions]
        with Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
            hits = [tracer.hits() for tracer in tracers]
            target.exit()
            return hits, truth, m.stacks(), m.losses()


def of_function(stacks, function):
    return [frames[1:] for frames, _ in stacks if has_function(frames, function)]


@test
def below_a_traced_function(t):
    hits, truth, stacks, losses = run(["traced"])
    t.equal("the_other_tracer__sees_each_call", hits, [2 * 53])
    for site in ("s_below", "s_beside", "s_jump"):
        t.equal("another_tracers_return_probe__costs_no_bytes", sum_of(stacks, site), truth.sites[site].live_bytes)
    t.equal("another_tracers_return_probe__loses_nothing", losses, 0)
    found = of_function(stacks, "s_below")
    expected = ["traced", "middle", "s_below", "malloc"]
    t.true("a_stack_through_it__ends_with_it_named",
           found and all(f[0] == MARK and len(f) == 5 and all(map(is_frame_of, f[1:], expected)) for f in found),
           f"{found}")
    found = of_function(stacks, "s_beside")
    t.true("a_stack_beside_it__is_whole",
           found and all(not f[0].startswith("[") and has_function(f, "main") for f in found), f"{found}")


@test
def traced_twice(t):
    hits, truth, stacks, _ = run(["middle", "traced"])
    t.equal("two_tracers__see_each_call", hits, [2 * 53] * 2)
    found = of_function(stacks, "s_below")
    t.true("a_stack_through_two_return_probes__ends_at_the_inner_one",
           found and all(f[0] == MARK and is_frame_of(f[1], "middle") and len(f) == 4 for f in found), f"{found}")
    t.equal("two_return_probes__cost_no_bytes", sum_of(stacks, "s_below"), truth.sites["s_below"].live_bytes)


@test
def jump_to_malloc(t):
    hits, truth, stacks, losses = run(["traced_jump"])
    t.equal("the_other_tracer__sees_each_jump", hits, [53])
    rest = sum(v for _, v in stacks) - sum_of(stacks, "s_below") - sum_of(stacks, "s_beside")
    t.equal("malloc_reached_by_a_jump_from_a_traced_function__has_its_bytes", rest,
            truth.sites["s_jump"].live_bytes)
    found = [f[1:] for f, _ in stacks if not has_function(f, "s_below") and not has_function(f, "s_beside")]
    t.true("malloc_reached_by_a_jump_from_a_traced_function__ends_with_the_probe_named",
           found and all(f[0] == MARK and len(f) == 2 and is_frame_of(f[1], "malloc") for f in found), f"{found}")
    t.equal("a_jump_from_a_traced_function__loses_nothing", losses, 0)


if __name__ == "__main__":
    main()
