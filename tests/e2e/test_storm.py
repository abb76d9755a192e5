#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Processes that come and go faster than memprobe can look: storms of forks, one process id given to one child after
the other, targets that end while memprobe attaches, images of other users and namespaces.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import METRICS, Memprobe, Talk, Target, build, has_function, main, parse_folded, started, sum_of, test
from test_select import named

N_FORKS = 3000
N_SAME_PID = 300


def storm(t, name, metric, *select):
    with Target("storm", N_FORKS) as target, \
            Memprobe("-d", 0, "-m", metric, *select) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        got, want = sum_of(m.stacks(), "s_storm"), truth.of("s_storm", metric)
        what = f"{name}__a_storm_of_3000_forks"
        t.true(f"{what}__is_exact_in_{metric}_or_what_is_lost_is_printed", got == want or (got < want and m.losses()),
               f"memprobe {got}, truth {want}\n{m.stderr}")
        t.true(f"{what}__is_a_storm", truth.values["per_s"] >= 500, truth.values)
        print(f"     {what}, {metric}: {truth.values['per_s']} forks/s, {got} of {want}, lost {m.losses()}")
        return got == want, m.losses()


@test
def fork_storm(t):
    for metric in ("live-bytes", "alloc-blocks"):
        exact = storm(t, "by_name", metric, "-n", "storm")
        t.equal(f"by_name__a_storm_of_3000_forks__loses_nothing_in_{metric}", exact, (True, 0))
    storm(t, "on_the_whole_machine", "live-bytes")


@test
def first_child_is_a_storm(t):
    """Links are replaced while it rages: what the first children did is told to be unseen."""
    with Target("storm", N_FORKS) as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        got, want = sum_of(m.stacks(), "s_storm"), truth.of("s_storm", "live-bytes")
        t.true("a_first_child_that_is_a_storm__is_counted_from_the_change_of_probes_and_that_is_told",
               0 < got <= want and (got == want or "was not seen" in m.stderr), f"{got} of {want}\n{m.stderr}")


@test
def one_number(t):
    """300 children, one after the other, all with one process id, and heaps at the same addresses."""
    for metric in METRICS:
        with tempfile.NamedTemporaryFile(suffix=".folded") as out, \
                Memprobe("-m", metric, "-o", out.name, "--", build("storm"), N_SAME_PID, "reuse",
                         argv0=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE) as m:
            talk = Talk(m.process)
            talk.line() # ready
            truth = talk.ask("go")
            talk.say("exit")
            m.wait()
            t.true(f"a_process_id_given_300_times__was_given_so_in_{metric}",
                   truth.values["same"] >= N_SAME_PID - 2, truth.values)
            stacks = parse_folded(open(out.name).read())
            got, want = sum_of(stacks, "s_storm"), truth.of("s_storm", metric)
            t.true(f"a_process_id_given_300_times__is_300_processes_whose_figures_are_exact_in_{metric}", got == want,
                   f"{got}, not {want}; elsewhere: {[s for s in stacks if 's_storm' not in s[0]]}\n{m.stderr}")
            t.no_loss(f"a_process_id_given_300_times__loses_nothing_in_{metric}", m)


@test
def ends_during_attach(t):
    """At any moment of the start: a report or a refusal, in time, and nothing left behind."""
    wrong = []
    for i in range(24):
        with Target("family", 2) as target, Memprobe("-d", 1, "-p", target.pid) as m:
            time.sleep(i * 0.02)
            target.process.kill()
            target.process.wait()
            m.wait(20)
            if m.status not in (0, 4) or (m.status == 4) != ("end" in m.stderr and not m.stdout) and \
                    "no such process" not in m.stderr:
                wrong.append((i * 20, m.status, m.stderr[-300:]))
    t.equal("a_target_that_ends_while_memprobe_attaches__ends_with_0_or_4", wrong, [])


@test
def ends_during_attach_to_many(t):
    """Half of 100 processes end while the others are attached; these are exact."""
    with Target("many", 100) as target:
        with Memprobe("-d", 0, "-n", "many") as m:
            time.sleep(0.1)
            target.ask("half")
            m.armed()
            truth = target.ask("go")
            m.stop()
            t.equal("half_of_100_processes_that_end_during_the_attach__leave_the_others_exact",
                    sum_of(m.stacks(), "s_leak"), sum(s.live_bytes for s in truth.sites.values()))


def images(t, what, command, m, count=1):
    for _ in range(count):
        with started(*command) as program:
            program.line() # ready
            truth = program.ask("go")
            program.say("exit")
            program.process.wait(timeout=10)
    m.stop()
    t.equal(f"{what}__is_exact", sum_of(m.stacks(), "s_master"), truth.of("s_master", "live-bytes"))
    t.equal(f"{what}__is_one_process",
            len({f[0] for f, _ in m.stacks() if has_function(f[1:], "s_master")}), 1)
    t.no_loss(f"{what}__loses_nothing", m)


@test
def another_user(t):
    with named("mpsel-one", "mpsel-two") as p, Target(p["mpsel-one"], 0):
        os.chmod(os.path.dirname(p["mpsel-two"]), 0o755)
        os.chmod(p["mpsel-two"], 0o4755)
        with Memprobe("-d", 0, "-n", "mpsel-*") as m:
            m.armed()
            images(t, "a_setuid_program_of_another_user",
                   ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", p["mpsel-two"], "0"], m)


@test
def another_namespace(t):
    with named("mpsel-one", "mpsel-two") as p, Target(p["mpsel-one"], 0), Memprobe("-d", 0, "-n", "mpsel-*") as m:
        m.armed()
        images(t, "a_program_in_namespaces_of_its_own",
               ["unshare", "--mount", "--pid", "--net", "--fork", p["mpsel-two"], "0"], m)


@test
def another_file_in_another_root(t):
    """An executable that only its own mount namespace has; libc is the same file through another mount."""
    with named("mpsel-one") as p, tempfile.TemporaryDirectory() as d, Target(p["mpsel-one"], 0), \
            Memprobe("-d", 0, "-n", "mpsel-*") as m:
        shutil.copy(p["mpsel-one"], os.path.join(d, "mpsel-hidden"))
        m.armed()
        script = f"mount -t tmpfs none /mnt && cp {d}/mpsel-hidden /mnt/ && exec /mnt/mpsel-hidden 0"
        with started("unshare", "--mount", "sh", "-c", script) as program:
            program.line()
            time.sleep(0.3) # its unwind table, too, is only now made
            truth = program.ask("go")
            m.stop()
        t.equal("a_program_that_only_its_mount_namespace_has__is_exact", sum_of(m.stacks(), "s_master"),
                truth.of("s_master", "live-bytes"))


@test
def exec_by_another_thread(t):
    """Another thread than the first calls exec: of /proc/self/exe, so the name is then `exe`."""
    for pattern, what in (("mpsel-*,exe", "into_a_name_that_matches"), ("mpsel-*", "out_of_the_name")):
        with named("mpsel-life", program="lifecycle") as p, \
                Target(p["mpsel-life"], "thread-exec") as target, Memprobe("-d", 0, "-n", pattern) as m:
            m.armed()
            before = target.ask("go")
            target.say("exec")
            target.until("image")
            after = target.ask("go")
            m.stop()
            t.equal(f"an_exec_by_another_thread_{what}__leaves_the_old_image_its_result",
                    sum_of(m.stacks(), "s_parent"), before.of("s_parent", "live-bytes"))
            t.equal(f"an_exec_by_another_thread_{what}__counts_the_new_one_from_its_first_call_or_not_at_all",
                    sum_of(m.stacks(), "s_child"), after.of("s_child", "live-bytes") if "exe" in pattern else 0)
            t.no_loss(f"an_exec_by_another_thread_{what}__loses_nothing", m)


@test
def programs_while_it_stands_still(t):
    """One program after the other maps its code on one CPU, until what the kernel keeps of that for memprobe is full."""
    def start(n):
        subprocess.run(["taskset", "-c", cpu, "sh", "-c", f"for i in $(seq {n}); do /bin/true; done"], check=True)

    cpu = str(min(os.sched_getaffinity(0)))
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        m.process.send_signal(signal.SIGSTOP)
        start(1200)
        m.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        start(1) # the kernel tells what it dropped with the next one
        m.stop()
        t.true("code_that_was_mapped_unseen__is_a_loss", (m.losses() or 0) > 0, m.stderr)
        t.true("code_that_was_mapped_unseen__is_told_as_such", "maps_unseen" in m.stderr, m.stderr)
        target.exit()


if __name__ == "__main__":
    main()
