#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Which Erlang process holds the memory, and is it a leak or garbage that nobody collects? One program, at a steady rate and
default options: large binaries in idle processes, parts of them that are kept, and a process that ends for each reply.
"""
import re
import time

from erlang_node import Node, armed
from harness import Memprobe, main, test

WORKERS, REQUESTS, EVERY_MS = 40, 400, 13
REPLY = 2400 * 64
IDLE = "=> large binaries held by idle long-lived processes"
KEPT = "=> the same processes hold more and more of them"


class Report:
    """Of a run on a node in that mode; its section on Erlang processes."""

    def __init__(self, mode):
        with Node(mode, workers=WORKERS, requests=REQUESTS, every_ms=EVERY_MS) as target, \
                Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-f", "report",
                         auto=True) as m:
            armed(m, target)
            self.truth = target.ask("go")
            time.sleep(1.5)  # so that the last reply is not of a moment ago
            m.stop()
            target.exit()
            self.text = m.stdout
        self.verdict = self.text.splitlines()[0]
        name = re.search(r"^ *[\d.]+ +\S+ +(\d[\d ]*) +(\d[\d ]*?) +([\d.]+) +([\d.]+)  feed:worker/2$", self.text, re.M)
        self.procs, self.binaries = [int(name.group(i).replace(" ", "")) for i in (1, 2)] if name else (0, 0)
        self.each = float(name.group(3)) if name else -1
        site = re.search(r"OUTSTANDING +BINARIES +PROCS +BIN/PROC +AGE  WHERE\n *([\d.]+) (B|KiB|MiB) .*  (\S.*)\n", self.text)
        unit = {"B": 1, "KiB": 1024, "MiB": 1048576}
        self.outstanding = float(site.group(1)) * unit[site.group(2)] if site else 0
        self.where = site.group(3) if site else ""


def test_mode(t, mode):
    r = Report(mode)
    t.true(f"{mode}__the_report_has_the_nodes_processes", re.search(r"^erlang  \d+ Erlang processes: heaps", r.text, re.M), r.text)
    return r


@test
def garbage_of_idle_processes(t):
    """A collection is due when a process has seen 0.4 MB of binaries since the last one: two or three replies."""
    for mode in ("idle", "slice"):
        r = test_mode(t, mode)
        t.equal(f"{mode}__all_processes_of_one_name_are_a_row", r.procs, WORKERS - 1)
        t.between(f"{mode}__each_process_holds_a_reply_or_few", r.each, 0.5, 4)
        t.true(f"{mode}__idle_processes_are_told_as_such", IDLE in r.text and KEPT not in r.text, r.text)
        t.true(f"{mode}__is_no_leak", not r.verdict.startswith("LEAK"), r.verdict)
        if mode == "idle":
            idle = r
            t.true("the_function_that_builds_the_replies__is_first", r.where.startswith("feed:encode/2 feed.erl:"), r.text)
    r = test_mode(t, "fixed")
    t.true("short-lived_processes__leave_nothing_to_advise", "=>" not in r.text.split("\nerlang ")[-1].split("\n\n")[0], r.text)
    t.true("short-lived_processes__hold_less_than_a_twentieth", r.outstanding < 0.05 * idle.outstanding,
           f"{r.outstanding} of {idle.outstanding}")


@test
def parts_of_replies_are_kept(t):
    r = test_mode(t, "sub")
    t.equal("all_processes_of_one_name_are_a_row", r.procs, WORKERS - 1)
    t.between("every_reply__is_held", r.binaries, REQUESTS - REQUESTS // WORKERS, REQUESTS + 3 * WORKERS)
    t.between("binaries_per_process__are_the_requests_of_each", r.each, REQUESTS / WORKERS, REQUESTS / WORKERS + 3)
    t.true("kept_parts__are_told_from_garbage", KEPT in r.text and IDLE not in r.text, r.text)


if __name__ == "__main__":
    main()
