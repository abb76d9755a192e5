#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`memprobe census` of a process whose runtime is known but cannot be counted: it says which one it is, why, and what to do."""
import subprocess
import sys

from harness import MEMPROBE, Memprobe, Target, main, test
from interpreters import go_program

# It becomes another program when it is told to.
BECOMES = """
import os, sys
kept = [{"n": n} for n in range(1000)]
print("ready", flush=True)
sys.stdin.readline()
os.execlp("sleep", "sleep", "60")
"""


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
