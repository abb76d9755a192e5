#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's frame-pointer walk, which is taken where the verifier refuses the walk by unwind tables."""
import os
import tempfile

from harness import METRICS, Memprobe, Target, build, is_frame_of, main, parse_folded, sum_of, test

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


@test
def refused_by_the_verifier(t):
    """Chosen by memprobe itself: a preloaded library stands for a verifier that finds the table walk too large."""
    with Target("frame_pointers") as process, tempfile.TemporaryDirectory() as d:
        folded, report = os.path.join(d, "out.folded"), os.path.join(d, "out.txt")
        with Memprobe("-v", "-d", 0, "-m", "live-bytes", "-p", process.pid, "-o", folded, "-o", report,
                      env={"LD_PRELOAD": build("refuse_tables")}) as m:
            m.armed()
            truth = process.ask("go")
            m.stop()
            process.exit()
            stacks, text = parse_folded(open(folded).read()), open(report).read()
            t.equal("where_the_verifier_refuses_the_table_walk__all_forms_of_it_are_tried",
                    m.stderr.count("load: table walk"), 3)
            t.true("where_the_verifier_refuses_the_table_walk__the_frame_pointer_walk_is_loaded",
                   ", frame pointers" in m.stderr and m.status == 0, f"{m.status} {m.stderr}")
            t.true("where_the_verifier_refuses_the_table_walk__the_report_says_which_was_used",
                   ", frame pointers)" in text and "stacks by frame pointers: may be short or wrong" in text, text)
            for site, function in (("s_kept", "malloc"), ("s_grown", "realloc")):
                t.equal(f"where_the_verifier_refuses_the_table_walk__the_bytes_of_{site}_are_the_same",
                        sum_of(stacks, site), truth.of(site, "live-bytes"))
                found = [f for f, _ in stacks if any(is_frame_of(x, site) for x in f)]
                t.true(f"where_the_verifier_refuses_the_table_walk__{site}_has_its_callers",
                       found and all(has_callers(f, *CALLERS, site, function) for f in found), f"{found}")
            t.equal("where_the_verifier_refuses_the_table_walk__nothing_is_lost", m.losses(), 0)


if __name__ == "__main__":
    main()
