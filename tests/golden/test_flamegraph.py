#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Figures of flame graphs: every frame, every remainder and every name's total against sums made here
from the same stacks, and against the folded format; the file against xmllint and rsvg-convert.
"""
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

from flame_file import SVG, FlameFile, count, parse_folded, program, render, split_module # noqa: E402
from harness import Tests # noqa: E402

PROFILES = ("growing", "empty", "many", "kinds", "hostile", "huge", "deep", "large")


def random_stacks(n, n_names, seed, depth=20):
    """Prime sizes; recursion, names in two objects, stacks that are the beginning of others, cut ones."""
    r = random.Random(seed)
    stacks = []
    for _ in range(n):
        frames = [f"proc-{r.choice((7, 11, 13))}"]
        if r.random() < 0.1:
            frames.append("[truncated: too deep]")
        for _ in range(r.randrange(1, depth)):
            name = f"f{int(r.paretovariate(0.7)) % n_names}"
            frames.append(name + ("|lib.so" if r.random() < 0.05 else ""))
        stacks.append((frames, r.choice((2, 101, 1009, 10007, 100003)), r.choice((1, 3, 7))))
    return stacks


def check_figures(t, what, stacks, metric):
    by_blocks = metric.endswith("blocks")
    data = render(stacks, "flamegraph", metric)
    f = FlameFile(data)
    paths, totals = count(stacks, by_blocks)
    wrong = [(n.path, n.bytes, n.blocks, paths.get(n.path)) for n in f.nodes
             if not n.is_rest and [n.bytes, n.blocks] != paths.get(n.path)]
    t.true(f"{what}_{metric}__every_frame_has_its_figures", len(f.nodes) > 10 and not wrong, f"{wrong[:3]}")
    sums = {}
    for n in f.nodes:
        parent = n.path if n.is_rest else n.path[:-1]
        sums.setdefault(parent, [0, 0])
        sums[parent][0] += n.bytes
        sums[parent][1] += n.blocks
    over = [p for p, (b, k) in sums.items() if p and (b > paths[p][0] or k > paths[p][1])]
    t.equal(f"{what}_{metric}__no_frame_is_smaller_than_what_it_calls", over[:3], [])
    # what each frame calls, by other means: children and remainder together
    below = {}
    for p, (b, _) in paths.items():
        below[p[:-1]] = below.get(p[:-1], 0) + b
    missing = [p for p in sums if p and sums[p][0] != below.get(p, 0)]
    t.equal(f"{what}_{metric}__children_and_remainder_are_all_that_a_frame_calls", missing[:3], [])
    t.equal(f"{what}_{metric}__each_name_has_its_exact_total", sorted(set(f.totals.items()) ^ set(totals.items()))[:4], [])
    folded = parse_folded(render(stacks, "folded", metric))
    t.equal(f"{what}_{metric}__the_root_is_folded's_sum", f.nodes[0].blocks if by_blocks else f.nodes[0].bytes,
            sum(folded.values()))
    by_process = {}
    for frames, value in folded.items():
        by_process[frames[0]] = by_process.get(frames[0], 0) + value
    t.equal(f"{what}_{metric}__the_first_level_is_folded's_processes",
            {n.path[1][0]: n.blocks if by_blocks else n.bytes for n in f.nodes if len(n.path) == 2 and not n.is_rest},
            by_process)
    return f


def check_first_view(t, what, f):
    rects = list(f.rects())
    t.equal(f"{what}__the_root_is_as_wide_as_the_picture", rects[0][1:4:2], (10.0, 1180.0))
    rows = {}
    for _, x, y, w in rects:
        rows.setdefault(y, []).append((x, x + w))
    overlapping = [y for y, row in rows.items()
                   for a, b in zip(sorted(row), sorted(row)[1:]) if a[1] > b[0] + 0.11]
    t.equal(f"{what}__frames_of_a_row_do_not_overlap", overlapping, [])
    ys = sorted(rows)
    outside = [x for upper, lower in zip(ys, ys[1:]) for x in rows[lower]
               if not any(u[0] <= x[0] + 0.11 and x[1] <= u[1] + 0.11 for u in rows[upper])]
    t.equal(f"{what}__a_frame_lies_within_its_caller", outside, [])


def figures(t):
    small = random_stacks(300, 40, 1)
    for metric in ("live-bytes", "live-blocks", "alloc-bytes"):
        f = check_figures(t, "300_stacks", small, metric)
        t.equal(f"300_stacks_{metric}__every_frame_is_in_the_file", (f.info["cut"], sum(n.is_rest for n in f.nodes)),
                ("0", 0))
    check_first_view(t, "300_stacks", f)
    large = random_stacks(30000, 3000, 2, 24)
    f = check_figures(t, "30000_stacks", large, "live-bytes")
    paths, _ = count(large)
    cut = int(f.info["cut"])
    t.true("30000_stacks__are_cut_somewhere", cut > 0)
    kept = {n.path for n in f.nodes if not n.is_rest}
    t.equal("30000_stacks__all_frames_above_the_cut_are_kept",
            len(kept ^ {p for p, (b, _) in paths.items() if b >= cut}), 0)
    rest = sum(n.stacks for n in f.nodes if n.is_rest)
    whole = {("all", (s[0][0], ""), *map(split_module, s[0][1:])) for s in large}
    t.equal("30000_stacks__kept_ends_and_remainders_are_all_stacks", rest + len(whole & kept), len(whole))
    check_first_view(t, "30000_stacks", f)


def is_blank(png):
    return len(set(png[100:])) < 20 or len(png) < 2000


def files(t):
    with tempfile.TemporaryDirectory() as d:
        for name in PROFILES:
            path = os.path.join(d, name + ".svg")
            with open(path, "wb") as f:
                f.write(program("--render", name))
            if shutil.which("xmllint"):
                r = subprocess.run(["xmllint", "--huge", "--noout", path], capture_output=True, text=True, check=False)
                t.true(f"{name}__is_well_formed_for_xmllint", r.returncode == 0 and not r.stderr, r.stderr)
            else:
                t.skip(f"{name}__is_well_formed_for_xmllint", "no xmllint")
            if shutil.which("rsvg-convert"):
                r = subprocess.run(["rsvg-convert", "--unlimited", path], capture_output=True, check=False)
                t.true(f"{name}__is_drawn_without_scripts", r.returncode == 0 and not is_blank(r.stdout), r.stderr)
            else:
                t.skip(f"{name}__is_drawn_without_scripts", "no rsvg-convert")
            t.equal(f"{name}__is_the_same_twice", program("--render", name) == open(path, "rb").read(), True)


OURS = {"svg", "title", "style", "defs", "pattern", "rect", "g", "text", "tspan", "metadata", "script"}


def hostile(t):
    for name in ("hostile", "growing"):
        data = program("--render", name)
        xml = FlameFile(data).xml
        elements = list(xml.iter())
        t.equal(f"{name}_names__make_no_element", {e.tag.replace(SVG, "") for e in elements} - OURS, set())
        t.equal(f"{name}_names__make_no_second_script", sum(e.tag == SVG + "script" for e in elements), 1)
        t.equal(f"{name}_names__make_no_handler_and_no_link",
                {a for e in elements for a in e.keys() if a.startswith("on") or "href" in a or a == "src"}, set())
        t.equal(f"{name}__asks_for_nothing_else",
                [m for m in re.findall(rb"(?:https?|file):[^\"' ]*|@import|url\([^)]*\)", data)
                 if m not in (b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xhtml", b"url(#mp-hatch)", b"url(#mp-stripes)")], [])
    f = FlameFile(program("--render", "hostile"))
    for text in ("<script>window.broken=1</script>", "]]><script>window.broken=3</script>", "two?lines 99",
                 "tab and?return", "semi;colon,comma;;", "invalid ??????? end", "no XML character ?? here",
                 "[unknown]", "\u51fd\u6570 \U0001f4be"):
        t.true(f"the_name_{text!r}__is_in_the_file_as_it_is", text in f.totals, f"{list(f.totals)}")
    t.equal("a_newline_in_a_name__makes_no_second_name", f.n_name_lines, len(f.totals))


def main():
    t = Tests("-v" in sys.argv)
    for part in (figures, files, hostile):
        part(t)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
