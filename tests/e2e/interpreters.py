# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Programs in managed languages for the tests: which runtimes there are, a conversation with a program, what memprobe
says of it as JSON and of its objects as text. Declares no tests.

    PYTHONS=FILE:FILE   interpreters to be tested too
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import HERE, MEMPROBE, ROOT, Memprobe, Skip, Talk, fetched
from variants import PROGRAMS, SOURCES

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from formats_file import JsonLines # noqa: E402

TARGETS = os.path.join(HERE, "targets")


def line_with(file, text):
    with open(os.path.join(TARGETS, file)) as f:
        return next(n for n, line in enumerate(f, 1) if text in line)


class Program(Talk):
    def __init__(self, *args):
        super().__init__(subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert self.line() == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def tell(self, word):
        self.say(word)
        return json.loads(self.line())


class Java(Program):
    """targets/Requests.java."""

    def __init__(self, options, mode, rate):
        tools = [shutil.which(name) for name in ("java", "javac", "jcmd")]
        if None in tools:
            raise Skip("no java, javac and jcmd here (Debian: openjdk-17-jdk-headless)")
        self.classes = tempfile.TemporaryDirectory()
        subprocess.run(["javac", "-d", self.classes.name, os.path.join(TARGETS, "Requests.java")], check=True)
        super().__init__(tools[0], "-Xshare:auto", *options, "-cp", self.classes.name, "Requests", mode, str(rate))

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.classes.cleanup()
        path = f"/tmp/perf-{self.process.pid}.map"
        if os.path.exists(path):
            os.unlink(path)

    def perf_map(self):
        p = subprocess.run(["jcmd", str(self.process.pid), "Compiler.perfmap"], capture_output=True, text=True, timeout=60)
        if not os.path.exists(f"/tmp/perf-{self.process.pid}.map"):
            raise Skip(f"this JVM writes no perf map: {p.stdout}{p.stderr}")


def go_program(name, *sources, flags=()):
    """Of files in allocators/, built without C."""
    if not shutil.which("go"):
        raise Skip("no go here (Debian: golang-go)")
    binary = os.path.join(PROGRAMS, name)
    os.makedirs(PROGRAMS, exist_ok=True)
    environment = dict(os.environ, CGO_ENABLED="0", GO111MODULE="off", GOFLAGS="", GOCACHE=os.path.join(PROGRAMS, "go-cache"))
    subprocess.run(["go", "build", *flags, "-o", binary, *(os.path.join(SOURCES, source) for source in sources)], check=True,
                   env=environment)
    return binary


def go_requests(has_profile):
    if has_profile:
        return go_program("requests_profiled", "requests.go", "requests_profile.go")
    return go_program("requests", "requests.go")


NODE_ROOTS = [] # the last one is where node is started, if any


def node(script):
    """The command that runs a script in node."""
    if not NODE_ROOTS:
        if not shutil.which("node"):
            raise Skip("needs node")
        return [shutil.which("node"), script]
    root = NODE_ROOTS[-1]
    if os.access(os.path.join(root, "bin", "node"), os.X_OK) and not os.path.exists(os.path.join(root, "usr")):
        return [os.path.join(root, "bin", "node"), script] # it needs nothing but glibc
    os.makedirs(root + os.path.dirname(script), exist_ok=True)
    shutil.copy(script, root + script) # by the same name inside
    # node reads /proc/self
    return ["unshare", "-m", "sh", "-c", 'mount --bind /proc "$0/proc" && exec chroot "$0" /usr/bin/node "$@"', root, script]


@contextlib.contextmanager
def node_of(suite):
    """Within it, node is that of a Debian release, in a root of its own, or of a version, as npm has it."""
    NODE_ROOTS.append(fetched("node-fetch.sh", suite))
    try:
        yield
    finally:
        NODE_ROOTS.pop()


def in_root(root, program):
    """A script that runs a program in there, on scripts of targets/ by the same name inside."""
    os.makedirs(root + TARGETS, exist_ok=True)
    for name in os.listdir(TARGETS):
        if name.endswith((".rb", ".py")):
            shutil.copy(os.path.join(TARGETS, name), root + TARGETS)
    command = os.path.join(root, "run-" + os.path.basename(program))
    with open(command + f".{os.getpid()}", "w") as f: # interpreters read /proc/self; there are no locales
        f.write("#!/bin/sh\nexport LC_ALL=C\n"
                f"exec unshare -m sh -c 'mount --bind /proc \"$0/proc\" && exec chroot \"$0\" {program} \"$@\"' {root} \"$@\"\n")
    os.chmod(f.name, 0o755)
    os.rename(f.name, command)
    return command


PYTHONS = [] # the last one is what pythons() tells, if any


@contextlib.contextmanager
def pythons_of(suite, *programs):
    """Within it, pythons are these of a Debian release, in a root of its own."""
    root = fetched("python-fetch.sh", suite)
    PYTHONS.append({os.path.basename(program): in_root(root, program) for program in programs})
    try:
        yield
    finally:
        PYTHONS.pop()


def pythons():
    """name -> interpreter: those of the system, by version, and $PYTHONS."""
    if PYTHONS:
        return PYTHONS[-1]
    found = {}
    named = [shutil.which(f"python3.{n}", path="/usr/bin:/usr/local/bin") for n in (11, 12, 13)]
    for path in [*filter(None, named), *filter(None, os.environ.get("PYTHONS", "").split(":"))]:
        p = subprocess.run([path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], capture_output=True, text=True)
        if p.returncode == 0 and p.stdout >= "3.11":
            found["cpython_" + p.stdout.strip()] = path
    if not found:
        raise Skip("needs python3.11, 3.12 or 3.13")
    return found


RUBY_ROOTS = [] # the last one is where ruby is started, if any


def ruby():
    """A command that runs a script of targets/ with Ruby."""
    if RUBY_ROOTS:
        return in_root(RUBY_ROOTS[-1], "/usr/bin/ruby")
    path = shutil.which("ruby", path="/usr/bin")
    found = path and subprocess.run([path, "-e", "print RUBY_VERSION"], capture_output=True, text=True).stdout
    if not found or not found.startswith("3.1."):
        raise Skip("needs ruby 3.1")
    return path


@contextlib.contextmanager
def ruby_of(suite):
    """Within it, ruby is that of a Debian release, in a root of its own."""
    RUBY_ROOTS.append(fetched("ruby-fetch.sh", suite))
    try:
        yield
    finally:
        RUBY_ROOTS.pop()


def last_snapshot(path):
    with open(path, "rb") as f:
        return JsonLines(f.read()).snapshots[-1]


def profile(program, seconds=4):
    """At default options."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.jsonl")
        with Memprobe("-d", seconds, "-p", program.process.pid, "-o", path, auto=True) as m:
            m.wait()
            assert m.status == 0, m.stderr
        return last_snapshot(path)


def profile_until(program, is_enough, *options):
    """
    From before the probes are armed until is_enough() says so: the last snapshot, the report, and what the program answered to
    `count` before and after it was armed, and before and after the end.
    """
    with tempfile.TemporaryDirectory() as d:
        path, text, said = os.path.join(d, "out.jsonl"), os.path.join(d, "out.txt"), [program.tell("count")]
        with Memprobe("-d", 0, "-p", program.process.pid, "-o", path, "-o", text, *options, auto=True) as m:
            m.armed()
            said.append(program.tell("count"))
            while not is_enough():
                time.sleep(0.05)
            said.append(program.tell("count"))
            m.stop()
            said.append(program.tell("count"))
            assert m.status == 0, m.stderr
        return last_snapshot(path), open(text).read(), said


def blocks_through(snapshot, names, least_bytes):
    """
    Live bytes of blocks of that size and more below any function whose name holds one of names. A sum, as a site has more
    than one stack: its frames change when the runtime compiles them.
    """
    passes = {f["id"] for f in snapshot["frame"] if any(n in f["name"] for n in names)}
    return sum(s["live_bytes"] for s in snapshot["stack"]
               if passes.intersection(s["frames"]) and s["live_bytes"] >= least_bytes * s["live_blocks"] > 0)


def counted_census(program, seconds):
    """
    memprobe's two looks: {type: (objects grown, MiB grown, objects)}, what the program answered to `count` before and after the
    first and before and after the second, the whole text.
    """
    with Memprobe("census", "-p", program.process.pid, "-i", seconds) as m:
        said = []
        for which in ("first", "second"):
            before = after = program.tell("count")
            while f"{which} look:" not in m.stderr:
                assert m.process.poll() is None, m.stderr
                before, after = after, program.tell("count")
                time.sleep(0.1)
            said += [before, program.tell("count")]
        m.wait()
        assert m.status == 0, m.stderr
        rows = re.findall(r"^ *([+-]?[0-9][0-9 ]*?)  +([0-9][0-9 ]*?)  +([-+0-9.]+) +[0-9.]+  (\S.*)$", m.stdout, re.M)
        text = m.stdout
    number = lambda s: int(s.replace(" ", ""))  # noqa: E731
    return {name: (number(grown), float(mib), number(n)) for grown, n, mib, name in rows}, said, text


def census(program, seconds):
    p = subprocess.run([MEMPROBE, "census", "-q", "-p", str(program.process.pid), "-i", str(seconds)], capture_output=True,
                       text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    rows = re.findall(r"^ *([+-]?[0-9][0-9 ]*?)  +([0-9][0-9 ]*?)  +([-+0-9.]+) +([0-9.]+)  (\S.*)$", p.stdout, re.M)
    number = lambda s: int(s.replace(" ", ""))  # noqa: E731
    return [(name, number(grown), number(n)) for grown, n, _, _, name in rows], p.stdout
