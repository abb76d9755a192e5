#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Ruby's objects by class and line (--objects), through the probe that Debian's libruby was built with: against the program's own
count, exact and in bursts; what the bursts leave of its speed; the counter that switches the probe on is 0 again in every
process after each kind of end.
"""
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time

from harness import MEMPROBE, Memprobe, Skip, main, test
from interpreters import TARGETS, Program, last_snapshot, line_with, ruby

FILE = os.path.join(TARGETS, "births.rb")
ORDERS, LINES, NAMELESS = (line_with("births.rb", "# line of the " + what) for what in ("orders", "lines", "nameless"))

LITERALS = os.path.join(TARGETS, "literals.rb")
# of each turn of literals.rb: the class, and the line by its remark. Literals that begin a line's code are those whose line Ruby's
# probe itself does not tell
KEPT = (("String", "text"), ("Array", "list"), ("Array", "empty list"), ("Hash", "table"), ("Array", "pair"), ("Hash", "filled table"),
        ("Array", "fresh list"), ("Hash", "named table"), ("String", "number"), ("Symbol", "symbol"))


def library(pid):
    """(path of libruby, where it begins in the process)"""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            words = line.split()
            if "/libruby" in words[-1] and words[2] == "00000000":
                return words[-1], int(words[0].split("-")[0], 16)
    raise Skip("ruby is not a library here")


def semaphore(pid):
    """Address of object__create's counter, as readelf tells it."""
    path, base = library(pid)
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"Name: object__create\n +Location: 0x[0-9a-f]+, Base: 0x[0-9a-f]+, Semaphore: 0x([0-9a-f]+)", notes)
    if not found:
        raise Skip("this ruby was built without probes")
    return base + int(found[1], 16)


def count(pid, address):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
        f.seek(address)
        return struct.unpack("<H", f.read(2))[0]


def until(t, name, is_so, seconds=20):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    t.true(name, is_so())


def made(path, file=FILE):
    """(class, line) -> objects, of the program's own file."""
    rows = [r for r in last_snapshot(path).get("objects", []) if r["file"] == file]
    return {(r["class"], r["line"]): r["made"] for r in rows}


@test
def every_object(t):
    with tempfile.TemporaryDirectory() as d, Program(ruby(), FILE) as program:
        out, text, kept = (os.path.join(d, "out." + s) for s in ("jsonl", "txt", "memprobe"))
        address = semaphore(program.process.pid)
        t.equal("the_probe__is_off_before", count(program.process.pid, address), 0)
        with Memprobe("-d", 0, "--objects", "-p", program.process.pid, "-o", out, "-o", text, "-o", kept) as m:
            m.armed()
            t.equal("the_probe__is_on_while_memprobe_watches", count(program.process.pid, address), 1)
            program.tell("make 1009")
            m.stop()
        t.equal("the_probe__is_off_after", count(program.process.pid, address), 0)
        program.tell("make 10")
        t.equal("objects__are_counted_by_class_and_line", {k: v for k, v in made(out).items() if k[1] <= NAMELESS},
                {("Shop::Order", ORDERS): 1009, ("Shop::Line", LINES): 2018, ("", NAMELESS): 1009})
        with open(text) as f:
            report = f.read()
        rows = re.search(r"^OBJECTS MADE, BY CLASS AND LINE \(every one counted\)\n.*WHERE\n +2 018 +[0-9.]+  Shop::Line +\S+/births.rb:(\d+)$",
                         report, re.M)
        t.true("the_report__begins_with_most", rows and int(rows[1]) == LINES, report)
        replayed = subprocess.run([MEMPROBE, "report", "-f", "json", kept], capture_output=True, text=True, timeout=60).stdout
        lines = [json.loads(line) for line in replayed.split("\n") if '"objects"' in line]
        t.equal("a_recording__keeps_them", [r["made"] for r in lines if r.get("type") == "objects" and r["line"] == LINES], [2018])


@test
def texts_arrays_and_hashes(t):
    """Exact, by line. The program counts its objects too: what is not told is the text with #{}, and what a symbol is made of."""
    with tempfile.TemporaryDirectory() as d, Program(ruby(), LITERALS) as program:
        out = os.path.join(d, "out.jsonl")
        semaphore(program.process.pid)
        program.tell("count")
        with Memprobe("-d", 0, "--objects", "--sample", "off", "-p", program.process.pid, "-o", out) as m:
            m.armed()
            said = program.tell("keep 1013")
            m.stop()
        got, at = made(out, LITERALS), {what: line_with("literals.rb", f"# line of the {what}\n") for _, what in KEPT}
        for type, what in KEPT:
            t.equal(f"the_{what.replace(' ', '_')}__is_told_by_class_and_line", got.get((type, at[what]), 0), 1013)
        kept = {k: n for k, n in got.items() if at["text"] - 1 <= k[1] <= at["symbol"]}
        sums = [sum(n for (type, _), n in kept.items() if type == want) for want in ("String", "Array", "Hash")]
        t.between("arrays__are_as_many_as_the_program_has_more", said["made"][1], sums[1], sums[1] + 20)
        t.between("hashes__are_as_many_as_the_program_has_more", said["made"][2], sums[2], sums[2] + 20)
        t.true("texts__are_no_more_than_the_program_has_more", sums[0] <= said["made"][0] + 20, (sums, said))


@test
def doctor_tells_of_the_probe(t):
    with Program(ruby(), FILE) as program:
        semaphore(program.process.pid)
        out = subprocess.run([MEMPROBE, "doctor", "-p", str(program.process.pid)], capture_output=True, text=True, timeout=60).stdout
        path, _ = library(program.process.pid)
        location = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, timeout=60).stdout
        location = re.search(r"Name: object__create\n +Location: 0x0*([0-9a-f]+)", location)[1]
        t.true("doctor__tells_that_the_probe_is_built_in", f"ruby:object__create at 0x{location}" in out, out)


@test
def off_after_every_end(t):
    with tempfile.TemporaryDirectory() as d, Program(ruby(), FILE) as program:
        pid, address = program.process.pid, semaphore(program.process.pid)
        for name, signo in (("sigkill", signal.SIGKILL), ("sigterm", signal.SIGTERM)):
            with Memprobe("-d", 0, "--objects", "-p", pid, "-o", os.path.join(d, "out.jsonl")) as m:
                m.armed()
                child = program.tell("fork")["child"]
                program.tell("make 10")
                before = count(pid, address)
                m.process.send_signal(signo)
                m.process.wait(timeout=60)
                until(t, f"{name}__switches_the_probe_off", lambda: count(pid, address) == 0)
                until(t, f"{name}__switches_it_off_in_a_child", lambda c=child: count(c, address) == 0)
                t.true(f"{name}__it_was_on_before", before > 0, before)
        program.tell("make 10")


def speed(program, seconds):
    """Orders for each second of CPU."""
    a = program.tell("count")
    time.sleep(seconds)
    b = program.tell("count")
    return (b["made"] - a["made"]) / max(b["cpu"] - a["cpu"], 0.01)


@test
def in_bursts(t):
    """A program that does nothing but make objects: with a probe at each of them it would be 13 times slower."""
    with tempfile.TemporaryDirectory() as d, Program(ruby(), FILE) as program:
        out, text = os.path.join(d, "out.jsonl"), os.path.join(d, "out.txt")
        semaphore(program.process.pid)
        program.tell("spin")
        bare = speed(program, 1.5)
        with Memprobe("-d", 0, "--objects", "-p", program.process.pid, "-o", out, "-o", text, auto=True) as m:
            m.armed()
            before = program.tell("count")
            watched = speed(program, 5)
            after = program.tell("count")
            m.stop()
        got, truth = made(out), after["made"] - before["made"]
        with open(text) as f:
            report = f.read()
        t.true("the_report__says_that_it_is_estimated", "(est. from bursts)" in report, report)
        t.true("the_program__keeps_most_of_its_speed", watched > 0.6 * bare, f"{watched:.0f} orders for a CPU second, {bare:.0f} before")
        for what, key, each in (("orders", ("Shop::Order", ORDERS), 1), ("lines", ("Shop::Line", LINES), 2),
                                ("nameless", ("", NAMELESS), 1)):
            # the first burst begins a little before the armed line, the last ends a little after the count
            t.between(f"{what}__are_as_many_as_the_program_made", got.get(key, 0), 0.85 * each * truth, 1.25 * each * truth)


if __name__ == "__main__":
    main()
