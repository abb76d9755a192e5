#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The whole machine: one run beside a tree of processes of which one worker leaks, a file in tmpfs that grows, and a
control group with a limit, where there can be one; and what looking at 300 processes costs. Expected values are the
target's own count, what the test itself wrote, and /proc/meminfo as the test reads it.
"""
import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import tempfile
import threading
import time

from harness import Memprobe, Target, build, main, run, test

MIB = 1 << 20
LEAK = 16 * MIB # a second: more than whatever else grows meanwhile
TMPFS = 4 * MIB
SECONDS = 16
LIMIT = 4 << 30


def meminfo():
    with open("/proc/meminfo") as f:
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in f}


class GrowingFile:
    """In tmpfs; grows until it is left."""

    def __init__(self):
        self.file = tempfile.TemporaryFile(dir="/dev/shm")
        self.written, self.ends = 0, threading.Event()
        self.thread = threading.Thread(target=self.grow)

    def grow(self):
        begin = time.monotonic()
        while not self.ends.wait(0.05):
            while self.written < (time.monotonic() - begin) * TMPFS:
                self.file.write(b"x" * 65536)
                self.file.flush()
                self.written += 65536

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.ends.set()
        self.thread.join()
        self.file.close()


@contextlib.contextmanager
def limited_group():
    """A control group with a limit; None where there can be none."""
    name = f"memprobe-machine-{os.getpid()}"
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        path = os.path.join(root, name)
        try:
            os.mkdir(path)
        except OSError:
            continue
        try:
            with open(os.path.join(path, limit), "w") as f:
                f.write(str(LIMIT))
        except OSError:
            os.rmdir(path)
            continue
        try:
            yield path
        finally:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
                    break
                time.sleep(0.1)
        return
    yield None


def start_tree(group):
    if not group:
        return Target("machine_tree", LEAK)
    return Target("/bin/sh", "-c", f"echo $$ > {group}/cgroup.procs; exec {build('machine_tree')} {LEAK}")


def by_type(text, kind):
    return [r for r in map(json.loads, text.splitlines()) if r["type"] == kind]


class Watched:
    """What one run printed, and the truth about it."""

    def __init__(self, directory):
        names = {k: f"{directory}/run.{k}" for k in ("txt", "jsonl", "memprobe")}
        with limited_group() as group, start_tree(group) as tree, GrowingFile() as file:
            self.group, self.master = group, tree.pid
            with Memprobe("-d", SECONDS, *(a for n in names.values() for a in ("-o", n)), auto=True) as m:
                m.wait_for("memprobe: looking at")
                first, written, shmem = tree.ask("leaked"), file.written, meminfo()["Shmem"]
                m.wait(SECONDS + 60)
                self.meminfo = meminfo()
                last = tree.ask("leaked")
                self.status, self.stderr = m.status, m.stderr
            self.leaked = last.values["leaked"] - first.values["leaked"]
            self.all_leaked = last.values["leaked"]
            # others may write to tmpfs meanwhile, or delete there
            self.others_in_tmpfs = self.meminfo["Shmem"] - shmem - (file.written - written)
            self.workers = [last.values[f"worker{i}"] for i in range(3)]
            tree.exit()
        self.report = open(names["txt"]).read()
        self.json = open(names["jsonl"]).read()
        self.again = run("report", "--report", names["memprobe"]).stdout
        self.machine = by_type(self.json, "machine")[0]
        self.rows = by_type(self.json, "machine_row")


def rows_of(watched, kind):
    return [r for r in watched.rows if r["kind"] == kind]


def check_head(t, w):
    lines = w.report.splitlines()
    t.true("the_first_line_names_the_tree_that_grows",
           re.match(rf"GROWING .*machine_tree \(pid {w.master} and 3 workers\)", lines[0]), lines[0])
    t.true("the_second_line_says_when_ram_or_a_group_is_full",
           re.match(r"(RAM full|Limit) .* in \d+ (s|min|h)", lines[1]), lines[1])
    t.true("the_next_command_is_on_the_worker_that_leaks",
           any(re.match(rf"next +sudo memprobe -p {w.workers[1]} ", l) for l in lines[:4]), "\n".join(lines[:4]))
    t.true("at_most_40_lines_of_100_columns", len(lines) <= 40 and max(map(len, lines)) <= 100, w.report)


def check_sums(t, w):
    used = rows_of(w, "used")[0]
    others = [r for r in w.rows if r["kind"] != "used"]
    t.equal("rows_add_up_to_what_is_in_use", sum(r["bytes"] for r in others), used["bytes"])
    t.equal("growth_adds_up_too", sum(r["growth_bytes"] for r in others), used["growth_bytes"])
    m = w.meminfo
    truth = m["MemTotal"] - m["MemAvailable"] + m["SwapTotal"] - m["SwapFree"]
    t.between("in_use_is_what_meminfo_says_within_1_percent_of_ram", used["bytes"], truth - m["MemTotal"] // 100,
              truth + m["MemTotal"] // 100)
    shown = re.findall(r" (-?\d+\.\d+) (?:MiB|GiB) +([+-]?\d+\.\d+)", w.report.split("PID")[1].split("shared pages")[0])
    for column, name in ((0, "printed_amounts_add_up"), (1, "printed_rates_add_up")):
        figures = [round(float(s[column]) * 100) for s in shown]
        t.equal(name, sum(figures[:-1]), figures[-1])


def check_tree(t, w):
    tree = next((r for r in rows_of(w, "tree") if r["pid"] == w.master), None)
    if not t.true("the_tree_is_one_row", tree and tree["processes"] == 4, repr(tree)):
        return
    t.between("its_growth_is_what_the_worker_leaked", tree["growth_bytes"], w.leaked * 0.85, w.leaked * 1.1 + 4 * MIB)
    t.between("pages_that_it_shares_count_once", tree["bytes"], 40 * MIB + w.all_leaked * 0.9,
              44 * MIB + w.all_leaked * 1.05)
    t.equal("the_worker_that_leaks_is_named", tree["worker_pid"], w.workers[1])
    t.between("ending_it_frees_what_it_leaked", tree["worker_private_bytes"], w.all_leaked * 0.85, w.all_leaked * 1.05 + MIB)
    t.true("its_growth_is_certain", tree["word"] == "GROWING", tree["word"])
    t.true("it_had_heap_probes", tree["seen"] in ("heap, exact", "heap, sampled", "in bursts"), tree["seen"])
    detail = w.report.split("WHERE", 1)[-1]
    t.true("the_detail_names_the_function_that_leaks", "leak_a_block" in detail, w.report)


def check_others(t, w):
    shmem = rows_of(w, "shmem")[0]
    # at an even pace: how long memprobe took to begin and to end is nothing to it
    written = TMPFS * w.machine["window_s"]
    t.between("a_file_in_tmpfs_grows_in_its_own_row", shmem["growth_bytes"],
              written * 0.9 - 2 * MIB + min(0, w.others_in_tmpfs), written * 1.1 + 2 * MIB + max(0, w.others_in_tmpfs))
    t.true("a_recording_shows_the_same_report", w.again == w.report, w.again)
    t.true("the_machine_has_processes", w.machine["processes"] >= 5)
    if not w.group:
        t.skip("a_group_with_a_limit_is_listed", "no control group with a memory limit can be made")
        return
    groups = {g["name"]: g for g in by_type(w.json, "machine_cgroup")}
    g = groups.get(os.path.basename(w.group))
    if t.true("a_group_with_a_limit_is_listed", g, repr(groups)):
        t.equal("its_limit_is_right", g["limit_bytes"], LIMIT)
        t.between("its_end_is_foreseen", g.get("full_in_s", -1), 0.5 * (LIMIT - w.all_leaked) / LEAK,
                  2 * LIMIT / LEAK)


@test
def one_leaking_worker_in_a_busy_machine(t):
    with tempfile.TemporaryDirectory() as directory:
        w = Watched(directory)
    t.true("it_succeeds", w.status == 0, w.stderr)
    check_head(t, w)
    check_sums(t, w)
    check_tree(t, w)
    check_others(t, w)


def max_queue():
    with open("/proc/sys/net/unix/max_dgram_qlen") as f:
        return int(f.read())


@contextlib.contextmanager
def in_the_kernel(size):
    """Datagrams of 3500 bytes that wait in sockets, each in 4 KiB of slab at least."""
    sockets, soft = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    each = max(1, min(100, max_queue())) # what a sender's buffer holds, too
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft[1], soft[1]))
        left = size // 4096
        while left > 0 and (soft[1] == resource.RLIM_INFINITY or len(sockets) < soft[1] - 64):
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            sockets += [a, b]
            a.setblocking(False)
            for _ in range(each):
                try:
                    a.send(b"x" * 3500)
                except BlockingIOError:
                    break
                left -= 1
        yield
    finally:
        for s in sockets:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)


def check_faults(t, rows, machine, pid, faults):
    row = next((r for r in rows if r.get("pid") == pid), None)
    if not t.true("a_process_without_probes__has_a_row", row, repr(rows)):
        return
    t.equal("it_is_seen_by_its_page_faults", row["seen"], "faults")
    bytes_in = row["fault_bytes_per_s"] * machine["window_s"]
    t.between("what_they_brought_in__is_its_own_count", bytes_in, faults * 4096 * 0.95, faults * 4096 * 1.05)


@test
def what_the_kernel_takes(t):
    size = 96 * MIB
    with tempfile.TemporaryDirectory() as d, Target("page_rounds") as toucher:
        faults = -toucher.ask("go").values["faults"]
        with Memprobe("-P", "none", "-d", 0, "-o", f"{d}/run.jsonl", auto=True) as m:
            m.wait_for("memprobe: looking at")
            before = meminfo()["SUnreclaim"]
            faults += toucher.ask("go").values["faults"]
            with in_the_kernel(size):
                grown = meminfo()["SUnreclaim"] - before
                m.stop()
        toucher.exit()
        text = open(f"{d}/run.jsonl").read()
    rows = by_type(text, "machine_row")
    check_faults(t, rows, by_type(text, "machine")[0], toucher.pid, faults)
    if grown < size // 2:
        t.skip("slab_that_grows__is_in_the_kernel_s_row", f"the kernel's slab grew by {grown} for {size} in sockets")
        return
    kernel = next(r for r in rows if r["kind"] == "kernel")
    t.between("slab_that_grows__is_in_the_kernel_s_row", kernel["growth_bytes"], grown * 0.6, grown * 1.6)


@test
def looking_at_300_processes_is_cheap(t):
    sleepers = [subprocess.Popen(["sleep", "60"]) for _ in range(300)]
    try:
        with tempfile.TemporaryDirectory() as d:
            ended = run("-P", "none", "-d", 10, "-o", f"{d}/run.jsonl", auto=True)
            text = open(f"{d}/run.jsonl").read() if ended.status == 0 else ""
        if not t.true("a_look_needs_no_probe", text, ended.stderr):
            return
        machine = by_type(text, "machine")[0]
        t.true("all_are_seen", machine["processes"] >= 300, repr(machine))
        t.equal("none_is_probed", machine["probed"], 0)
        # of one CPU: 0.7 to 1 % here, page tables of all at the end included; dearer where others empty the caches
        t.true("it_takes_little_cpu_time", machine["cpu_share"] < 0.03, repr(machine))
    finally:
        for s in sleepers:
            s.kill()
        for s in sleepers:
            s.wait()


if __name__ == "__main__":
    main()
