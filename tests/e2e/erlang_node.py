# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A node that runs targets/feed.erl or feed.exs, for the tests of BEAM: of the machine's own Erlang and Elixir, or those of another
Debian release, in a root of its own. Skipped where there is none, and, for what needs names, where its release is another than
those whose layout memprobe knows.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile

from harness import HERE, TARGETS, Failure, Memprobe, Skip, Target, fetched

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


class Installed:
    """This machine's own. inside, outside: the directory of what it runs, as it sees that, and as we do."""
    inside = outside = TARGETS

    @staticmethod
    def command(name):
        """That starts erl or elixir."""
        path = shutil.which(name)
        if not path:
            raise Skip(f"no {name}")
        return [path]


class InRoot:
    """Of another release, in a root of its own, which has no shell."""

    def __init__(self, root, directory):
        self.root, self.outside, self.inside = root, directory, directory[len(root):]

    def command(self, name):
        bindir = glob.glob(f"{self.root}/usr/lib/erlang/erts-*/bin")[0][len(self.root):]
        erl = ["env", f"BINDIR={bindir}", "ROOTDIR=/usr/lib/erlang", "EMU=beam", "PROGNAME=erl",
               shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin"), self.root, f"{bindir}/erlexec"]
        if name == "erl":
            return erl
        return [*erl, "-noshell", "-elixir_root", "/usr/lib/elixir/lib", "-pa", "/usr/lib/elixir/lib/elixir/ebin",
                "-s", "elixir", "start_cli", "-extra"]


FROM = [Installed()]  # the last one is what nodes are started from


def place(name):
    """A target as the node sees it; the directory has a copy of it."""
    os.makedirs(FROM[-1].outside, exist_ok=True)
    shutil.copy(os.path.join(HERE, "targets", name), FROM[-1].outside)
    return f"{FROM[-1].inside}/{name}"


def compiled(name):
    """The command that starts an Erlang which has that module."""
    erl, source = FROM[-1].command("erl"), place(name)
    subprocess.run([*erl, "-noshell", "-eval", f'{{ok, _}} = compile:file("{source}", [{{outdir, "{FROM[-1].inside}"}}]), halt(0).'],
                   stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/tmp"), timeout=60, check=True)
    return [*erl, "-noshell", "-pa", FROM[-1].inside]


@contextlib.contextmanager
def erlang_of(suite):
    """Nodes are of that Debian release."""
    root = fetched("erlang-fetch.sh", suite)
    with tempfile.TemporaryDirectory(dir=os.path.join(root, "tmp")) as made:
        FROM.append(InRoot(root, made))
        try:
            yield
        finally:
            FROM.pop()


class Node(Target):
    """An Erlang node that runs feed.erl, a request every_ms by the clock. A file for it: its name and what is in it."""

    def __init__(self, mode, workers=WORKERS, requests=REQUESTS, every_ms=0, file=None):
        command = compiled("feed.erl")
        if file:
            with open(os.path.join(FROM[-1].outside, file[0]), "wb") as f:
                f.write(file[1])
        super().__init__("/bin/sh", "-c", 'exec "$@"', "sh", *command, "-run", "feed", "main", mode, str(workers), str(requests),
                         str(every_ms), env={"HOME": "/tmp", "ERL_CRASH_DUMP_BYTES": "0"})


class ElixirNode(Target):
    """A node that runs feed.exs."""

    def __init__(self):
        super().__init__("/bin/sh", "-c", 'exec "$@"', "sh", *FROM[-1].command("elixir"), place("feed.exs"),
                         env={"HOME": "/tmp", "LC_ALL": "C.UTF-8"})


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
