#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The heap of a running glibc program, read from outside (print_heap), against what its own mallinfo2
counts at the same quiet moment, and while its threads allocate; the glibcs of other Debian releases
(2.31, 2.41) too, where they can be fetched.
"""
import glob
import json
import os
import resource
import subprocess
import time

from harness import BUILD, ROOT, TARGETS, Skip, Talk, main, started, test

PRINT_HEAP = os.path.join(BUILD, "tests", "e2e", "print_heap")


def look(pid):
    r = subprocess.run([PRINT_HEAP, str(pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=30, check=False)
    return json.loads(r.stdout) if r.returncode == 0 else {"error": r.stderr.strip()}


def cpu_seconds_to_look(pid):
    """of the whole reader, its start included: what others take of the CPUs does not count"""
    def spent():
        r = resource.getrusage(resource.RUSAGE_CHILDREN)
        return r.ru_utime + r.ru_stime
    before = spent()
    look(pid)
    return spent() - before


class Arenas(Talk):
    def __init__(self, *argv):
        super().__init__(started(*argv).process)

    def __enter__(self):
        assert self.line() == "ready"
        return self

    def stat(self, word="stat"):
        self.say(word)
        names = ("arena", "fordblks", "uordblks", "hblks", "hblkhd", "fsmblks")
        return dict(zip(names, map(int, self.line().split())))


def near(got, want, percent):
    return abs(got - want) <= max(want, 1) * percent / 100


def compare(t, name, truth, heap, percent):
    """mallinfo2 takes chunks in tcaches for used ones, those in fastbins (fsmblks) for free ones."""
    if "error" in heap:
        t.true(name, False, heap["error"])
        return
    free = heap["free"]["bytes"] + heap["top"]["bytes"] + truth["fsmblks"]
    used = (heap["in_use"]["bytes"] + heap["cached"]["bytes"] + heap["header"]["bytes"] -
            truth["fsmblks"] + heap["unread"]["bytes"])
    same = (near(heap["system"], truth["arena"], percent) and
            near(free, truth["fordblks"], percent) and near(used, truth["uordblks"], percent) and
            near(heap["mmapped"]["bytes"], truth["hblkhd"], percent))
    detail = {k: v for k, v in heap.items() if k not in ("classes", "types")}
    t.true(name, same and heap["trusted"], f"free {free}, used {used}; glibc {truth}; {detail}")


def compare_arenas(t, name, *argv):
    with Arenas(*argv) as a:
        truth = a.stat()
        heap = look(a.process.pid)
        compare(t, f"{name}__at_rest_is_read_as_it_counts_itself", truth, heap, 0)
        t.equal(f"{name}__blocks_with_a_mapping_are_counted", heap["mmapped"]["blocks"],
                truth["hblks"])
        a.stat("run")
        time.sleep(2)  # the sizes settle
        runs = sorted((running(a) for _ in range(5)), key=lambda r: r[0])
        error, unread, detail = runs[2]
        t.true(f"{name}__while_running_is_within_1_percent_in_the_median_of_5", error <= 0.01, f"{detail}")
        t.true(f"{name}__while_running_at_most_2_percent_are_unread", unread <= 0.02, f"{detail}")
        t.true(f"{name}__while_running_is_trusted", all(r[2]["trusted"] for r in runs), f"{detail}")


def running(a):
    """(error of what is in use as a part of all, part unread, detail) of a program that goes on"""
    before = a.stat()
    heap = look(a.process.pid)
    after = a.stat()
    mean = {k: (before[k] + after[k]) / 2 for k in before}
    total = mean["arena"] + mean["hblkhd"]
    unread = heap["unread"]["bytes"]  # in use as far as the rest is
    used = (heap["in_use"]["bytes"] + heap["cached"]["bytes"] + heap["header"]["bytes"] +
            unread * mean["uordblks"] / mean["arena"] - mean["fsmblks"])
    detail = {k: v for k, v in heap.items() if k not in ("classes", "types")}
    return (abs(used - mean["uordblks"]) / total, unread / total,
            dict(detail, error=(used - mean["uordblks"]) / total, before=before, after=after))


@test
def threads_and_arenas(t):
    compare_arenas(t, "three_threads", os.path.join(TARGETS, "heap_arenas"), "3", "20011", "23")


@test
def many_heaps(t):
    """Of 150 MB in one arena: three heaps of 64 MiB."""
    with Arenas(os.path.join(TARGETS, "heap_arenas"), "1", "200003") as a:
        heap = look(a.process.pid)
        compare(t, "an_arena_of_several_heaps__is_read_as_it_counts_itself", a.stat(), heap, 0)
        t.true("an_arena_of_several_heaps__has_several", heap["heaps"] > 2, f"{heap['heaps']}")
        spent = min(cpu_seconds_to_look(a.process.pid) for _ in range(3))
        t.measured("reading_a_heap__takes_at_most_a_second_of_CPU_per_GiB_and_a_half_for_noise",
                   spent < 1.5 * heap["system"] / 2**30, f"{spent} s for {heap['system']} bytes")


@test
def static_program(t):
    compare_arenas(t, "static", os.path.join(TARGETS, "heap_arenas_static"), "2", "10007", "5")


@test
def types(t):
    with started(os.path.join(TARGETS, "heap_types")) as program:
        program.line()
        heap = look(program.process.pid)
    t.equal("objects_of_a_class__are_counted_by_name", heap["types"],
            [["Session", 208, 59994], ["shop::Order", 240, 9001]])
    t.equal("sizes__are_counted", [c for c in heap["classes"] if c[1] > 1000],
            [[208, 59994], [240, 9001], [224, 9001]])


@test
def python_program(t):
    code = ("import sys, time\nx = [bytearray(5000) for _ in range(10007)]\n"
            "del x[::3]\nprint('ready', flush=True)\ntime.sleep(60)")
    with started("python3", "-c", code) as program:
        program.line()
        heap = look(program.process.pid)
    # 5000 bytes and a NUL: a chunk of 5024; 10007 without every third
    found = {size: n for size, n in heap["classes"]}.get(5024, 0)
    t.true("blocks_of_a_python_program__are_counted_by_size", 6671 <= found <= 6680, f"{found}")
    t.true("a_python_program__is_trusted", heap["trusted"], heap["reason"])


def loader(root):
    for pattern in ("lib/*/ld-2*.so", "usr/lib/*/ld-linux-x86-64.so.2"):
        for path in glob.glob(os.path.join(root, pattern)):
            return path
    raise Skip(f"no dynamic linker in {root}")


def build_for(root, out):
    """A program for another glibc: its headers, its start files, its libraries."""
    usr = glob.glob(os.path.join(root, "usr/lib/*-linux-gnu"))[0]
    lib = os.path.dirname(os.path.realpath(loader(root)))
    libs = [p for n in ("libpthread.so.0", "libc.so.6") for p in glob.glob(os.path.join(lib, n))]
    include = os.path.join(root, "usr/include")
    subprocess.run(["gcc", "-O2", "-pthread", "-isystem", include, "-isystem",
                    os.path.join(include, os.path.basename(usr)), "-nostdlib",
                    os.path.join(ROOT, "tests/e2e/targets/heap_arenas.c"), usr + "/crt1.o",
                    usr + "/crti.o", "-Wl,--as-needed", *libs, loader(root),
                    usr + "/libc_nonshared.a", "-lgcc", usr + "/crtn.o", "-o", out], check=True)
    return [loader(root), "--library-path", f"{lib}:{usr}", out]


@test
def other_versions(t):
    r = subprocess.run([os.path.join(ROOT, "tools", "glibc-fetch.sh"), "bullseye", "trixie"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200,
                       check=False)
    if r.returncode:
        raise Skip(r.stderr.strip().splitlines()[-1])
    for version, layout, root in zip(("2_31", "2_41"), ("2.31", "2.35"), r.stdout.split()):
        out = os.path.join(BUILD, "tests", "e2e", "heap_arenas_" + version)
        argv = build_for(root, out)
        compare_arenas(t, f"glibc_{version}", *argv, "3", "20011", "7")
        with Arenas(*argv, "2", "5003") as a:
            t.equal(f"glibc_{version}__is_told_by_its_layout", look(a.process.pid)["layout"], layout)


if __name__ == "__main__":
    main()
