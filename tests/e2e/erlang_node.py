# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A node of Erlang that runs targets/feed.erl, for the tests of BEAM. Compiled by erlc where it is; skipped where there is none,
and, for what needs names, where its release is another than those whose layout memprobe knows.
"""
import os
import re
import shutil
import subprocess

from harness import HERE, TARGETS, Failure, Memprobe, Skip, Target

WORKERS, REQUESTS = 40, 400
KNOWN_ERTS = {13: "OTP 25"}  # src/runtime/beam.c has their layout


def known_release(pid):
    """The release of a node, or Skip: its layout is not one that is known."""
    erts = re.search(r"/erts-(\d+)", os.readlink(f"/proc/{pid}/exe"))
    if not erts or int(erts[1]) not in KNOWN_ERTS:
        raise Skip(f"a release whose layout is not known: {erts and erts[0]}: types only")
    return KNOWN_ERTS[int(erts[1])]


def armed(m, target):
    """memprobe watches a node, and has found its layout to be as it knows it."""
    release = known_release(target.pid)
    m.armed()
    if not re.search(rf": BEAM {release} \([^)]*\)$", m.stderr, re.M):
        raise Failure(f"the layout of {release} was refused:\n{m.stderr}")


class Node(Target):
    """An Erlang node that runs feed.erl."""

    def __init__(self, mode, workers=WORKERS, requests=REQUESTS, pause_ms=0):
        erl, erlc = shutil.which("erl"), shutil.which("erlc")
        if not erl or not erlc:
            raise Skip("no Erlang")
        os.makedirs(TARGETS, exist_ok=True)
        subprocess.run([erlc, "-o", TARGETS, os.path.join(HERE, "targets", "feed.erl")], check=True)
        self.erl = [erl, "-noshell", "-pa", TARGETS, "-run", "feed", "main", mode, str(workers), str(requests),
                    str(pause_ms)]
        super().__init__("/bin/sh", "-c", 'exec "$@"', "sh", *self.erl, env={"HOME": "/tmp", "ERL_CRASH_DUMP_BYTES": "0"})


def run(mode, metric, *options, **node):
    """(truth, stacks, memprobe's messages)"""
    with Node(mode, **node) as target, Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-m", metric, *options) as m:
        armed(m, target)
        truth = target.ask("go")
        m.stop()
        target.exit()
        return truth, m.stacks(), m.losses()


def of_type(stacks, name):
    return [(frames, value) for frames, value in stacks if frames[-1] == f"[{name}]"]


def replies(stacks):
    """Of the function that builds them, and of its caller, where the runtime cuts off what a reply did not use."""
    binaries = of_type(stacks, "binary")
    return sum(v for f, v in binaries if any(x.startswith("feed:") and "handle/2" in x for x in f))
