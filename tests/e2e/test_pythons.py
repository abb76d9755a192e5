#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Pythons that are not the machine's own: inside of a program of another name, as in uwsgi; of Debian 13 and its debug build, as
test_interpreters.py tests the machine's; and those that memprobe does not read, of which no frame has a name of the language's and
the reason is told. What cannot be fetched is skipped.
"""
import glob
import os

import test_interpreters
from harness import Skip, build, main, test
from interpreters import TARGETS, Program, line_with, profile, pythons, pythons_of

KEEPS = os.path.join(TARGETS, "keeps.py")


@test
def embedded(t):
    library = [path for n in (11, 12, 13) for path in glob.glob(f"/usr/lib/*/libpython3.{n}.so.1.0")]
    if not library:
        raise Skip("needs a libpython 3.11, 3.12 or 3.13 (Debian 12: libpython3.11)")
    with Program(build("embeds_python"), library[0], KEEPS, "300") as program:
        test_interpreters.check_stacks(t, "embedded", program, (KEEPS, line_with("keeps.py", "# line of the leak")),
                                       (KEEPS, line_with("keeps.py", "# line of the other leak")), "Store.put", "handle")


@test
def debian_13(t):
    with pythons_of("trixie", "/usr/bin/python3.13", "/usr/bin/python3.13d"):
        test_interpreters.python_lines(t)
        test_interpreters.python_census(t)
        test_interpreters.python_collections(t)


def check_unknown(t, suite, program, runtime, reason):
    with pythons_of(suite, program):
        (who, command), = pythons().items()
    # PyPy calls malloc for what outlives its nursery, which is half of the CPU's last cache: here 1 MiB, half a second's work
    os.environ["PYPY_GC_NURSERY"] = "1M"
    with Program(command, os.path.join(TARGETS, "keeps_any.py"), "100") as running:
        snapshot = profile(running, 2)
    process = snapshot["process"][0]
    t.true(f"{who}__is_named", process.get("runtime", "").startswith(runtime), process)
    t.true(f"{who}__why_its_lines_are_not_read_is_told", reason in process.get("runtime_reason", ""), process)
    t.true(f"{who}__its_allocations_are_there", sum(s["live_bytes"] for s in snapshot["stack"]) > 100 * 20011, snapshot["stack"][:3])
    t.equal(f"{who}__no_frame_has_a_name_of_the_languages", [f["name"] for f in snapshot["frame"] if f.get("managed")], [])


@test
def unknown(t):
    check_unknown(t, "trixie", "/usr/bin/pypy3", "PyPy 3.", "not read: native stacks only")


@test
def unknown_of_sid(t):
    check_unknown(t, "sid", "/usr/bin/python3.14", "CPython 3.14", "layout is not known here: native stacks only")


if __name__ == "__main__":
    main()
