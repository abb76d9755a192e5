#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""SIGUSR2 sets a mark: the report tells live heap then, and the growth since."""
import re
import signal

from harness import Memprobe, Target, main, test


@test
def mark(t):
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid, "-f", "report") as m:
        m.armed()
        m.process.send_signal(signal.SIGUSR2)
        m.wait_for("memprobe: mark 1 set")
        truth = target.ask("go")
        m.process.send_signal(signal.SIGUSR2)
        m.wait_for("memprobe: mark 2 set")
        m.stop()
        marks = re.findall(r"^mark (\d)  at [^:]*: (.*) live; since then (.*), ([+-]\d+) blocks$", m.stdout, re.M)
        t.equal("two_marks__are_two_lines", [n for n, *_ in marks], ["1", "2"])
        t.equal("nothing_lived__at_the_first_mark", marks[0][1], "0 B")
        blocks = truth.of("s_parent", "live-blocks")
        t.true("what_was_allocated_after_the_first_mark__is_its_growth", int(marks[0][3]) >= blocks > 0,
               f"{marks} {blocks}")
        t.equal("nothing_was_allocated__after_the_second_mark", marks[1][3], "+0")
        target.exit()


if __name__ == "__main__":
    main()
