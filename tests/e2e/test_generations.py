#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Forks and execs take a generation each; those that have ended cost no more than their place in the report."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from harness import Memprobe, Skip, Target, main, parse_folded, run, sum_of, test

N_CHILDREN = 500
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def maps_of(pid):
    """{name: id} of the BPF maps that a process holds."""
    ids = set()
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            with open(path) as f:
                ids.update(re.findall(r"^map_id:\s*(\d+)", f.read(), re.M))
        except OSError:
            pass
    told = [json.loads(subprocess.run([BPFTOOL, "-j", "map", "show", "id", i], stdout=subprocess.PIPE, check=True).stdout)
            for i in ids]
    return {m["name"]: m["id"] for m in told}


def rows(map_id):
    r = subprocess.run([BPFTOOL, "-j", "map", "dump", "id", str(map_id)], stdout=subprocess.PIPE, check=True)
    return len(json.loads(r.stdout))


def least_rows(maps, names, most, timeout_s=30):
    """{name: rows}, when each has at most so many, or what there is in the end."""
    end = time.monotonic() + timeout_s
    while True:
        found = {name: rows(maps[name]) for name in names}
        if max(found.values()) <= most or time.monotonic() > end:
            return found
        time.sleep(0.5)


def share_after(t, name, words):
    """The probes' cost by the work of the target, as memprobe estimates it, after these words; None: not told."""
    with Target("generations", 0) as target, Memprobe("-d", 0, "--json", "-p", target.pid) as m:
        m.armed()
        for word in words:
            target.ask(word)
        m.stop()
        t.equal(f"{name}__ends_with_0", m.status, 0)
        shares = [x["probes_share"] for x in map(json.loads, m.stdout.splitlines()) if "probes_share" in x]
        return shares[-1] if shares else None


@test
def work_of_an_image(t):
    """The CPU time of a PID is the work of the image that it runs now, not once more of each that it ran before."""
    plain = share_after(t, "a_program_that_burns", ("burn",))
    after = share_after(t, "a_program_that_burns_after_15_execs", ("execs", "burn"))
    if not t.true("both_tell_a_share", plain and after, f"{plain} {after}"):
        return
    t.measured("after_15_execs__the_work_of_a_program_counts_once", 0.5 * plain < after < 2 * plain,
               f"{after} of its CPU with execs, {plain} without")


@test
def many_children(t):
    """Fork and exec again and again: the kernel's tables have the living, the report has all."""
    if not BPFTOOL:
        raise Skip("no bpftool")
    with tempfile.TemporaryDirectory() as d, Target("generations", N_CHILDREN) as target, \
            Memprobe("-d", 0, "-P", "heap,vm,rss", "-o", f"{d}/a.folded", "-o", f"{d}/a.jsonl", "-o", f"{d}/a.memprobe",
                     "-p", target.pid) as m:
        m.armed()
        maps = maps_of(m.process.pid)
        target.ask("fork")
        truth = target.ask("churn", 150)
        t.true("while_children_come_and_go__memprobe_has_rows_of_them", rows(maps["proc_totals"]) > 1)
        left = least_rows(maps, ("proc_totals", "rss_totals", "tcaches"), 1)
        t.true("after_many_children_have_ended__the_tables_have_room_again", max(left.values()) <= 1, f"rows: {left}")
        left = least_rows(maps, ("stacks", "rss_stacks", "rss_places", "old_frees"), N_CHILDREN, 5)
        t.true("so_have_those_of_their_stacks_and_pages", max(left.values()) <= N_CHILDREN, f"rows: {left}")
        kept = target.ask("keep")
        m.stop()
        stacks = parse_folded(open(f"{d}/a.folded").read())
        processes = [x for x in map(json.loads, open(f"{d}/a.jsonl")) if x["type"] == "process"]
        again = run("report", "--folded", f"{d}/a.memprobe")
        for site in ("s_forked", "s_image"):
            t.equal(f"many_children_that_have_ended__are_exact_at_{site}", sum_of(stacks, site),
                    truth.of(site, "live-bytes"))
        t.equal("their_parent__counts_on", sum_of(stacks, "s_kept", target.pid), kept.of("s_kept", "live-bytes"))
        t.equal("a_fork_and_an_exec__are_a_generation_each", len(processes), 2 * N_CHILDREN + 2)
        t.equal("each_child__has_its_end_in_the_report", len({x["pid"] for x in processes if x["state"] == "exited"}),
                N_CHILDREN + 1)
        t.equal("what_they_did__is_in_the_recording_as_in_the_report", sorted(parse_folded(again.stdout)), sorted(stacks))
        t.no_loss("many_children__lose_nothing", m)


@test
def in_little_room(t):
    """More stacks than the table has room for, of children that ended: each round of them finds it empty."""
    if not BPFTOOL:
        raise Skip("no bpftool")
    with Target("generations", 450) as target, Memprobe("-d", 0, "--max-memory", "4M", "-p", target.pid) as m:
        m.armed()
        maps = maps_of(m.process.pid)
        room = json.loads(subprocess.run([BPFTOOL, "-j", "map", "show", "id", str(maps["stacks"])], stdout=subprocess.PIPE,
                                         check=True).stdout)["max_entries"]
        target.ask("fork")
        had = 0
        for i in range(3):
            truth = target.ask("churn")
            had += rows(maps["stacks"])
            if i < 2:
                least_rows(maps, ("stacks",), 20, 15)
        m.stop()
        stacks = m.stacks()
        t.true("children_in_rounds__have_more_stacks_than_there_is_room_for", had > room, f"{had} stacks, room for {room}")
        for site in ("s_forked", "s_image"):
            t.equal(f"children_in_rounds_in_little_room__are_exact_at_{site}", sum_of(stacks, site),
                    truth.of(site, "live-bytes"))
        t.no_loss("children_in_rounds_in_little_room__lose_nothing", m)


if __name__ == "__main__":
    main()
