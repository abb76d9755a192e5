#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The flame graph of a comparison: figures against sums made here; sign in the text, stripes and colour of what grew and
what shrank, in a browser that shows colours as people without green receptors see them.
"""
import collections
import os
import random
import struct
import sys
import tempfile
import xml.etree.ElementTree as ET
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import browser # noqa: E402
from flame_file import SVG, program # noqa: E402
from harness import Tests # noqa: E402

# grew 4000 (1000 of it new), shrank 2500 (500 of it gone), 700 as before
SMALL = [("srv-7;main;grow", 2000, 5000), ("srv-7;main;new", 0, 1000), ("srv-7;main;shrink", 3000, 1000),
         ("srv-7;main;gone", 500, 0), ("srv-7;main;same", 700, 700)]
LABELS = "[...document.querySelectorAll('#mp-frames text')].map(t => t.textContent)"
SAID = "document.getElementById('mp-said').textContent"


def diff(lines, runs="one"):
    text = "".join(f"{s} {a} {b}\n" for s, a, b in lines)
    return program("--diff", "flamegraph", runs, stdin=text.encode())


class DiffFile:
    """{path: (changed, grown)} of all frames, and the words."""

    def __init__(self, data):
        self.xml = ET.fromstring(data)
        text = {e.get("id"): e.text or "" for e in self.xml.iter(SVG + "metadata")}
        self.words = "\n".join("".join(t.itertext()) for t in self.xml.iter(SVG + "text"))
        self.titles = [t.text for g in self.xml.iter(SVG + "g") for t in g.findall(SVG + "title")]
        if "mp-nodes" not in text:
            self.frames = {}
            return
        names = [l.split(" ", 1)[1] for l in text["mp-names"].split("\n")]
        keys = [int(k.split(",")[0], 36) for k in text["mp-keys"].split(";")]
        self.frames, path, depth = {}, [], -1
        for i, record in enumerate(text["mp-nodes"].split(";")):
            record, grown = record.split("+")
            f = record.split(",")
            depth += 1 - (int(f[3], 36) if len(f) > 3 else 0)
            del path[depth:]
            if f[0]:
                path.append(names[keys[int(f[0], 36)]] if i else "all")
                self.frames[tuple(path)] = (int(f[1], 36), int(grown, 36))


def count(lines):
    """What changed, by path, and how much of it up: of whole stacks, which are one where they read the same."""
    change, out = collections.Counter(), collections.defaultdict(lambda: [0, 0])
    for stack, a, b in lines:
        change[stack] += b - a
    for stack, n in change.items():
        path = ("all", *stack.split(";"))
        for i in range(len(path) if n else 0):
            out[path[:i + 1]][0] += abs(n)
            out[path[:i + 1]][1] += max(n, 0)
    return {p: tuple(v) for p, v in out.items()}


def figures(t):
    t.equal("a_small_comparison__has_what_changed_and_how_much_of_it_grew", DiffFile(diff(SMALL)).frames, count(SMALL))
    r = random.Random(11)
    lines = [(";".join(["srv-7", *(f"f{r.randrange(9)}" for _ in range(r.randrange(1, 8)))]), r.choice((0, 0, 70, 1009)),
              r.choice((0, 0, 70, 5003))) for _ in range(600)]
    t.equal("any_comparison__has_what_changed_and_how_much_of_it_grew", DiffFile(diff(lines)).frames, count(lines))
    f = DiffFile(diff(SMALL))
    t.true("the_title__tells_the_net_change_and_the_two_sides",
           "srv: +1.5 KiB (+1 500 B) of live heap, from A (10 s) to B (30 s) of one run" in f.words, f.words)
    t.true("what_the_width_means__is_told", "Width = what changed, up or down. + and plain: grew; - and striped: shrank." in f.words, f.words)
    t.true("a_title__has_the_net_change_and_its_parts", "main: +1.5 KiB (+1 500 B), 100.0 % of all change, grew 3.9 KiB, shrank 2.4 KiB, app"
           in f.titles, f.titles)
    t.true("what_is_gone__is_in_the_picture", "gone: -500 B, 7.7 % of all change, shrank 500 B, app" in f.titles, f.titles)
    t.true("what_stayed__is_not", not any(n.startswith("same:") for n in f.titles))
    t.true("labels__have_a_sign", "+ grow" in f.words and "- shrink" in f.words, f.words)
    classes = {g.find(SVG + "title").text.split(":")[0]: g.find(SVG + "rect").get("class").split()[0]
               for g in f.xml.iter(SVG + "g") if g.find(SVG + "title") is not None}
    t.equal("frames__are_plain_or_striped", {n: classes[n] for n in ("main", "grow", "new", "shrink", "gone")},
            {"main": "g1", "grow": "g1", "new": "g1", "shrink": "g2", "gone": "g2"})
    none = DiffFile(diff([("srv-7;main;same", 700, 700)]))
    t.true("nothing_changed__is_a_picture_that_says_so", "Nothing changed between A and B." in none.words, none.words)
    even = DiffFile(diff([("srv-7;main;f", 700, 100), ("srv-7;main;f", 100, 700)]))
    t.true("what_went_up_and_down_in_one_stack__is_nothing", "Nothing changed" in even.words, even.words)
    two = DiffFile(diff(SMALL, "two"))
    t.true("of_two_runs__figures_are_per_second", " B/s, " in "\n".join(two.titles) and "of two runs" in two.words and " kept, from A" in two.words, two.titles)
    t.equal("the_same_input__gives_the_same_bytes", diff(lines), diff(lines))


# ---- in a browser ----

def pixels(path):
    """Rows of (r, g, b) of a PNG as Chromium writes it: 8 bits, no interlace."""
    with open(path, "rb") as f:
        data = f.read()
    at, packed = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, _, color = struct.unpack(">IIBB", data[at + 8:at + 18])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + n]
        at += 12 + n
    size = {2: 3, 6: 4}[color]
    raw, rows, before = zlib.decompress(packed), [], bytearray(width * size)
    for y in range(height):
        line = bytearray(raw[y * (width * size + 1) + 1:(y + 1) * (width * size + 1)])
        how = raw[y * (width * size + 1)]
        for i in range(len(line)):
            a, b, c = line[i - size] if i >= size else 0, before[i], before[i - size] if i >= size else 0
            p = a + b - c
            line[i] = (line[i] + (0, a, b, (a + b) // 2,
                                  min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2])[how]) & 255
        rows.append([tuple(line[x * size:x * size + 3]) for x in range(width)])
        before = line
    return rows


def luminance(color):
    """WCAG 2.1, relative luminance"""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colors_of(b, rows, name):
    """The colours inside the frame, right of its text: those of more than a tenth of the pixels."""
    x, y, w = b.evaluate("(t => { const r = t.parentNode.querySelector('rect').getBoundingClientRect(); return [r.x, r.y, r.width]; })"
                         f"([...document.querySelectorAll('#mp-frames text')].find(t => t.textContent === '{name}'))")
    inside = collections.Counter(rows[j][i] for j in range(int(y) + 3, int(y) + 14) for i in range(int(x + w * 0.8), int(x + w) - 3))
    total = sum(inside.values())
    return [c for c, n in inside.items() if n > total / 10]


def viewing(t, b, d):
    path = os.path.join(d, "diff.svg")
    with open(path, "wb") as f:
        f.write(diff(SMALL))
    b.open(path)
    t.equal("the_script__draws_the_signs_again", [l for l in b.evaluate(LABELS) if l[:2] in ("+ ", "- ")],
            ["+ all", "+ srv-7", "+ main", "+ grow", "- shrink", "+ new", "- gone"])
    b.evaluate("(e => { e.value = 'shrink'; e.dispatchEvent(new Event('input')); })(document.querySelector('.bar input'))")
    t.equal("search__tells_how_much_of_the_change_it_is", b.evaluate(SAID), "Matched: 2.0 KiB, 30.8 % (exact; 1 name)")
    b.evaluate("(e => { e.value = ''; e.dispatchEvent(new Event('input')); })(document.querySelector('.bar input'))")
    x, y = b.evaluate("(t => { const r = t.parentNode.querySelector('rect').getBoundingClientRect(); return [r.x + 9, r.y + 8]; })"
                      "([...document.querySelectorAll('#mp-frames text')].find(t => t.textContent === '- shrink'))")
    b.mouse("mouseMoved", x, y)
    b.settle()
    t.equal("pointing__tells_the_change", b.evaluate("[...document.querySelectorAll('.tip > *')].map(e => e.textContent)"),
            ["shrink", "-2.0 KiB", "shrank 2.0 KiB", "30.8 % of all change", "app"])
    b.mouse("mouseMoved", 5, 5)
    for scheme in ("light", "dark"):
        b.scheme(scheme)
        for vision in ("deuteranopia", "protanopia", "achromatopsia", "none"):
            b.call("Emulation.setEmulatedVisionDeficiency", type=vision)
            b.settle()
            picture = os.path.join(os.environ.get("PICTURES", d), f"diff-{scheme}-{vision}.png")
            b.picture(picture)
            rows = pixels(picture)
            up, down = colors_of(b, rows, "+ grow"), colors_of(b, rows, "- shrink")
            t.equal(f"growth_is_plain_and_shrinkage_striped_{scheme}_{vision}", (len(up), len(down)), (1, 2))
            least = min(contrast(u, s) for u in up for s in down)
            if vision in ("deuteranopia", "none"):
                t.true(f"growth_and_shrinkage__have_a_contrast_of_3_{scheme}_{vision}", least >= 3, f"{least:.2f}: {up} {down}")
            else:
                print(f"contrast {scheme} {vision} {least:.2f}")
    t.equal("the_page__throws_nothing", b.errors, [])


def main():
    t, path = Tests("-v" in sys.argv), browser.find()
    figures(t)
    if path:
        with tempfile.TemporaryDirectory() as d, browser.Browser(path) as b:
            viewing(t, b, d)
    else:
        t.skip("growth_and_shrinkage__have_a_contrast_of_3", "no Chromium")
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
