#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
pprof, JSON lines and .heapprofile, read back: each stack and each total is the one of the folded format, and of
the input; references are there; losses are told; doc/json-lines.md describes every field and no other.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from flame_file import ROOT, FlameFile, parse_folded, program, render # noqa: E402
from formats_file import INLINED, METRICS, HeapProfile, JsonLines, Pprof, decode_by_protobuf # noqa: E402
from harness import Tests # noqa: E402

PROFILES = ("growing", "empty", "many", "rich", "kinds", "hostile", "deep")
LOSSES = ("lost: blocks_full 5 (4.0 KiB): blocks left out of live: the block table is full (raise --max-memory)",
          "lost: lost_return 1: calls entered whose return was never seen")


def of_metric(stacks, metric):
    return {path: figures[metric] for path, figures in stacks.items() if figures[metric]}


def as_in_tree(path):
    """The tree's names are cut at 1000 bytes, do not say what is inlined, and have no characters that XML forbids."""
    path = (n.removesuffix(INLINED) for n in path)
    names = (n.encode()[:1000].decode(errors="ignore") + "\u2026" if len(n.encode()) > 1000 else n for n in path)
    return tuple(re.sub("[\ufffe\uffff]", "?", n) for n in names)


def same_stacks(t, name, got, want):
    """The difference only, and its beginning: names may be long."""
    differing = [(str(path)[:20] + "..." + str(path)[-80:], got.get(path), want.get(path))
                 for path in sorted(set(got) | set(want)) if got.get(path) != want.get(path)]
    t.true(name, not differing, f"{len(differing)} differ, memprobe and truth: {differing[:3]}")


def check(t, what, folded, pprof, lines, tree):
    """folded: {metric: {path: figure}}; tree: {metric: HeapProfile}"""
    pprof_stacks, json_stacks = pprof.stacks(), lines.stacks()
    for m in METRICS:
        total = sum(folded[m].values())
        same_stacks(t, f"{what}_{m}__pprof_has_folded's_stacks", of_metric(pprof_stacks, m), folded[m])
        same_stacks(t, f"{what}_{m}__json_has_folded's_stacks", of_metric(json_stacks, m), folded[m])
        t.equal(f"{what}_{m}__all_formats_have_one_total",
                [pprof.totals()[m], lines.totals()[m], tree[m].total, tree[m].remarks["total"], tree[m].totals()[m]],
                [total] * 5)
        if what != "deep" and not tree[m].rest: # the tree has no frames below its 512th row
            same_stacks(t, f"{what}_{m}__the_tree_has_folded's_stacks", tree[m].own,
                        {as_in_tree(p): v for p, v in folded[m].items()})
    t.equal(f"{what}__json_processes_add_up",
            {m: sum(p[m.replace("-", "_")] for p in lines.snapshots[0]["process"]) for m in METRICS}, lines.totals())


def made_by_hand(t):
    for name in PROFILES:
        folded = {m: parse_folded(program("--render", name, "folded", m)) for m in METRICS}
        tree = {m: HeapProfile(program("--render", name, "heapprofile", m)) for m in METRICS}
        check(t, name, folded, Pprof(program("--render", name, "pprof")), JsonLines(program("--render", name, "json")), tree)


def counted_here(t):
    """Against sums made from the input by other means."""
    r = random.Random(3)
    stacks = [([f"proc-{r.choice((7, 11, 13))}", *(f"f{r.randrange(12)}" for _ in range(r.randrange(1, 9)))],
               r.choice((0, 2, 101, 1009, 10007)), r.choice((1, 3, 7))) for _ in range(700)]
    want = {}
    for frames, size, blocks in stacks:
        figures = want.setdefault(tuple(frames), [0, 0])
        figures[0] += size
        figures[1] += blocks
    pprof, lines = Pprof(render(stacks, "pprof")), JsonLines(render(stacks, "json"))
    for what, got in (("pprof", pprof.stacks()), ("json", lines.stacks())):
        t.equal(f"{what}__has_the_figures_of_the_input",
                {p: [f["live-bytes"], f["live-blocks"]] for p, f in got.items()}, want)
    t.equal("equal_stacks__are_one_sample", len(pprof.raw["sample"]), len(want))
    weights = [s["live_bytes"] for s in lines.snapshots[0]["stack"]]
    t.equal("the_heaviest_stack__is_first", weights, sorted(weights, reverse=True))
    tree = HeapProfile(render(stacks, "heapprofile"))
    t.equal("heapprofile__has_the_figures_of_the_input", dict(tree.own), {p: f[0] for p, f in want.items() if f[0]})


def extremes(t):
    """One stack, a deep one, a name of 10 kB: each format against the input."""
    template = "std::map<" + "std::vector<int, std::allocator<int> >, " * 250 + "int>::insert"
    for what, path in (("one_stack", ["p-7", "main"]), ("500_frames", ["p-7", *(f"f{i}" for i in range(500))]),
                       ("a_template_of_10_kB", ["p-7", "main", template])):
        stacks, want = [(path, 1009, 3)], {tuple(path): 1009}
        t.equal(f"{what}__is_in_folded", parse_folded(render(stacks, "folded")), want)
        t.equal(f"{what}__is_in_pprof", of_metric(Pprof(render(stacks, "pprof")).stacks(), "live-bytes"), want)
        t.equal(f"{what}__is_in_json", of_metric(JsonLines(render(stacks, "json")).stacks(), "live-bytes"), want)
        t.equal(f"{what}__is_in_heapprofile", dict(HeapProfile(render(stacks, "heapprofile")).own),
                {as_in_tree(p): v for p, v in want.items()})
        flame = FlameFile(render(stacks))
        t.equal(f"{what}__is_in_the_flame_graph", (len(flame.nodes), {n.bytes for n in flame.nodes}), (len(path) + 1, {1009}))


def pruned(t):
    r = random.Random(5)
    stacks = [(["big-7", *(f"a_rather_long_name_of_a_function_{int(r.paretovariate(0.8)) % 2000}" for _ in range(20))],
               r.choice((101, 1009, 10007)), 1) for _ in range(9000)]
    tree = HeapProfile(render(stacks, "heapprofile"))
    t.true("a_tree_that_is_pruned__has_remainders", tree.rest > 0)
    t.equal("a_tree_that_is_pruned__adds_up_all_the_same", tree.total, sum(s[1] for s in stacks))


def pprof_fields(t):
    for name in PROFILES:
        packed = program("--render", name, "pprof")
        try:
            t.equal(f"{name}__reads_the_same_by_python3-protobuf", decode_by_protobuf(Pprof(packed).data), Pprof(packed).raw)
        except ImportError:
            t.skip(f"{name}__reads_the_same_by_python3-protobuf", "no python3-protobuf")
    for metric, shown in zip(METRICS, ("inuse_space", "inuse_objects", "alloc_space", "alloc_objects")):
        t.equal(f"{metric}__is_shown_first", Pprof(program("--render", "many", "pprof", metric)).default, shown)
    p = Pprof(program("--render", "rich", "pprof"))
    t.equal("the_values__are_in_the_order_of_go's_heap_profiles", [n for n, _ in p.types],
            ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"])
    huge = Pprof(program("--render", "huge", "pprof")).totals()
    t.equal("a_figure_above_int64__is_its_largest", (huge["live-bytes"], huge["live-blocks"]), ((1 << 63) - 1, 3))
    t.equal("losses__are_comments", [c for c in p.comments if c.startswith("lost")], list(LOSSES))
    t.true("what_was_not_seen__is_a_comment", any(c.startswith("not seen: 50.0 MiB was resident") for c in p.comments))
    t.true("the_sampling__is_a_comment", any("sampled every 8 KiB" in c for c in p.comments), p.comments)
    t.equal("the_sampling_interval__is_the_period", p.raw["period"], 8192)
    t.equal("nothing_lost__is_a_comment_too", [c for c in Pprof(program("--render", "growing", "pprof")).comments
                                               if c.startswith("lost")], ["lost: nothing"])
    objects = {(p.strings[m["filename"]], p.strings[m["build_id"]]) for m in p.raw["mapping"]}
    t.equal("objects__have_their_build_ids", objects,
            {("gatewayd", "5c0ffee1"), ("libc.so.6", "c0dec0de"), ("libvendor.so", "0ddba11")})
    t.equal("the_program__has_the_first_mapping", p.strings[p.raw["mapping"][0]["filename"]], "gatewayd")
    lines = [[(p.strings[p.function(l)["name"]], p.strings[p.function(l)["filename"]], l["line"]) for l in loc["line"]]
             for loc in p.raw["location"]]
    t.true("inlined_functions__are_lines_of_one_location_innermost_first",
           [("std::vector<int>::push_back(int const&)", "vector.h", 1201), ("Batch::add", "batch.cc", 17),
            ("Batch::load", "batch.cc", 40)] in lines, lines)
    nameless = [(loc["address"], p.raw["mapping"][loc["mapping_id"] - 1]) for loc in p.raw["location"] if loc["address"]]
    t.equal("code_without_a_name__has_its_address", [a for a, _ in nameless], [0x12f0])
    t.equal("and_a_mapping_where_a_tool_looks_for_names", nameless[0][1]["has_functions"], 0)
    t.true("which_no_named_code_has", all(p.raw["mapping"][loc["mapping_id"] - 1]["has_functions"] for loc in
                                          p.raw["location"] if loc["mapping_id"] and not loc["address"]))


def by_go(t):
    if not shutil.which("go"):
        t.skip("go_tool_pprof__reads_the_totals", "no Go")
        return
    with tempfile.TemporaryDirectory() as d:
        for name in ("growing", "rich"):
            path, p = os.path.join(d, name + ".pb.gz"), Pprof(program("--render", name, "pprof"))
            with open(path, "wb") as f:
                f.write(program("--render", name, "pprof"))
            r = subprocess.run(["go", "tool", "pprof", "-top", "-unit=B", path], capture_output=True, text=True,
                               timeout=60, check=False, env=dict(os.environ, PPROF_TMPDIR=d))
            if r.returncode and "no such tool" in r.stderr:
                t.skip(f"go_tool_pprof__reads_the_total_of_{name}", "this Go has no pprof")
                continue
            t.true(f"go_tool_pprof__reads_the_total_of_{name}",
                   f" of {p.totals()['live-bytes']}B total" in r.stdout, r.stdout + r.stderr)


def documented():
    """{type of line: {field: (type, may be left out)}}"""
    fields = {}
    with open(os.path.join(ROOT, "doc", "json-lines.md")) as f:
        for line, field, kind, left_out in re.findall(r"^\| (\w+) \| `(\w+)` \| (\w+) \| ?(-?) \|", f.read(), re.M):
            fields.setdefault(line, {})[field] = (kind, left_out == "-")
    return fields


KINDS = {"integer": lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 1 << 64,
         "signed": lambda v: isinstance(v, int) and not isinstance(v, bool) and abs(v) < 1 << 63,
         "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
         "text": lambda v: isinstance(v, str), "boolean": lambda v: isinstance(v, bool),
         "texts": lambda v: isinstance(v, list) and all(isinstance(n, str) for n in v),
         "numbers": lambda v: isinstance(v, list) and all(isinstance(n, int) for n in v)}


def undescribed(doc, what, line, seen):
    """Sentences on what the description does not say of a line."""
    for field, value in line.items():
        if field == "type":
            continue
        kind, _ = doc.get(what, {}).get(field, (None, None))
        seen.add((what, field))
        if kind in doc: # an object with a description of its own
            yield from undescribed(doc, kind, value, seen)
        elif not kind or not KINDS[kind](value):
            yield f"{what}.{field} is {value!r}, described as {kind}"
    for field, (_, may_be_left_out) in doc.get(what, {}).items():
        if not may_be_left_out and field not in line:
            yield f"{what}.{field} is not there"


def description(t):
    doc, seen, wrong = documented(), set(), []
    t.true("the_description__has_all_types_of_lines", len(doc) == 21, f"{list(doc)}")
    for name in PROFILES:
        for line in JsonLines(program("--render", name, "json")).lines:
            wrong += list(undescribed(doc, line["type"], line, seen))
    t.equal("every_field__is_as_described", wrong[:4], [])
    t.equal("every_field_that_is_described__was_seen",
            {(l, f) for l, fields in doc.items() for f in fields} - seen, set())
    lines = JsonLines(program("--render", "rich", "json"))
    s = lines.snapshots[0]
    t.equal("losses__have_a_line_each", [(l["name"], l["events"], l["bytes"]) for l in s["loss"]],
            [("blocks_full", 5, 4096), ("lost_return", 1, 0)])
    t.equal("the_header_is_first_and_the_summary_last", (lines.lines[0]["type"], lines.lines[-1]["type"]),
            ("header", "summary"))
    t.equal("the_summary__counts_the_lines", (s["summary"][0]["stacks"], s["summary"][0]["processes"]),
            (len(s["stack"]), len(s["process"])))
    known, early = set(), []
    for line in lines.lines:
        if line["type"] == "frame":
            known.add(line["id"])
        early += [n for n in line.get("frames", ()) if n not in known]
    t.equal("a_frame__has_its_line_before_the_first_stack_with_it", early, [])


def jq_of_the_description(t):
    name = "the_jq_program_of_the_description__makes_folded_stacks"
    if not shutil.which("jq"):
        t.skip(name, "no jq")
        return
    with open(os.path.join(ROOT, "doc", "json-lines.md")) as f:
        text = re.search(r"jq -nr '(.*?)' out.jsonl", f.read(), re.S).group(1)
    r = subprocess.run(["jq", "-nr", text], input=program("--render", "growing", "json"), capture_output=True, check=True)
    t.equal(name, r.stdout.decode().splitlines()[:2],
            [l.split(";", 1)[1].replace("Request:", "Request;") for l in
             program("--render", "growing", "folded").decode().splitlines()[:2]])


def tree_remarks(t):
    tree = HeapProfile(program("--render", "rich", "heapprofile"))
    t.equal("losses__are_leaves_of_the_root", tuple(tree.losses), LOSSES)
    t.true("and_remarks", set(LOSSES) < set(tree.remarks["comments"]), tree.remarks["comments"])
    t.equal("the_top_level__has_head_first", list(tree.json), ["head", "memprobe"])
    empty = HeapProfile(program("--render", "empty", "heapprofile"))
    t.equal("nothing_live__is_a_root_alone", (empty.total, len(empty.ids)), (0, 1))


def hostile(t):
    names = {f["name"] for f in JsonLines(program("--render", "hostile", "json")).snapshots[0]["frame"]}
    for text in ("<script>window.broken=1</script>", "\"quoted\" 'too' onmouseover=window.broken=4", "two?lines 99",
                 "invalid ??????? end", "semi;colon,comma;;", "%s%n%d", "\u51fd\u6570 \U0001f4be", "x" * 65535):
        t.true(f"the_name_{text[:40]!r}__is_in_json_as_it_is", text in names, f"{sorted(n[:60] for n in names)}")
        t.true(f"the_name_{text[:40]!r}__is_in_pprof_as_it_is",
               text in Pprof(program("--render", "hostile", "pprof")).strings)
    for fmt in ("json", "heapprofile"):
        data = program("--render", "hostile", fmt)
        t.equal(f"{fmt}__has_no_control_characters", re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", data), [])
        t.equal(f"{fmt}__is_utf-8", data.decode().encode(), data)
    t.equal("a_newline_in_a_name__makes_no_second_line",
            [json.loads(l)["type"] for l in program("--render", "hostile", "json").splitlines()].count("header"), 1)


def main():
    sys.setrecursionlimit(10000) # a tree of 512 rows is as deep as json goes by itself
    t = Tests("-v" in sys.argv)
    for part in (made_by_hand, counted_here, extremes, pruned, pprof_fields, by_go, description, jq_of_the_description,
                 tree_remarks, hostile):
        part(t)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
