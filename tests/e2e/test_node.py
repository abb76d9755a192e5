#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
JavaScript functions and lines of a living node without any flag, against what Error().stack says in the same
place.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import HERE, ROOT, Memprobe, Skip, Talk, main, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from formats_file import JsonLines # noqa: E402

PROGRAM = os.path.join(HERE, "targets", "keeps.js")
SITE = re.compile(r"at (?:(?P<name>\S+) (?:\[as \S+\] )?)?\(?(?P<file>[^\s(]*?):(?P<line>\d+):\d+\)?$")


def line_with(text):
    with open(PROGRAM) as f:
        return next(n for n, line in enumerate(f, 1) if text in line)


class Node(Talk):
    def __init__(self, *args):
        node = shutil.which("node")
        if not node:
            raise Skip("needs node")
        super().__init__(subprocess.Popen([node, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(timeout=20)

    def tell(self, word):
        self.say(word)
        return json.loads(self.line())


def profile(node, *options):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 4, "-p", node.process.pid, "-o", path, *options) as m:
            m.wait()
            assert m.status == 0, m.stderr
        with open(path, "rb") as f:
            return JsonLines(f.read()).snapshots[-1]


def managed(snapshot, stack):
    """(function, file, line) of the JavaScript frames, innermost first."""
    frames = {f["id"]: f for f in snapshot["frame"]}
    return [(frames[n]["name"], frames[n].get("file", ""), frames[n].get("line", 0))
            for n in reversed(stack["frames"]) if frames[n].get("managed")]


@test
def lines_of_javascript(t):
    with Node(PROGRAM, "100") as node:
        assert node.line() == "ready"
        before = node.tell("count")["kept"]
        snapshot = profile(node)
        kept = node.tell("count")["kept"] - before
        said = node.tell("stack")
    top = max(snapshot["stack"], key=lambda s: s["live_bytes"])
    frames = managed(snapshot, top)
    ours = [(name, line) for name, file, line in frames if file == PROGRAM]
    # in compiled code the line is the function's own, in interpreted code the call's
    t.true("the_kept_buffers_stack__begins_at_the_line_or_the_function_that_keeps_them", ours and ours[0] in (
        ("keepBuffer", line_with("line of the leak")), ("keepBuffer", line_with("function keepBuffer"))), ours)
    calls = [(m.group("name").split(".")[-1], int(m.group("line"))) for m in map(SITE.search, said.split("\n")[1:])
             if m and m.group("file") == PROGRAM]
    begins = {"handle": line_with("const handle"), "tick": line_with("function tick")}
    t.equal("outer_functions__are_those_of_error_stack", [name for name, _ in ours[1:]], [name for name, _ in calls[1:]])
    t.true("their_lines__are_of_the_call_or_of_the_function", all(
        line in (call, begins[name]) for (name, line), (_, call) in zip(ours[1:], calls[1:])), (ours, calls))
    t.true("node's_own_javascript__is_the_runtime's",
           any(name == "processTimers" and file.startswith("node:") for name, file, _ in frames), frames)
    t.between("the_bytes__are_those_of_the_buffers_kept_meanwhile", top["live_bytes"] / 20000, kept * 0.5, kept)
    t.true("the_process__says_which_runtime_it_is",
           snapshot["process"][0].get("runtime", "").startswith("V8 "), snapshot["process"][0])
    share = sum(s["alloc_blocks"] for s in snapshot["stack"] if managed(snapshot, s))
    through = sum(s["alloc_blocks"] for s in snapshot["stack"] if passes_javascript(snapshot, s))
    t.true("of_the_allocations_below_javascript__99_in_100_have_a_frame_with_a_name", share >= 0.99 * through > 0,
           f"{share} of {through}")


def passes_javascript(snapshot, stack):
    """V8 was in JavaScript: its entry into it is in the stack."""
    frames = {f["id"]: f["name"] for f in snapshot["frame"]}
    return any(frames[n].startswith("Builtins_JSEntryTrampoline") for n in stack["frames"])


if __name__ == "__main__":
    main()
