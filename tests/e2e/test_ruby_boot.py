#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Which library's require costs how much memory, of a Ruby program that memprobe starts: generated libraries with tables of
6, 12, 18 and 24 MB, one of which requires another, against the program's own resident memory around each require. And how soon
an interpreter that starts is known, and which process it is.
"""
import json
import os
import re
import subprocess
import tempfile

from boot_memory import table, truth_file
from harness import MEMPROBE, Memprobe, main, test
from interpreters import pythons, ruby

# the file's code is garbage when it has been run: it stays for a moment, as that of a file with more in it does
LIBRARY = "%sTABLE_%d = Array.new(%d) { 'x' * 1000 }\nsleep 1\n"
BOOT = """
def resident = File.read("/proc/self/status")[/VmRSS:\\s+(\\d+)/, 1].to_i * 1024
grown = %w[lib24 lib12 lib6 openssl].to_h do |name|
  before = resident
  require name
  [name, resident - before]
end
File.write(ARGV[0], JSON.generate(grown))
"""
MIB = 1 << 20


def generate(d):
    for size, first in ((6, ""), (12, ""), (18, ""), (24, "require 'lib18'\n")):
        with open(os.path.join(d, f"lib{size}.rb"), "w") as f:
            f.write(LIBRARY % (first, size, size * 1024))
    with open(os.path.join(d, "boot.rb"), "w") as f:
        f.write("require 'json'\n" + BOOT)
    truth_file(d)


@test
def libraries(t):
    path = ruby()
    with tempfile.TemporaryDirectory() as d:
        generate(d)
        out, kept = os.path.join(d, "out.txt"), os.path.join(d, "out.memprobe")
        with Memprobe("-P", "heap,vm,rss", "-o", out, "-o", kept, "--", path, "-I", d, os.path.join(d, "boot.rb"), os.path.join(d, "truth"),
                      auto=True) as m:
            m.wait()
        with open(os.path.join(d, "truth")) as f:
            truth = json.load(f)
        with open(out) as f:
            text = f.read()
        large = subprocess.run([MEMPROBE, "report", "-f", "report", "--min-bytes", "10M", kept], capture_output=True, text=True,
                               timeout=60).stdout
    rows = table(text)
    for name in "lib24", "lib12", "lib6":
        want = truth[name] / MIB
        t.between(f"{name}__costs_what_the_program_grew_by", rows.get(name, (0, 0, 0, 0))[1], 0.9 * want, 1.1 * want)
    outer, inner = rows.get("lib24", (0, 0, 0, 0)), rows.get("lib18", (0, 0, 0, 0))
    t.equal("a_library_that_another_requires__is_indented_below_it", (outer[0], inner[0]), (0, 1))
    t.between("its_memory__is_not_its_parents_own", outer[2], outer[1] - inner[1] - 0.2, outer[1] - inner[1] + 0.2)
    t.between("the_nested_one__has_its_table", inner[1], 17, 22)
    order = [name for name in rows if name.startswith("lib")]
    t.equal("the_largest__is_first", order, ["lib24", "lib18", "lib12", "lib6"])
    t.true("what_is_mapped_from_files__is_apart", rows.get("openssl", (0, 0, 0, 0))[3] > 1, text)
    t.equal("min_bytes__leaves_out_the_smaller", [n for n in table(large) if n.startswith("lib")], ["lib24", "lib18", "lib12"])


def check_share(t, who, d, *command):
    """Few are made before the interpreter is known, though it is that a tenth of a second after it was started."""
    out = os.path.join(d, "out.txt")
    with Memprobe("--sample", "off", "-o", out, "--", *command, auto=True) as m:
        m.wait()
    with open(out) as f:
        text = f.read()
    share = re.search(r"^runtime .*: ([\d.]+) % of allocations(?: in its code)? have a line", text, re.M)
    t.measured(f"{who}__of_the_allocations_of_a_start__9_in_10_have_a_line", share and float(share[1]) >= 90, text)


@test
def starts(t):
    with tempfile.TemporaryDirectory() as d:
        check_share(t, "ruby", d, ruby(), "-e", "require 'json'; require 'optparse'; require 'net/http'")
        for who, path in pythons().items():
            check_share(t, who, d, path, "-c", "import json, asyncio, http.client")


CHAIN = "for i in $(seq 300); do (:); done; exec %s -c 'import json, asyncio, http.client'"


@test
def what_was_before_an_exec(t):
    """The end of 300 processes is told when the shell has long become a Python."""
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "out.jsonl")
        with Memprobe("--sample", "off", "-o", out, "--", "bash", "-c", CHAIN % list(pythons().values())[0], auto=True) as m:
            m.wait()
        with open(out) as f:
            processes = [r for r in map(json.loads, f) if r["type"] == "process"]
    t.equal("a_shell__is_not_told_as_the_interpreter_that_it_becomes",
            {p.get("runtime", "") for p in processes if p["comm"] == "bash"}, {""})


if __name__ == "__main__":
    main()
