#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Numbers of processes: in a PID namespace of its own memprobe takes and shows that namespace's numbers,
from outside it shows both; a number that is given again is not the target; -p of a thread.
"""
import os
import signal
import subprocess
import time

from harness import MEMPROBE, Failure, Memprobe, Skip, Target, build, main, run, sum_of, test
from test_follow import by_process, told


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


class Inside(Target):
    """A target in a PID namespace of its own, below an idle first process."""

    def __init__(self, name, *args):
        # the first process of a namespace takes all others with it, so it stays
        script = 'exec 3<&0; "$0" "$@" <&3 & wait'
        super().__init__("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
                         script, build(name), *args)
        self.inner = self.pid
        self.host = self.host_pid(name)

    def host_pid(self, name):
        """Below our own unshare: the processes of the namespace before this one may still be dying."""
        for first in children(self.process.pid):
            for pid in children(first):
                with open(f"/proc/{pid}/comm") as f:
                    if f.read().strip() == name:
                        return pid
        raise Failure("the target is not to be found from outside")

    def enter(self):
        """What runs a program in there."""
        return ("nsenter", "-t", str(self.host), "--pid", "--mount", "--")


def stop_inner(m):
    """nsenter waits for memprobe and passes its status on."""
    with open(f"/proc/{m.process.pid}/task/{m.process.pid}/children") as f:
        for child in f.read().split():
            os.kill(int(child), signal.SIGINT)
    m.wait()


@test
def inside(t):
    with Inside("family", "2") as target:
        with Memprobe("-d", 0, "-p", target.inner, argv0=target.enter()) as m:
            m.armed()
            truth = [target.ask(word) for word in ("go", "fork", "spawn", "go")]
            stop_inner(m)
            stacks = m.stacks()
            t.equal("in_a_pid_namespace__the_process_is_exact_under_its_inner_number",
                    by_process(stacks, "s_master"),
                    {target.inner: sum(x.of("s_master", "live-bytes") for x in (truth[0], truth[3]))})
            t.equal("in_a_pid_namespace__children_count_from_their_first_malloc_under_inner_numbers",
                    by_process(stacks, "s_young"), told(truth[1], "s_young"))
            t.equal("in_a_pid_namespace__posix_spawn_is_followed", by_process(stacks, "s_image"),
                    told(truth[2], "s_image"))
            t.no_loss("in_a_pid_namespace__nothing_is_lost", m)


@test
def outside(t):
    with Inside("family", "0") as target, Memprobe("-d", 0, "--report", "-p", target.host) as m:
        m.armed()
        target.ask("go")
        m.stop()
        t.true("from_outside__the_report_shows_both_numbers",
               f"(pid {target.host}, {target.inner} in its container)" in m.stdout, m.stdout)
    with Inside("family", "1") as target, Memprobe("-d", 0, "-p", target.host) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        t.equal("from_outside__the_process_is_exact",
                sum_of(m.stacks(), "s_master", target.host), truth.of("s_master", "live-bytes"))


@test
def by_name_inside(t):
    """The same name outside is another namespace's business."""
    with Inside("family", "0") as target, Target("family", 0) as other:
        with Memprobe("-d", 0, "-n", "family", argv0=target.enter()) as m:
            m.armed()
            truth = target.ask("go")
            other.ask("go")
            young = target.ask("fork")
            other.ask("fork")
            stop_inner(m)
            t.equal("by_name_in_a_pid_namespace__only_its_own_processes",
                    by_process(m.stacks(), "s_master"), {target.inner: truth.of("s_master", "live-bytes")})
            t.equal("by_name_in_a_pid_namespace__and_their_children",
                    by_process(m.stacks(), "s_young"), told(young, "s_young"))


@test
def proc_of_another_namespace(t):
    ended = subprocess.run(["unshare", "--pid", "--fork", MEMPROBE, "-d", "1", "-p", "1"],
                           capture_output=True, text=True, timeout=30)
    t.true("with_the_proc_of_another_namespace__memprobe_says_so",
           ended.returncode == 1 and "--mount-proc" in ended.stderr, f"{ended.returncode} {ended.stderr}")


@test
def thread(t):
    with Target("server") as target:
        tid = next(x for x in os.listdir(f"/proc/{target.pid}/task") if int(x) != target.pid)
        ended = run("-d", 1, "-p", tid)
        t.true("the_number_of_a_thread__is_refused_and_its_process_named",
               ended.status == 4 and f"-p {target.pid}" in ended.stderr, f"{ended.status} {ended.stderr}")
    with Target("server") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        time.sleep(0.3)
        m.stop()
        t.equal("threads_of_one_process__are_one_process", {f[0] for f, _ in m.stacks()},
                {f"server-{target.pid}"})


def with_number(pid, *command):
    """Starts a target under the number of a process that has ended."""
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as f:
            f.write(str(pid - 1))
        target = Target(*command)
        if target.pid == pid:
            return target
        target.__exit__()
    raise Skip(f"process id {pid} could not be had again")


@test
def number_given_again(t):
    with Target("family", 0) as first, Target("family", 0) as second, \
            Memprobe("-d", 0, "-p", f"{first.pid},{second.pid}") as m:
        m.armed()
        truth = first.ask("go")
        second.ask("go")
        first.exit()
        with with_number(first.pid, "family", 0) as again:
            again.ask("go")
            young = again.ask("fork")
            m.stop()
            stacks = m.stacks()
            t.equal("a_number_given_again__is_not_the_target", sum_of(stacks, "s_master", first.pid),
                    truth.of("s_master", "live-bytes"))
            t.equal("a_number_given_again__nor_are_its_children", by_process(stacks, "s_young"), {})
            t.true("a_number_given_again__the_test_has_children", len(told(young, "s_young")) == 1)


if __name__ == "__main__":
    main()
