# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Reads a flame graph file as src/render/flamegraph.c describes it, and counts what should be in it from
folded input by other means: dictionaries of whole paths, no sorting, no tree.
"""
import collections
import os
import subprocess
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, os.environ.get("O", "build"))
PROGRAM = os.path.join(BUILD, "tests", "golden", "test_flamegraph")
SVG = "{http://www.w3.org/2000/svg}"

Node = collections.namedtuple("Node", "path bytes blocks stacks is_rest")


def program(*args, stdin=b""):
    return subprocess.run([PROGRAM, *args], input=stdin, capture_output=True, check=True, timeout=60).stdout


def render(stacks, fmt="flamegraph", metric="live-bytes"):
    """stacks: [(frames, bytes, blocks)], frames[0] the process."""
    text = "".join(f"{';'.join(f)} {b} {n}\n" for f, b, n in stacks)
    return program("--read", fmt, metric, stdin=text.encode())


class FlameFile:
    def __init__(self, data):
        self.xml = ET.fromstring(data)
        text = {e.get("id"): e.text or "" for e in self.xml.iter(SVG + "metadata")}
        self.info = dict(l.split(" ", 1) for l in text["mp-info"].split("\n"))
        self.totals = {}
        names = []
        for line in text["mp-names"].split("\n"):
            total, name = line.split(" ", 1)
            names.append(name)
            self.totals[name] = int(total, 36)
        self.n_name_lines = len(names)
        self.modules = text["mp-modules"].split("\n")
        keys = [[int(n, 36) for n in k.split(",")] for k in text["mp-keys"].split(";")]
        self.nodes, path, depth = [], [], -1
        for i, record in enumerate(text["mp-nodes"].split(";")):
            f = record.split(",")
            depth += 1 - (int(f[3], 36) if len(f) > 3 else 0)
            del path[depth:]
            if f[0]:
                key = keys[int(f[0], 36)]
                path.append((names[key[0]], self.modules[key[1]]) if i else "all")
            self.nodes.append(Node(tuple(path), int(f[1], 36), int(f[2], 36),
                                   int(f[4], 36) if len(f) > 4 else 0, not f[0]))

    def rects(self):
        """(title, x, y, width) of the first view."""
        group = next(g for g in self.xml.iter(SVG + "g") if g.get("id") == "mp-frames")
        for g in group:
            r = g.find(SVG + "rect")
            yield (g.find(SVG + "title").text, float(r.get("x")), int(r.get("y")), float(r.get("width")))


def split_module(frame):
    """As `test_flamegraph --read` takes it: a stack's end is of no object."""
    name, _, module = frame.partition("|")
    return name, "" if name.startswith("[truncated") else module or "app"


def count(stacks, by_blocks=False):
    """({path: [bytes, blocks]} of every frame, {name: total})"""
    paths, totals = collections.defaultdict(lambda: [0, 0]), collections.Counter()
    for frames, size, blocks in stacks:
        whole = ("all", (frames[0], ""), *[split_module(f) for f in frames[1:]])
        if not (blocks if by_blocks else size):
            continue
        for i in range(len(whole)):
            paths[whole[:i + 1]][0] += size
            paths[whole[:i + 1]][1] += blocks
        for name in {w[0] for w in whole[1:]}:
            totals[name] += blocks if by_blocks else size
    return paths, totals


def parse_folded(data):
    """{frames: value}"""
    lines = (l.rsplit(" ", 1) for l in data.decode().split("\n") if l)
    return {tuple(f.split(";")): int(v) for f, v in lines}
