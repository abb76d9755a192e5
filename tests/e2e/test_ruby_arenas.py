#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
What lies free in the arenas of a Ruby program of several threads, against glibc's own malloc_info, which the program asks for; and
which advice follows by the stated rules: many arenas with holes, whole pages that a trim would give back, and a full heap.
"""
import os
import tempfile

from harness import Memprobe, main, test
from interpreters import TARGETS, Program, last_snapshot, ruby

FILE = os.path.join(TARGETS, "arenas.rb")
MIB = 1 << 20
ARENAS, TRIM = "MALLOC_ARENA_MAX", "malloc_trim(0) would give back"
ADVICE = {"holes": ARENAS, "stretches": TRIM, "none": None}


def look(what):
    """(malloc_info, bridge, bytes by its rows, report): the program rests, and no probe is set."""
    with Program(ruby(), FILE, what) as program, tempfile.TemporaryDirectory() as d:
        out, text = os.path.join(d, "out.jsonl"), os.path.join(d, "out.txt")
        with Memprobe("-P", "none", "-d", 1, "-p", program.process.pid, "-o", out, "-o", text) as m:
            m.wait()
        snapshot, truth = last_snapshot(out), program.tell("info")
        with open(text) as f:
            return truth, snapshot["bridge"][0], {r["row"]: r["now_bytes"] for r in snapshot["memory"]}, f.read()


@test
def free_in_arenas(t):
    for what, advice in ADVICE.items():
        truth, bridge, rows, text = look(what)
        t.true(f"{what}__each_thread_has_an_arena", truth["arenas"] > 6, truth)
        t.equal(f"{what}__arenas_are_as_many_as_malloc_info_says", bridge["arenas"], truth["arenas"])
        free = rows["heap_kept"] - 8 * bridge["before_blocks"] # and what glibc writes before each block
        t.between(f"{what}__free_is_what_malloc_info_says", free, 0.97 * truth["free"] - MIB / 2, 1.03 * truth["free"] + MIB)
        for word in ARENAS, TRIM:
            t.equal(f"{what}__{word.split('(')[0].lower()}_is_advised_where_its_rule_fires_and_nowhere_else", word in text, word == advice)


if __name__ == "__main__":
    main()
