#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Programs in managed languages that memprobe starts: it is there before the interpreter is. Which runtime is told, a line of the
program's own, and its full collections against the number that the runtime itself tells. And programs that are named like an
interpreter.
"""
import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
import time

from boot_memory import truth_file
from harness import Memprobe, Skip, main, test
from interpreters import go_program, go_requests, last_snapshot, node, pythons, ruby
from variants import PROGRAMS

# Each keeps 500 blocks, collects again and again, tells how often that was, and stays for a moment.
PYTHON = """
import gc, sys, time
kept = []
def keep(n):
    kept.append(bytearray(20011))
for n in range(500):
    keep(n)
    if n % 50 == 0: gc.collect()
    time.sleep(0.002)
with open(sys.argv[1], "w") as f:
    f.write(str(gc.get_stats()[2]["collections"]))
time.sleep(1.5)
"""
RUBY = """
$kept = []
def keep(n)
  $kept << 'x' * 20011
end
500.times do |n|
  keep(n)
  GC.start if n % 50 == 0
  sleep 0.002
end
File.write(ARGV[0], GC.stat(:major_gc_count).to_s)
sleep 1.5
"""
NODE = """
let kept = [], n = 0, full = 0;
new (require('perf_hooks').PerformanceObserver)(list => {
  full += list.getEntries().filter(e => e.detail.kind === 4).length;
}).observe({ entryTypes: ['gc'] });
require('v8').setFlagsFromString('--expose-gc');
const gc = require('vm').runInNewContext('gc');
function keep(n) {
  kept.push(Buffer.alloc(20011));
}
function next() {
  keep(n);
  if (n % 50 === 0) gc();
  if (++n < 500) return setTimeout(next, 2);
  setTimeout(() => require('fs').writeFileSync(process.argv[2], String(full)), 200);
  setTimeout(() => {}, 2000);
}
next();
"""
ROWS = """
class Row { constructor(n) { this.n = n; } }
let kept = [], n = 0;
function next() {
  for (let i = 0; i < 20; i++) kept.push(new Row(n));
  if (++n < 2000) setTimeout(next, 5);
}
next();
"""
JAVA = """
import java.lang.management.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
public class Started {
  static final ByteBuffer[] kept = new ByteBuffer[500];
  public static void main(String[] args) throws Exception {
    for (int n = 0; n < 500; n++) {
      kept[n] = ByteBuffer.allocateDirect(20011);
      if (n % 50 == 0) System.gc();
      Thread.sleep(2);
    }
    for (GarbageCollectorMXBean c : ManagementFactory.getGarbageCollectorMXBeans())
      if (c.getName().equals("MarkSweepCompact"))
        Files.writeString(Path.of(args[0]), "" + c.getCollectionCount());
    Thread.sleep(1500);
  }
}
"""
ERLANG = """
-module(started).
-export([main/1, keep/2]).
keep(0, Kept) -> Kept;
keep(N, Kept) ->
    timer:sleep(2),
    Block = binary:copy(<<0:8>>, 20011),
    true = is_binary(Block),
    keep(N - 1, [Block | Kept]).
main([Truth]) ->
    Kept = keep(500, []),
    [erlang:garbage_collect() || _ <- lists:seq(1, 3), timer:sleep(300) =:= ok],
    ok = file:write_file(Truth, "3"),
    timer:sleep(1500),
    io:format("~p~n", [length(Kept)]),
    halt(0).
"""
SHARED_MAIN = "int Py_BytesMain(int, char **); int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }\n"


class Started:
    """What memprobe says of the process that became the command, and what that counted."""

    def __init__(self, d, *command, **environment):
        truth_file(d)
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-o", out, "--", *command, os.path.join(d, "truth"), auto=True, env=environment) as m:
            m.wait()
            self.said = m.stderr
        snapshot = last_snapshot(out)
        with open(os.path.join(d, "truth")) as f:
            self.full = int(f.read() or -1)
        self.process = next((p for p in snapshot["process"] if "runtime" in p), snapshot["process"][0])
        self.lines = {(f["name"], os.path.basename(f.get("file", "")), f.get("line")) for f in snapshot["frame"]}

    def check(self, t, who, runtime, line=None):
        """line: (function, file, line...) that allocates, or one of these lines."""
        p = self.process
        t.true(f"{who}__is_known", p.get("runtime", "").startswith(runtime + " ") and p["runtime"] != runtime + " ", p)
        if line:
            t.equal(f"{who}__nothing_stands_against_its_lines", p.get("runtime_reason", ""), "")
            t.true(f"{who}__has_a_line_of_its_own", {(*line[:2], n) for n in line[2:]} & self.lines, [f for f in self.lines if f[0] == line[0]])

    def check_collections(self, t, who, more=0):
        """more: that may come while it ends."""
        t.true(f"{who}__the_program_has_collected", self.full > 0, self.full)
        t.between(f"{who}__its_full_collections_are_counted_from_its_begin_on", self.process.get("collections", -1), self.full,
                  self.full + more)


@contextlib.contextmanager
def script(name, text):
    """(directory, file, the number of the line that keeps)"""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, name)
        with open(path, "w") as f:
            f.write(text.lstrip())
        yield d, path, next((n for n, line in enumerate(text.lstrip().split("\n"), 1) if "20011" in line), 0)


def check_python(t, who, program):
    with script("started.py", PYTHON) as (d, path, line):
        one = Started(d, program, path)
    one.check(t, who, "CPython", ("keep", "started.py", line))
    one.check_collections(t, who, 2)


@test
def python(t):
    for who, path in pythons().items():
        check_python(t, who, path)


@test
def python_of_a_shared_library(t):
    """The program is a mere start of it, as in many images and distributions."""
    library = [(path, n) for n in (11, 12, 13) for path in glob.glob(f"/usr/lib/*/libpython3.{n}.so.1.0")]
    if not library:
        raise Skip("needs a libpython 3.11, 3.12 or 3.13 (Debian 12: libpython3.11)")
    path, n = library[0]
    with tempfile.TemporaryDirectory() as d:
        program = os.path.join(d, f"python3.{n}")
        with open(os.path.join(d, "main.c"), "w") as f:
            f.write(SHARED_MAIN)
        subprocess.run(["gcc", "-O2", "-o", program, f.name, path], check=True)
        os.chmod(d, 0o755)
        check_python(t, "a_python_of_libpython", program)


@test
def a_ruby(t):
    with script("started.rb", RUBY) as (d, path, line):
        one = Started(d, ruby(), path)
    one.check(t, "ruby", "Ruby", ("keep", "started.rb", line))
    one.check_collections(t, "ruby")


@test
def a_node(t):
    with script("started.js", NODE) as (d, path, line):
        one = Started(d, *node(path))
    one.check(t, "node", "V8", ("keep", "started.js", line, line - 1)) # of compiled code that where it begins
    one.check_collections(t, "node", 2)
    t.true("node__its_version_is_known", "unknown" not in one.process.get("runtime", ""), one.process)


@test
def a_class_that_grows(t):
    """It is counted from when there are objects on, though at the exec there was no heap."""
    with script("rows.js", ROWS) as (d, path, _):
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 3, "-o", out, "--", *node(path), auto=True) as m:
            m.wait()
        process = last_snapshot(out)["process"][0]
    t.true("node__a_class_that_grows_is_told", "Row" in process.get("grown_classes", []), process)


@test
def a_jvm(t):
    if not shutil.which("java") or not shutil.which("javac"):
        raise Skip("no java and javac here (Debian: openjdk-17-jdk-headless)")
    with script("Started.java", JAVA) as (d, path, _):
        subprocess.run(["javac", "-d", d, path], check=True)
        one = Started(d, shutil.which("java"), "-XX:+UseSerialGC", "-Xmx128m", "-cp", d, "Started")
    one.check(t, "jvm", "JVM")
    one.check_collections(t, "jvm")
    t.true("jvm__its_heap_is_told", one.process.get("managed_heap_committed_bytes", 0) > 0, one.process)


def check_erlang(t, who, *command, **environment):
    with script("started.erl", ERLANG) as (d, path, line):
        subprocess.run(["erlc", "-o", d, path], check=True)
        one = Started(d, *command, "-noshell", "-pa", d, "-run", "started", "main", HOME="/tmp", ERL_CRASH_DUMP_BYTES="0", **environment)
    one.check(t, who, "BEAM", ("started:keep/2", "started.erl", line))
    t.true(f"{who}__its_full_collections_are_counted", "collections" in one.process, one.process)


@test
def an_erlang(t):
    """erl is a shell script, which becomes one program and then another; that can be started alone, and is held as it begins."""
    if not shutil.which("erl") or not shutil.which("erlc"):
        raise Skip("no erl and erlc here (Debian: erlang-base)")
    check_erlang(t, "erlang", shutil.which("erl"))
    programs = glob.glob("/usr/lib/erlang/erts-*/bin/beam.smp")
    if not programs:
        raise Skip("no /usr/lib/erlang/erts-*/bin/beam.smp")
    bin_directory = os.path.dirname(programs[0])
    check_erlang(t, "beam_smp", programs[0], "--", "-root", "/usr/lib/erlang", "-bindir", bin_directory, "-progname", "erl", "--",
                 "-home", "/tmp", "--", BINDIR=bin_directory, ROOTDIR="/usr/lib/erlang", EMU="beam", PROGNAME="erl")


def check_go(t, who, has_profile, reason):
    """What it keeps is settled by the runtime's own start; it ends with its input."""
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-P", "rss", "-o", out, "--", go_requests(has_profile), "map", "100", auto=True, stdin=reader) as m:
            m.armed()
            time.sleep(1.5) # some looks at it
            os.close(writer)
            os.close(reader)
            m.wait()
        process = last_snapshot(out)["process"][0]
    t.true(f"{who}__is_known", process.get("runtime", "").startswith("Go 1."), process)
    t.equal(f"{who}__is_told_to_keep_the_profile_that_it_keeps", process.get("runtime_reason", ""), reason)
    t.equal(f"{who}__its_collections_are_counted", process.get("collections", -1) >= 0, True)


@test
def a_go(t):
    check_go(t, "go", False, "it keeps no memory profile (nothing in it imports net/http/pprof)")
    check_go(t, "go_with_a_profile", True, "")


@contextlib.contextmanager
def seen(*command):
    """What memprobe says of a program that has long begun, and waits."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p, tempfile.TemporaryDirectory() as d:
        try:
            p.stdout.readline()
            out = os.path.join(d, "out.jsonl")
            with Memprobe("-P", "heap,rss", "-d", 1, "-p", p.pid, "-o", out, auto=True) as m:
                m.wait()
            yield last_snapshot(out)["process"][0]
        finally:
            p.kill()


@test
def what_is_named_like_node(t):
    named = os.path.join(PROGRAMS, "node-cache")
    shutil.copy(go_program("goroutines", "goroutines.go"), named)
    with seen(named) as process:
        t.true("a_go_program_named_node_cache__is_a_go_program", process.get("runtime", "").startswith("Go "), process)
    library = next(iter(glob.glob("/usr/lib/*/libz.so.1")), None)
    if not library:
        raise Skip("needs a library (libz.so.1)")
    who, path = next(iter(pythons().items()))
    with tempfile.TemporaryDirectory() as d:
        module = os.path.join(d, "node.cpython-311-x86_64-linux-gnu.so")
        shutil.copy(library, module)
        with seen(path, "-c", f"import ctypes, sys; ctypes.CDLL({module!r}); print(1, flush=True); sys.stdin.read()") as process:
            t.equal(f"{who}_with_a_module_named_node__has_its_lines",
                    (process.get("runtime", "").split(" ")[0], process.get("runtime_reason", "")), ("CPython", ""))


if __name__ == "__main__":
    main()
