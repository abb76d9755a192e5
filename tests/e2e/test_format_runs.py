#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""All formats of one real run: one total, the target's own figures, build ids; streams, snapshots."""
import os
import pty
import re
import subprocess
import sys
import tempfile

from harness import ROOT, Memprobe, Target, build, has_function, is_frame_of, main, parse_folded, run, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from flame_file import FlameFile # noqa: E402
from formats_file import METRICS, HeapProfile, JsonLines, Pprof # noqa: E402

SUFFIXES = ("svg", "folded", "txt", "pb.gz", "jsonl", "heapprofile")


def build_id(path):
    text = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", text).group(1)


def figures_of(stacks, function):
    return {m: sum(f[m] for path, f in stacks.items() if has_function(path[1:], function)) for m in METRICS}


@test
def figures(t):
    with tempfile.TemporaryDirectory() as d, Target("lifecycle", "exit") as target:
        paths = {s: os.path.join(d, "out." + s) for s in SUFFIXES}
        with Memprobe("-d", 0, "-p", target.pid, *(a for p in paths.values() for a in ("-o", p))) as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
            t.equal("a_run_with_a_file_of_each_format__ends_well", m.status, 0)
        target.exit()
        data = {s: open(p, "rb").read() for s, p in paths.items()}
    stacks = parse_folded(data["folded"].decode())
    pprof, lines, tree = Pprof(data["pb.gz"]), JsonLines(data["jsonl"]), HeapProfile(data["heapprofile"])
    flame = FlameFile(data["svg"])
    total = sum(v for _, v in stacks)
    t.true("something__was_live", total > 0)
    t.equal("all_formats__have_one_total_of_live_bytes",
            {"svg": flame.nodes[0].bytes, "pprof": pprof.totals()["live-bytes"], "json": lines.totals()["live-bytes"],
             "heapprofile": tree.total},
            dict.fromkeys(("svg", "pprof", "json", "heapprofile"), total))
    t.equal("and_of_all_other_figures", [pprof.totals(), tree.totals()], [lines.totals()] * 2)
    want = {m: truth.of("s_parent", m) for m in METRICS}
    t.equal("a_function__has_its_own_figures_in_pprof", figures_of(pprof.stacks(), "s_parent"), want)
    t.equal("a_function__has_its_own_figures_in_json", figures_of(lines.stacks(), "s_parent"), want)
    t.equal("and_its_live_bytes_in_the_tree", sum(v for p, v in tree.own.items() if has_function(p[1:], "s_parent")),
            want["live-bytes"])
    frames = [f for f in lines.snapshots[0]["frame"] if is_frame_of(f["name"], "s_parent")]
    t.equal("a_function's_object__has_the_build_id_of_its_file", {f.get("build_id") for f in frames},
            {build_id(build("lifecycle"))})
    t.true("in_pprof_too", ("lifecycle", build_id(build("lifecycle"))) in
           [(pprof.strings[m["filename"]], pprof.strings[m["build_id"]]) for m in pprof.raw["mapping"]],
           f"{pprof.raw['mapping']}")
    t.true("nothing_lost__is_in_each", "lost: nothing" in pprof.comments and "lost: nothing" in tree.remarks["comments"] and
           lines.snapshots[0]["summary"][0]["lost_events"] == 0, f"{pprof.comments}")
    process = lines.snapshots[0]["process"][0]
    t.equal("the_process__is_told", (process["pid"], process["comm"]), (target.pid, "lifecycle"))


@test
def streams(t):
    with Target("server") as target:
        with Memprobe("--pprof", "-d", "0.3", "-p", target.pid) as m:
            m.wait()
            data = os.pread(m.out.fileno(), 1 << 24, 0)
            t.true("a_pprof_file__is_alone_on_stdout", m.status == 0 and len(Pprof(data).raw["sample"]) > 0, m.stderr)
            t.true("the_losses__are_on_stderr_as_well", "memprobe: lost 0" in m.stderr, m.stderr)
        ended = run("--json", "-i", "0.2", "-d", "0.7", "-p", target.pid)
        lines = JsonLines(ended.stdout.encode())
        t.true("snapshots_of_json__follow_each_other_without_an_empty_line", len(lines.snapshots) >= 3, ended.stdout[-300:])
        t.equal("only_the_last__is_final", [s["header"][0]["final"] for s in lines.snapshots],
                [False] * (len(lines.snapshots) - 1) + [True])
        allocated = [s["summary"][0]["alloc_bytes"] for s in lines.snapshots]
        t.true("what_was_allocated__grows", 0 < allocated[0] and allocated == sorted(allocated), allocated)
        for fmt in ("pprof", "heapprofile"):
            master, slave = pty.openpty()
            try:
                with Memprobe("-f", fmt, "-d", 1, "-p", target.pid, stdout=slave) as m:
                    m.wait()
                    t.equal(f"{fmt}_to_a_terminal__is_a_usage_error", m.status, 2)
                    t.true(f"{fmt}__names_the_way_out_before_anything_is_attached",
                           "-o FILE" in m.stderr and "armed" not in m.stderr, m.stderr)
            finally:
                os.close(slave)
                os.close(master)


if __name__ == "__main__":
    main()
