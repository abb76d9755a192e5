#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Cost of --objects: CPU time of Ruby loops that do nothing but make objects, or texts, bare, with the heap's probes, with a probe
at each object too (--sample off), and as the budget has it. Best of three rounds. Needs root and Debian 11's or 12's ruby; prints tables."""
import os
import shutil
import subprocess

MEMPROBE = os.environ["MEMPROBE"]
ROUNDS, OBJECTS = 3, 100000
PROGRAM = r"""
require "json"
class Order; end
def cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
$stdout.sync = true
puts "ready"
while (line = $stdin.gets)
  n, kind = line.split
  start = cpu
  kind == "object" ? n.to_i.times { Order.new } : n.to_i.times { "text" }
  puts cpu - start
end
"""
WAYS = (("heap probes alone", ["--sample", "off"]), ("every object", ["--sample", "off", "--objects"]), ("in the budget", ["--objects"]))


def best(target, n, kind):
    values = []
    for _ in range(ROUNDS):
        target.stdin.write(f"{n} {kind}\n")
        target.stdin.flush()
        values.append(float(target.stdout.readline()) / n * 1e9)
    return min(values)


def main():
    if not shutil.which("/usr/bin/ruby"):
        print("ruby is not here")
        return
    for kind in ("object", "text"):
        table(kind)


def table(kind):
    target = subprocess.Popen(["/usr/bin/ruby", "-e", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    target.stdout.readline()
    bare = best(target, 20 * OBJECTS, kind)
    print(f"{kind + ', bare':20}{bare:9.0f} ns each")
    for name, options in WAYS:
        p = subprocess.Popen([MEMPROBE, "-d", "0", "-P", "heap", *options, "-p", str(target.pid), "--no-save", "-f", "json"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while "armed:" not in p.stderr.readline():
            pass
        cost = best(target, OBJECTS if "off" in options else 20 * OBJECTS, kind)
        p.terminate()
        p.wait()
        print(f"{name:20}{cost:9.0f} ns each   {cost / bare:6.2f} times")
    target.stdin.close()
    target.wait()


if __name__ == "__main__":
    main()
