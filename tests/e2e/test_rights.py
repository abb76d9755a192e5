#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each right that memprobe may lack: what still works, and a message that names what is missing."""
import os
import shutil
import subprocess
import tempfile
import time

from harness import MEMPROBE, Skip, Target, build, main, started, test
from rights import as_nobody, profile_as, run_as

UNSHARE = shutil.which("unshare")


@test
def missing_capabilities(t):
    for caps, missing in (((), "CAP_BPF and CAP_PERFMON"), (("bpf",), "CAP_PERFMON"),
                          (("perfmon",), "CAP_BPF"), (("sys_ptrace", "bpf"), "CAP_PERFMON")):
        ended = run_as(caps, "-d", 1, "--", "true")
        name = f"with_{'_and_'.join(caps) or 'no_capability'}"
        t.equal(f"{name}__memprobe_exits_with_3", ended.returncode, 3)
        t.true(f"{name}__what_is_missing_is_named_exactly",
               f"needs CAP_BPF and CAP_PERFMON; missing: {missing}." in ended.stderr, ended.stderr)
        t.true(f"{name}__the_remedy_is_named",
               "sudo setcap cap_bpf,cap_perfmon" in ended.stderr, ended.stderr)


def skip_where_uprobes_are_perf_events(t, status, err):
    """Before 6.6."""
    if "need CAP_SYS_ADMIN" in err:
        t.equal("where_uprobes_are_perf_events__two_capabilities_exit_with_3", status, 3)
        t.true("where_uprobes_are_perf_events__that_is_the_reason", "uprobe_multi" in err, err)
        raise Skip("no uprobe_multi links")


@test
def bpf_and_perfmon_alone(t):
    with Target(*as_nobody(()), build("lifecycle"), "exit") as target:
        status, got, truth, err = profile_as(("bpf", "perfmon"), target)
        skip_where_uprobes_are_perf_events(t, status, err)
        t.equal("with_bpf_and_perfmon_alone__a_run_succeeds", status, 0)
        t.equal("with_bpf_and_perfmon_alone__the_figures_are_exact", got, truth)
        t.true("with_bpf_and_perfmon_alone__nothing_is_said_to_be_missing", "missing" not in err, err)


@test
def a_process_of_another_user(t):
    """Mappings of others: 6.18 shows them to CAP_PERFMON, 6.12 does not."""
    with Target("lifecycle", "exit") as target:
        status, got, truth, err = profile_as(("bpf", "perfmon"), target)
        skip_where_uprobes_are_perf_events(t, status, err)
        if status:
            t.equal("mappings_that_we_may_not_read__exit_with_3", status, 3)
            t.true("mappings_that_we_may_not_read__are_told_with_the_capability",
                   "cannot read its mappings" in err and "CAP_SYS_PTRACE" in err, err)
        else:
            t.equal("with_bpf_and_perfmon__a_process_of_root_is_exact_too", got, truth)
    with Target("lifecycle", "exit") as target:
        status, got, truth, err = profile_as(("bpf", "perfmon", "sys_ptrace"), target)
        t.equal("with_sys_ptrace__a_process_of_root_is_exact", (status, got), (0, truth))


@test
def a_program_that_nobody_may_read(t):
    binary = build("oracle_static")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o700) # the program is static: its allocator is in this file alone
        copy = os.path.join(d, "secret")
        shutil.copy(binary, copy)
        with started("sleep", 1000, executable=copy) as program:
            time.sleep(0.2)
            ended = run_as(("bpf", "perfmon"), "-d", 1, "-p", program.process.pid)
            skip_where_uprobes_are_perf_events(t, ended.returncode, ended.stderr)
            t.equal("a_program_that_we_may_not_read__exits_with_3", ended.returncode, 3)
            t.true("a_program_that_we_may_not_read__is_named_with_the_capability",
                   (copy in ended.stderr or "cannot read its mappings" in ended.stderr) and
                   "CAP_SYS_PTRACE" in ended.stderr, ended.stderr)


@test
def in_a_user_namespace(t):
    if not UNSHARE:
        raise Skip("no unshare")
    base = [UNSHARE, "-Ur"]
    if subprocess.run([*base, "true"], capture_output=True, check=False).returncode:
        raise Skip("no user namespaces here")
    ended = subprocess.run([*base, MEMPROBE, "-d", "1", "--", "true"], capture_output=True, text=True,
                           timeout=60, check=False)
    t.equal("in_a_user_namespace__memprobe_exits_with_3", ended.returncode, 3)
    t.true("in_a_user_namespace__the_reason_is_named", "user namespace" in ended.stderr, ended.stderr)


if __name__ == "__main__":
    main()
