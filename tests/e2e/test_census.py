#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
`memprobe census` of a process without a runtime, C++ classes; and of one whose runtime is known but cannot be counted: it says which
one it is, why, and what to do.
"""
import re
import subprocess
import sys

from harness import MEMPROBE, Memprobe, Target, build, main, test
from interpreters import go_program, pythons

# It becomes another program when it is told to.
BECOMES = """
import os, sys
kept = [{"n": n} for n in range(1000)]
print("ready", flush=True)
sys.stdin.readline()
os.execlp("sleep", "sleep", "60")
"""

# Its layout is as it should be, but the oldest generation's list, to which nothing comes without a collection, has no head: it is 48
# bytes behind the youngest's, which is behind the newest objects and has the threshold in it. 5003 blocks of one size stay.
TORN = """
import ctypes, gc, os, sys
gc.disable()
kept = [bytearray(20011) for n in range(5003)]
newest = []
def word(at, of=ctypes.c_uint64): return of.from_address(at).value
head = id(newest) - 16
while [word(head + 16 + 24 * n, ctypes.c_int32) for n in range(3)] != list(gc.get_threshold()):
    head = word(head) & ~3
ctypes.memset(head + 48, 0, 16)
os.write(1, b"ready\\n")
os.read(0, 1)
os._exit(0)
"""


@test
def fall_back_to_the_heap(t):
    for who, path in pythons().items():
        with subprocess.Popen([path, "-c", TORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
            try:
                assert p.stdout.readline() == b"ready\n"
                ended = subprocess.run([MEMPROBE, "census", "-p", str(p.pid), "-i", "1"], capture_output=True, text=True, timeout=60)
            finally:
                p.kill()
        said, rows = ended.stderr, re.findall(r" ([0-9][0-9 ]*?)  +[-+0-9.]+ +[0-9.]+  \[chunks of (\d+) B\]$", ended.stdout, re.M)
        t.equal(f"{who}__a_first_look_that_fails__is_no_failure_where_there_is_a_heap", ended.returncode, 0)
        t.true(f"{who}__a_first_look_that_fails__is_told_with_runtime_and_reason",
               re.search(r"CPython 3\.\S+: its objects are not where .*: only its heap is looked at$", said, re.M), said)
        t.true(f"{who}__a_first_look_that_fails__is_not_what_is_counted", "glibc's heap" in ended.stdout and "objects that the collector"
               not in ended.stdout, ended.stdout)
        kept = sum(int(n.replace(" ", "")) for n, size in rows if int(size) == 20032)
        t.between(f"{who}__a_first_look_that_fails__the_heap_has_the_blocks_that_are_kept", kept, 5003, 5013)


@test
def classes_of_cxx(t):
    """No runtime: objects by their vtable, and by size what has none."""
    with subprocess.Popen([build("heap_types")], stdout=subprocess.PIPE, text=True) as p:
        try:
            assert p.stdout.readline() == "ready\n"
            ended = subprocess.run([MEMPROBE, "census", "-p", str(p.pid), "-i", "1"], capture_output=True, text=True, timeout=60)
        finally:
            p.kill()
    rows = dict((name, int(n.replace(" ", ""))) for n, name in
                re.findall(r"^ *0  +([0-9][0-9 ]*?)  +[-+0-9.]+ +[0-9.]+  (\S.*)$", ended.stdout, re.M))
    deleted = range(0, 3 * 10007, 3) # all of them Sessions
    # a deleted one keeps its vtable until its place is used again, but is not in use
    t.between("Sessions__are_as_many_as_live", rows.get("Session", 0), 70001 - len(deleted), 70001 - len(deleted) + 10)
    t.between("Orders__have_their_whole_name", rows.get("shop::Order", 0), 9001, 9001)
    t.between("their_texts__which_have_no_class__are_told_by_size", rows.get("[chunks of 208 B]", 0) + rows.get("[chunks of 224 B]", 0),
              9001, 9001 + 50)


@test
def without_symbols(t):
    with Target(go_program("goroutines_stripped", "goroutines.go", flags=("-ldflags", "-s -w"))) as target:
        ended = subprocess.run([MEMPROBE, "census", "-p", str(target.pid), "-i", "1"], capture_output=True, text=True, timeout=60)
    said = ended.stderr
    t.equal("Go_without_symbols__nothing_to_count_is_exit_4", ended.returncode, 4)
    t.true("Go_without_symbols__is_named_with_the_reason", "Go: " in said and "no symbols in it" in said, said)
    t.true("Go_without_symbols__what_to_do_is_told", f"memprobe -p {target.pid}" in said, said)
    t.true("Go_without_symbols__is_not_called_unknown", "no known runtime" not in said, said)


@test
def another_program_meanwhile(t):
    p = subprocess.Popen([sys.executable, "-c", BECOMES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline() == "ready\n"
        with Memprobe("census", "-p", p.pid, "-i", 2) as m:
            m.wait_for(f"memprobe: process {p.pid}: first look:")
            p.stdin.write("go\n")
            p.stdin.flush()
            said = m.wait(60).stderr
    finally:
        p.kill()
        p.wait()
    t.equal("a_census_whose_second_look_fails__is_exit_4", m.status, 4)
    t.true("a_census_whose_second_look_fails__names_the_runtime", "CPython 3." in said.splitlines()[-1], said)
    t.true("a_census_whose_second_look_fails__does_not_call_it_unknown", "no known runtime" not in said, said)


if __name__ == "__main__":
    main()
