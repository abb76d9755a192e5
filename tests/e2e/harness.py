#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
End-to-end tests: starts target programs, starts memprobe on them, compares what memprobe
prints with what the programs counted themselves, to the byte.

    tests/e2e/test_calls.py [-v] [PATTERN ...]     the tests of one file, or some by name
    tests/e2e/harness.py [-v] [PATTERN ...]        those of all files

A test file declares functions with @test; what they check has a name each and is one test.
The last line is `N passed, N failed, N skipped`; exit 0, 1, or 77 when all were skipped.

A figure that holds for a machine that nobody else uses just then (a time, a share of a CPU) is checked by
t.measured(). Where nothing else fails in a function, such a one is measured once more, and that counts; what failed
the first time is printed as `again NAME` and never hidden. Not for bytes, names and orders: those are right each time.

    BUILD=DIR     where objects are (default O=, or build)
    MEMPROBE=FILE the program under test (default $BUILD/memprobe)
    TARGETS=DIR   where target programs are compiled to
    SAVE=DIR      keep what memprobe printed in each run

Only the standard library; it depends on nothing of memprobe but its command line, its
folded format and its messages, and ends only the processes that it started.
"""
import collections
import fnmatch
import functools
import importlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, os.environ.get("O", "build"))
MEMPROBE = os.environ.get("MEMPROBE") or os.path.join(BUILD, "memprobe")
TARGETS = os.environ.get("TARGETS") or os.path.join(BUILD, "tests", "e2e", "targets")
SAVE = os.environ.get("SAVE")
# Each run keeps its recording: not among the user's own
STATE = os.environ.get("XDG_STATE_HOME")
if not STATE:
    _state = tempfile.TemporaryDirectory(prefix="memprobe-state.")
    os.chmod(_state.name, 0o755)
    STATE = os.environ["XDG_STATE_HOME"] = _state.name

METRICS = ("live-bytes", "live-blocks", "alloc-bytes", "alloc-blocks")
FOLDED_LINE = re.compile(r"^[^;]+(;[^;]+)* [1-9][0-9]*$")
TARGET_FLAGS = ["-O2", "-g", "-fno-optimize-sibling-calls", "-pthread", "-Wall", "-Wextra",
                "-Werror"]
ARM_TIMEOUT_S = 30
END_TIMEOUT_S = 60


class Failure(Exception):
    """The test cannot go on."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


# ---- target programs ----

def newest_source(binary):
    """Of what the compiler read, by the rule that it wrote: `binary: source header ...`"""
    try:
        with open(binary + ".d") as f:
            words = f.read().split(":", 1)[1].split("\n\n")[0].replace("\\\n", " ").split()
        return max(os.path.getmtime(os.path.join(ROOT, w)) for w in words if not w.endswith(":"))
    except (OSError, IndexError):
        return float("inf")


def build(name):
    """Compiles targets/NAME.c or .cc when needed, as make does; the path of the program."""
    source = os.path.join(HERE, "targets", name + ".c")
    if not os.path.exists(source):
        source += "c"
    binary = os.path.join(TARGETS, name)
    if not os.path.exists(binary) or os.path.getmtime(binary) < newest_source(binary):
        subprocess.run(["tools/build-target.sh", source, binary, *TARGET_FLAGS], check=True, cwd=ROOT)
    return binary


Site = collections.namedtuple("Site", "live_bytes live_blocks alloc_bytes alloc_blocks")


class Truth:
    """What a target told between a word and `done`."""

    def __init__(self):
        self.sites, self.live, self.values, self.args = {}, {}, {}, []

    def take(self, line):
        words = line.split()
        if words[0] == "site":
            self.sites[words[1]] = Site(*map(int, words[2:]))
        elif words[0] == "live":
            self.live[words[1]] = (int(words[2]), int(words[3]))
        elif words[0] == "value":
            self.values[words[1]] = int(words[2])
        elif words[0] == "arg":
            self.args.append(line[4:])
        elif words[0] == "error":
            raise Failure(f"the target says: {line}")

    def of(self, site, metric):
        return getattr(self.sites[site], metric.replace("-", "_"))


def end_process(process):
    """Now, if it has not ended; and its pipes."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


class Talk:
    """A conversation with a program over its stdin and stdout, with time limits; with `with`, until that ends."""

    def __init__(self, process):
        self.process, self.rest = process, b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        end_process(self.process)

    def line(self, timeout_s=END_TIMEOUT_S):
        end = time.monotonic() + timeout_s
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f"no answer from {self.process.args[0]} in {timeout_s} s")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"{' '.join(self.process.args)} ended, status "
                              f"{self.process.wait(timeout=10)}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def until(self, word, timeout_s=END_TIMEOUT_S):
        truth = Truth()
        while True:
            line = self.line(timeout_s)
            if line == word:
                return truth
            truth.take(line)

    def ask(self, word, timeout_s=END_TIMEOUT_S):
        self.say(word)
        return self.until("done", timeout_s)


def started(*argv, **options):
    """Any program, to talk with."""
    return Talk(subprocess.Popen([*map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options))


class Target(Talk):
    """A target program, from `ready` to its end."""

    def __init__(self, name, *args, env=None):
        binary = name if name.startswith("/") else build(name)
        super().__init__(subprocess.Popen([binary, *map(str, args)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE,
                                          env=dict(os.environ, **(env or {}))))
        self.pid = int(self.line().split()[1])

    def is_alive(self):
        return self.process.poll() is None

    def exit(self):
        self.say("exit")
        return self.process.wait(timeout=END_TIMEOUT_S)


def own_libc(directory):
    """An environment with a copy of the C library, which tracers of other processes do not probe: ours are for one process then."""
    with open("/proc/self/maps") as f:
        path = re.search(r"/\S*/libc[.-]\S*$", f.read(), re.M).group(0)
    shutil.copy(path, os.path.join(directory, "libc.so.6"))
    return {"LD_LIBRARY_PATH": directory}


# ---- programs of other Debian releases ----

@functools.lru_cache
def fetch(tool, suite):
    """(root, None), or why there is none."""
    try:
        r = subprocess.run([os.path.join(ROOT, "tools", tool), suite], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=150, check=False)
    except subprocess.TimeoutExpired:
        return None, f"{tool} {suite}: not fetched in 150 s"
    return (r.stdout.strip(), None) if r.returncode == 0 else (None, r.stderr.strip().splitlines()[-1])


def fetched(tool, suite):
    """The root that a tool of tools/ has made of a release's packages, or Skip."""
    root, why = fetch(tool, suite)
    if why:
        raise Skip(why)
    return root


# ---- memprobe ----

def parse_folded(text):
    """[(frames, value)]; Failure for a line that no flame graph tool would read."""
    stacks = []
    for line in text.splitlines():
        if not FOLDED_LINE.match(line):
            raise Failure(f"not a folded line: {line!r}")
        stack, value = line.rsplit(" ", 1)
        stacks.append((stack.split(";"), int(value)))
    return stacks


def is_frame_of(frame, function):
    """`s_malloc`, `s_malloc(int)`, but not `s_malloc_zero`."""
    return re.match(re.escape(function) + r"(?![A-Za-z0-9_.])", frame) is not None


def has_function(frames, function):
    return any(is_frame_of(f, function) for f in frames)


def sum_of(stacks, function, process=None):
    return sum(value for frames, value in stacks
               if has_function(frames[1:], function)
               and (process is None or frames[0].endswith(f"-{process}")))


class Memprobe:
    """
    One run of memprobe, its output in files, so that no pipe can fill. Exact (--sample off) unless auto: what is
    compared to the byte must not step down the ladder, however hard a target allocates. And the heap alone
    (-P heap) unless auto, or the test names the planes.
    """

    def __init__(self, *args, stdin=subprocess.DEVNULL, stdout=None, argv0=(), env=None, auto=False):
        plain = auto or (args and str(args[0])[:1] != "-")
        exact = [] if plain or "--sample" in args else ["--sample", "off"]
        planes = [] if plain or "-P" in args else ["-P", "heap"]
        self.args = [*argv0, MEMPROBE, *exact, *planes, *map(str, args)]
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.args, stdin=stdin, stdout=stdout or self.out,
                                        stderr=self.err, env=dict(os.environ, **(env or {})))
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        end_process(self.process)
        self.save()
        self.out.close()
        self.err.close()

    def save(self):
        if not SAVE:
            return
        os.makedirs(SAVE, exist_ok=True)
        name = f"{SAVE}/{self.started:.3f}"
        with open(name, "w") as f:
            f.write(f"$ {' '.join(self.args)}\n{self.stderr}--- {self.status}\n{self.stdout}")

    @staticmethod
    def _text(file):
        """All of it, without moving the offset that memprobe writes at."""
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

    @property
    def stdout(self):
        return self._text(self.out)

    @property
    def stderr(self):
        return self._text(self.err)

    def wait_for(self, text, timeout_s=ARM_TIMEOUT_S):
        """Until a line of stderr starts with text."""
        end = time.monotonic() + timeout_s
        while not re.search("^" + re.escape(text), self.stderr, re.M):
            if self.process.poll() is not None:
                raise Failure(f"{' '.join(self.args)} ended with status {self.process.poll()} "
                              f"before it said {text!r}:\n{self.stderr}")
            if time.monotonic() > end:
                raise Failure(f"no line {text!r} in {timeout_s} s:\n{self.stderr}")
            time.sleep(0.01)
        return self

    def armed(self):
        return self.wait_for("memprobe: armed:")

    def wait(self, timeout_s=END_TIMEOUT_S):
        try:
            self.status = self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(self.args)} did not end in {timeout_s} s:\n"
                          f"{self.stderr}") from None
        return self

    def stop(self, signo=signal.SIGINT):
        """The final report."""
        self.process.send_signal(signo)
        return self.wait()

    def skip_beside_others(self):
        """Where somebody probes the whole machine, no link is for one process."""
        if "also probes an object" in self.stderr:
            raise Skip("another tracer probes the same objects")

    def stop_and_go(self):
        """Ctrl-Z: all probes are taken away, and put back. Without a shell to wake it memprobe does not stand still meanwhile."""
        said = "memprobe: stopped for"
        before, end = self.stderr.count(said), time.monotonic() + ARM_TIMEOUT_S
        self.process.send_signal(signal.SIGTSTP)
        while self.stderr.count(said) == before:
            with open(f"/proc/{self.process.pid}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "T":
                    self.process.send_signal(signal.SIGCONT)
            if time.monotonic() > end:
                raise Failure(f"it does not go on:\n{self.stderr}")
            time.sleep(0.01)

    def stacks(self):
        return parse_folded(self.stdout)

    def snapshots(self):
        """Folded snapshots, separated by an empty line."""
        return [parse_folded(part) for part in self.stdout.split("\n\n")]

    def losses(self):
        return parse_losses(self.stderr)


def parse_losses(text):
    """The number of lost events that the summary on stderr tells; None when it tells nothing."""
    found = re.findall(r"\blost:? (\d[\d,]*|nothing\b)", text)
    if not found:
        return None
    return 0 if found[-1] == "nothing" else int(found[-1].replace(",", ""))


def run(*args, timeout_s=END_TIMEOUT_S, **kwargs):
    """memprobe to its end."""
    with Memprobe(*args, **kwargs) as m:
        m.wait(timeout_s)
        return Ended(m.status, m.stdout, m.stderr)


Ended = collections.namedtuple("Ended", "status stdout stderr")


# ---- checks ----

class Tests:
    def __init__(self, verbose=False):
        self.verbose = verbose
        self.passed = self.failed = self.skipped = 0
        self.spoiled = None # [(name, detail)] in a run that may be made once more

    def _result(self, word, name, detail=""):
        if word != "ok" or self.verbose:
            print(f"{word:<4} {name}" + (f": {detail}" if detail else ""), flush=True)

    def ok(self, name):
        self.passed += 1
        self._result("ok", name)

    def fail(self, name, detail):
        self.failed += 1
        self._result("FAIL", name, detail)

    def skip(self, name, why):
        self.skipped += 1
        self._result("skip", name, why)

    def true(self, name, condition, detail="it is not"):
        if condition:
            self.ok(name)
        else:
            self.fail(name, detail)
        return bool(condition)

    def measured(self, name, condition, detail="it is not"):
        """As true(), of a measurement that others can spoil: see above."""
        if condition or self.spoiled is None:
            return self.true(name, condition, detail)
        self.spoiled.append((name, detail))
        return False

    def equal(self, name, memprobe, truth):
        return self.true(name, memprobe == truth, f"memprobe {memprobe!r}, truth {truth!r}")

    def between(self, name, value, low, high):
        return self.true(name, low <= value <= high, f"{value!r} is not in {low!r}..{high!r}")

    def no_loss(self, name, memprobe):
        """memprobe printed how much it lost, and that is nothing."""
        return self.true(name, memprobe.losses() == 0,
                         f"losses {memprobe.losses()!r} in:\n{memprobe.stderr}")

    def only_told_losses(self, name, memprobe, missed):
        """So many were missed, and memprobe printed at least as many as lost."""
        losses = memprobe.losses()
        return self.true(name, missed >= 0 and losses is not None and losses >= missed,
                         f"{missed} blocks missed:\n{memprobe.stderr}")

    def sites(self, names, truth, results):
        """
        One test per site: all metrics equal the truth. names: {site: sentence}; results:
        {metric: stacks}; truth: {metric: Truth}, as the figures of each run are its own.
        """
        for site, name in names.items():
            got = {m: sum_of(stacks, site) for m, stacks in results.items()}
            want = {m: truth[m].of(site, m) for m in results}
            differing = ", ".join(f"{m}: memprobe {got[m]}, truth {want[m]}"
                                  for m in results if got[m] != want[m])
            self.true(name, not differing, f"{site}: {differing}")


def measure(name, *args, options=(), metrics=METRICS, command=False, env=None, may_be_empty=False):
    """
    One run of a target per metric: ({metric: Truth}, {metric: stacks}, [ended Memprobe]).
    With command, memprobe starts the target itself. env: of the target.
    """
    truth, results, runs = {}, {}, []
    for metric in metrics:
        measure_one = measure_command if command else measure_pid
        truth[metric], results[metric], ended = measure_one(name, args, ("-m", metric, *options),
                                                            env)
        if not results[metric] and not may_be_empty:
            raise Failure(f"memprobe printed no stack, status {ended.status}:\n{ended.stderr}")
        runs.append(ended)
    return truth, results, runs


class EndedRun(Ended):
    """What is left of a run: its figures and messages."""

    def losses(self):
        return parse_losses(self.stderr)


def measure_pid(name, args, options, env):
    with Target(name, *args, env=env) as target, \
            Memprobe("-d", 0, "-p", target.pid, *options) as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        ended = EndedRun(m.status, m.stdout, m.stderr)
        target.exit()
        return truth, parse_folded(ended.stdout), ended


def measure_command(name, args, options, env):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.folded")
        binary = name if name.startswith("/") else build(name)
        with Memprobe("-o", path, *options, "--", binary, *args, stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, env=env) as m:
            talk = Talk(m.process)
            talk.line() # ready
            truth = talk.ask("go")
            talk.say("exit")
            m.wait()
            text = open(path).read() if os.path.exists(path) else ""
            return truth, parse_folded(text), EndedRun(m.status, text, m.stderr)


REGISTERED = []


def test(function):
    REGISTERED.append(function)
    return function


def missing():
    """Why nothing can run here; None when it can."""
    if not os.access(MEMPROBE, os.X_OK):
        return f"{MEMPROBE} is not there: build it first"
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "this kernel has no BTF"
    return None


def load_all():
    for name in sorted(os.listdir(HERE)):
        if fnmatch.fnmatch(name, "test_*.py"):
            importlib.import_module(name[:-3])
    return REGISTERED


def run_once(t, function):
    name = function.__name__
    start = time.monotonic()
    try:
        function(t)
    except Skip as why:
        t.skip(name, why)
    except Failure as why:
        t.fail(name, why)
    except Exception: # pylint: disable=broad-except
        t.fail(name, traceback.format_exc())
    if t.verbose:
        print(f"     {name}: {time.monotonic() - start:.1f} s", flush=True)


def run_one(t, function):
    """Twice, where nothing but measurements failed: the second run counts."""
    before = (t.passed, t.failed, t.skipped)
    t.spoiled = spoiled = []
    run_once(t, function)
    t.spoiled = None
    if spoiled and t.failed == before[1]:
        for name, detail in spoiled:
            print(f"again {name}: {detail}", flush=True)
        t.passed, t.failed, t.skipped = before
        run_once(t, function)
        return
    for name, detail in spoiled:
        t.fail(name, detail)


def run_tests(functions, args):
    """The exit status. args: -v, and patterns of names."""
    patterns = [a for a in args if a != "-v"]
    t = Tests("-v" in args)
    why = missing()
    for function in functions:
        if patterns and not any(fnmatch.fnmatch(function.__name__, f"*{p}*") for p in patterns):
            continue
        if why:
            t.skip(function.__name__, why)
        else:
            run_one(t, function)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    if t.failed:
        return 1
    return 0 if t.passed else 77


def main():
    """The tests of the file that was started."""
    sys.exit(run_tests([f for f in REGISTERED if f.__module__ == "__main__"], sys.argv[1:]))


if __name__ == "__main__":
    sys.modules["harness"] = sys.modules["__main__"]
    sys.exit(run_tests(load_all(), sys.argv[1:]))
