#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The command line as scripts see it: streams, exit codes, messages, grammar."""
import os
import signal
import subprocess
import tempfile
import time

from harness import FOLDED_LINE, MEMPROBE, Memprobe, Target, main, parse_folded, run, sum_of, test
from rights import profile_as, run_as, sleeper_of_nobody

NO_SUCH_PID = 4194303


@test
def usage(t):
    for args in (("--no-such-option",), ("-p",), ("-p", "abc"), ("-p", "1,abc"), ("-p", "0"),
                 ("-p", "-5"), ("-p", ""), ("-p", "99999999999999999999"), ("-d", "x", "-p", "1"),
                 ("-d", "-1", "-p", "1"), ("-f", "nonsense", "-p", "1"), ("-m", "nonsense", "-p", "1"),
                 ("--max-memory", "18446744073709551616", "-p", "1"), ("--max-memory", "lots", "-p", "1"),
                 ("-p", "1", "--", "true"), ("--min-size", "-1", "-p", "1"), ("--older", "1x", "-p", "1"),
                 ("--",), ("-p", "1", "stray")):
        ended = run(*args)
        t.true(f"the_command_line_{'_'.join(args)[:60]!r}__is_refused_with_2",
               ended.status == 2 and ended.stderr and not ended.stdout and
               "armed" not in ended.stderr, f"status {ended.status}: {ended.stderr}{ended.stdout}")
    t.true("a_usage_error__names_help", "--help" in run("--no-such-option").stderr)


@test
def information(t):
    for option in ("--help", "--version"):
        ended = run(option)
        t.true(f"{option.strip('-')}__is_on_stdout_with_0",
               ended.status == 0 and ended.stdout and not ended.stderr, f"{ended}")
    t.equal("help__fits_100_columns",
            [line for line in run("--help").stdout.splitlines() if len(line) > 100], [])


@test
def targets_that_are_none(t):
    for pid, name in ((NO_SUCH_PID, "a_process_that_does_not_exist"), (2, "a_kernel_thread")):
        if pid == 2 and not is_kernel_thread(pid):
            t.skip(name, "process 2 is no kernel thread here")
            continue
        ended = run("-p", pid, "-d", 1)
        t.true(f"{name}__exits_with_4", ended.status == 4, f"{ended}")
        t.true(f"{name}__is_named", str(pid) in ended.stderr, ended.stderr)


def is_kernel_thread(pid):
    """Its status has no line VmRSS."""
    try:
        return "VmRSS" not in open(f"/proc/{pid}/status").read()
    except OSError:
        return False


@test
def without_privilege(t):
    with sleeper_of_nobody() as own:
        for what, args in (("own_process", ("-p", own)), ("process_of_root", ("-p", os.getpid())), ("command", ("--", "true"))):
            ended = run_as((), "-d", 1, *args)
            t.equal(f"as_nobody_on_a_{what}__exits_with_3", ended.returncode, 3)
            t.true(f"as_nobody_on_a_{what}__names_the_remedy", "sudo" in ended.stderr and "cap_bpf" in ended.stderr.lower(), ended.stderr)


def has_uprobe_multi():
    """Linux 6.6 and later."""
    with open("/proc/kallsyms") as f:
        return any(line.split()[2] == "bpf_uprobe_multi_link_attach" for line in f)


@test
def least_privilege(t):
    with Target("lifecycle", "exit") as target:
        status, got, truth, err = profile_as(("bpf", "perfmon", "sys_ptrace", "dac_read_search"), target)
        target.exit()
    if not has_uprobe_multi():
        t.equal("without_uprobe_multi__four_capabilities_are_too_few", status, 3)
        t.true("without_uprobe_multi__the_capability_that_is_missing_is_named", "need CAP_SYS_ADMIN" in err, err)
    elif truth is None:
        t.fail("with_four_capabilities_and_no_root__memprobe_arms", err)
    else:
        t.equal("with_four_capabilities_and_no_root__the_figures_are_exact", got, truth)


@test
def streams(t):
    with Target("lifecycle", "exit") as target:
        with Memprobe("-d", 3, "-p", target.pid, "-m", "alloc-blocks") as m: # `go` comes before its end
            m.armed()
            target.ask("go")
            m.wait()
            lines = m.stdout.splitlines()
            t.true("into_a_pipe_or_file__the_format_is_folded",
                   lines and all(FOLDED_LINE.match(l) for l in lines), m.stdout)
            t.true("the_first_frame__is_comm_and_process_id",
                   all(l.startswith(f"lifecycle-{target.pid};") for l in lines), m.stdout)
            t.equal("with_d_3__memprobe_ends_by_itself_with_0", m.status, 0)
            t.true("a_folded_run__tells_its_losses_on_stderr", m.losses() is not None, m.stderr)
        quiet = run("-q", "-d", "0.3", "-p", target.pid)
        t.equal("with_q__nothing_is_on_stderr", (quiet.status, quiet.stderr), (0, ""))
        report = run("-f", "report", "-d", "0.3", "-p", target.pid)
        t.true("a_report_of_a_quiet_process__succeeds_and_says_something",
               report.status == 0 and report.stdout, f"{report}")
        target.exit()


@test
def broken_streams(t):
    with Target("server") as target:
        # exact: so short a run within the budget may see nothing, and of nothing there is no byte
        base = [MEMPROBE, "-d", "0.5", "--sample", "off", "-p", str(target.pid)]
        shell = lambda text: subprocess.run( # noqa: E731
            ["bash", "-c", text, "bash", *base], capture_output=True, text=True, timeout=60,
            check=False)
        full = shell('"$@" > /dev/full')
        t.true("a_full_disk__is_a_failure_with_a_message",
               full.returncode == 1 and "No space left" in full.stderr,
               f"{full.returncode}: {full.stderr}")
        for what in ('"$@" -o /dev/full -f folded', '"${@:1:1}" --help > /dev/full'):
            ended = shell(what)
            t.true(f"a_full_disk_in_{what.split()[1]}__is_a_failure", ended.returncode != 0,
                   f"{ended.returncode}: {ended.stderr}")
        # the first snapshot is not empty, though the machine is busy
        head = shell('set -o pipefail; "$@" -i 1 -d 4 -m alloc-bytes | head -1')
        t.true("a_reader_that_leaves__gets_its_line_and_no_complaint",
               FOLDED_LINE.match(head.stdout.strip()) and "Broken pipe" not in head.stderr and
               head.returncode == 0, f"{head.returncode}: {head.stdout}{head.stderr}")
        for redirect in ("</dev/null", "2>&-", "<&-"):
            ended = shell(f'"$@" {redirect}')
            t.true(f"with_{redirect}__the_run_succeeds", ended.returncode == 0 and ended.stdout,
                   f"{ended.returncode}: {ended.stderr}")
        closed = shell('"$@" >&-')
        t.true("with_stdout_closed__the_run_fails_and_says_why",
               closed.returncode != 0 and closed.stderr, f"{closed.returncode}: {closed.stderr}")
        t.equal("after_broken_streams__the_target_runs_on", target.exit(), 0)


@test
def outputs(t):
    with tempfile.TemporaryDirectory() as d, Target("lifecycle", "exit") as target:
        path = os.path.join(d, "out.folded")
        with Memprobe("-d", 0, "-p", target.pid, "-o", path) as m:
            m.armed()
            truth = target.ask("go")
            m.stop()
            t.equal("with_o__the_data_are_in_the_file",
                    sum_of(parse_folded(open(path).read()), "s_parent"),
                    truth.of("s_parent", "live-bytes"))
            t.equal("with_o__nothing_is_on_stdout", m.stdout, "")
        t.equal("with_o__no_temporary_file_stays", os.listdir(d), ["out.folded"])
        for bad, name in ((d, "a_directory"), (os.path.join(d, "no", "x.folded"), "no_directory")):
            ended = run("-d", 1, "-p", target.pid, "-o", bad)
            t.true(f"o_{name}__fails_before_anything_is_attached",
                   ended.status in (1, 2) and "armed" not in ended.stderr and ended.stderr, f"{ended}")
        target.exit()


@test
def intervals(t):
    with Target("server") as target, \
            Memprobe("-d", "2.5", "-i", 1, "-p", target.pid, "-m", "alloc-blocks") as m:
        m.armed()
        m.wait()
        totals = [sum(v for _, v in s) for s in m.snapshots()]
        t.true("with_i_1_and_d_2_5__there_are_three_snapshots_that_grow",
               len(totals) in (2, 3) and totals == sorted(totals) and totals[0] > 0, f"{totals}")
        target.exit()


@test
def snapshot_on_signal(t):
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        truth = target.ask("go")
        m.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 30
        while not m.stdout.endswith("\n") and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.2)
        early = m.stdout
        m.stop()
        t.equal("SIGUSR1__is_a_snapshot_now", sum_of(parse_folded(early), "s_parent"),
                truth.of("s_parent", "live-bytes"))
        t.equal("after_SIGUSR1__the_final_report_follows_an_empty_line", len(m.snapshots()), 2)
        target.exit()


@test
def a_stopped_target(t):
    with Target("lifecycle", "exit") as target:
        target.process.send_signal(signal.SIGSTOP)
        with Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            target.process.send_signal(signal.SIGCONT)
            truth = target.ask("go")
            m.stop()
            t.equal("a_target_that_was_stopped_at_the_attach__is_exact",
                    sum_of(m.stacks(), "s_parent"), truth.of("s_parent", "live-bytes"))
        target.exit()


if __name__ == "__main__":
    main()
