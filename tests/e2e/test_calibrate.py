#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The cost of a trap is measured on a scratch process that never outlives memprobe."""
import os
import subprocess
import time

from harness import BUILD, Skip, main, test

# an emulated processor takes some twelve times as long
LIMIT_MS = 400 if "QEMU TCG" in open("/proc/cpuinfo").read() else 100
TRAP_COST = os.path.join(BUILD, "tests", "e2e", "trap_cost")


def processes_of(path):
    """Ids of all processes that run this program."""
    found, wanted = [], os.stat(path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/exe"), wanted):
                found.append(int(pid))
        except OSError:
            pass
    return found


@test
def calibration(t):
    ended = subprocess.run([TRAP_COST], capture_output=True, text=True, timeout=60, check=False)
    if ended.returncode == 77:
        raise Skip(ended.stderr)
    lines = ended.stdout.splitlines()
    t.equal("a_calibration__leaves_no_child", lines.pop(), "children 0")
    t.true("each_kind_of_link_that_works_here__is_calibrated", lines and len(lines) % 3 == 0, ended.stdout)
    # of each kind the quickest of three: this machine has other work too
    quickest = lambda line: float(line.split()[-2]) # noqa: E731
    for line in [min(lines[i:i + 3], key=quickest) for i in range(0, len(lines), 3)]:
        kind, figures = line.split(": ")
        entry, pair, stepped, ms, error = map(float, figures.split())
        t.equal(f"a_calibration_by_{kind}__succeeds", error, 0)
        # an int3 and a return from interrupt are not had for less, even without virtualisation
        t.between(f"the_trap_of_a_{kind}__costs_something", entry, 50, 50000)
        t.measured(f"entry_and_return_of_a_{kind}__cost_more_than_the_entry", pair > entry, line)
        t.measured(f"a_single_step_of_a_{kind}__costs_more_than_emulation", stepped > entry, line)
        t.measured(f"a_calibration_by_{kind}__takes_a_tenth_of_a_second_at_most", ms <= LIMIT_MS, line)


@test
def killed_while_it_calibrates(t):
    left = []
    for i in range(12):
        process = subprocess.Popen([TRAP_COST], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(0.02 * i)
        process.kill()
        process.wait()
        end = time.monotonic() + 5
        while processes_of(TRAP_COST) and time.monotonic() < end:
            time.sleep(0.01)
        left += processes_of(TRAP_COST)
    t.equal("killed_at_any_moment__the_scratch_process_ends_too", left, [])


if __name__ == "__main__":
    main()
