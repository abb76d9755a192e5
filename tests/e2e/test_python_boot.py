#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Which module's import costs how much memory, of a Python program that memprobe starts: a generated package with a module that imports
another, one of small objects (pymalloc's), and one with Debian's sqlite3, against the program's resident memory around each import.
"""
import json
import os
import tempfile

from boot_memory import table, truth_file
from harness import Memprobe, main, test
from interpreters import pythons

# modules: name -> source; a module's code stays for a moment, as that of one with more in it does
TABLE = "TABLE = [chr(97 + n %% 26) * 1000 + str(n) for n in range(%d)]\nimport time\ntime.sleep(1)\n"
SMALL = "TABLE = [(n, str(n)) for n in range(100000)]\nimport time\ntime.sleep(1)\n"
BOOT = """
import json, sys, time
def resident():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) * 1024
grown = {}
for name in ("outer", "small", "uses"):
    before = resident()
    __import__(name)
    grown[name] = resident() - before
with open(sys.argv[1], "w") as f:
    json.dump(grown, f)
"""
MIB = 1 << 20


def generate(d):
    os.mkdir(os.path.join(d, "outer"))
    for name, text in (("outer/__init__.py", "import inner\n" + TABLE % 6000), ("inner.py", TABLE % 12000),
                       ("small.py", SMALL), ("uses.py", "import sqlite3\nimport time\ntime.sleep(1)\n"), ("boot.py", BOOT)):
        with open(os.path.join(d, name), "w") as f:
            f.write(text)
    truth_file(d)


@test
def modules(t):
    who, path = next(iter(pythons().items()))
    with tempfile.TemporaryDirectory() as d:
        generate(d)
        out = os.path.join(d, "out.txt")
        with Memprobe("-P", "heap,vm,rss", "-o", out, "--", path, "-B", os.path.join(d, "boot.py"), os.path.join(d, "truth"),
                      auto=True) as m:
            m.wait()
        with open(os.path.join(d, "truth")) as f:
            truth = json.load(f)
        with open(out) as f:
            text = f.read()
    rows = table(text)
    for name in "outer", "small":
        want = truth[name] / MIB
        t.between(f"{who}__{name}__costs_what_the_program_grew_by", rows.get(name, (0, 0, 0, 0))[1], 0.9 * want - 0.1, 1.1 * want + 0.1)
    outer, inner = rows.get("outer", (0, 0, 0, 0)), rows.get("inner", (0, 0, 0, 0))
    t.equal(f"{who}__a_package__has_its_own_name_and_what_it_imports_below", (outer[0], inner[0]), (0, 1))
    t.between(f"{who}__its_memory__is_not_its_parents_own", outer[2], outer[1] - inner[1] - 0.2, outer[1] - inner[1] + 0.2)
    t.between(f"{who}__the_nested_one__has_its_table", inner[1], 11.5, 14)
    t.true(f"{who}__what_is_mapped_from_files__is_apart", rows.get("uses", (0, 0, 0, 0))[3] > 0.3, text)
    order = [name for name in rows if name in truth and name != "uses"]
    t.equal(f"{who}__the_largest__is_first", order, sorted(order, key=lambda n: -truth[n]))


if __name__ == "__main__":
    main()
