#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
SIGKILL of memprobe at any moment of its run (attach, count, run, gate, report, detach), again and again, under a
redis and a python that work: they go on, their text is as in their files, and nothing of memprobe is left.

    KILLS=50 tests/e2e/test_killed.py      (default 12, half of them for each)

What is not checked: links of kernels without links that die with their owner; there are none that memprobe uses.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import servers
from harness import MEMPROBE, Failure, Memprobe, main, test

KILLS = int(os.environ.get("KILLS", "12"))
# after it is armed, of a run of 1 s: its end takes a while, too
LATEST_KILL_S = 1.5
GONE_S = 20
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/usr/local/sbin:/usr/bin")
OURS = ("heap_", "task_", "loader_", "trial_", "stack_verify", "fault_verify")

PYTHON_PROGRAM = """
import hashlib, json, sys, threading
most = int(sys.argv[1])
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
print('ready', flush=True)
h, n = b'', 0
while not stop.is_set() and n != most:
    text = json.dumps({'n%d' % i: [n, i, 'x' * (i * n % 3000)] for i in range(60)})
    h = hashlib.sha256(h + repr(sorted(json.loads(text).items())).encode()).digest()
    n += 1
print(n, h.hex())
"""


def dirty_text(pid):
    """Mapped code that is not as its file says: [(path, address)]."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            words = line.split(None, 5)
            if "x" not in words[1] or len(words) < 6 or not words[5].startswith("/"):
                continue
            start, end = (int(x, 16) for x in words[0].split("-"))
            with open(words[5].rstrip("\n"), "rb") as f:
                f.seek(int(words[2], 16))
                want = f.read(end - start)
            mem.seek(start)
            now = mem.read(end - start)[:len(want)]
            if now != want:
                at = next(i for i, (a, b) in enumerate(zip(now, want)) if a != b)
                found.append((words[5].rstrip("\n"), hex(start + at)))
    return found


def programs():
    """Ids of BPF programs with our names, of whoever. None of a run before has it again."""
    if not BPFTOOL:
        return set()
    out = subprocess.run([BPFTOOL, "-j", "prog", "show"], capture_output=True, check=True).stdout
    return {p["id"] for p in json.loads(out) if p.get("name", "").startswith(OURS)}


def of_this_memprobe():
    """Processes that run it, scratch processes included."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(MEMPROBE):
                found.append(int(pid))
        except OSError:
            pass
    return found


def listing(*directories):
    return sorted(os.path.join(d, n) for top in directories for d, _, names in os.walk(top) for n in names)


def traces():
    """What outlives a process in the kernel: pinned objects, probes by tracefs."""
    found = listing("/sys/fs/bpf")
    for path in ("/sys/kernel/tracing/uprobe_events", "/sys/kernel/tracing/kprobe_events"):
        if os.path.exists(path):
            with open(path) as f:
                found += f.read().splitlines()
    return found


def gone(before, pid, within_s=GONE_S):
    """What is left of programs, processes and probes when it has had its time."""
    end = time.monotonic() + within_s
    while True:
        left = (programs() - before, of_this_memprobe(), dirty_text(pid))
        if not any(left) or time.monotonic() > end:
            return left
        time.sleep(0.1)


def moment_of(m):
    if m.process.poll() is not None:
        return "after its end"
    if "armed:" not in m.stderr:
        return "starting"
    return "detaching" if m.stdout else "running"


def seconds_to_arm(pid):
    begin = time.monotonic()
    with Memprobe("-d", 0, "-p", pid, "--no-save") as m:
        m.armed()
        took = time.monotonic() - begin
        m.stop()
    return took


def kill_again_and_again(t, pid, n, what):
    """One in three while it starts, however long that takes here; the others from then on."""
    rng, before, kept = random.Random(n), programs(), traces()
    moments, left, start_s = {}, [], seconds_to_arm(pid)
    for i in range(n):
        part = (i + rng.random()) / n
        after_s = (start_s if i % 3 == 0 else LATEST_KILL_S) * part
        with Memprobe("-d", 1, "-p", pid, "-m", "alloc-blocks", auto=i % 2) as m:
            if i % 3:
                m.armed()
            time.sleep(after_s)
            moment = moment_of(m)
            moments[moment] = moments.get(moment, 0) + 1
            m.process.kill()
            m.process.wait()
        now = gone(before, pid)
        if any(now):
            left.append((after_s, now))
    print(f"     {what}: killed {moments}", flush=True)
    t.true(f"{what}__memprobe_was_killed_while_it_started_and_while_it_ran",
           moments.get("starting") and moments.get("running"), f"{moments}")
    t.equal(f"{what}__after_SIGKILL_of_memprobe_no_program_no_process_and_no_probe_in_its_text_is_left", left, [])
    t.equal(f"{what}__after_SIGKILL_of_memprobe_nothing_is_pinned_and_no_probe_is_left", traces(), kept)


@test
def probes_are_seen_as_dirty_text(t):
    """The check of the text can fail."""
    with subprocess.Popen(["sleep", "60"]) as sleeper, Memprobe("-d", 0, "-p", sleeper.pid) as m:
        try:
            before = dirty_text(sleeper.pid)
            m.armed()
            t.true("probes_that_are_there__are_seen", not before and dirty_text(sleeper.pid))
            m.stop()
            t.equal("after_a_run__the_text_is_as_in_its_files", dirty_text(sleeper.pid), [])
        finally:
            sleeper.kill()


@test
def under_redis(t):
    with tempfile.TemporaryDirectory() as d:
        server = servers.Redis(d)
        errors = None
        try:
            load = server.load()
            try:
                kill_again_and_again(t, server.process.pid, KILLS // 2, "redis")
            finally:
                answers, errors = load.stop()
        finally:
            status = server.close()
        t.true("redis__answers_right_while_memprobe_is_killed", not errors and len(answers) > 100,
               f"{len(answers)} answers; {errors}")
        t.equal("redis__ends_as_ever", status, 0)


def probes_of(pid):
    """Addresses of all probes in its C library: where memory is not as the file is."""
    with open(f"/proc/{pid}/maps") as f:
        words = next(w for w in map(str.split, f) if "x" in w[1] and w[-1].endswith("/libc.so.6"))
    start, end = (int(x, 16) for x in words[0].split("-"))
    with open(words[-1], "rb") as f, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        f.seek(int(words[2], 16))
        mem.seek(start)
        want, now = f.read(end - start), mem.read(end - start)
    return [(start + i, want[i:i + 1]) for i in range(len(want)) if want[i] != now[i]]


def kill_at_first_removal(m, pid, signo):
    """As soon as one of the probes has gone; how many were there still."""
    sites = probes_of(pid)
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        m.process.send_signal(signal.SIGINT)
        end = time.monotonic() + 10
        while time.monotonic() < end and all(os.pread(mem.fileno(), 1, at) != byte for at, byte in sites):
            pass
        m.process.send_signal(signo)
        there = sum(os.pread(mem.fileno(), 1, at) != byte for at, byte in sites)
    m.process.wait()
    return there


@test
def while_it_detaches(t):
    """The kernel leaves a breakpoint behind when a fatal signal interrupts its removal; memprobe must not be hit then."""
    left, there = [], []
    with subprocess.Popen(["sleep", "300"]) as sleeper:
        try:
            for i in range(KILLS):
                with Memprobe("-d", 0, "-p", sleeper.pid) as m:
                    m.armed()
                    there.append(kill_at_first_removal(m, sleeper.pid, (signal.SIGKILL, signal.SIGHUP)[i % 2]))
                now = gone(programs(), sleeper.pid, 3)
                left += [now] if any(now) else []
        finally:
            sleeper.kill()
    t.true("killed_while_it_detaches__some_probes_were_there_still", any(there), f"{there}")
    t.equal("killed_while_it_detaches__memprobe_leaves_no_probe_in_the_text", left, [])


def python(rounds):
    p = subprocess.Popen([sys.executable, "-c", PYTHON_PROGRAM, str(rounds)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != "ready\n":
        raise Failure("python does not begin")
    return p


@test
def under_python(t):
    p = python(-1)
    try:
        kill_again_and_again(t, p.pid, KILLS - KILLS // 2, "python")
    finally:
        out, _ = p.communicate(timeout=60)
    t.equal("python__ends_as_ever", p.returncode, 0)
    again = python(int(out.split()[0]))
    alone = again.stdout.readline()
    again.communicate(timeout=60)
    t.equal("python__computes_the_same_as_alone", out, alone)


if __name__ == "__main__":
    main()
