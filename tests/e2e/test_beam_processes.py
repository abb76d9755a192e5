#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Erlang processes read from outside: their memory, names and collections, against what the node tells of them; what dirty
schedulers do for them. And a layout that is off by a word gives no wrong name.
"""
import json
import os
import subprocess
import time

from erlang_node import REQUESTS, WORKERS, Node, armed, known_release, of_type, replies, run
from harness import BUILD, MEMPROBE, Failure, Memprobe, main, test


def look(mode, *what):
    """(truth, lines of print_beam) of a node after its requests"""
    with Node(mode) as target:
        known_release(target.pid)
        truth = target.ask("go")
        out = subprocess.run([os.path.join(BUILD, "tests/e2e/print_beam"), str(target.pid), *what], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False)
        if b"known here" in out.stderr:
            raise Failure(out.stderr.decode())
        target.exit()
        return truth, [line.split(None, 3) for line in out.stdout.decode().splitlines()]


def census_of(lines):
    """{pid: (heap, old heap, binaries, their bytes, name)}; bytes of the rest"""
    processes, rest = {}, 0
    for line in lines:
        if line[0] == "process":
            binaries, size, pid, name = line[3].split(None, 3)
            processes[pid] = (int(line[1]), int(line[2]), int(binaries), int(size), name)
        elif line[0] == "census" and line[3] == "[table of processes]":
            rest += int(line[2])
    return processes, rest


@test
def processes_from_outside(t):
    truth, lines = look("lists")
    processes, rest = census_of(lines)
    told = sum(p[0] + p[1] for p in processes.values()) + rest
    t.between("the_memory_of_processes__adds_up_to_what_the_node_tells", told / truth.values["processes"], 0.95, 1.05)
    t.equal("every_process__has_its_row", len(processes), truth.values["count"])
    own = {arg.split()[0]: int(arg.split()[1]) for arg in truth.args}
    t.equal("the_node__told_of_each_worker", len(own), WORKERS)
    wrong = {pid: (size, processes.get(pid)) for pid, size in own.items()
             if pid not in processes or not 0.9 < (processes[pid][0] + processes[pid][1]) / size < 1.1}
    t.true("heaps_of_a_worker__are_what_process_info_tells_of_it", not wrong, f"{wrong}")
    truth, lines = look("sub")
    processes, _ = census_of(lines)
    held = [p for p in processes.values() if p[4] in ("feed:worker/2", "first_worker")]
    t.between("processes_that_keep_parts_of_replies__hold_every_reply", sum(p[2] for p in held), REQUESTS,
              REQUESTS + 4 * WORKERS)
    t.between("binaries_that_processes_hold__are_those_that_the_node_tells",
              sum(p[3] for p in processes.values()) / truth.values["binary"], 0.9, 1.05)


@test
def names_of_what_proc_lib_starts(t):
    truth, lines = look("served_sub")
    own = dict(arg.split() for arg in truth.args)
    processes, _ = census_of(lines)
    t.true("the_node__told_of_its_gen_servers", list(own.values()).count("feed:init/1") == WORKERS - 1, f"{own}")
    high = [pid for pid in own if int(pid.strip("<>").split(".")[1]) > 32767 or not pid.endswith(".0>")]
    t.true("the_node__told_of_processes_of_high_numbers", len(high) >= WORKERS, f"{own}")
    t.equal("every_process__has_the_name_that_erlang_gives_it", {pid: p[4] for pid, p in processes.items()}, own)
    _, stacks, _ = run("served_sub", "live-blocks")
    by = {frames[1] for frames, _ in of_type(stacks, "binary") if "feed:handle/2" in frames}
    t.equal("frames__begin_with_what_a_gen_server_was_started_for", by, {"[process feed:init/1]", "[process first_worker]"})
    t.between("every_reply__is_below_them", replies(stacks), REQUESTS, REQUESTS + 4 * WORKERS)


def full_collections(target, *words):
    """As memprobe counts them from its start to its end; it is asked to end when the node has done what the words want."""
    with Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-f", "json") as m:
        armed(m, target)
        for word in words:
            target.ask(word)
        time.sleep(1)  # the last one is seen by the next look
        m.stop()
        processes = [x for x in map(json.loads, m.stdout.splitlines()) if x["type"] == "process"]
    return processes[0].get("collections", -1)


@test
def collections_from_outside(t):
    """Each process collects all of its garbage five times, once in a second; a lower bound, as looks may come late on a busy
    machine; those that its growing list asks for may be more."""
    with Node("sweep", workers=4, requests=20, every_ms=250) as target:
        t.between("full_collections__are_those_that_the_processes_made", full_collections(target, "go"), 2, 7)
        t.equal("a_node_at_rest__makes_none", full_collections(target), 0)
        target.exit()


def counted(target):
    return target.ask("count").values["collections"]


@test
def collections_of_any_kind(t):
    """Of small heaps: what large ones have is left to dirty schedulers, and not counted here."""
    with Node("slice") as target:
        known_release(target.pid)
        before = counted(target)
        with Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-f", "json") as m:
            armed(m, target)
            first = counted(target)
            target.ask("go")
            last = counted(target)
            m.stop()
            told = [x for x in map(json.loads, m.stdout.splitlines()) if x["type"] == "process"][0].get("all_collections", -1)
        t.true("the_node__collected_for_every_few_replies", last - first >= REQUESTS // 4, f"{first} {last}")
        t.between("collections_of_any_kind__are_as_many_as_the_node_tells", told, last - first, counted(target) - before)
        target.exit()


def dirty(frames):
    """1_dirty_cpu_sch, erts_dios_1"""
    return any("_dirty_" in f or "erts_dcpus_" in f or "erts_dios_" in f for f in frames)


@test
def work_of_dirty_schedulers(t):
    _, stacks, losses = run("file", "live-bytes", "--threads", requests=20, workers=2, file=("block", b"x" * 1000003))
    read = [(frames, size) for frames, size in stacks if frames[-1] == "[drv_binary]" and "feed:handle/2" in frames]
    t.true("a_file_is_read__on_dirty_io_schedulers", read and all(dirty(frames) for frames, _ in read), f"{read}")
    t.between("blocks_of_a_file__have_the_functions_that_wanted_them", sum(v for _, v in read) / 1000003, 20, 20.1)
    want = ["prim_file:read_file/1", "feed:handle/2", "feed:worker/2"]
    t.true("their_stack__is_that_of_the_process", all([f for f in reversed(frames) if f in want] == want for frames, _ in read),
           f"{read}")
    t.true("nothing_else_of_the_thread__is_in_it", all("start_thread" not in frames for frames, _ in read), f"{read}")
    t.equal("dirty_schedulers__lose_nothing", losses, 0)
    _, stacks, _ = run("lists", "alloc-bytes", "--threads", requests=80, workers=1)
    heaps = [(frames, size) for frames, size in stacks if frames[-1] in ("[heap]", "[old_heap]") and dirty(frames)]
    total = sum(size for _, size in heaps)
    own = sum(size for frames, size in heaps if "[process first_worker]" in frames and "feed:handle/2" in frames)
    t.true("large_heaps__are_collected_on_dirty_cpu_schedulers", total > 1000000, f"{stacks}")
    t.between("their_bytes__have_the_process_and_its_functions", own / max(total, 1), 0.95, 1)


@test
def two_looks_at_processes(t):
    with Node("served_sub") as target:
        known_release(target.pid)
        p = subprocess.Popen([MEMPROBE, "census", "-p", str(target.pid), "-i", "5"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        first = p.stderr.readline()  # the first look has been taken
        if "first look" not in first:
            raise Failure(first + "".join(p.communicate()))
        truth = target.ask("go")
        text, _ = p.communicate(timeout=60)
        target.exit()
    rows = [line.split() for line in text.splitlines() if "> feed:init/1" in line]
    t.true("processes_that_grew__are_listed_by_memory", len(rows) > 5 and "ERLANG PROCESS" in text, text)
    own = [arg.split()[0] for arg in truth.args]
    t.true("each__has_the_number_that_the_node_gives_it", {r[6] for r in rows} <= set(own), f"{own}\n{text}")
    t.true("each__has_grown_by_what_it_holds_now", all(0.9 < float(r[1]) / float(r[0]) <= 1 for r in rows), text)
    t.true("each__holds_its_share_of_the_replies", all(10 <= int(r[5]) <= 14 for r in rows), text)
    name = [line.split() for line in text.splitlines() if line.endswith("  feed:init/1")]
    t.equal("processes_of_one_name__are_counted_together", [int(r[2]) for r in name], [WORKERS - 1])
    t.true("binaries_per_process__grew_from_none", all(float(r[4]) >= 10 and float(r[5]) < 1 for r in name), text)


# fields that no name depends on, or only as the kernel side reads them: what is a word beside the current process is none; a line that
# is read elsewhere is none
NO_NAMES = {"current", "dirty_number", "gc_info", "table_max", "old_hend", "old_heap", "off_heap", "writable", "size_bytes",
            "struct_bytes", "line_table", "gen_gcs", "binary_header", "binary_size", "binary_block", "block_references",
            "block_size", "id_mask"}
NO_NAMES_BEFORE = {"type", "heap"} # a word nearer only


@test
def a_layout_that_is_off_by_a_word(t):
    _, lines = look("idle", "shifted")
    tried = [line for line in lines if line[0] == "shifted"]
    t.true("all_fields__were_tried", {line[1] for line in tried} > NO_NAMES, f"{lines}")
    t.true("all_fields__to_either_side", len(tried) >= 2 * len({line[1] for line in tried}) - 2, f"{lines}") # some begin at 0
    for _, field, what, rest in tried:
        shift = rest.split(":")[0]
        t.true(f"field_{field}_shifted_by_{shift}__is_refused_or_gives_no_wrong_name", what == "refused" or rest.endswith("wrong 0"), rest)
        if field not in NO_NAMES and not (shift == "-8" and field in NO_NAMES_BEFORE):
            t.equal(f"field_{field}_shifted_by_{shift}__is_refused", what, "refused")
    asked = [int(line[1]) for line in lines if line[0] == "asked"]
    t.true("names_of_layouts_that_pass__were_asked_for_100_000_times", asked and asked[0] >= 100000, f"{asked}")


if __name__ == "__main__":
    main()
