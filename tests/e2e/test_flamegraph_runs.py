#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The flame graph of real runs: the target's own figures, streams, snapshots."""
import os
import pty
import re
import signal
import sys
import tempfile
import time

from harness import ROOT, Failure, Memprobe, Target, main, parse_folded, run, sum_of, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from flame_file import FlameFile # noqa: E402


def name_total(f, function):
    return sum(v for n, v in f.totals.items() if re.match(re.escape(function) + r"(?![A-Za-z0-9_.])", n))


@test
def figures(t):
    with tempfile.TemporaryDirectory() as d, Target("lifecycle", "exit") as target:
        svg, folded = os.path.join(d, "out.svg"), os.path.join(d, "out.folded")
        with Memprobe("-d", 0, "-o", svg, "-o", folded, "-p", target.pid) as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
        target.exit()
        data, stacks = open(svg, "rb").read(), parse_folded(open(folded).read())
        f = FlameFile(data)
        t.equal("a_function's_total_in_the_picture__is_what_it_allocated_and_kept",
                name_total(f, "s_parent"), truth.of("s_parent", "live-bytes"))
        t.equal("the_picture_and_the_folded_file__have_one_sum", f.nodes[0].bytes, sum(v for _, v in stacks))
        t.equal("and_one_sum_for_the_function", name_total(f, "s_parent"), sum_of(stacks, "s_parent"))
        t.equal("the_first_level__is_the_process", f.nodes[1].path[1][0], f"lifecycle-{target.pid}")
        text = data.decode()
        t.true("the_picture__names_the_host_and_the_command",
               os.uname().nodename in text and f"memprobe --sample off -P heap -d 0 -o {svg} -o {folded} -p {target.pid} " in text,
               text[-400:])
        t.true("the_picture__says_that_nothing_was_lost", "Lost: nothing." in text and "EXACT" in text)


@test
def streams(t):
    with Target("server") as target:
        ended = run("--flamegraph", "-d", "0.5", "-p", target.pid)
        t.true("the_picture__is_alone_on_stdout", ended.status == 0 and ended.stdout.startswith("<?xml ") and
               ended.stdout.endswith("</svg>\n"), f"{ended.status} {ended.stdout[:80]} {ended.stderr}")
        t.true("the_losses__are_on_stderr_as_well", "memprobe: lost 0" in ended.stderr, ended.stderr)
        master, slave = pty.openpty()
        try:
            with Memprobe("--flamegraph", "-d", 1, "-p", target.pid, stdout=slave) as m:
                m.wait()
                t.equal("a_picture_to_a_terminal__is_a_usage_error", m.status, 2)
                t.true("which_names_the_way_out_before_anything_is_attached",
                       "-o FILE" in m.stderr and "armed" not in m.stderr, m.stderr)
        finally:
            os.close(slave)
            os.close(master)
        with Memprobe("--flamegraph", "-d", 0, "-p", target.pid) as m:
            m.armed()
            m.process.send_signal(signal.SIGUSR1)
            m.wait_for("memprobe: flamegraph: written once")
            m.stop()
            t.equal("a_snapshot_on_stdout__makes_no_second_document", m.stdout.count("<?xml"), 1)


def wait_for_file(path, unlike=None, timeout_s=20):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            inode = os.stat(path).st_ino
            if inode != unlike:
                return inode
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    raise Failure(f"no new {path}")


@test
def snapshots(t):
    with tempfile.TemporaryDirectory() as d, Target("server") as target:
        svg = os.path.join(d, "out.svg")
        with Memprobe("-i", "0.3", "-d", 0, "-o", svg, "-p", target.pid) as m:
            m.armed()
            inode = wait_for_file(svg)
            whole = [open(svg).read()]
            for _ in range(3):
                inode = wait_for_file(svg, inode)
                whole.append(open(svg).read())
            m.stop()
            whole.append(open(svg).read())
            t.equal("with_i__the_run_ends_with_0", m.status, 0)
        t.true("with_i__the_file_is_one_whole_picture_at_any_time",
               all(w.startswith("<?xml ") and w.count("<?xml") == 1 and w.endswith("</svg>\n") for w in whole),
               [(w[:20], w[-20:]) for w in whole])
        t.equal("only_the_last_one__does_not_say_that_the_run_goes_on",
                ["The run goes on" in w for w in whole], [True] * 4 + [False])
        t.equal("nothing_but_the_picture__is_left", os.listdir(d), ["out.svg"])


if __name__ == "__main__":
    main()
