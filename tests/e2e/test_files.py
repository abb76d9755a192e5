#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Descriptors: memprobe takes as many as it may have, COMMAND has what it would have without, and want of them is told."""
import os
import re
import resource
import tempfile

from harness import Memprobe, Talk, Target, main, sum_of, test

SOFT = 777


def limits(pid):
    with open(f"/proc/{pid}/limits") as f:
        return re.search(r"^Max open files +(\d+) +(\d+)", f.read(), re.M).groups()


@test
def the_limit(t):
    hard = str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    lowered = ["sh", "-c", f'ulimit -Sn {SOFT}; exec "$@"', "sh"]
    script = "ulimit -Sn; ulimit -Hn; read x; exit 0"
    with tempfile.TemporaryDirectory() as d, \
            Memprobe("-o", os.path.join(d, "out.folded"), "--", "sh", "-c", script, argv0=lowered, stdin=-1, stdout=-1) as m:
        talk = Talk(m.process)
        t.equal("the_limit_of_a_command__is_that_of_memprobe_before", (talk.line(), talk.line()), (str(SOFT), hard))
        t.equal("the_limit_of_memprobe_itself__is_raised", limits(m.process.pid), (hard, hard))
        talk.say("")
        m.wait()
        t.equal("the_command__ends_as_ever", m.status, 0)


def used(pid):
    """{descriptor: is it a link of probes?}"""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with open(f"/proc/{pid}/fdinfo/{fd}") as f:
            found[int(fd)] = re.search(r"^link_type:\s+(uprobe_multi|perf)", f.read(), re.M) is not None
    return found


@test
def probes_that_cannot_be_put_back(t):
    said = "cannot be put back"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with Target("lifecycle", "exit") as target, Memprobe("-d", 0, "-p", target.pid) as m:
        m.armed()
        fds = used(m.process.pid)
        stay = {fd for fd, is_link in fds.items() if not is_link}
        one_more = next(fd for fd in range(len(fds) + 1) if fd not in stay) + 1
        resource.prlimit(m.process.pid, resource.RLIMIT_NOFILE, (one_more, hard))
        m.stop_and_go()
        t.equal("probes_that_cannot_be_put_back__are_told_once", m.stderr.count(said), 1)
        resource.prlimit(m.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        m.stop_and_go()
        truth = target.ask("go")
        m.stop()
        target.exit()
        t.equal("probes_that_were_put_back_the_next_time__are_told_once", m.stderr.count(said), 1)
        t.true("probes_that_could_not_be_put_back__are_lost_beside_the_two_stops", m.losses() > 2, m.stderr)
        t.true("what_is_lost__has_its_name", "probes_unopened" in m.stderr, m.stderr)
        t.equal("after_the_next_opening__all_is_counted", sum_of(m.stacks(), "s_parent"), truth.of("s_parent", "live-bytes"))


if __name__ == "__main__":
    main()
