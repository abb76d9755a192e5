# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A node of Erlang that runs targets/feed.erl, for the tests of BEAM: the machine's own Erlang, or that of another Debian release,
in a root of its own. Skipped where there is none, and, for what needs names, where its release is another than those whose
layout memprobe knows.
"""
import contextlib
import functools
import glob
import os
import re
import shutil
import subprocess
import tempfile

from harness import HERE, ROOT, TARGETS, Failure, Memprobe, Skip, Target

WORKERS, REQUESTS = 40, 400
KNOWN_ERTS = {13: "OTP 25", 15: "OTP 27"}  # src/runtime/beam.c has their layout


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


def installed():
    """The command that starts this machine's own Erlang, and where feed.erl is compiled to."""
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    if not erl or not erlc:
        raise Skip("no Erlang")
    os.makedirs(TARGETS, exist_ok=True)
    subprocess.run([erlc, "-o", TARGETS, os.path.join(HERE, "targets", "feed.erl")], check=True)
    return [erl], TARGETS, TARGETS


@functools.lru_cache
def fetched(suite):
    """(its root, None), or why there is none."""
    try:
        r = subprocess.run([os.path.join(ROOT, "tools", "erlang-fetch.sh"), suite], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        return None, f"Erlang of {suite} could not be fetched in 150 s"
    return (r.stdout.strip(), None) if r.returncode == 0 else (None, r.stderr.strip().splitlines()[-1])


def in_root(root, inside):
    """As installed(), of an Erlang in a root of its own; what is compiled lies in its directory inside."""
    bindir = glob.glob(f"{root}/usr/lib/erlang/erts-*/bin")[0][len(root):]
    command = ["env", f"BINDIR={bindir}", "ROOTDIR=/usr/lib/erlang", "EMU=beam", "PROGNAME=erl",
               shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin"), root, f"{bindir}/erlexec"]
    shutil.copy(os.path.join(HERE, "targets", "feed.erl"), root + inside)
    subprocess.run([*command, "-noshell", "-eval", f'{{ok, _}} = compile:file("{inside}/feed", [{{outdir, "{inside}"}}]), halt(0).'],
                   stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/tmp"), timeout=60, check=True)
    return command, inside, root + inside


FROM = [installed]  # the last one is what nodes are started from


@contextlib.contextmanager
def erlang_of(suite):
    """Nodes are of that Debian release."""
    root, why = fetched(suite)
    if why:
        raise Skip(why)
    with tempfile.TemporaryDirectory(dir=os.path.join(root, "tmp")) as made:
        FROM.append(functools.partial(in_root, root, made[len(root):]))
        try:
            yield
        finally:
            FROM.pop()


class Node(Target):
    """An Erlang node that runs feed.erl. A file for it: its name and what is in it."""

    def __init__(self, mode, workers=WORKERS, requests=REQUESTS, pause_ms=0, file=None):
        command, inside, outside = FROM[-1]()
        if file:
            with open(os.path.join(outside, file[0]), "wb") as f:
                f.write(file[1])
        self.erl = [*command, "-noshell", "-pa", inside, "-run", "feed", "main", mode, str(workers), str(requests),
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
