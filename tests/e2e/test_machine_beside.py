#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Whose probes are taken away when the whole machine is looked at, and what it tells then: bursts are for one process
alone, and beside another memprobe, where probes are for every process, the others count no more. Expected values are
the targets' own counts.
"""
import contextlib
import json
import os
import re
import tempfile
import time

from harness import Failure, Memprobe, Skip, Target, main, test

MIB = 1 << 20
FAST, SLOW, CALLS = 12 * MIB, 3 * MIB, 50000
IN_BURSTS_S = 12


def figures_of(report, pid):
    """The title of a process's details: (bytes, seconds); None when it has none."""
    found = re.search(rf"^\d+  paced {pid}: heap ([+-][\d.]+) ([KMG]iB|B) in ([\d.]+) (s|ms)", report, re.M)
    if not found:
        return None
    unit = {"B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}[found[2]]
    return float(found[1]) * unit, float(found[3]) * (1 if found[4] == "s" else 1e-3)


DOUBT = r" .*\n(?:   .*\n)??   the heap by what bursts told"


def check(t, name, report, target, pace, may_be_doubted=False):
    found = figures_of(report, target.pid)
    if not found and re.search(rf"^ *\d+ +{target.pid}  paced .* faults", report, re.M):
        raise Skip("others on this machine grow faster: it never had probes")
    if not t.true(f"{name}__has_details", found, report):
        return
    told, seconds = found
    if may_be_doubted and re.search(rf"paced {target.pid}: heap{DOUBT}", report): # their scale is an estimate, and is told so
        return
    t.true(f"{name}__grew_by_no_more_than_it_did", told < 1.7 * pace * (seconds + 0.5),
           f"{told / MIB:.1f} MiB in {seconds} s, at {pace / MIB} MiB/s\n{report}")


def until_in_bursts(m):
    end = time.monotonic() + 30
    while not re.search("-> in (brief )?bursts", m.stderr):
        if time.monotonic() > end:
            raise Failure(f"no bursts in 30 s:\n{m.stderr}")
        time.sleep(0.05)


def two_growers(t, name, beside):
    """Both have probes, until they call their allocators so often that bursts are all that the budget allows."""
    with contextlib.ExitStack() as stack:
        out = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "run.txt")
        third, fast, slow = (stack.enter_context(Target(*args))
                             for args in (("server",), ("paced", FAST, CALLS), ("paced", SLOW, CALLS)))
        third.ask("quiet")
        if beside:
            stack.enter_context(Memprobe("-d", 0, "-p", third.pid)).armed()
        with Memprobe("-d", 0, "-o", out, auto=True) as m:
            m.wait_for("memprobe: armed:", 60)
            if "watched in bursts" in m.stderr:
                raise Skip("another program on this machine grows faster and calls its allocator too often")
            for target in fast, slow:
                target.ask("loud")
            until_in_bursts(m)
            time.sleep(IN_BURSTS_S)
            m.stop()
            said = m.stderr
        report = open(out).read()
        if beside:
            t.true(f"{name}__probes_are_for_all", "also probes an object" in said, said)
        check(t, f"{name}__the_faster_one", report, fast, FAST, may_be_doubted=True)
        check(t, f"{name}__the_one_whose_probes_were_taken_away", report, slow, SLOW)


@test
def alone(t):
    two_growers(t, "alone", False)


@test
def beside_another(t):
    two_growers(t, "beside_another_memprobe", True)


@test
def a_busy_one(t):
    """It makes too many calls to be watched throughout; those that do not keep their probes."""
    with contextlib.ExitStack() as stack:
        out = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "run.jsonl")
        fast, busy, other = (stack.enter_context(Target("paced", *args)) for args in ((FAST, 0), (10 * MIB, CALLS), (8 * MIB, 0)))
        busy.ask("loud")
        with Memprobe("-d", 0, "-o", out, auto=True) as m:
            m.wait_for("memprobe: armed:", 60)
            time.sleep(2)
            m.stop()
            said = m.stderr
        rows = [r for r in map(json.loads, open(out)) if r["type"] == "machine_row" and r["kind"] == "tree"]
        seen = {r["pid"]: r["seen"] for r in rows}
        if seen.get(fast.pid) in ("faults", "/proc"):
            raise Skip(f"others on this machine grow faster: {seen}")
        armed = re.search(r"armed: \d+ probes in (\d+) process", said)
        t.true("beside_a_busy_one__others_are_watched_throughout", int(armed[1]) >= 2 and "watched in bursts" not in said, said)
        t.true("the_busy_one__has_no_probes", seen.get(busy.pid) in ("faults", "/proc"), repr(seen))


@test
def a_busy_one_that_ends(t):
    """It had the probes for itself: the next ones need not wait for ten calm seconds, and are told of as one process."""
    with tempfile.TemporaryDirectory() as d, Target("paced", 40 * MIB, CALLS) as busy, Target("paced", 8 * MIB, 0) as other:
        busy.ask("loud")
        with Memprobe("-d", 0, "-o", f"{d}/run.jsonl", auto=True) as m:
            m.wait_for("memprobe: armed:", 60)
            if "in 1 process; " not in m.stderr or "watched in bursts" not in m.stderr:
                raise Skip("another program on this machine grows faster")
            busy.process.kill()
            ended = time.monotonic()
            while m.stderr.count("memprobe: armed:") < 2 and time.monotonic() - ended < 30:
                time.sleep(0.05)
            took = time.monotonic() - ended
            t.true("when_the_busy_one_has_ended__others_get_probes", took < 30, m.stderr)
            t.measured("when_the_busy_one_has_ended__soon", took < 6, f"{took} s\n{m.stderr}")
            m.stop()
        states = [r["state"] for r in map(json.loads, open(f"{d}/run.jsonl")) if r["type"] == "process" and r["pid"] == other.pid]
        t.true("one_that_got_probes_again__runs_once", states.count("running") <= 1 and set(states) <= {"running", "dropped"},
               repr(states))
        t.true("as_it_did", len(states) < 2 or states.count("running") == 1, repr(states))
        other.exit()


def links_to(m, name):
    """Links of memprobe's to probes in that file, as far as the kernel tells (6.16 and later)."""
    links, pid = 0, m.process.pid
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}") as f:
            text = f.read()
            links += "link_id" in text and re.search(rf"^path:.*/{name}$", text, re.M) is not None
    return links


def open_files(m, name):
    """Descriptors of that file that links are made from."""
    n = 0
    for fd in os.listdir(f"/proc/{m.process.pid}/fd"):
        with contextlib.suppress(OSError), open(f"/proc/{m.process.pid}/fdinfo/{fd}") as f:
            is_path = int(re.search(r"^flags:\s*(\d+)", f.read(), re.M)[1], 8) & os.O_PATH
            n += bool(is_path) and os.readlink(f"/proc/{m.process.pid}/fd/{fd}").endswith(f"/{name}")
    return n


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def armed_lines(m):
    """(probes, processes) of each."""
    return [(int(a), int(b)) for a, b in re.findall(r"armed: (\d+) probes in (\d+) process", m.stderr)]


@test
def those_that_end(t):
    """They leave nothing behind in memprobe but their figures."""
    with tempfile.TemporaryDirectory() as d, Memprobe("-d", 0, "-o", f"{d}/run.jsonl", auto=True) as m:
        m.wait_for("memprobe: looking at")
        with Target("paced_static", 40 * MIB, 0) as first:
            m.wait_for("memprobe: armed:", 60)
            if not open_files(m, "paced_static"):
                raise Skip("other programs on this machine grow faster")
            time.sleep(1)
            leaked = first.ask("tell").of("s_leak", "alloc-bytes")
            first.process.kill()
            until(lambda: not open_files(m, "paced_static") and not links_to(m, "paced_static"), 5)
            if "also probes an object" in m.stderr:
                raise Skip("another tracer is there: links are for all, and nobody's own")
            t.equal("its_links__are_gone", links_to(m, "paced_static"), 0)
            t.equal("its_files__are_closed", open_files(m, "paced_static"), 0)
        with Target("paced_static", 40 * MIB, 0):
            until(lambda: len(armed_lines(m)) > 1, 30)
            m.stop()
        lines, said = armed_lines(m), m.stderr
        process = next(r for r in map(json.loads, open(f"{d}/run.jsonl")) if r["type"] == "process" and r["pid"] == first.pid)
    alone = lines[0][1] == lines[-1][1] == 1 # nor has another program probes
    t.true("the_next_one__has_probes_and_is_counted_without_it", len(lines) > 1 and (not alone or lines[0] == lines[-1]), said)
    t.equal("it__is_told_to_have_ended", process["state"], "exited")
    t.between("what_it_had__is_told", process["live_bytes"], 20 * MIB, leaked + 20 * MIB)


if __name__ == "__main__":
    main()
