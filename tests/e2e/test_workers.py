#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A Ruby master and the workers that it forked: what of each one's memory is private and what is shared, against the kernel's smaps
and against what the workers have written; the advice where, and only where, its rule fires.
"""
import collections
import os
import tempfile

from harness import Memprobe, main, test
from interpreters import TARGETS, Program, last_snapshot, ruby

FILE = os.path.join(TARGETS, "workers.rb")
MIB = 1 << 20


def smaps(pid):
    """(private, shared) bytes of anonymous memory, summed over the mappings."""
    sums = collections.Counter()
    with open(f"/proc/{pid}/smaps") as f:
        one = {}
        for line in f:
            words = line.split()
            if words[0] == "Size:":
                one = {}
            elif words[-1] == "kB":
                one[words[0]] = int(words[1]) * 1024
            if words[0] == "Locked:": # the last one in each mapping that counts here
                private = min(one["Private_Dirty:"], one["Anonymous:"])
                sums["private"] += private + one["Swap:"]
                sums["shared"] += one["Anonymous:"] - private
    return sums["private"], sums["shared"]


def run(program, percent):
    """(what the program said, processes by pid, the kernel's figures by pid, the report); workers write while it is watched."""
    with tempfile.TemporaryDirectory() as d:
        out, text = os.path.join(d, "out.jsonl"), os.path.join(d, "out.txt")
        with Memprobe("-d", 0, "-P", "heap", "-p", program.process.pid, "-o", out, "-o", text) as m:
            m.armed()
            said = program.tell(f"touch {percent}")
            m.stop()
        kernel = {pid: smaps(pid) for pid in (program.process.pid, *said["workers"])} # nobody works now
        with open(text) as f:
            return said, {p["pid"]: p for p in last_snapshot(out)["process"]}, kernel, f.read()


def check_kernel(t, processes, kernel):
    for pid, (private, shared) in kernel.items():
        p = processes.get(pid, {})
        who = "a_worker" if p.get("parent_gen") else "the_master"
        for what, bytes_ in (("private", private), ("shared", shared)):
            t.between(f"{who}__has_as_much_{what}_memory_as_the_kernel_says", p.get(what + "_bytes", -1), bytes_ - MIB, bytes_ + MIB)


@test
def workers_write(t):
    with Program(ruby(), FILE) as program:
        master = program.process.pid
        program.tell("fork 2")
        said, processes, kernel, text = run(program, 5)
        check_kernel(t, processes, kernel)
        t.true("workers_that_write_little__are_given_no_advice", "GC.compact" not in text, text)
        said, processes, kernel, text = run(program, 60)
    check_kernel(t, processes, kernel)
    t.equal("workers__have_their_master_as_parent", [processes[w].get("parent_gen") for w in said["workers"]],
            2 * [processes[master]["gen"]])
    written = said["written"] * 55 / 60 # the first 5 percent were theirs before
    for w in said["workers"]:
        grown = processes[w]["private_bytes"] - processes[w]["private_then_bytes"]
        fallen = processes[w]["shared_then_bytes"] - processes[w]["shared_bytes"]
        t.between("what_a_worker_wrote_to__is_private_now", grown, 0.95 * written, 1.15 * written)
        t.between("what_a_worker_wrote_to__is_no_longer_shared", fallen, 0.95 * written, 1.15 * written)
        t.true("the_report__has_a_row_of_each_worker", f"\n{w:6}  ruby  " in text, text)
    t.true("the_report__has_the_row_of_who_forked_them", f"\n{master:6}  ruby, forks  " in text, text)
    t.true("workers_that_write_to_most__are_given_advice", "GC.compact" in text, text)


@test
def workers_that_begin_meanwhile(t):
    with Program(ruby(), FILE) as program, tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 0, "-P", "heap", "-p", program.process.pid, "-o", out) as m:
            m.armed()
            workers = program.tell("fork 3")["workers"]
            program.tell("touch 1")
            m.stop()
        kernel = {pid: smaps(pid) for pid in (program.process.pid, *workers)}
        check_kernel(t, {p["pid"]: p for p in last_snapshot(out)["process"]}, kernel)


if __name__ == "__main__":
    main()
