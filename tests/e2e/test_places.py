#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Where programs and their allocators lie: containers with files of their own, overlay mounts, deleted
files, odd paths, no symbols but the dynamic ones. Each against the program's own count.
"""
import os
import shutil
import subprocess
import tempfile

from harness import (Failure, Memprobe, Skip, Talk, Target, has_function, main, parse_losses, run,
                     sum_of, test)
from variants import library, run_tool, variant

SITES = ("s_malloc", "s_calloc", "s_realloc", "s_posix_memalign", "s_large", "s_vector", "s_early")


def descendant(pid):
    """The only one of the youngest generation."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        children = f.read().split()
    return descendant(int(children[0])) if children else pid


class Placed(Target):
    """A target that a command line starts, perhaps under another number in there."""

    def __init__(self, *command, env=None):
        Talk.__init__(self, subprocess.Popen(command, stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, env=env))
        self.line()
        self.pid = descendant(self.process.pid)


def namespaces():
    """Skip where mount and pid namespaces cannot be made."""
    done = subprocess.run(["unshare", "-m", "-p", "--fork", "true"], capture_output=True,
                          check=False)
    if done.returncode:
        raise Skip(f"no namespaces here: {done.stderr.decode().strip()}")


def copy_with_libraries(program, root):
    """The program as ROOT/app/NAME, with the loader and the libraries that it needs."""
    os.makedirs(f"{root}/app", exist_ok=True)
    shutil.copy(program, f"{root}/app/")
    for word in run_tool("ldd", program).split():
        if word.startswith("/"):
            os.makedirs(root + os.path.dirname(word), exist_ok=True)
            shutil.copy(word, root + word)
    return "/app/" + os.path.basename(program)


def compare(t, name, truth, stacks, pid, metric):
    differing = [(site, sum_of(stacks, site, pid), truth.of(site, metric)) for site in SITES
                 if sum_of(stacks, site, pid) != truth.of(site, metric)]
    t.equal(f"{name}__is_exact_in_{metric}", differing, [])
    cut = [";".join(f) for f, _ in stacks if f[0].endswith(f"-{pid}") and not has_function(f, "main")]
    t.equal(f"{name}__has_stacks_that_reach_main_in_{metric}", cut, [])


def check(t, names, start):
    """
    Targets that start() makes, all at once in one run per metric; names: of each. Probes are
    bound to the processes up to four of them, beyond that they are in the files for everybody.
    """
    for metric in ("live-bytes", "alloc-blocks"):
        targets = start()
        try:
            pids = ",".join(str(target.pid) for target in targets)
            with Memprobe("-d", 0, "-m", metric, "-p", pids) as m:
                m.armed()
                truths = [target.ask("go") for target in targets]
                m.stop()
                for name, target, truth in zip(names, targets, truths):
                    compare(t, name, truth, m.stacks(), target.pid, metric)
                t.equal(f"{names[0]}__nothing_is_lost", parse_losses(m.stderr), 0)
        finally:
            for target in targets:
                target.__exit__()


@test
def containers(t):
    """Two containers with a file system in memory that nobody else sees, each with its own libc."""
    namespaces()
    program = variant("family_glibc", "malloc_family.c")
    script = 'mount -t tmpfs none "$1" && cp -a "$2/." "$1/" && exec chroot "$1" "$3"'
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(f"{d}/image")
        os.makedirs(f"{d}/root")
        inside = copy_with_libraries(program, f"{d}/image")

        def start(n):
            return [Placed("unshare", "-m", "-p", "--fork", "--propagation", "private", "sh", "-c",
                           script, "sh", f"{d}/root", f"{d}/image", inside) for _ in range(n)]

        check(t, ["a_container_with_its_own_libc", "a_second_container"], lambda: start(2))
        check(t, [f"container_{i}_of_five" for i in range(1, 6)], lambda: start(5))


def overlays(t, what, program):
    """Two overlay mounts of one lower file, and the lower file itself, all running."""
    script = ('cd "$1" && mount -t overlay none -o lowerdir=lower:empty merged && shift && '
              'exec chroot merged "$@"')
    with tempfile.TemporaryDirectory() as d:
        for name in ("lower", "empty", "merged"):
            os.makedirs(f"{d}/{name}")
        inside = copy_with_libraries(program, f"{d}/lower") if what != "static" else "/program"
        if what == "static":
            shutil.copy(program, f"{d}/lower/program")

        def start(n, *how):
            in_overlay = ("unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", d,
                          inside, *how)
            try:
                return ([Placed(*in_overlay) for _ in range(n)] +
                        [Placed("chroot", f"{d}/lower", inside, *how)])
            except Failure as why:
                raise Skip(f"no overlay mounts here: {why}") from None

        names = [f"{what}_in_an_overlay", f"{what}_in_a_second_overlay_of_the_same_file",
                 f"{what}_in_the_lower_directory"]
        check(t, names, lambda: start(2))
        check(t, [name + "_that_has_a_child" for name in names], lambda: start(2, "fork"))
        check(t, [f"{what}_in_overlay_{i}_of_four" for i in range(1, 5)] + names[2:],
              lambda: start(4))


@test
def overlay_pair(t):
    namespaces()
    overlays(t, "glibc", variant("family_glibc", "malloc_family.c"))


@test
def overlay_pair_without_build_id(t):
    namespaces()
    overlays(t, "static", variant("family_no_id", "malloc_family.c", "-static",
                                  "-Wl,--build-id=none"))


def only_overlays(t, what, program):
    """Two overlay mounts of one lower file that no process runs from the lower directory, one after the other."""
    script = ('cd "$1" && mount -t overlay none -o lowerdir=lower:empty merged && '
              'exec chroot merged "$2"')
    with tempfile.TemporaryDirectory() as d:
        for name in ("lower", "empty", "merged"):
            os.makedirs(f"{d}/{name}")
        inside = copy_with_libraries(program, f"{d}/lower")

        def start(n):
            try:
                return [Placed("unshare", "-m", "--propagation", "private", "sh", "-c", script,
                               "sh", d, inside) for _ in range(n)]
            except Failure as why:
                raise Skip(f"no overlay mounts here: {why}") from None

        check(t, [f"{what}_in_an_overlay_alone"], lambda: start(1))
        check(t, [f"{what}_in_overlay_{i}_of_two_alone" for i in (1, 2)], lambda: start(2))


@test
def overlay_alone(t):
    """Since 6.8 /proc/PID/maps has the overlay's numbers, and the stack walk the lower file's."""
    namespaces()
    only_overlays(t, "glibc", variant("family_glibc", "malloc_family.c"))


@test
def overlay_alone_without_frame_pointers(t):
    namespaces()
    only_overlays(t, "no_frame_pointers", variant("family_no_fp", "malloc_family.c",
                                                  "-fomit-frame-pointer"))


@test
def deleted(t):
    program = variant("family_glibc_static", "malloc_family.c", "-static")
    with tempfile.TemporaryDirectory() as d:
        def start():
            path = shutil.copy(program, f"{d}/gone")
            target = Target(path)
            os.unlink(path)
            return [target]

        check(t, ["a_deleted_program"], start)


@test
def replaced(t):
    """The libc on disk is another file by now."""
    program = variant("family_glibc", "malloc_family.c")
    with tempfile.TemporaryDirectory() as d:
        inside = copy_with_libraries(program, d)
        libc = next(os.path.join(where, "libc.so.6") for where, _, names in os.walk(d)
                    if "libc.so.6" in names)

        def start():
            target = Placed("chroot", d, inside)
            shutil.copy(libc, libc + ".new")
            os.rename(libc + ".new", libc)
            return [target]

        check(t, ["a_program_whose_libc_was_replaced"], start)


@test
def odd_paths(t):
    program = variant("family_glibc_static", "malloc_family.c", "-static")
    for odd in ("with  blanks", "that says (deleted)", "line\nbreak", "back\\slash"):
        with tempfile.TemporaryDirectory() as d:
            os.makedirs(f"{d}/{odd}")
            path = shutil.copy(program, f"{d}/{odd}/program (deleted)")
            name = "a_path_" + odd.translate(str.maketrans(" \n\\", "___", "()"))
            check(t, [name], lambda path=path: [Target(path)])


@test
def dynamic_symbols_only(t):
    program = variant("family_dynsym", "malloc_family.c", "-rdynamic", "-l:libjemalloc.a", "-lm",
                      "-lstdc++", "-ldl", "-s", needs=["libjemalloc.a"])
    t.true("the_stripped_program__has_no_symbol_table",
           ".symtab" not in run_tool("readelf", "-SW", program))
    check(t, ["a_stripped_program_with_an_exported_allocator"], lambda: [Target(program)])


@test
def no_symbols(t):
    program = variant("family_stripped", "malloc_family.c", "-static", "-s")
    with Target(program) as target:
        ended = run("-d", 1, "-p", target.pid)
        t.equal("a_static_program_without_symbols__exits_with_4", ended.status, 4)
        t.true("a_static_program_without_symbols__says_that_nothing_was_found",
               "no allocator found" in ended.stderr and not ended.stdout, ended.stderr)
        t.equal("a_static_program_without_symbols__goes_on", target.ask("go").values, {})


@test
def two_allocators_everywhere(t):
    """All allocators at once, each process with its own, in one run for all of them."""
    glibc = variant("family_glibc", "malloc_family.c")
    starts = {"glibc": (glibc, None)}
    for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"):
        try:
            starts[name.split(".")[0]] = (glibc, {"LD_PRELOAD": library(name)})
        except Skip as why:
            t.skip(f"{name}__next_to_the_others", why)
    starts["static_glibc"] = (variant("family_glibc_static", "malloc_family.c", "-static"), None)
    if shutil.which("musl-gcc"):
        starts["musl"] = (variant("family_musl_static", "malloc_family.c", "-static",
                                  compiler="musl-gcc"), None)
        # its strdup has no unwind table, so those stacks are cut: test_allocator_family.py
    for metric in ("live-bytes", "alloc-blocks"):
        targets = {name: Target(path, env=env) for name, (path, env) in starts.items()}
        try:
            with Memprobe("-d", 0, "-m", metric, "-p",
                          ",".join(str(x.pid) for x in targets.values())) as m:
                m.armed()
                for name, target in targets.items():
                    target.say("go")
                truths = {name: target.until("done") for name, target in targets.items()}
                m.stop()
                for name, target in targets.items():
                    wrong = [s for s in SITES if sum_of(m.stacks(), s, target.pid) !=
                             truths[name].of(s, metric)]
                    t.equal(f"{name}_next_to_five_other_allocators__is_exact_in_{metric}", wrong, [])
                t.equal("all_allocators_at_once__lose_nothing", parse_losses(m.stderr), 0)
        finally:
            for target in targets.values():
                target.__exit__()


if __name__ == "__main__":
    main()
