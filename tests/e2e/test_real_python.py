#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
/usr/bin/python3 with PYTHONMALLOC=malloc: growth against tracemalloc and against glibc.

tracemalloc counts what was requested, but keeps books on the same heap: so it runs in a twin
process, with the same program and hash seed. glibc's mallinfo2 counts in the profiled process
itself, in chunks; its cache per thread is off, as it would count cached chunks as used.
"""
import os
import subprocess
import tempfile

from harness import Memprobe, Skip, Talk, has_function, main, parse_folded, test
from real import Pair, compare, glibc_chunk

PYTHON = "/usr/bin/python3"

PROGRAM = r"""
import ctypes, gc, os, sys

class Mallinfo2(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in ("arena ordblks smblks hblks hblkhd usmblks fsmblks "
                                               "uordblks fordblks keepcost").split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2
tracing = len(sys.argv) > 1
if tracing:
    import tracemalloc
    tracemalloc.start()

def used():
    gc.collect()
    if tracing:
        return tracemalloc.get_traced_memory()[0]
    m = mallinfo2()
    return m.uordblks + m.hblkhd

keep = {}

def grow(first, n):
    for i in range(first, first + n):
        keep[i] = [str(i) * 20, bytes(100 + i % 3), (i, i + 1)]

def shrink(first, n):
    for i in range(first, first + n, 2):
        del keep[i]

def tell(n):
    os.write(1, b"value used %d\ndone\n" % n)

used()
os.write(1, b"ready %d\n" % os.getpid())
steps = iter((lambda: grow(0, 3000), lambda: (grow(3000, 30000), shrink(1000, 12000))))
while True:
    word = os.read(0, 5)
    if word != b"go\n":
        break
    next(steps)()
    tell(used())
"""


class Python(Talk):
    def __init__(self, path, *args):
        env = dict(os.environ, PYTHONMALLOC="malloc", PYTHONHASHSEED="0",
                   GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
        super().__init__(subprocess.Popen([PYTHON, path, *args], env=env, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE))
        self.pid = int(self.line().split()[1])

    def used(self):
        return self.ask("go").values["used"]

    def end(self):
        self.say("exit")
        status = self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()
        return status


@test
def python(t):
    if not os.path.exists(PYTHON):
        raise Skip(f"no {PYTHON}")
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "program.py")
        with open(path, "w") as f:
            f.write(PROGRAM)
        twin = Python(path, "trace")
        requested = -twin.used() + twin.used()
        twin.end()
        target = Python(path)
        with Pair(target.pid) as pair:
            chunks = -target.used()
            before = pair.snapshot()
            chunks += target.used()
            after = pair.snapshot()
            pair.stop()
            compare(t, "python__net_growth_equals_tracemalloc_of_a_twin_within_1_percent", before,
                    after, int, requested)
            compare(t, "python__net_growth_equals_mallinfo2_within_1_percent", before, after,
                    glibc_chunk, chunks)
            for m in pair.runs:
                t.no_loss("python__nothing_is_lost", m)
        t.equal("python__ends_as_without_memprobe", target.end(), 0)
        stacks = [s.split(";") for s in after]
        for name in ("_PyEval_EvalFrameDefault", "malloc", "Py_BytesMain"):
            t.true(f"python__the_name_{name}_is_resolved",
                   any(has_function(s, name) for s in stacks), "\n".join(list(after)[:5]))


@test
def python_command(t):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.folded")
        with Memprobe("-o", path, "--", PYTHON, "-c", "import json; print(json.dumps([1, 2]))") as m:
            m.wait()
            t.equal("python_as_a_command__prints_what_it_prints", m.stdout, "[1, 2]\n")
            t.equal("python_as_a_command__gives_its_status", m.status, 0)
            t.true("python_as_a_command__has_stacks", parse_folded(open(path).read()), m.stderr)
            t.no_loss("python_as_a_command__loses_nothing", m)


if __name__ == "__main__":
    main()
