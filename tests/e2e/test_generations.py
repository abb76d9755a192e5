#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Forks and execs take a generation each; those that have ended cost no more than their place in the report."""
import json

from harness import Memprobe, Target, main, test


def share_after(t, name, words):
    """The probes' cost by the work of the target, as memprobe estimates it, after these words; None: not told."""
    with Target("generations", 0) as target, Memprobe("-d", 0, "--json", "-p", target.pid) as m:
        m.armed()
        for word in words:
            target.ask(word)
        m.stop()
        t.equal(f"{name}__ends_with_0", m.status, 0)
        shares = [x["probes_share"] for x in map(json.loads, m.stdout.splitlines()) if "probes_share" in x]
        return shares[-1] if shares else None


@test
def work_of_an_image(t):
    """The CPU time of a PID is the work of the image that it runs now, not once more of each that it ran before."""
    plain = share_after(t, "a_program_that_burns", ("burn",))
    after = share_after(t, "a_program_that_burns_after_15_execs", ("execs", "burn"))
    if not t.true("both_tell_a_share", plain and after, f"{plain} {after}"):
        return
    t.measured("after_15_execs__the_work_of_a_program_counts_once", 0.5 * plain < after < 2 * plain,
               f"{after} of its CPU with execs, {plain} without")


if __name__ == "__main__":
    main()
