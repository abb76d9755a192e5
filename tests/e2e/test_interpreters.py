#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Python and Ruby lines of living programs, against what the programs themselves say of their stacks in the same
place, at default options; and their objects by type, against their own count.
"""
import os
import re
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET

from harness import BUILD, Memprobe, main, run, test
from interpreters import TARGETS, Program, census, last_snapshot, line_with, profile, profile_until, pythons, ruby

# Functions that the interpreter runs lines by, or calls them by; and one that all of the main thread's stand above, where a library
# has no name for the first
EVALS = ("_PyEval_EvalFrameDefault", "rb_vm_exec", "rb_ary_each")
ALL = EVALS[:2] + ("ruby_run_node",)


def names(snapshot, stack):
    """[(function, file, line, is the language's)], innermost first."""
    frames = {f["id"]: f for f in snapshot["frame"]}
    return [(frames[n]["name"], frames[n].get("file", ""), frames[n].get("line", 0), bool(frames[n].get("managed")))
            for n in reversed(stack["frames"])]


def language(stack):
    return [f[:3] for f in stack if f[3]]


def compare_stack(t, who, what, stacks, said, file, line):
    """The stack that begins in that line is, frame by frame, what the program says."""
    of_line = [s for s in stacks if language(s) and language(s)[0][1:] == (file, line)]
    t.true(f"{who}__{what}__begins_at_the_line_that_keeps", of_line, [language(s)[:2] for s in stacks[:5]])
    if of_line:
        # C functions, which Ruby lists with their caller's line, are in the native part; from 3.3 on "loop" is none
        said = [f for f in said if f[0] not in ("each", "loop") or f[1].startswith("<internal:")]
        t.equal(f"{who}__{what}__is_the_one_that_the_program_tells", [list(f) for f in language(of_line[0])], said)


def check_grown(t, who, snapshot, record, before, after):
    process = snapshot["process"][0]
    grown = dict(zip(process.get("grown_classes", []), process.get("grown_objects", [])))
    t.between(f"{who}__the_class_that_grew_is_named_with_its_growth", grown.get(record, 0), 100, after - before)


def check_stacks(t, who, program, main_site, other_site, inner, outer):
    before = program.tell("count")["kept"]
    snapshot = profile(program)
    check_grown(t, who, snapshot, "Journal::Record" if who == "ruby" else "Record", before, program.tell("count")["kept"])
    said = program.tell("stack")
    by_size = sorted(snapshot["stack"], key=lambda s: -s["live_bytes"])
    stacks = [names(snapshot, s) for s in by_size]
    t.equal(f"{who}__the_leak_is_first_at_default_options", language(stacks[0])[:1] and language(stacks[0])[0][1:], main_site)
    compare_stack(t, who, "its_stack", stacks, said["main"], *main_site)
    compare_stack(t, who, "another_thread's_stack", stacks, said["other"], *other_site)
    order = [n for n, f in enumerate(stacks[0]) if (f[3] and f[0] in (inner, outer)) or f[0] in EVALS]
    t.true(f"{who}__the_interpreter's_function_stands_between_the_lines_that_it_runs",
           stacks[0][order[0]][0] == inner and stacks[0][order[1]][0] in EVALS, [f[0] for f in stacks[0]])
    below = [s for s in by_size if any(f[0] in ALL for f in names(snapshot, s))]
    share = sum(s["alloc_blocks"] for s in below if language(names(snapshot, s)))
    t.true(f"{who}__of_the_allocations_below_it_99_in_100_have_a_line", share >= 0.99 * sum(s["alloc_blocks"] for s in below) > 0,
           f"{share} of {sum(s['alloc_blocks'] for s in below)}")
    t.true(f"{who}__no_frame_lacks_its_name", not any(f[0] == "[frame without a name]" for s in stacks for f in s))


@test
def python_lines(t):
    file = os.path.join(TARGETS, "keeps.py")
    for who, path in pythons().items():
        with Program(path, file, "300") as program:
            check_stacks(t, who, program, (file, line_with("keeps.py", "# line of the leak")),
                         (file, line_with("keeps.py", "# line of the other leak")), "Store.put", "handle")


NO_FILE = """
import sys, threading, time
kept = []
code = compile("while True:\\n    kept.append(bytearray(20011))\\n    time.sleep(0.003)", "", "exec")
threading.Thread(target=exec, args=(code, globals()), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@test
def python_code_without_a_file(t):
    for who, path in pythons().items():
        with Program(path, "-c", NO_FILE) as program:
            snapshot = profile(program, 2)
        process = snapshot["process"][0]
        t.equal(f"{who}__code_that_has_no_file_is_no_reason_against_it", process.get("runtime_reason", ""), "")
        most = max(snapshot["stack"], key=lambda s: s["live_bytes"])
        t.equal(f"{who}__its_line_is_known", language(names(snapshot, most))[:1], [("<module>", "", 2)])


COLLECTS = """
import gc, sys, threading, time
kept = [[] for _ in range(2400000)]
asked = []
def collect():
    while len(asked) < 2:
        gc.collect()
threading.Thread(target=collect, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    asked.append(line)
    print("{}", flush=True)
"""


@test
def python_that_collects_at_the_attach(t):
    """And no more from the arming on: what a first look misses has not grown."""
    for who, path in pythons().items():
        with Program(path, "-c", COLLECTS) as program:
            end = time.monotonic() + 4
            snapshot, _, _ = profile_until(program, lambda: time.monotonic() > end)
        t.true(f"{who}__nothing_grows", not snapshot["process"][0].get("grown_classes"), snapshot["process"][0])


TWINS = """
import sys
def kept(name, n):
    made = type(name, (), {})
    return [made() for _ in range(n)]
held = [kept(f"Twin{i}", n) for i in range(10) for n in (100, 300)]
print("ready", flush=True)
sys.stdin.read()
"""


@test
def types_of_one_name(t):
    for who, path in pythons().items():
        with Program(path, "-c", TWINS) as program:
            t.equal(f"{who}__types_of_one_name_that_stand__have_not_grown",
                    profile(program)["process"][0].get("grown_classes", []), [])


@test
def ruby_lines(t):
    path, journal = ruby(), os.path.join(TARGETS, "journal.rb")
    with Program(path, os.path.join(TARGETS, "keeps.rb"), "300") as program:
        check_stacks(t, "ruby", program, (journal, line_with("journal.rb", "# line of the leak")),
                     (journal, line_with("journal.rb", "# line of the other leak")), "append", "handle")


APPLICATION, RUNTIME = 2, 4 # kinds of frames: enum flame_kind
SHADES = 3


def colours(svg):
    """name -> kinds of its frames in a flame graph: see src/render/flamegraph.c."""
    text = {e.get("id"): e.text for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}metadata")}
    names = [line.split(" ", 1)[1] for line in text["mp-names"].split("\n")]
    found = {}
    for key in text["mp-keys"].split(";"):
        name, _, kind, *_ = [int(n, 36) for n in key.split(",")]
        if kind // SHADES: # else the root, which has none of the names
            found.setdefault(names[name], set()).add(kind // SHADES)
    return found


@test
def colours_of_a_flame_graph(t):
    (who, path), *_ = pythons().items()
    with tempfile.TemporaryDirectory() as d, Program(path, os.path.join(TARGETS, "keeps.py"), "300") as program:
        run("-d", 2, "-p", program.process.pid, "--no-save", "-o", os.path.join(d, "out.svg"), auto=True)
        with open(os.path.join(d, "out.svg"), "rb") as f:
            found = colours(f.read())
    t.equal(f"{who}__one's_own_functions__have_the_colour_of_an_application",
            [found.get(name) for name in ("Store.put", "handle", "other_put")], 3 * [{APPLICATION}])
    t.equal(f"{who}__those_of_its_library_and_its_interpreter__have_the_runtime's",
            [found.get(name) for name in ("Thread.run", "_PyEval_EvalFrameDefault")], 2 * [{RUNTIME}])


def check_saturated(t, who, program, site):
    """It serves as fast as it can, in two threads, and keeps a part of each request."""
    text = run("-d", 8, "-p", program.process.pid, "--report", "--no-save", auto=True, timeout_s=120).stdout
    t.measured(f"{who}_saturated__the_line_that_keeps_is_first", re.search(rf"^ *1 [^[\n]* {re.escape(site)}", text, re.M), text)
    t.measured(f"{who}_saturated__the_growth_is_put_down_to_it", re.search(rf"call sites?:\s+(#1 )?{re.escape(site)}", text), text)
    t.true(f"{who}_saturated__the_rung_is_told", re.search(r"^window .*(bursts|sampled|every malloc)", text, re.M), text)
    share = re.search(r"^runtime .*: ([\d.]+) % of allocations(?: in its code)? have a line", text, re.M)
    t.between(f"{who}_saturated__99_in_100_allocations_have_a_line", float(share[1]) if share else -1, 99, 100)


@test
def saturated(t):
    for who, path in pythons().items():
        with Program(path, os.path.join(TARGETS, "keeps.py"), "100000") as program:
            check_saturated(t, who, program, f"Store.put keeps.py:{line_with('keeps.py', '# line of the leak')}")
    with Program(ruby(), os.path.join(TARGETS, "keeps.rb"), "100000") as program:
        check_saturated(t, "ruby", program, f"append journal.rb:{line_with('journal.rb', '# line of the leak')}")


def listed(program, names):
    """
    Objects by type, at the second look. The table ends with what shrank, and is cut there: what the program made to answer us
    may go between the two looks.
    """
    for _ in range(3):
        now = {r[0]: r[2] for r in census(program, 0.1)[0]}
        if now.keys() >= set(names):
            break
    return now


@test
def python_census(t):
    for who, path in pythons().items():
        with Program(path, os.path.join(TARGETS, "keeps.py"), "300") as program:
            rows, text = census(program, 1)
            t.true(f"{who}_census__the_class_that_is_kept_grows_first", any(r[0] == "Record" and r[1] > 100 for r in rows[:2]), text)
            program.tell("pause")
            truth = program.tell("objects")
            slacks = {"Record": 0, "function": 0, "dict": 20, "tuple": 20}
            now = listed(program, slacks)
            for name, slack in slacks.items():
                t.between(f"{who}_census__counts_as_gc_get_objects:_{name}", now.get(name, 0), truth[name] - slack,
                          truth[name] + slack + (truth["[frozen]"] if slack else 0))


@test
def ruby_census(t):
    with Program(ruby(), os.path.join(TARGETS, "keeps.rb"), "300") as program:
        rows, text = census(program, 1)
        t.true("ruby_census__the_class_that_is_kept_grows", any(r[0] == "Journal::Record" and r[1] > 100 for r in rows), text)
        program.tell("pause")
        truth = program.tell("objects")
        rows, text = census(program, 0.1)
        now = {r[0]: r[2] for r in rows}
        t.equal("ruby_census__counts_the_instances_of_a_class_by_its_whole_name", now.get("Journal::Record"), truth["records"])
        strings = now.get("String", 0) + now.get("T_STRING", 0)
        t.between("ruby_census__counts_strings_as_the_program_does", strings, truth["T_STRING"] * 0.98,
                  truth["T_STRING"] * 1.02 + 100)


def check_collections(t, who, program):
    """Nothing else collects while the program pauses."""
    program.tell("pause")
    before = program.tell("collections")["full"]
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 0, "-p", program.process.pid, "-o", path, "-o", os.path.join(d, "out.txt"), auto=True) as m:
            m.armed()
            program.tell("collect")
            seen = program.tell("collections")["full"] - before
            m.stop()
        counted = [p.get("collections") for p in last_snapshot(path)["process"]]
        with open(os.path.join(d, "out.txt")) as f:
            text = f.read()
    t.true(f"{who}__the_program_has_collected", seen >= 5, seen)
    t.equal(f"{who}__full_collections_are_counted_as_the_runtime_counts_them", counted, [seen])
    t.true(f"{who}__the_report_tells_them", re.search(rf";\s+{seen} full GCs\n", text), text)


@test
def python_collections(t):
    for who, path in pythons().items():
        with Program(path, os.path.join(TARGETS, "keeps.py"), "20") as program:
            check_collections(t, who, program)


@test
def ruby_collections(t):
    with Program(ruby(), os.path.join(TARGETS, "keeps.rb"), "20") as program:
        check_collections(t, "ruby", program)


def check_shifted(t, who, program, n_layouts, harmless):
    out = subprocess.run([os.path.join(BUILD, "tests", "e2e", "shifted_layout"), str(program.process.pid)],
                         capture_output=True, text=True, timeout=120)
    lines = out.stdout.split("\n")
    t.true(f"{who}__layouts_were_shifted", f"checked {n_layouts}" in lines, out.stdout + out.stderr)
    t.true(f"{who}__names_were_asked_for_100_000_times", any(s.startswith("asked 10") and len(s) == 12 for s in lines), out.stdout)
    t.equal(f"{who}__with_one_offset_shifted_nothing_is_trusted",
            [s for s in lines if s.startswith("accepted") and s not in harmless], [])


@test
def shifted(t):
    # behind the first interpreter is the main one: the same; before the qualified name is a name; before the next
    # thread is the previous one; behind the first thread is, in 3.13, the main one
    harmless = ("accepted runtime_interpreters +8", "accepted code_qualname -8", "accepted thread_next -8",
                "accepted interp_threads +8")
    for who, path in pythons().items():
        with Program(path, os.path.join(TARGETS, "keeps.py"), "50") as program:
            check_shifted(t, who, program, 30, harmless)


@test
def shifted_ruby(t):
    # bounds that others are checked against, and what a label is checked against: no name comes from them
    harmless = ("accepted body_size +8", "accepted body_first -8", "accepted body_n_lines +8", "accepted body_base_label +8",
                "accepted body_last +8")
    with Program(ruby(), os.path.join(TARGETS, "keeps.rb"), "50") as program:
        check_shifted(t, "ruby", program, 44, harmless)


if __name__ == "__main__":
    main()
