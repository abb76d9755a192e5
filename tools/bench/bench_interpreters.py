#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Cost of the frames of Python and Ruby, per block allocated and freed, by depth of the program's own calls.

Calls of Python functions add no native frame (3.11 on), those of Ruby methods neither: what grows with the depth is the
cost of the language's frames alone. Best of five rounds each, bare and profiled exactly. Needs root; prints a table.
"""
import os
import shutil
import subprocess

MEMPROBE = os.environ["MEMPROBE"]
DEPTHS, ROUNDS, PAIRS = (5, 15, 55), 5, 20000

PYTHON = r"""
import sys, time
def work(n):
    start = time.perf_counter()
    for _ in range(n):
        bytearray(2000)
    return (time.perf_counter() - start) / n
def down(depth, n):
    return down(depth - 1, n) if depth else work(n)
print("ready", flush=True)
for line in sys.stdin:
    depth, n = map(int, line.split())
    print(down(depth - 3, n), flush=True)
"""
RUBY = r"""
def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
def work(n)
  start = now
  i = 0
  while i < n
    ("x" * 2000).clear
    i += 1
  end
  (now - start) / n
end
def down(depth, n) = depth > 0 ? down(depth - 1, n) : work(n)
$stdout.sync = true
puts "ready"
while (line = $stdin.gets)
  depth, n = line.split.map(&:to_i)
  puts down(depth - 3, n)
end
"""


class Target:
    def __init__(self, path, program):
        self.process = subprocess.Popen([path, "-c" if "python" in path else "-e", program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def best(self, depth):
        values = []
        for _ in range(ROUNDS):
            self.process.stdin.write(f"{depth} {PAIRS}\n")
            self.process.stdin.flush()
            values.append(float(self.process.stdout.readline()))
        return min(values) * 1e9


def watched(target):
    p = subprocess.Popen([MEMPROBE, "-d", "0", "-P", "heap", "--sample", "off", "-p", str(target.process.pid), "--no-save", "-f", "folded"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while "armed:" not in p.stderr.readline():
        pass
    return p


def main():
    print(f"{'':12}" + "".join(f"{f'depth {d}':>12}" for d in DEPTHS) + "   a frame more")
    for name, path, program in (("python3", "/usr/bin/python3", PYTHON), ("ruby", "/usr/bin/ruby", RUBY)):
        if not shutil.which(path):
            print(f"{name}: not here")
            continue
        target = Target(path, program)
        bare = [target.best(d) for d in DEPTHS]
        p = watched(target)
        cost = [target.best(d) - b for d, b in zip(DEPTHS, bare)]
        p.terminate()
        p.wait()
        target.process.stdin.close()
        target.process.wait()
        slope = (cost[-1] - cost[1]) / (DEPTHS[-1] - DEPTHS[1])
        print(f"{name:12}" + "".join(f"{c:9.0f} ns" for c in cost) + f"{slope:12.0f} ns")


if __name__ == "__main__":
    main()
