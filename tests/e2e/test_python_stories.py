#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Python programs that keep a part of each request: a table of small objects, seen by the census; large buffers and the
blocks of C code, seen by their line. Against the number of requests that they served.
"""
import os
import tempfile

from harness import Memprobe, main, test
from interpreters import TARGETS, Program, census, last_snapshot, line_with, pythons

FILE = os.path.join(TARGETS, "stories.py")
SERVED = 300


def managed_lines(snapshot, stack):
    frames = {f["id"]: f for f in snapshot["frame"]}
    return [(f["file"], f["line"]) for f in (frames[n] for n in reversed(stack["frames"])) if f.get("managed")]


def serve(program, *args):
    """The heap's stacks of SERVED requests, those that hold most first."""
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 0, "-p", program.process.pid, "-o", out, *args) as m:
            m.armed()
            program.tell(f"serve {SERVED}")
            m.stop()
        snapshot = last_snapshot(out)
    return snapshot, sorted(snapshot["stack"], key=lambda s: -s["live_bytes"])


@test
def login_table(t):
    for who, path in pythons().items():
        with Program(path, FILE, "logins", "200") as program:
            before = program.tell("count")["served"]
            rows, text = census(program, 2)
            served = program.tell("count")["served"] - before
        grown = {name: n for name, n, _ in rows}
        t.true(f"{who}__what_the_table_keeps_grows_first", {r[0] for r in rows[:2]} == {"dict", "list"}, text)
        for name in "dict", "list":
            t.between(f"{who}__one_{name}_of_each_request", grown.get(name, 0), 0.2 * served, served + 5)
        t.true(f"{who}__nothing_of_the_encoder_grows", not any("ncoder" in r[0] and r[1] > 2 for r in rows), text)


@test
def uploads(t):
    line, churn = line_with("stories.py", "# line of the upload"), line_with("stories.py", "# line of the churn")
    for who, path in pythons().items():
        with Program(path, FILE, "uploads", "0") as program:
            snapshot, stacks = serve(program)
        t.equal(f"{who}__the_line_of_the_uploads_is_first", managed_lines(snapshot, stacks[0])[:1], [(FILE, line)])
        # an empty byte is behind each
        t.equal(f"{who}__it_holds_what_was_uploaded", (stacks[0]["live_blocks"], stacks[0]["live_bytes"]), (SERVED, SERVED * 20481))
        t.equal(f"{who}__all_of_it_is_retained", stacks[0]["live_bytes"], stacks[0]["alloc_bytes"])
        made = [s for s in stacks if managed_lines(snapshot, s)[:1] == [(FILE, churn)]]
        t.true(f"{who}__the_churn_makes_more", sum(s["alloc_bytes"] for s in made) > stacks[0]["alloc_bytes"], made)
        t.true(f"{who}__and_keeps_less_than_1_in_100", sum(s["live_bytes"] for s in made) < 0.01 * sum(s["alloc_bytes"] for s in made), made)


@test
def native_code(t):
    line = line_with("stories.py", "# line of the call into C")
    for who, path in pythons().items():
        with Program(path, FILE, "native", "0") as program:
            snapshot, stacks = serve(program)
        frames = {f["id"]: f for f in snapshot["frame"]}
        inner = [frames[n] for n in reversed(stacks[0]["frames"])]
        first = next((n for n, f in enumerate(inner) if f.get("managed")), 0)
        t.equal(f"{who}__what_C_code_keeps_is_at_the_line_that_calls_it", (managed_lines(snapshot, stacks[0])[:1], stacks[0]["live_bytes"]),
                ([(FILE, line)], SERVED * 5003))
        modules = [f.get("module", "") for f in inner[:first]]
        t.true(f"{who}__the_frames_of_C_stand_below_it", any("ctypes" in m for m in modules) and inner[0]["name"] == "malloc",
               [f["name"] for f in inner])


if __name__ == "__main__":
    main()
