#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Source lines and inlined functions of a run, in each format; none with --no-lines."""
import os
import re
import sys
import tempfile

from harness import ROOT, Memprobe, Target, build, main, parse_folded, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from flame_file import FlameFile # noqa: E402
from formats_file import JsonLines, Pprof # noqa: E402

SUFFIXES = ("folded", "txt", "pb.gz", "jsonl", "svg")


def profile(*options):
    """({suffix: bytes}, what the target tells)"""
    with tempfile.TemporaryDirectory() as d, Target("inlined") as target:
        paths = {s: os.path.join(d, "out." + s) for s in SUFFIXES}
        with Memprobe("-d", 0, "-p", target.pid, *options, *(a for p in paths.values() for a in ("-o", p))) as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
            assert m.status == 0, m.stderr
        target.exit()
        data = {}
        for s, p in paths.items():
            with open(p, "rb") as f:
                data[s] = f.read()
    return data, truth


def innermost_of(stacks, function):
    """The frames of the one stack with the function, from there to the innermost."""
    found = [(frames, value) for frames, value in stacks if function in frames]
    assert len(found) == 1, (function, stacks)
    return found[0][0][found[0][0].index(function):], found[0][1]


@test
def lines(t):
    data, truth = profile()
    folded = parse_folded(data["folded"].decode())
    t.equal("inlined_functions__are_marked_frames_of_folded", innermost_of(folded, "s_inlined"),
            (["s_inlined", "shop::shelf::outer(unsigned long)_[i]", "middle_[i]", "innermost_[i]", "malloc"],
             truth.of("s_inlined", "live-bytes")))
    t.equal("a_method_of_a_template__has_its_whole_name", innermost_of(folded, "s_template"),
            (["s_template", "shop::box<char [211]>::put()_[i]", "malloc"], truth.of("s_template", "live-bytes")))
    want = [("s_inlined", truth.values["site"], False), ("shop::shelf::outer(unsigned long)", truth.values["outer"], True),
            ("middle", truth.values["middle"], True), ("innermost", truth.values["innermost"], True)]
    j = JsonLines(data["jsonl"]).snapshots[0]
    frames = {f["id"]: f for f in j["frame"]}
    stack = next(s for s in j["stack"] if any(frames[n]["name"] == "s_inlined" for n in s["frames"]))
    at = next(i for i, n in enumerate(stack["frames"]) if frames[n]["name"] == "s_inlined")
    got = [frames[n] for n in stack["frames"][at:at + 4]]
    t.equal("each_frame__has_the_line_that_the_program_tells_in_json",
            [(f["name"], f["line"], f.get("inlined", False)) for f in got], want)
    t.true("and_its_file", all(f["file"].endswith("targets/inlined.cc") for f in got), got)
    p = Pprof(data["pb.gz"])
    locations = [[(p.strings[p.function(l)["name"]], l["line"]) for l in loc["line"]] for loc in p.raw["location"]]
    t.true("and_in_pprof_as_lines_of_one_location", [(n, l) for n, l, _ in reversed(want)] in locations, locations)
    where = re.search(r"^ *\d+ .*innermost inlined\.cc:%d < middle$|^ *\d+ .*innermost inlined\.cc:%d\b" %
                      (truth.values["innermost"], truth.values["innermost"]), data["txt"].decode(), re.M)
    t.true("and_in_the_report", where, data["txt"].decode())
    t.true("and_in_the_flame_graph", f"inlined.cc:{truth.values['innermost']}".encode() in data["svg"], "")
    t.equal("and_the_total__is_that_of_folded", FlameFile(data["svg"]).nodes[0].bytes, sum(v for _, v in folded))


@test
def no_lines(t):
    data, truth = profile("--no-lines")
    folded = parse_folded(data["folded"].decode())
    t.equal("without_lines__a_stack_is_the_functions_that_have_code", innermost_of(folded, "s_inlined"),
            (["s_inlined", "malloc"], truth.of("s_inlined", "live-bytes")))
    j = JsonLines(data["jsonl"]).snapshots[0]
    t.equal("and_no_frame_has_a_line", [f for f in j["frame"] if "line" in f or "file" in f], [])
    t.true("nor_the_report", ".cc:" not in data["txt"].decode(), data["txt"].decode())


if __name__ == "__main__":
    build("inlined")
    main()
