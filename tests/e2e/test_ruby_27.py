#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The same of Debian 11's Ruby, 2.7, as of the machine's own: tests of test_interpreters.py and test_objects.py on a ruby in a root of
its own. And of the same that says of itself to be 2.9: a version that memprobe does not know. Skipped where it cannot be fetched.
"""
import functools
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

import test_interpreters
import test_objects
from again import declare
from harness import Memprobe, main, test
from interpreters import RUBY_ROOTS, TARGETS, Program, last_snapshot, ruby, ruby_of

declare(__name__, "ruby_27", functools.partial(ruby_of, "bullseye"), test_interpreters.ruby_lines, test_interpreters.ruby_census,
        test_interpreters.ruby_collections, test_interpreters.shifted_ruby, test_objects.every_object,
        test_objects.texts_arrays_and_hashes)

def say_another_version(root, version):
    """Its library does, where memprobe reads it, and what it compares with that."""
    (library,) = [f for f in glob.glob(f"{root}/usr/lib/*/libruby-*.so.*") if not os.path.islink(f)]
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", library], capture_output=True, text=True, check=True).stdout
    address = int(re.search(r"([0-9a-f]{16}) .* ruby_version$", symbols, re.M)[1], 16) # .rodata: the same place in the file
    with open(library, "r+b") as f:
        f.seek(address)
        before = f.read(6)
        assert re.fullmatch(rb"\d\.\d\.\d\0", before)
        f.seek(address)
        f.write(version)
    (compared,) = glob.glob(f"{root}/usr/lib/*/ruby/*/rbconfig.rb")
    with open(compared, "r+b") as f:
        text = f.read().replace(b'"' + before[:4] + b'"', b'"' + version[:4] + b'"')
        f.seek(0)
        f.write(text)


@test
def unknown_version(t):
    with ruby_of("bullseye"), tempfile.TemporaryDirectory() as d:
        root = os.path.join(d, "root")
        shutil.copytree(RUBY_ROOTS[-1], root, symlinks=True)
        say_another_version(root, b"2.9.4")
        RUBY_ROOTS.append(root)
        try:
            command = ruby()
        finally:
            RUBY_ROOTS.pop()
        out = os.path.join(d, "out.jsonl")
        with Program(command, os.path.join(TARGETS, "keeps.rb"), "300") as program:
            with Memprobe("-d", 0, "-p", program.process.pid, "-o", out) as m:
                m.armed()
                before = program.tell("count")["kept"]
                time.sleep(1)
                kept = program.tell("count")["kept"] - before
                m.stop()
        snapshot = last_snapshot(out)
    process = snapshot["process"][0]
    t.equal("unknown_version__is_named", process.get("runtime"), "Ruby 2.9.4")
    t.true("unknown_version__why_its_lines_are_not_read_is_told", "layout is not known here: native stacks only" in
           process.get("runtime_reason", ""), process)
    t.equal("unknown_version__no_frame_has_a_name_of_the_languages", [f["name"] for f in snapshot["frame"] if f.get("managed")], [])
    loop = {f["id"] for f in snapshot["frame"] if f["name"] == "rb_vm_exec"}
    below = sum(s["live_bytes"] for s in snapshot["stack"] if loop.intersection(s["frames"]))
    t.true("unknown_version__what_the_program_keeps_has_native_stacks", below >= kept * 20011 > 0, (below, kept))


if __name__ == "__main__":
    main()
