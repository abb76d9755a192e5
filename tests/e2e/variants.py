# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Programs of tests/e2e/allocators, compiled and linked in several ways, one executable each.

    variant("family_jemalloc", "malloc_family.c", "-ljemalloc", needs=["libjemalloc.so"])

What is needed and not installed is a Skip that names it; a compiler's error is a Failure. Depends on
the harness, gcc, binutils and rustc.
"""
import os
import shutil
import subprocess

from harness import HERE, ROOT, TARGETS, Failure, Skip

SOURCES = os.path.join(HERE, "allocators")
PROGRAMS = os.path.join(TARGETS, "allocators")
FLAGS = ["-O2", "-g", "-fno-optimize-sibling-calls", "-fno-omit-frame-pointer", "-pthread", "-Wall",
         "-Wextra", "-Werror", "-I" + os.path.join(HERE, "targets")]
PACKAGES = {"libjemalloc": "libjemalloc-dev", "libtcmalloc": "libgoogle-perftools-dev",
            "libmimalloc": "libmimalloc-dev"}


def library(name):
    """Where the compiler finds libjemalloc.a or libmimalloc.so; Skip when it does not."""
    path = subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True,
                          text=True).stdout.strip()
    if not os.path.isabs(path):
        package = next((p for stem, p in PACKAGES.items() if name.startswith(stem)), name)
        raise Skip(f"no {name} here (Debian: {package})")
    return os.path.realpath(path)


def run_tool(*args):
    done = subprocess.run(args, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(args)}:\n{done.stderr}")
    return done.stdout


def is_newer(binary, *inputs):
    return os.path.exists(binary) and all(os.path.getmtime(binary) > os.path.getmtime(i)
                                          for i in inputs)


def variant(name, source, *flags, compiler=None, needs=(), inputs=()):
    """The path of the program, made if it is older than what it is made of."""
    for need in needs:
        library(need)
    compiler = compiler or ("g++" if source.endswith(".cc") else "gcc")
    if not shutil.which(compiler):
        raise Skip(f"no {compiler} here")
    binary = os.path.join(PROGRAMS, name)
    source = os.path.join(SOURCES, source)
    headers = [os.path.join(SOURCES, "forms.h"), os.path.join(HERE, "targets", "truth.h")]
    if not is_newer(binary, source, __file__, *headers, *inputs):
        os.makedirs(PROGRAMS, exist_ok=True)
        builtin = [] if source.endswith(".cc") else ["-fno-builtin"]
        run_tool(compiler, *FLAGS, *builtin, "-o", binary, source, *flags)
    return binary


def rust(name, source, *flags, inputs=()):
    """The same for a Rust source, by whatever rustc is here."""
    if not shutil.which("rustc"):
        raise Skip("no rustc here (Debian: rustc)")
    binary = os.path.join(PROGRAMS, name)
    source = os.path.join(SOURCES, source)
    if not is_newer(binary, source, __file__, *inputs):
        os.makedirs(PROGRAMS, exist_ok=True)
        run_tool("rustc", "--edition", "2021", "-A", "unexpected_cfgs", "-A", "unknown_lints", "-O",
                 "-g", *flags, "-o", binary, source)
    return binary


def prefixed_jemalloc(prefix):
    """libjemalloc.a with other names for its public functions, as builds --with-jemalloc-prefix have."""
    original = library("libjemalloc_pic.a")
    archive = os.path.join(PROGRAMS, f"lib{prefix}jemalloc.a")
    if is_newer(archive, original, __file__):
        return archive
    os.makedirs(PROGRAMS, exist_ok=True)
    symbols = {words[2] for words in map(str.split, run_tool("nm", "-g", "--defined-only",
                                                             original).splitlines())
               if len(words) == 3 and words[1] in "TW"}
    names = archive + ".names"
    with open(names, "w") as f:
        for symbol in sorted(symbols):
            if not symbol.startswith(("je_", "jemalloc_", "_Z")):
                f.write(f"{symbol} {prefix}{symbol}\n")
    run_tool("objcopy", f"--redefine-syms={names}", original, archive)
    return archive
