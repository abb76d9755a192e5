#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
What runs inside the virtual machine (tools/vm-run.sh): end-to-end tests, by their own files, and what this
kernel made memprobe fall back to.

    tests/vm/guest.py LINKS TEST...    e.g. "perf uprobe" test_torn.py test_ledger.py:capacity

TEST: a file of tests/e2e, or one of its functions. LINKS: the attach kind that this kernel must end up
with. The last line is `N passed, N failed, N skipped`.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGETS = "/tmp/targets" # a copy: some tests compile variants, and the guest's root is read-only
if not os.path.exists(TARGETS):
    shutil.copytree(os.environ["TARGETS"], TARGETS)
os.environ["TARGETS"] = TARGETS
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import harness # pylint: disable=wrong-import-position

MOST_INSTRUCTIONS = 100000 # of the million that the verifier goes through


def loads(links):
    """A test: the best unwinder, the expected links, and programs far below the verifier's limit."""
    def on_this_kernel(t):
        target = subprocess.Popen(["sleep", "100"])
        try:
            run = harness.run("-v", "-d", "0.2", "-m", "alloc-bytes", "-p", target.pid)
        finally:
            target.kill()
            target.wait()
        armed = re.search(r"^memprobe: armed: .*; (.*), (.*)$", run.stderr, re.M)
        programs = re.findall(r"program (\S+): (\d+) instructions verified", run.stderr)
        if not t.true("this_kernel__loads_the_programs", armed and programs, run.stderr[-3000:]):
            return
        name, most = max(programs, key=lambda p: int(p[1]))
        print(f"{os.uname().release} ({preemption()}): {armed[1]}, {armed[2]}; "
              f"{name}: {most} instructions verified")
        t.equal("this_kernel__has_the_links_that_it_should", armed[1], links)
        t.equal("this_kernel__walks_by_unwind_tables", armed[2], "unwind tables")
        t.between("this_kernel__verifies_the_largest_program_within_bounds", int(most), 1,
                  MOST_INSTRUCTIONS)
    return on_this_kernel


def preemption():
    """The model in use, as the kernel tells it: `none voluntary (full)`."""
    try:
        with open("/sys/kernel/debug/sched/preempt") as f:
            return "preempt " + re.search(r"\((\w+)\)", f.read())[1]
    except (OSError, TypeError):
        return "preemption unknown"


def give_groups_memory():
    """As an init system does: groups below the root of version 2 may have a memory limit."""
    with contextlib.suppress(OSError), open("/sys/fs/cgroup/cgroup.subtree_control", "w") as f:
        f.write("+memory")  # where it cannot, tests that need it skip and say so


def functions_of(name):
    """The tests of FILE or FILE:FUNCTION, in their order."""
    file, _, function = name.partition(":")
    __import__(file.removesuffix(".py"))
    found = [f for f in harness.REGISTERED if f.__module__ == file.removesuffix(".py")]
    if function:
        found = [f for f in found if f.__name__ == function]
    if not found:
        raise SystemExit(f"guest.py: no test {name}")
    return found


def main():
    give_groups_memory()
    tests = [loads(sys.argv[1])]
    for name in sys.argv[2:]:
        tests += functions_of(name)
    sys.exit(harness.run_tests(tests, ["-v"] if os.environ.get("VERBOSE") else []))


if __name__ == "__main__":
    main()
