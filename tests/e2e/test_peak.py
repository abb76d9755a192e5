#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""With a command: what lived when most heap did, against the program's own count at that moment."""
import os
import sys
import tempfile

from harness import ROOT, Memprobe, build, main, parse_folded, sum_of, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from formats_file import JsonLines # noqa: E402


def told(text):
    """The values that the program told; its stdout is memprobe's."""
    return {words[1]: int(words[2]) for words in map(str.split, text.splitlines()) if words[:1] == ["value"]}


@test
def a_peak_that_is_gone_at_the_end(t):
    with tempfile.TemporaryDirectory() as d:
        paths = {s: os.path.join(d, "out." + s) for s in ("jsonl", "txt", "folded", "memprobe")}
        with Memprobe(*(a for p in paths.values() for a in ("-o", p)), "--", build("peaks"), 600) as m:
            m.wait()
            assert m.status == 0, m.stderr
            truth = told(m.stdout)
        with open(paths["jsonl"], "rb") as f:
            last = JsonLines(f.read()).snapshots[-1]
        peak = last["summary"][0]
        t.between("the_peaks_bytes__are_within_1_percent_of_what_lived_then", peak["peak_bytes"],
                  0.99 * truth["peak_bytes"], 1.01 * truth["peak_bytes"] + 4096) # its own stdio, if any
        t.between("its_blocks_too", peak["peak_blocks"], 0.99 * truth["peak_blocks"], 1.01 * truth["peak_blocks"] + 4)
        t.equal("the_stacks_at_the_peak__sum_to_it", sum(s.get("peak_bytes", 0) for s in last["stack"]),
                peak["peak_bytes"])
        t.true("at_the_end__much_less_lives", peak["live_bytes"] < 0.2 * truth["peak_bytes"], peak)
        with open(paths["txt"]) as f:
            report = f.read()
        t.true("the_report__names_the_peak_and_whose_it_was",
               any(line.startswith("peak ") and " by s_table" in line for line in report.splitlines()), report)
        with Memprobe("report", "-m", "peak-bytes", "--folded", paths["memprobe"]) as again:
            again.wait()
            t.between("a_recording__gives_the_peak_as_folded_stacks", sum_of(parse_folded(again.stdout), "s_table"),
                      0.99 * truth["table_bytes"], truth["table_bytes"])


@test
def a_run_without_a_command(t):
    with Memprobe("-m", "peak-bytes", "-d", 1, "-p", os.getpid()) as m:
        m.wait()
        t.equal("a_peak_of_a_running_process__is_refused", m.status, 2)
        t.true("and_told_why", "-m peak-bytes needs a command" in m.stderr, m.stderr)


if __name__ == "__main__":
    main()
