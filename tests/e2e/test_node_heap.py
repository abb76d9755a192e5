#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
V8's heap in a living node: objects by constructor, Buffers outside of it, full collections, against what the program counts.
"""
import os
import re
import time

from harness import Memprobe, main, test
from interpreters import TARGETS, JsonLines, Program, blocks_through, counted_census, line_with, node, profile_until

PROGRAM = os.path.join(TARGETS, "contexts.js")
RATE = 500


def contexts(mode, rate=RATE, collect_ms=0):
    return Program(*node(PROGRAM), mode, str(rate), str(collect_ms))


def held_by(text):
    return dict(re.findall(r"^  (\S+): (.*)$", text, re.M))


def held_in_time(program, names, text):
    """What a census says, and another one while it had not the time (10 s, of a machine that may be busy) for all of names."""
    for _ in range(4):
        held = held_by(text)
        if all(name in held and "(no time" not in held[name] for name in names):
            break
        with Memprobe("census", "-p", program.process.pid, "-i", 1) as m:
            m.wait()
            text = m.stdout
    return held_by(text), text


def wait_for_requests(program, n):
    while program.tell("count")["requests"] < n:
        time.sleep(0.05)


@test
def leak_in_a_map(t):
    with contexts("map") as program:
        wait_for_requests(program, 200) # classes have their shapes
        of, said, text = counted_census(program, 4)
        held, _ = held_in_time(program, ("RenderContext", "RecordTable"), text)
    kept = [s["kept"] for s in said]
    grown = kept[2] - kept[1]
    for name in ("RenderContext", "RecordTable"):
        more, _, n = of.get(name, (0, 0, 0))
        t.between(f"{name}__grows_as_the_program_counts", more, (kept[2] - kept[1]) * 0.8, (kept[3] - kept[0]) * 1.2)
        t.between(f"{name}__is_there_as_often_as_the_program_counts", n, kept[2] * 0.8, kept[3] * 1.2)
    classes = [name for name in of if not name.startswith("(")]
    t.equal("the_class_and_what_it_holds__grow_most_of_all_constructors", sorted(classes[:2]), ["RecordTable", "RenderContext"])
    variable = f"Map < variable 'openContexts' in {PROGRAM}"
    t.equal("the_class__is_held_by_the_Map_in_the_variable_that_the_program_names", held.get("RenderContext"), variable)
    t.equal("what_it_holds__is_held_by_it", held.get("RecordTable"), "property 'table' of RenderContext < " + variable)
    garbage = of.get("Scratch", (0,))[0]
    t.true("garbage_of_fifty_times_the_number__does_not_grow", abs(garbage) < grown * 0.2, text)


@test
def leak_in_a_list(t):
    with contexts("array") as program:
        wait_for_requests(program, 100)
        held, text = held_in_time(program, ("RenderContext",), "")
    want = f"Array < property 'retainedContexts' of Registry < variable 'registry' in {PROGRAM}"
    t.true("a_list_in_a_property_of_an_object_in_a_variable__is_told_link_by_link", held.get("RenderContext") == want, text)


@test
def twin_with_a_weak_map(t):
    with contexts("weakmap", collect_ms=100) as program:
        wait_for_requests(program, 200)
        of, said, text = counted_census(program, 4)
    made = said[2]["kept"] - said[1]["kept"]
    t.true("meanwhile__three_full_collections_or_more", said[2]["collections"] - said[1]["collections"] >= 3, said)
    for name in ("RenderContext", "RecordTable", "Scratch"):
        t.true(f"{name}__does_not_grow_in_a_WeakMap", abs(of.get(name, (0,))[0]) < made * 0.2, text)


@test
def buffers(t):
    with contexts("buffer", 100) as program:
        wait_for_requests(program, 50)
        enough = program.tell("count")["kept"] + 300
        snapshot, _, counted = profile_until(program, lambda: program.tell("count")["kept"] > enough, "--sample", "off")
        kept = [c["kept"] for c in counted]
        of, said, text = counted_census(program, 3)
    frames = {f["id"]: f for f in snapshot["frame"]}
    top = max(snapshot["stack"], key=lambda s: s["live_bytes"])
    ours = [frames[n] for n in reversed(top["frames"]) if frames[n].get("file") == PROGRAM]
    t.true("what_holds_most__was_allocated_at_the_line_that_keeps_Buffers", ours and ours[0]["name"] == "keep" and
           ours[0]["line"] in (line_with("contexts.js", "line of the buffers"), line_with("contexts.js", "function keep")), ours)
    t.true("it_is_malloc's__not_V8's_heap", any(frames[n]["name"].split("(")[0] in ("malloc", "calloc", "__libc_calloc")
                                             for n in top["frames"][-2:]), [frames[n]["name"] for n in top["frames"][-3:]])
    t.between("the_bytes__are_those_of_the_Buffers_kept_meanwhile", blocks_through(snapshot, ["keep"], 20000) / 20000,
              (kept[2] - kept[1]) * 0.99, kept[3] - kept[0])
    outside = (said[2]["external"] - said[1]["external"]) / 2 ** 20
    t.true("V8's_heap__is_flat_beside_them", sum(mib for _, mib, _ in of.values()) < 0.1 * outside, f"{outside} MiB\n{text}")


@test
def full_collections(t):
    with contexts("map", 100) as program:
        with Memprobe("-d", 0, "-p", program.process.pid, "--json", auto=True) as m:
            m.armed()
            before = program.tell("count")["collections"]
            for _ in range(5):
                program.tell("collect")
            seen = program.tell("count")["collections"] - before
            m.stop()
            counted = [p.get("collections") for p in JsonLines(m.stdout.encode()).snapshots[-1]["process"]]
    t.true("the_program__saw_its_five_collections", seen >= 5, seen)
    t.equal("full_collections__are_counted_as_perf_hooks_counts_them", counted, [seen])


OBJECT = 11 * 8 # of objects.js: map, properties, elements, 8 fields


@test
def plain_objects(t):
    with Program(*node(os.path.join(TARGETS, "objects.js")), "20") as program:
        counted = []

        def is_enough(): # once armed: 900 pages of V8's, of which each is a sample
            counted.append(program.tell("count")["kept"])
            return counted[-1] > counted[0] + 2000000

        snapshot, text, said = profile_until(program, is_enough)
    frames = {f["id"]: f for f in snapshot["frame"]}
    found = {}
    for s in snapshot["stack"]:
        name = next((frames[n]["name"] for n in reversed(s["frames"]) if frames[n].get("file") == os.path.join(TARGETS, "objects.js")), "")
        bytes_, variance, lines = found.get(name, (0, 0, set()))
        inner = next((frames[n].get("line") for n in reversed(s["frames"]) if frames[n]["name"] == name), 0)
        if s.get("runtime_alloc_bytes"):
            found[name] = (bytes_ + s["runtime_alloc_bytes"], variance + s["runtime_alloc_bytes_sd"] ** 2, lines | {inner})
    told, variance, lines = found.get("growTable", (0, 0, set()))
    drawn, drawn_variance, _ = found.get("drawPage", (0, 0, set()))
    every = sum(f[0] for f in found.values())
    sd, share = variance ** 0.5, told / max(told + drawn, 1)
    share_sd = (variance * (1 - share) ** 2 + drawn_variance * share ** 2) ** 0.5 / max(told + drawn, 1)
    kept = [s["kept"] * OBJECT for s in said]
    t.equal("the_function_that_allocates_most__is_first", max(found, key=lambda name: found[name][0], default=None), "growTable")
    t.true("its_line__is_in_it", lines and lines <= set(range(line_with("objects.js", "function growTable"),
                                                               line_with("objects.js", "function drawPage"))), lines)
    t.between("its_bytes__are_those_that_the_program_counts_within_4_stated_errors", told, kept[2] - kept[1] - 4 * sd,
              kept[3] - kept[0] + 4 * sd)
    t.true("the_stated_error__is_below_a_tenth", 0 < sd < 0.1 * told, (sd, told))
    t.true("three_of_four_objects_are_its_own__within_4_stated_errors", abs(share - 0.75) < 4 * share_sd < 0.25, (share, share_sd))
    t.between("all_bytes_of_V8's_heap__are_counted", every, (kept[2] - kept[1]) * 4 / 3 - 2 ** 19, (kept[3] - kept[0]) * 4 / 3 * 1.1 + 2 ** 19)
    first = re.search(r"ALLOCATED IN V8'S OWN HEAP.*\n(.*)\n(.*)\n", text)
    t.true("the_report__has_both_functions_in_this_order", first and "growTable" in first.group(1) and "drawPage" in first.group(2), text)


if __name__ == "__main__":
    main()
