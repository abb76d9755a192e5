#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Control groups at their very limit: probes are charged to the process that they are put into, and the kernel kills
for a page. Needs a version 1 memory controller, or a version 2 one that can be given to a group of ours.
"""
import contextlib
import os
import re
import subprocess

from harness import MEMPROBE, Memprobe, Skip, Target, build, main, run, sum_of, test
from test_select import group

CGROUPS = "/sys/fs/cgroup"
KIB = 1024


class Limited:
    """A control group with a memory limit."""

    def __init__(self, path, limit, usage):
        self.path, self.limit, self.usage_file = path, limit, usage

    def read(self, name):
        with open(f"{self.path}/{name}") as f:
            return f.read()

    def set_limit(self, value):
        with open(f"{self.path}/{self.limit}", "w") as f:
            f.write(str(value))

    def usage(self):
        return int(self.read(self.usage_file))

    def kills(self):
        name = "memory.oom_control" if "in_bytes" in self.limit else "memory.events"
        return int(re.search(r"^oom_kill (\d+)$", self.read(name), re.M)[1])

    def tighten(self, more):
        """A limit at what cannot be given up, and some bytes more."""
        while os.path.exists(f"{self.path}/memory.reclaim"):  # version 2 kills where version 1 refuses such a limit
            try:
                with open(f"{self.path}/memory.reclaim", "w") as f:
                    f.write(str(64 * KIB))
            except OSError:
                break
        for _ in range(60 if "in_bytes" in self.limit else 0):
            usage = self.usage()
            try: # makes the kernel drop what it can, also what it has charged ahead
                self.set_limit(usage - 4 * KIB)
            except OSError:
                if self.usage() >= usage:
                    break
        self.set_limit(self.usage() + more)


@contextlib.contextmanager
def limited():
    name = f"memprobe-room-{os.getpid()}"
    if os.path.exists(CGROUPS + "/memory/memory.limit_in_bytes"):
        with group(CGROUPS + "/memory", name) as path:
            yield Limited(path, "memory.limit_in_bytes", "memory.usage_in_bytes")
        return
    with group(CGROUPS, name) as path:
        if not os.path.exists(path + "/memory.max"):
            raise Skip("no memory controller for a control group of our own")
        yield Limited(path, "memory.max", "memory.current")


def many(g, n):
    return Target("/bin/sh", "-c", f"echo $$ > {g.path}/cgroup.procs; exec {build('many')} {n}")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(x) for x in f.read().split()]


@test
def at_the_limit(t):
    """Without the check memprobe has the kernel kill a target here: tried."""
    for name, options in (("by_name", ("-n", "many")), ("by_number", ())):
        with limited() as g, many(g, 3) as target:
            target.ask("go")
            g.tighten(0)
            ended = run("-d", 1, *(options or ("-p", target.pid)))
            t.true(f"at_the_limit_of_a_group_{name}__memprobe_does_not_attach_and_tells_the_figures",
                   ended.status == 1 and ended.stdout == "" and re.search(
                       rf"{os.path.basename(g.path)}: \S+ \S+ left of its limit of \S+ \S+, and probes in 4 processes "
                       r"of it take up to 512.0 KiB", ended.stderr), f"{ended.status} {ended.stderr}")
            t.equal(f"at_the_limit_of_a_group_{name}__nothing_is_killed", (g.kills(), len(children_of(target.pid))),
                    (0, 3))
            g.set_limit(-1 if "in_bytes" in g.limit else "max")


@test
def near_the_limit(t):
    with limited() as g, many(g, 3) as target:
        before = target.ask("go")
        g.tighten(1024 * KIB)
        with Memprobe("-d", 0, "-n", "many") as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
            t.true("near_the_limit_of_a_group__memprobe_attaches_and_tells_the_figures",
                   "left of its limit" in m.stderr and "Not attached" not in m.stderr, m.stderr)
            t.equal("near_the_limit_of_a_group__the_processes_are_exact", sum_of(m.stacks(), "s_leak"),
                    sum(x.live_bytes for x in truth.sites.values()) -
                    sum(x.live_bytes for x in before.sites.values()))
        t.equal("near_the_limit_of_a_group__nothing_is_killed", g.kills(), 0)


@test
def bystander_at_the_limit(t):
    """Links for every process that maps a library charge bystanders too."""
    with limited() as g, many(g, 3) as bystander, Target("family", 1) as target:
        bystander.ask("go")
        g.tighten(256 * KIB)
        ended = run("-d", 0.3, "-n", "family")
        t.true("a_bystander_at_its_limit__is_announced_with_the_figures", ended.status == 0 and
               f"{os.path.basename(g.path)}: " in ended.stderr and "may kill" in ended.stderr, ended.stderr)
        ended = run("-d", 0.3, "--no-follow", "-p", target.pid)
        t.true("a_bystander_at_its_limit__is_not_touched_by_a_link_of_one_process",
               ended.status == 0 and "left of its limit" not in ended.stderr, ended.stderr)


def run_in(g, limit, *args):
    g.set_limit(limit)
    script = f'echo $$ > {g.path}/cgroup.procs; exec "$0" "$@"'
    return subprocess.run(["/bin/sh", "-c", script, MEMPROBE, "--folded", *map(str, args)], capture_output=True,
                          text=True, timeout=60)


@test
def own_group(t):
    with Target("family", 0) as target, limited() as g:
        args = ("-d", 0.5, "-p", target.pid)
        for limit in ("4M", "16M"):
            ended = run_in(g, limit, *args)
            t.true(f"in_a_group_of_{limit}__memprobe_refuses_to_start_and_says_what_it_needs",
                   ended.returncode == 1 and "memprobe needs 24.0 MiB" in ended.stderr and
                   os.path.basename(g.path) in ended.stderr, f"{ended.returncode} {ended.stderr}")
        for limit in ("32M", "64M"):
            ended = run_in(g, limit, *args)
            t.true(f"in_a_group_of_{limit}__memprobe_takes_less_for_its_tables_and_runs",
                   ended.returncode == 0 and "left of its limit" not in ended.stderr,
                   f"{ended.returncode} {ended.stderr}")
        ended = run_in(g, "64M", *args, "--max-memory", "200M")
        t.true("a_max_memory_above_the_limit_of_memprobes_own_group__is_announced",
               "the kernel may kill memprobe" in ended.stderr, ended.stderr)
        t.equal("memprobe_in_a_small_group__is_never_killed", g.kills(), 0)


if __name__ == "__main__":
    main()
