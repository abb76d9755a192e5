#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The dry run: what it says is what a run then does, and what other tools find in the same files."""
import contextlib
import ctypes.util
import os
import re
import shutil
import subprocess
import tempfile
import time

from harness import MEMPROBE, Memprobe, Skip, Target, build, main, run, started, test
from rights import run_as, sleeper_of_nobody

PROBE_LINE = re.compile(r"^    (\S+) +(entry\*?|session\*?|return) +(0x[0-9a-f]+) +\+(\d+) +"
                        r"(emulated|single-stepped|not known) +([\d ]+|-)$", re.M)
EMULATED = re.compile(r"push|nop|j[a-z]+|call")


def doctor(*args):
    return run("doctor", *args)


def probes_of(text):
    """[(function, kind, offset of its code, shift, instruction, ns)]"""
    return [(name, kind, int(at, 16), int(shift), cost, int(ns.replace(" ", "") if ns != "-" else 0))
            for name, kind, at, shift, cost, ns in PROBE_LINE.findall(text)]


def tool(*args):
    if not shutil.which(args[0]):
        raise Skip(f"no {args[0]}")
    return subprocess.run(args, capture_output=True, text=True, check=True).stdout


def libc_of(pid):
    with open(f"/proc/{pid}/maps") as f:
        return re.search(r"\S*/libc[.-]\S*$", f.read(), re.M).group(0)


@test
def the_machine(t):
    ended = doctor()
    t.equal("on_a_machine_where_memprobe_works__doctor_exits_with_0", ended.status, 0)
    t.true("the_kernel__is_the_one_that_runs", f"  {os.uname().release}," in ended.stdout, ended.stdout)
    for what in ("CAP_BPF", "CAP_PERFMON", "task storage", "ring buffer", "BTF tracepoints"):
        t.true(f"as_root__{what}_is_ok", re.search(rf"^  ok +{what}\b", ended.stdout, re.M), ended.stdout)
    figures = re.search(r"a trap +([\d ]+) ns at an entry, ([\d ]+) with the return, ([\d ]+) where",
                        ended.stdout)
    if t.true("the_cost_of_a_trap__is_measured", figures, ended.stdout):
        entry, pair, stepped = (int(f.replace(" ", "")) for f in figures.groups())
        t.true("entry_and_return__cost_more_than_the_entry", entry < pair, figures.group(0))
        t.true("a_single_step__costs_more_than_the_entry", entry < stepped, figures.group(0))
    t.equal("doctor__fits_100_columns", [l for l in ended.stdout.splitlines() if len(l) > 100], [])
    t.equal("doctor__says_nothing_on_stderr", ended.stderr, "")


@test
def what_a_run_then_does(t):
    with Target("lifecycle", "exit") as target:
        ended = doctor("-p", target.pid)
        t.equal("of_a_process_with_an_allocator__doctor_exits_with_0", ended.status, 0)
        with Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            armed = re.search(r"armed: (\d+) probes in 1 process; (.*)", m.stderr)
            m.stop()
        said = re.search(r"a run would place (\d+) probes", ended.stdout)
        t.equal("the_probes_that_doctor_counts__are_those_of_a_run", said and said.group(1), armed.group(1))
        t.equal("the_probes_that_doctor_counts__are_those_that_it_lists", len(probes_of(ended.stdout)),
                int(armed.group(1)))
        links = re.search(r"links +(.*)", ended.stdout).group(1)
        stacks = re.search(r"stacks +(.*)", ended.stdout).group(1)
        t.true("links_and_stacks__are_those_of_a_run",
               links in armed.group(2) and stacks in armed.group(2), f"{links}, {stacks}: {armed.group(0)}")
        target.exit()


@test
def what_other_tools_find(t):
    with Target("lifecycle", "exit") as target:
        text, libc = doctor("-p", target.pid).stdout, libc_of(target.pid)
        target.exit()
    probes = probes_of(text)
    t.true("the_c_library__is_named_with_its_path", libc in text, text)
    build_id = re.search(r"Build ID: (\w+)", tool("readelf", "-n", libc)).group(1)
    t.true("the_build_id__is_that_of_readelf", f"build id {build_id}" in text, text)
    names = {p[0] for p in probes}
    t.true("malloc_realloc_calloc_and_free__are_probed",
           {"malloc", "realloc", "calloc", "free"} <= names, f"{names}")
    t.equal("only_functions_that_free__are_probed_at_the_entry_alone",
            {p[0] for p in probes if p[1] == "entry"} - {"free", "cfree"}, set())
    # virtual address minus file offset of the code segment
    segment = re.search(r"LOAD +(0x\w+) (0x\w+) .*R E", tool("readelf", "-lW", libc))
    bias = int(segment.group(2), 16) - int(segment.group(1), 16)
    symbols = {name.split("@")[0]: int(value, 16) for value, name in
               re.findall(r"^ *\d+: (\w+) .* FUNC .* (\S+)$", tool("readelf", "-W", "--dyn-syms", libc), re.M)}
    t.equal("each_function__lies_where_readelf_says",
            {p[0]: p[2] + bias for p in probes if p[0] in symbols},
            {p[0]: symbols[p[0]] for p in probes if p[0] in symbols})
    wrong = []
    for name, _, at, shift, cost, _ in probes:
        start = at + bias + shift
        line = tool("objdump", "-d", "--no-show-raw-insn", f"--start-address={start}",
                    f"--stop-address={start + 16}", libc).splitlines()
        code = next(l for l in line if re.match(rf" +{start:x}:\t", l)).split("\t")[1]
        if (cost == "emulated") != (EMULATED.match(code) is not None):
            wrong.append((name, cost, code))
    t.equal("each_instruction__is_of_the_class_that_objdump_shows", wrong, [])
    by_name = {p[0]: p for p in probes}
    t.true("entry_and_return__cost_more_than_an_entry", by_name["malloc"][5] > by_name["free"][5] > 0,
           f"{probes}")
    stepped = [p[5] for p in probes if p[4] == "single-stepped"]
    t.true("what_is_single_stepped__costs_more_than_what_is_not",
           not stepped or min(stepped) > by_name["malloc"][5], f"{probes}")


@test
def at_entry(t):
    with Target("lifecycle", "exit") as target:
        text = doctor("--at-entry", "-p", target.pid).stdout
        t.equal("with_at_entry__no_probe_is_shifted", [p for p in probes_of(text) if p[3]], [])
        t.true("with_at_entry__probes_are_there", probes_of(text), text)
        target.exit()


@test
def unwind_tables(t):
    with Target("lifecycle", "exit") as target:
        text = doctor("-p", target.pid).stdout
        with open(f"/proc/{target.pid}/maps") as f:
            objects = {l.split()[-1] for l in f if " r-xp " in l and "/" in l}
        target.exit()
    rows = {path: n for n, path in re.findall(r"^ {4} *((?:\d[\d ]*\d|\d)|none) +\S+(?: \S+)?  (/\S+)", text, re.M)}
    t.equal("each_object_with_code__has_its_table_told", set(rows), objects)
    t.true("the_c_library__has_thousands_of_rows",
           any("libc" in p and n != "none" and int(n.replace(" ", "")) > 1000 for p, n in rows.items()),
           f"{rows}")


@test
def the_process_is_left_alone(t):
    with Target("lifecycle", "exit") as target:
        text = doctor("-p", target.pid).stdout
        at = {p[0]: p[2] + p[3] for p in probes_of(text)}["malloc"]
        with open(f"/proc/{target.pid}/maps") as f:
            start, offset = next((int(l.split("-")[0], 16), int(l.split()[2], 16)) for l in f
                                 if " r-xp " in l and libc_of(target.pid) in l)
        seen = set()
        with open(f"/proc/{target.pid}/mem", "rb", buffering=0) as mem:
            def code():
                return os.pread(mem.fileno(), 1, start + at - offset)
            before = code()
            with Memprobe("doctor", "-p", target.pid) as m:
                while m.process.poll() is None:
                    seen.add(code())
            with Memprobe("-d", 0, "-p", target.pid) as m: # this test can see a probe
                m.armed()
                probed = code()
                m.stop()
        t.equal("while_doctor_runs__the_code_of_the_process_stays", seen, {before})
        t.true("in_a_run__it_does_not", probed != before, f"{probed} {before}")
        target.exit()


@test
def cxx(t):
    with Target("cxx") as target:
        text = doctor("-p", target.pid).stdout
        t.true("operator_new_that_calls_malloc__is_left_out_with_the_reason",
               re.search(r"not probed: .*calls? malloc.*:\n( +\S.*\n)*?.*_Znwm\b", text), text)
        t.true("operator_new_that_calls_malloc__is_not_listed_as_probed",
               not [p for p in probes_of(text) if p[0] == "_Znwm"], text)
        target.exit()


@test
def jemalloc(t):
    library = ctypes.util.find_library("jemalloc")
    if not library:
        raise Skip("no libjemalloc")
    with Target("lifecycle", "exit", env={"LD_PRELOAD": library}) as target:
        text = doctor("-p", target.pid).stdout
        target.exit()
    part = text[text.index("libjemalloc"):]
    t.true("a_preloaded_allocator__is_named", re.search(r"allocator +\S*/libjemalloc", text), text)
    t.true("operator_new_that_may_throw__has_its_mark_and_note",
           re.search(r"_Znwm +(session|entry)\*", part) and
           re.search(r"^    \* (the return only of sizes below|may throw)", part, re.M), part)


@test
def go_code(t):
    """A C program with the section by which Go programs are known."""
    with tempfile.TemporaryDirectory() as d:
        note, path = os.path.join(d, "note"), os.path.join(d, "like_go")
        with open(note, "w") as f:
            f.write("x" * 16)
        tool("objcopy", f"--add-section=.go.buildinfo={note}", build("calls_static"), path)
        with Target(path) as target:
            text = doctor("-p", target.pid).stdout
    t.true("go_code__is_recognised", "Go code" in text, text)
    t.true("go_code__gets_no_return_probe",
           probes_of(text) and all(p[1] == "entry" for p in probes_of(text)), text)
    t.true("functions_of_go_code__are_left_out_with_the_reason",
           re.search(r"not probed: Go code: .*\n( +\S.*\n)*?.*\bmalloc\b", text), text)


@contextlib.contextmanager
def perf_map(pid, text):
    path = f"/tmp/perf-{pid}.map"
    with open(path, "w") as f:
        f.write(text)
    try:
        yield
    finally:
        os.unlink(path)


@test
def generated_code(t):
    with Target("lifecycle", "exit") as target:
        t.true("without_a_perf_map__that_is_told", "no perf map" in doctor("-p", target.pid).stdout)
        with perf_map(target.pid, "1000 10 one\n2000 20 two\n3000 30 three\n"):
            text = doctor("-p", target.pid).stdout
        t.true("a_perf_map__is_told_with_its_functions", "perf map with 3 functions" in text, text)
        target.exit()


@test
def descendants(t):
    shell = subprocess.Popen(["sh", "-c", "sh -c 'sleep 60 & sleep 60 & wait' & wait"])
    try:
        end = time.monotonic() + 10
        text = ""
        while not ("3, " in text and text.count("sleep") == 2) and time.monotonic() < end:
            text = re.search(r"descendants.*", doctor("-p", shell.pid).stdout).group(0)
        t.true("children_and_their_children__are_told",
               re.search(r"3, followed by a run: (\d+ \w+(, )?){3}$", text), text)
        quiet = doctor("-p", shell.pid, "--no-follow").stdout
        t.true("with_no_follow__that_is_told", "3, not followed: " in quiet, quiet)
        t.equal("they_are_told_with_their_names", text.count(" sleep"), 2)
    finally:
        listed = [int(p) for p in re.findall(r"(\d+) (?:sh|sleep)\b", text)]
        for pid in [*listed, shell.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        shell.wait()


@test
def targets_that_are_none(t):
    ended = doctor("-p", 4194303)
    t.true("a_process_that_does_not_exist__exits_with_4",
           ended.status == 4 and "4194303" in ended.stderr, f"{ended}")
    with started(build("noalloc")) as program:
        program.line()
        ended = doctor("-p", program.process.pid)
        t.equal("a_process_without_an_allocator__exits_with_4", ended.status, 4)
        t.true("a_process_without_an_allocator__is_told_so", "no allocator was found" in ended.stdout,
               ended.stdout)


@test
def without_rights(t):
    for caps, missing in (((), "CAP_BPF and CAP_PERFMON"), (("bpf",), "CAP_PERFMON")):
        with sleeper_of_nobody(caps) as own:
            time.sleep(0.2)
            ended = run_as(caps, "doctor", "-p", own)
        name = f"with_{'_and_'.join(caps) or 'no_capability'}"
        t.equal(f"{name}__doctor_exits_with_3", ended.returncode, 3)
        t.true(f"{name}__what_is_missing_is_named",
               f"needs CAP_BPF and CAP_PERFMON; missing: {missing}" in ended.stdout, ended.stdout)
        t.true(f"{name}__the_own_process_is_described_all_the_same",
               {"malloc", "free"} <= {p[0] for p in probes_of(ended.stdout)}, ended.stdout)


@test
def streams_and_grammar(t):
    ended = run("doctor", "--help")
    t.true("doctor_help__is_on_stdout_with_0",
           ended.status == 0 and "memprobe doctor" in ended.stdout and not ended.stderr, f"{ended}")
    t.equal("doctor_help__fits_100_columns", [l for l in ended.stdout.splitlines() if len(l) > 100], [])
    t.true("doctor_help__lists_only_its_own_options",
           "--pid" in ended.stdout and "--duration" not in ended.stdout, ended.stdout)
    for args in (("-d", "1"), ("--folded",), ("--", "true"), ("4242",), ("-p", "x")):
        ended = run("doctor", *args)
        t.true(f"doctor_{'_'.join(args)}__is_refused_with_2",
               ended.status == 2 and "memprobe doctor --help" in ended.stderr and not ended.stdout, f"{ended}")
    full = subprocess.run(f"{MEMPROBE} doctor > /dev/full", shell=True, capture_output=True, text=True,
                          timeout=60, check=False)
    t.true("a_full_disk__is_a_failure_with_a_message",
           full.returncode == 1 and "No space left" in full.stderr, f"{full}")


if __name__ == "__main__":
    main()
