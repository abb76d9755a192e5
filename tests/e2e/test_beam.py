#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Erlang on a living node without flags: what ERTS takes memory for, the process and its functions, against what the
program knows of itself and what erlang:process_info tells. And the ways in which such programs keep memory, apart.
"""
import collections
import json
import re

from erlang_node import REQUESTS, WORKERS, Node, armed, compiled, of_type, replies, run
from harness import Memprobe, Target, main, sum_of, test


@test
def stacks_against_the_runtimes_own(t):
    truth, stacks, losses = run("mark", "live-bytes", workers=20, requests=100)
    blocks = [frames for frames, _ in of_type(stacks, "binary") if "feed:mark/1" in frames]
    size = 1000003 * 100
    t.between("blocks_of_a_known_size__have_their_function", sum_of(of_type(stacks, "binary"), "feed:mark/1"), size,
              size + 100 * 64)
    want = [place.split("@")[0] for place in truth.args[0].split()]
    t.equal("every_process__told_the_same_stack", len(set(truth.args)), 1)
    t.true("their_stack__is_what_process_info_tells",
           blocks and all([f for f in reversed(frames) if f.startswith("feed:")] == want for frames in blocks),
           f"{blocks} {want}")
    t.true("a_process__has_its_function_or_its_registered_name",
           {frames[1] for frames in blocks} == {"[process feed:worker/2]", "[process first_worker]"},
           f"{[frames[1] for frames in blocks]}")
    t.equal("a_node__loses_nothing", losses, 0)


@test
def lines_against_the_runtimes_own(t):
    with Node("mark", workers=4, requests=8) as target, \
            Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-f", "json") as m:
        armed(m, target)
        truth = target.ask("go")
        m.stop()
        target.exit()
        lines = [json.loads(line) for line in m.stdout.splitlines()]
    frames = {x["id"]: x for x in lines if x["type"] == "frame"}
    want = truth.args[0].split()
    innermost, line = want[0].rsplit(":", 1)
    want[0] = f"{innermost}:{int(line) + 1}"  # it allocates on the line after the one where it asks
    told = []
    for stack in (x for x in lines if x["type"] == "stack"):
        own = [frames[i] for i in reversed(stack["frames"]) if frames[i]["name"].startswith("feed:")]
        if own and own[0]["name"] == "feed:mark/1" and stack["live_bytes"] > 1000000:
            told.append([f"{f['name']}@{f.get('file')}:{f.get('line')}" for f in own])
    t.true("files_and_lines__are_what_process_info_tells", told and all(x == want for x in told), f"{told} {want}")


@test
def parts_of_replies_are_kept(t):
    truth, stacks, _ = run("sub", "live-bytes")
    kept = replies(stacks)
    total = sum(v for _, v in stacks)
    t.between("100_bytes_kept_of_each_reply__pin_every_reply", kept / (REQUESTS * 2400 * 64), 1, 2.2)
    t.between("binaries__are_as_many_bytes_as_the_node_tells", sum(v for _, v in of_type(stacks, "binary")),
              truth.values["binary"] * 0.95, truth.values["binary"] * 1.005)
    t.true("replies_that_are_pinned__hold_the_most", kept > total * 0.8, f"{kept} of {total}")
    top = max(stacks, key=lambda s: s[1])[0]
    t.true("the_function_that_built_them__is_named_with_its_callers",
           {"[process feed:worker/2]", "feed:worker/2", "feed:handle/2", "[binary]"} <= set(top), f"{top}")


@test
def replies_that_are_garbage(t):
    """A collection is due when a process has seen 0.4 MB of binaries since the last one: two or three replies."""
    for mode, most in (("idle", 4 * WORKERS), ("slice", 4 * WORKERS), ("fixed", WORKERS // 2)):
        _, stacks, _ = run(mode, "live-blocks")
        t.between(f"{mode}__holds_few_replies_per_process", replies(stacks), 0, most)
    _, stacks, _ = run("sub", "live-blocks")
    t.between("sub__holds_every_reply", replies(stacks), REQUESTS, REQUESTS + 4 * WORKERS)


@test
def a_table_grows(t):
    _, stacks, _ = run("ets", "live-bytes")
    terms = of_type(stacks, "db_term")
    types = {}
    for frames, value in stacks:
        types[frames[-1]] = types.get(frames[-1], 0) + value
    t.equal("terms_of_a_table__hold_the_most", max(types, key=types.get), "[db_term]")
    t.between("their_bytes__are_those_of_lists_of_200", sum_of(terms, "feed:handle/2") / (REQUESTS * 200 * 16), 1, 1.2)


@test
def code_that_is_loaded_later(t):
    with Target("/bin/sh", "-c", 'exec "$@"', "sh", *compiled("later.erl"), "-s", "later", "main",
                env={"HOME": "/tmp", "ERL_CRASH_DUMP_BYTES": "0"}) as target, \
            Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-m", "live-bytes") as m:
        armed(m, target)
        target.ask("go")
        m.stop()
        target.exit()
        stacks = m.stacks()
    told, functions = collections.Counter(), set()
    for frames, value in of_type(stacks, "binary"):
        own = [re.fullmatch(r"((?:long|brief)\d+):(.*)", f) for f in frames]
        for module, function in [x.groups() for x in own if x]:
            told[module] += value
            functions.add(function)
            break
    known = {m for m, n in told.items() if 20 * 100003 <= n <= 20 * 100100}
    half = {m for m, n in told.items() if 10 * 100003 <= n <= 10 * 100100}
    t.equal("modules_that_are_loaded_while_it_is_watched__have_their_names", known | half,
            {f"long{i}" for i in range(1, 5)} | {f"brief{i}" for i in range(1, 13)})
    t.true("new_room_for_code__is_known_after_its_first_stack", len(half) <= 1 and not any(m.startswith("brief") for m in half), f"{told}")
    t.true("what_takes_the_place_of_purged_code__is_not_named_after_it", functions <= {"keep/1", "-keep/1-lc$^0/1-0-/2"}, f"{functions}")


if __name__ == "__main__":
    main()
