#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's frame-pointer walk, which is taken where the verifier refuses the walk by unwind tables."""
from harness import METRICS, Memprobe, Target, is_frame_of, main, sum_of, test

WALK = {"MEMPROBE_UNWINDER": "frame-pointers"}
CALLERS = ("main", "outer_fn", "middle_fn", "inner_fn")


def measure(target, metric):
    with Target(target) as process, \
            Memprobe("-d", 0, "-m", metric, "-p", process.pid, env=WALK) as m:
        m.armed()
        truth = process.ask("go")
        m.stop()
        process.exit()
        return truth, m.stacks(), m.stderr, m.losses()


def has_callers(frames, *names):
    """These functions, one calling the next, at the innermost end."""
    return len(frames) >= len(names) and all(
        is_frame_of(f, n) for f, n in zip(frames[-len(names):], names))


@test
def with_frame_pointers(t):
    for metric in METRICS:
        truth, stacks, stderr, lost = measure("frame_pointers", metric)
        t.true(f"the_frame_pointer_walk__is_said_to_be_in_use_in_{metric}",
               "frame pointers" in stderr, stderr)
        t.equal(f"the_frame_pointer_walk__loses_nothing_in_{metric}", lost, 0)
        for site, function in (("s_kept", "malloc"), ("s_grown", "realloc")):
            t.equal(f"the_frame_pointer_walk__has_the_bytes_of_{site}_in_{metric}",
                    sum_of(stacks, site), truth.of(site, metric))
            found = [f for f, _ in stacks if any(is_frame_of(x, site) for x in f)]
            t.true(f"the_frame_pointer_walk__has_every_caller_of_{site}_in_{metric}",
                   found and all(has_callers(f, *CALLERS, site, function) for f in found), f"{found}")


@test
def without_frame_pointers(t):
    """Callers may be missing there; the function that allocates and the bytes may not."""
    truth, stacks, _, lost = measure("calls", "alloc-bytes")
    for site in ("s_malloc", "s_calloc"):
        t.equal(f"code_without_frame_pointers__has_its_bytes_under_{site}", sum_of(stacks, site),
                truth.of(site, "alloc-bytes"))
    t.equal("code_without_frame_pointers__loses_nothing", lost, 0)


if __name__ == "__main__":
    main()
