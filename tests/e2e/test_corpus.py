#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Six programs of the verdict's corpus for a minute, all at the same time, at default options; the whole of it is
`make check-corpus`. What leaks is seen to grow at its rate; what does not is called no leak.
"""
import os
import sys
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus"))

from harness import main, test # pylint: disable=wrong-import-position
from run import BEFORE_ATTACH_S, Run, wait_for # pylint: disable=wrong-import-position
from table import PROGRAMS # pylint: disable=wrong-import-position

NAMES = ("leak/sessions", "leak/strings", "leak/throws", "steady/full-cache", "steady/ttl", "steady/start-up")
SEED, LOAD, WINDOW_S = 11, 2, 60

NO_LEAK = ("FLAT", "LEVELS OFF", "SAW-TOOTH", "SHRINKING", "GROWING", "UNDECIDED")


@test
def minute(t):
    programs = [p for p in PROGRAMS if p.name in NAMES]
    runs = {Run(p, SEED, LOAD, WINDOW_S, slot): p for slot, p in enumerate(programs)}
    t.equal("the_programs__are_in_the_table", len(runs), len(NAMES))
    try:
        time.sleep(BEFORE_ATTACH_S)
        for run in runs:
            run.attach()
        for run in wait_for(runs):
            result, program = run.result(), runs[run]
            name = program.name.replace("/", "_").replace("-", "_")
            if program.is_leak:
                t.true(f"{name}__is_seen_to_grow", result["word"] in ("LEAK", "GROWING"), result)
                # a seed moves it by a fifth; of RSS it comes in pages and without what was kept free
                t.between(f"{name}__has_its_rate", result.get("rate", 0), 0.5 * program.rate, 1.5 * program.rate)
            else:
                t.true(f"{name}__is_no_leak", result["word"] in NO_LEAK, result)
    finally:
        for run in runs:
            run.close()


if __name__ == "__main__":
    main()
