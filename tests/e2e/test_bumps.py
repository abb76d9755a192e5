#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
What a runtime hands out of a heap of its own by moving a pointer: counted to the byte, by a program of the kernel side that is loaded
only when a process has such a heap, now or later. By a stand-in for V8, so that it runs where no node is.
"""
import subprocess
import time

from harness import Memprobe, Target, Talk, build, main, test
from interpreters import JsonLines

LOADED = "program heap_bump"
PATIENCE_S = 120 # an emulated processor verifies for long


def handed_out(snapshot):
    """function -> bytes"""
    frames = {f["id"]: f["name"] for f in snapshot["frame"]}
    found = {}
    for s in snapshot["stack"]:
        for name in ("s_wide", "s_narrow"):
            if s.get("runtime_alloc_bytes") and any(frames[n] == name for n in s["frames"]):
                found[name] = found.get(name, 0) + s["runtime_alloc_bytes"]
    return found


@test
def from_the_start(t):
    with Target("bumps") as target, Memprobe("-v", "-d", 0, "-p", target.pid, "--json") as m:
        m.wait_for("memprobe: armed:", PATIENCE_S)
        truth = target.ask("go")
        m.stop()
        counted, loads = handed_out(JsonLines(m.stdout.encode()).snapshots[-1]), m.stderr.count(LOADED)
    t.equal("what_a_runtime_says_that_it_handed_out__is_counted_to_the_byte_by_function", counted,
            {name: site.alloc_bytes for name, site in truth.sites.items()})
    t.equal("the_program_for_it__is_loaded_once", loads, 1)


@test
def of_a_process_that_comes_later(t):
    shell = Talk(subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    with Memprobe("-v", "-d", 0, "-i", 0.2, "-p", shell.process.pid, "--json") as m:
        m.wait_for("memprobe: armed:", PATIENCE_S)
        before = m.stderr.count(LOADED)
        shell.say(build("bumps"))
        shell.line() # it lives
        end = time.monotonic() + PATIENCE_S
        while "runtime_alloc_bytes" not in m.stdout and time.monotonic() < end:
            shell.ask("go")
            time.sleep(0.1)
        m.stop() # before, the last snapshot may be half written
        seen, loads = handed_out(JsonLines(m.stdout.encode()).snapshots[-1]), m.stderr.count(LOADED)
    shell.process.stdin.close()
    shell.process.wait(timeout=20)
    shell.process.stdout.close()
    t.equal("no_process_with_such_a_heap__the_program_is_not_loaded", before, 0)
    t.equal("one_comes__it_is_loaded_once", loads, 1)
    t.true("what_one_that_came_later_hands_out__is_counted", "s_narrow" in seen or "s_wide" in seen, seen)


if __name__ == "__main__":
    main()
