#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Elixir on a living node: modules, functions, lines and registered names as Elixir writes them, against its own stack.
"""
import json
import tempfile

from erlang_node import ElixirNode, armed
from harness import Memprobe, main, parse_folded, sum_of, test

SIZE, TIMES = 1000003, 30


def of_feed(frames):
    """Its own, in the other order."""
    return [f for f in reversed(frames) if f.startswith("Feed.")]


def lines_of(text):
    """Of each stack that holds those blocks: function@file:line."""
    records = [json.loads(line) for line in text.splitlines()]
    frames = {x["id"]: f"{x['name']}@{x.get('file')}:{x.get('line')}" for x in records if x["type"] == "frame"}
    stacks = [of_feed([frames[i] for i in x["frames"]]) for x in records if x["type"] == "stack" and x["live_bytes"] > SIZE]
    return [s for s in stacks if s and s[0].startswith("Feed.Json.encode/1")]


@test
def names_as_elixir_writes_them(t):
    with tempfile.TemporaryDirectory() as d, ElixirNode() as target, \
            Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-m", "live-bytes", "-o", f"{d}/out.folded", "-o",
                     f"{d}/out.jsonl") as m:
        armed(m, target)
        truth = target.ask("go")
        m.stop()
        target.exit()
        folded, lines = (open(f"{d}/out.{name}", encoding="utf-8").read() for name in ("folded", "jsonl"))
    stacks = parse_folded(folded)
    blocks = [frames for frames, size in stacks if "Feed.Json.encode/1" in frames and frames[-1] == "[binary]" and size > SIZE]
    want = [f for f in truth.args[0].split() if f.startswith("Feed.")]
    t.equal("every_request__told_the_same_stack", len(set(truth.args)), 1)
    t.true("their_stack__is_what_elixir_tells",
           blocks and all(of_feed(frames) == [f.split("@")[0] for f in want] for frames in blocks), f"{blocks} {want}")
    innermost, line = want[0].rsplit(":", 1)
    want[0] = f"{innermost}:{int(line) + 1}"  # it allocates on the line after the one where it asks
    told = lines_of(lines)
    t.true("files_and_lines__are_what_elixir_tells", told and all(x == want for x in told), f"{told} {want}")
    t.between("blocks_of_a_known_size__have_their_function", sum_of(stacks, "Feed.Json.encode/1"), TIMES * SIZE,
              TIMES * (SIZE + 64) + 100000)
    t.equal("a_process__has_its_function_or_its_registered_name", {frames[1] for frames in blocks},
            {"[process Feed.Channel.loop/1]", "[process Feed.Server]"})


if __name__ == "__main__":
    main()
