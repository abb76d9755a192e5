#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""memprobe -- COMMAND: status, arguments, first allocation, user."""
import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from harness import Memprobe, Talk, build, has_function, main, measure, parse_folded, run, sum_of, test
from test_calls import CALLS

NOBODY = pwd.getpwnam("nobody").pw_uid


def folded(*command, options=(), env=None):
    """(status, stdout of the command, stacks, stderr)"""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.folded")
        ended = run("-o", path, *options, "--", *command, env=env)
        text = open(path).read() if os.path.exists(path) else ""
        return ended.status, ended.stdout, parse_folded(text), ended.stderr


@test
def statuses(t):
    for command, want, name in (
            (("true",), 0, "a_command_that_succeeds__gives_0"),
            (("false",), 1, "a_command_that_fails__gives_its_status"),
            (("sh", "-c", "exit 7"), 7, "exit_7__gives_7"),
            (("sh", "-c", "kill -9 $$"), 137, "a_command_killed_by_signal_9__gives_128_plus_9"),
            (("sh", "-c", "kill -TERM $$"), 143,
             "a_command_killed_by_signal_15__gives_128_plus_15")):
        status, _, _, err = folded(*command)
        t.true(name, status == want, f"status {status}, want {want}: {err}")


@test
def not_found(t):
    ended = run("--", "no-such-command-here", "x")
    t.true("a_command_that_is_not_found__exits_with_4_or_127", ended.status in (4, 127),
           f"status {ended.status}")
    t.true("a_command_that_is_not_found__is_named",
           "no-such-command-here" in ended.stderr and "No such file" in ended.stderr, ended.stderr)
    t.equal("a_command_that_is_not_found__prints_no_data", ended.stdout, "")
    with tempfile.NamedTemporaryFile() as f:
        os.chmod(f.name, 0o644)
        ended = run("--", f.name)
        t.true("a_command_that_cannot_be_executed__exits_with_4_or_126",
               ended.status in (4, 126), f"status {ended.status}: {ended.stderr}")


@test
def arguments(t):
    args = ["0", "a b", "", ";|$HOME 'x'", "--strict", "-p", "x" * 300]
    status, out, stacks, err = folded(build("first"), *args)
    shown = [line[5:-1] for line in out.splitlines() if line.startswith("arg <")]
    t.equal("M12_arguments_with_blanks_and_quotes__arrive_unchanged", shown, args)
    t.equal("M12_a_command_with_arguments__passes_its_status_on", status, 0)
    t.equal("the_first_malloc_of_a_command__is_counted",
            (sum_of(stacks, "s_before_main"), sum_of(stacks, "s_main")), (30024, 100065))
    t.true("a_command_that_has_ended__is_reported_with_symbols",
           any(has_function(f, "main") for f, _ in stacks), f"{stacks}\n{err}")


@test
def path_lookup(t):
    directory, name = os.path.split(build("first"))
    env = {"PATH": directory + ":" + os.environ["PATH"]}
    status, out, _, err = folded(name, "3", env=env)
    t.true("a_command__is_looked_up_in_PATH", status == 3 and "done" in out, f"{status} {err}")


@test
def long_path(t):
    with tempfile.TemporaryDirectory() as d:
        deep = os.path.join(d, "a-directory-whose-name-alone-is-longer-than-thirty-one-bytes", "x;y z")
        os.makedirs(deep)
        copy = os.path.join(deep, "first")
        with open(build("first"), "rb") as source, open(copy, "wb") as to:
            to.write(source.read())
        os.chmod(copy, 0o755)
        status, _, stacks, err = folded(copy, "0")
        t.true("M12_a_long_path_with_blanks__works",
               status == 0 and sum_of(stacks, "s_main") == 100065, f"{status} {stacks} {err}")


@test
def all_calls_of_a_command(t):
    truth, results, runs = measure("calls", metrics=("live-bytes", "alloc-blocks"), command=True)
    for (metric, stacks), ended in zip(results.items(), runs):
        t.true(f"as_a_command__the_stacks_are_named_in_{metric}", any(sum_of(stacks, site) for site in CALLS),
               f"{stacks[:20]}\n{ended.stderr}")
        for site in CALLS:
            t.equal(f"as_a_command__{site}_is_exact_in_{metric}", sum_of(stacks, site),
                    truth[metric].of(site, metric))
    for ended in runs:
        t.no_loss("a_command__loses_nothing", ended)


@test
def stdout_is_shared(t):
    ended = run("--", "sh", "-c", "echo from the command")
    t.true("without_o__the_command_writes_to_the_same_stdout",
           ended.stdout.startswith("from the command\n"), repr(ended.stdout[:200]))


@contextlib.contextmanager
def readable_by_all():
    """A copy of the program where other users can run it."""
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        yield shutil.copy(build("first"), d)


@test
def users(t):
    with readable_by_all() as copy:
        env = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(pwd.getpwnam("nobody").pw_gid)}
        for name, options, extra, want in (
                ("started_through_sudo__the_command_runs_as_the_user_who_typed_it", (), env, NOBODY),
                ("with_user__the_command_runs_as_that_user", ("--user", "nobody"), {}, NOBODY),
                ("started_by_root__the_command_runs_as_root", (), {"SUDO_UID": ""}, 0)):
            status, out, stacks, err = folded(copy, "0", options=options, env=extra)
            t.true(name, status == 0 and f"value uid {want}\n" in out, f"{status} {out} {err}")
            t.equal(f"{name}_and_is_profiled", sum_of(stacks, "s_main"), 100065)
            if want:
                t.true(f"{name}_and_memprobe_says_so", "nobody" in err, err)


def unused_id():
    """A number that no user has."""
    used = {p.pw_uid for p in pwd.getpwall()}
    return next(n for n in range(54321, 65000) if n not in used)


@test
def users_without_an_entry(t):
    """Under sudo COMMAND is never root because the invoking user is not to be found."""
    show = ("sh", "-c", "id -u; id -g; id -G; echo $HOME; echo user $USER")
    with tempfile.TemporaryDirectory() as home:
        stays = {"XDG_STATE_HOME": home, "USER": "root", "LOGNAME": "root"}
        uid, gid = str(unused_id()), "54320"
        status, out, _, err = folded(*show, env={"SUDO_UID": uid, "SUDO_GID": gid, **stays})
        t.equal("a_user_without_an_entry__runs_the_command_by_number_and_in_no_group_of_root", (status, out.split("\n")),
                (0, [uid, gid, gid, "/", "user", ""]))
        t.true("and_memprobe_says_so", f"runs as user {uid}, group {gid}" in err, err)
        for name, env in (("without_SUDO_GID", {"SUDO_UID": uid, "SUDO_GID": ""}),
                          ("with_a_SUDO_GID_that_is_none", {"SUDO_UID": uid, "SUDO_GID": "-1"}),
                          ("with_a_SUDO_UID_that_is_no_number", {"SUDO_UID": "joe", "SUDO_GID": gid}),
                          ("with_a_SUDO_UID_that_is_half_a_number", {"SUDO_UID": "1000x", "SUDO_GID": gid}),
                          ("with_a_negative_SUDO_UID", {"SUDO_UID": "-1", "SUDO_GID": gid}),
                          ("with_a_SUDO_UID_of_more_than_32_bits", {"SUDO_UID": str(1 << 32), "SUDO_GID": gid})):
            status, out, _, err = folded(*show, env={**env, **stays})
            t.true(f"{name}__nothing_is_run_and_what_to_do_is_told", (status, out) == (1, "") and "--user NAME" in err,
                   f"{status} {out} {err}")
            status, out, _, err = folded(*show, options=("--user", "nobody"), env={**env, **stays})
            t.equal(f"{name}__user_helps", (status, out.split("\n")[0]), (0, str(NOBODY)))


@test
def interrupted(t):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.folded")
        with Memprobe("-o", path, "--", build("lifecycle"), "exit", stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE) as m:
            talk = Talk(m.process)
            talk.line()
            truth = talk.ask("go")
            m.stop()
            stacks = parse_folded(open(path).read())
            t.equal("an_interrupted_command__is_reported", sum_of(stacks, "s_parent"),
                    truth.of("s_parent", "live-bytes"))


PR_SET_CHILD_SUBREAPER = 36


def state_of(pid):
    """`T`: stopped; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(c) for c in f.read().split()]
    except OSError:
        return []


def stop_number(m, number):
    """COMMAND when it is held for the NUMBERth time, memprobe with it; None when it never was."""
    end, was, seen = time.monotonic() + 30, "", 0
    while time.monotonic() < end and m.process.poll() is None:
        for child in children_of(m.process.pid):
            state = state_of(child)
            seen += state == "T" and was != "T"
            was = state or was
            if seen == number and state == "T":
                m.process.send_signal(signal.SIGSTOP)
                while state_of(m.process.pid) != "T":
                    time.sleep(0.001)
                if state_of(child) == "T":
                    return child
                m.process.send_signal(signal.SIGCONT)
                return None
    return None


def status_of(pid, timeout_s=20):
    """Its exit status, now that it is ours; None while it does not end."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def kill_while_held(t, name, number, program, options=()):
    """memprobe is killed while COMMAND stands still for it: before its libraries are mapped, and after."""
    for _ in range(5):
        with Memprobe(*options, "--", program, "7") as m:
            child = stop_number(m, number)
            if child is None: # gone on before memprobe itself stood still
                continue
            m.process.kill()
            m.process.wait()
            status = status_of(child)
            t.true(f"{name}__runs_to_its_end_when_memprobe_is_killed", status == 7 and "done" in m.stdout,
                   f"status {status}: {m.stdout[-200:]}")
            return
    t.fail(f"{name}__is_held", "it never was, in five runs")


@test
def killed_while_it_holds_the_command(t):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) # its orphans become ours
    try:
        with readable_by_all() as copy:
            for number, where in ((1, "at_its_exec"), (2, "in_its_loader"), (3, "as_it_exits")):
                kill_while_held(t, f"a_command_held_{where}", number, copy)
                kill_while_held(t, f"a_command_of_another_user_held_{where}", number, copy,
                                ("--user", "nobody"))
                # the kernel forgets at its exec what the death of its parent was to do
                os.chmod(copy, 0o4755)
                kill_while_held(t, f"a_set_user_id_command_held_{where}", number, copy, ("--user", "nobody"))
                os.chmod(copy, 0o755)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


if __name__ == "__main__":
    main()
