#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The unwinder against libdwfl on live programs: see unwind_oracle.c. ORACLE_COMPARISONS per program (400; make
check-oracle: 20000). A stack that is wrong without a mark fails, so do more than 0.1 % marked as incomplete.
"""
import os
import shutil
import subprocess
import tempfile
import time

from harness import BUILD, Skip, build, main, test

COMPARISONS = os.environ.get("ORACLE_COMPARISONS", "400")
SECONDS = "20" if int(COMPARISONS) <= 1000 else "400"

PYTHON = """
import json, re, time
end = time.time() + 600
class Node:
    def __init__(self, depth):
        self.children = [Node(depth - 1) for _ in range(2)] if depth else []
        self.name = "node %d" % depth
def fail(n):
    if n: fail(n - 1)
    raise ValueError("x" * 600)
while time.time() < end:
    d = {"a": [1, 2, 3, {"b": "c" * i}] for i in range(20)}
    json.loads(json.dumps([d] * 20)); re.sub("a+", "b", "aaabbb" * 300); Node(5)
    sorted([str(i) * 200 for i in range(100)]); [bytearray(i * 600) for i in range(40)]
    try: fail(20)
    except ValueError as e: str(e)
"""
RUBY = """
require 'json'; require 'set'
stop = Time.now + 600
def fib(n) n < 2 ? ["x" * 300] : fib(n - 1) + fib(n - 2) end
while Time.now < stop
  JSON.parse(JSON.generate((1..200).map { |i| { "k#{i}" => "v" * i * 10 } }))
  fib(8); (1..500).map(&:to_s).sort_by { |s| s * 30 }; "abc" * 1000 =~ /b+c/
  begin; raise ArgumentError, "e" * 500; rescue => e; e.backtrace; end
  Set.new((1..300).to_a); [3, 1, 2].permutation.to_a.map { |a| a.join("-" * 200) }
end
"""
NODE = """
const end = Date.now() + 600000; const zlib = require('zlib');
function f(n) { return n ? f(n - 1) + 'x' : Buffer.alloc(20000).toString('hex').length; }
while (Date.now() < end) { zlib.deflateSync(Buffer.from('abc'.repeat(5000))); f(20);
  new Intl.NumberFormat('de').format(Math.random() * 1e6); JSON.parse(JSON.stringify({a: 'b'.repeat(9999)}));
  try { new RegExp('(' + 'a'.repeat(100) + ')+').test('a'.repeat(200)); eval('function g(){return ' + Math.random() + '};g()') } catch (e) {} }
"""
PERL = """
my $end = time + 600;
sub f { my $n = shift; return $n ? f($n - 1) . ("y" x 300) : "x" x 1000 }
while (time < $end) { my %h = map { $_ => "v" x ($_ * 20) } 1 .. 200; my $s = f(15);
  $s =~ s/y+/z/g; my @a = sort { $a cmp $b } map { "k$_" x 20 } 1 .. 100; eval { die "e" x 500 }; }
"""
BASH = """
end=$((SECONDS + 600)); f() { [ $1 = 0 ] || f $(($1 - 1)); local a=$(printf '%s' x{1..50}); b=${a//x/yy}; }
while [ $SECONDS -lt $end ]; do f 12 >/dev/null; v=(a b c {1..200}); w=${v[*]/1/2}; [[ $w =~ 2+ ]]; done
"""


def compare(t, name, argv, how=(), **options):
    if not shutil.which(argv[0]):
        raise Skip(f"no {argv[0]}")
    target = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, **options)
    try:
        time.sleep(0.7)
        run = subprocess.run([os.path.join(BUILD, "tests/e2e/unwind_oracle"), str(target.pid), COMPARISONS,
                              SECONDS, "20", *how], capture_output=True, text=True, timeout=int(SECONDS) + 60)
        last = run.stdout.strip().splitlines()[-1:] or [run.stderr]
        print(f"{name}: {last[0]}", flush=True)
        t.true(f"{name}__each_stack_equals_libdwfl_s", run.returncode == 0,
               "\n".join(run.stdout.splitlines()[:40]) + run.stderr)
        t.true(f"{name}__ran_to_the_last_comparison", target.poll() is None, f"status {target.poll()}")
        return {line for line in run.stdout.splitlines() if line.startswith("stack 0 ")}
    finally:
        target.kill()
        target.wait()


@test
def cxx(t):
    compare(t, "cxx", [build("oracle_cxx")])


@test
def cxx_with_mappings_from_user_space(t):
    """As on kernels without bpf_find_vma."""
    compare(t, "cxx, no find_vma", [build("oracle_cxx")], how=["no-find-vma"])


@test
def python_with_mappings_from_user_space(t):
    compare(t, "python3, no find_vma", ["/usr/bin/python3", "-c", PYTHON], how=["no-find-vma"],
            env={**os.environ, "PYTHONMALLOC": "malloc"})


PLUGINS = [f"oracle_plugin_{i}" for i in range(1, 5)]


@test
def dlopen(t):
    """Other code comes to lie at the same address, all the time."""
    compare(t, "dlopen", [build("oracle_dlopen"), *map(build, PLUGINS)])


@test
def dlopen_beside_a_thread(t):
    """What is mapped cannot be asked for while another thread maps and unmaps: up to 2 % then say so."""
    compare(t, "dlopen_beside_a_thread", [build("oracle_dlopen"), "threads", *map(build, PLUGINS)],
            how=["incomplete=20"])


@test
def dlopen_with_mappings_from_user_space(t):
    """The array of mappings is read anew after each change: stacks that come before say so, none is wrong."""
    compare(t, "dlopen, no find_vma", [build("oracle_dlopen"), *map(build, PLUGINS)],
            how=["no-find-vma", "incomplete=300"])


@test
def page_faults(t):
    """At any instruction; and from inside allocator calls whose return address is the kernel's by then."""
    argv = ["setarch", "-R", build("faults")]
    plain = compare(t, "page faults", argv, how=["faults"])
    pending = compare(t, "page faults in probed calls", argv, how=["faults-in-calls"])
    both = plain & pending
    # the kernel itself touches the stack when it handles the return: the thread then stands behind the call
    callers = {frame for s in plain for frame in s.split()[3:]}
    strange = [s for s in pending - plain if s.split()[2] not in callers]
    t.true("stacks_through_a_pending_return_probe__are_those_without_one", not strange and len(both) >= 20,
           f"{len(both)} in both; only with probes: {strange}")


def replaced(t, by, name="", **options):
    with tempfile.TemporaryDirectory(dir=BUILD) as d:
        compare(t, f"library_replaced_by_{by}{name}", [build("oracle_replace"), by, d, *map(build, PLUGINS)],
                **options)


@test
def replaced_by_rename(t):
    """A new file with the inode number of the old one."""
    replaced(t, "rename")


@test
def replaced_by_overwriting(t):
    """The same file with other content."""
    replaced(t, "overwrite")


@test
def replaced_with_mappings_from_user_space(t):
    replaced(t, "rename", ", no find_vma", how=["no-find-vma", "incomplete=400"])


@test
def static_binary(t):
    compare(t, "static", [build("oracle_static")])


@test
def python(t):
    compare(t, "python3", ["/usr/bin/python3", "-c", PYTHON], env={**os.environ, "PYTHONMALLOC": "malloc"})


@test
def ruby(t):
    compare(t, "ruby", ["ruby", "-e", RUBY])


@test
def node(t):
    compare(t, "node", ["node", "-e", NODE])


@test
def perl(t):
    compare(t, "perl", ["/usr/bin/perl", "-e", PERL])


@test
def bash(t):
    compare(t, "bash", ["/bin/bash", "-c", BASH])


@test
def redis(t):
    if not shutil.which("redis-benchmark"):
        raise Skip("no redis-benchmark")
    with tempfile.TemporaryDirectory() as d:
        load = subprocess.Popen(["sh", "-c", "sleep 0.5; exec redis-benchmark -p 16391 -c 5 -n 3000000 "
                                 "-t set,lpush,sadd,hset -r 10000 -d 300 -q"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            compare(t, "redis-server", ["redis-server", "--port", "16391", "--bind", "127.0.0.1", "--save", "",
                                        "--dir", d])
        finally:
            load.kill()
            load.wait()


if __name__ == "__main__":
    main()
