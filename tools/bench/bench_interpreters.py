#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Cost of an allocation with the frames of Python, Ruby, node and Erlang, and of its free, by depth of the program's own calls.

Calls of Python functions add no native frame (3.11 on), those of Ruby methods and Erlang functions neither: what grows with the depth
is the cost of the language's frames alone; in node each is a native frame too. CPU time, the best of five rounds each, bare and profiled
exactly, for each allocation that memprobe counted; freed again at once, or when the runtime collects. And how many have a
line of the language. Needs root; prints a table.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

MEMPROBE = os.environ["MEMPROBE"]
DEPTHS, ROUNDS, PAIRS = (5, 15, 55), 5, 20000

PYTHON = r"""
import sys, time
def work(n):
    start = time.thread_time()
    for _ in range(n):
        bytearray(2000)
    return (time.thread_time() - start) / n
def down(depth, n):
    return down(depth - 1, n) if depth else work(n)
print("ready", flush=True)
for line in sys.stdin:
    depth, n = map(int, line.split())
    print(down(depth - 3, n), flush=True)
"""
RUBY = r"""
def now = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
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

NODE = r"""
function work(n) {
  const start = process.cpuUsage();
  for (let i = 0; i < n; i++)
    Buffer.allocUnsafeSlow(2000);
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1e6 / n;
}
function down(depth, n) { return depth > 0 ? down(depth - 1, n) + 0 : work(n); }
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [depth, n] = line.split(' ').map(Number);
  console.log(down(depth - 3, n));
});
console.log('ready');
"""
# a binary of more than 64 bytes is a block of its own; each call leaves its frame
ERLANG = r"""-module(bench).
-export([main/0]).
work(0) -> 0;
work(N) -> _ = binary:copy(<<0:8>>, 2000 + N band 1), work(N - 1).
down(0, N) -> {Start, _} = statistics(runtime), 0 = work(N), {End, _} = statistics(runtime), (End - Start) / 1000 / N;
down(Depth, N) -> down(Depth - 1, N) + 0.0.
main() -> io:format("ready ~s~n", [os:getpid()]), loop().
loop() ->
    case io:fread("", "~d ~d") of
        {ok, [Depth, N]} -> io:format("~p~n", [down(Depth - 3, N)]), loop();
        _ -> halt(0)
    end.
"""


def erlang(directory):
    """The command that starts it."""
    with open(os.path.join(directory, "bench.erl"), "w") as f:
        f.write(ERLANG)
    subprocess.run(["erlc", "-o", directory, f.name], check=True)
    # schedulers that wait for work do not spin
    return ["erl", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noshell", "-pa", directory, "-run", "bench", "main"]


class Target:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline().split()
        self.pid = int(said[1]) if len(said) > 1 else self.process.pid

    def best(self, depth, rounds=ROUNDS):
        values = []
        for _ in range(rounds):
            self.process.stdin.write(f"{depth} {PAIRS}\n")
            self.process.stdin.flush()
            values.append(float(self.process.stdout.readline()))
        return min(values) * 1e9


def watched(target, directory):
    p = subprocess.Popen([MEMPROBE, "-d", "0", "-P", "heap", "--sample", "off", "-p", str(target.pid), "--no-save",
                          "-o", f"{directory}/out.txt", "-o", f"{directory}/out.jsonl"], stderr=subprocess.PIPE, text=True)
    while "armed:" not in p.stderr.readline():
        pass
    return p


def told(directory):
    """Allocations, and which part of them has a line of the language."""
    with open(f"{directory}/out.jsonl") as f:
        allocations = max(json.loads(line)["alloc_blocks"] for line in f if '"type":"summary"' in line)
    with open(f"{directory}/out.txt") as f:
        share = re.search(r"^runtime .*: ([\d.]+) % of the allocations have a line of it", f.read(), re.M)
    return allocations, float(share[1]) if share else 0


def measure(directory, name, *command):
    target = Target(*command)
    target.best(DEPTHS[0], 10 * ROUNDS) # compiled, where it is
    bare = [target.best(d) for d in DEPTHS]
    p = watched(target, directory)
    cost = [target.best(d) - b for d, b in zip(DEPTHS, bare)]
    p.terminate()
    p.communicate()
    target.process.stdin.close()
    target.process.wait()
    allocations, share = told(directory)
    each = round(allocations / (len(DEPTHS) * ROUNDS * PAIRS)) # of a turn of its loop
    cost = [c / each for c in cost]
    slope = (cost[-1] - cost[1]) / (DEPTHS[-1] - DEPTHS[1])
    print(f"{name:12}" + "".join(f"{c:9.0f} ns" for c in cost) + f"{slope:12.0f} ns" + f"{share:11.2f} %", flush=True)


def main():
    print(f"{'':12}" + "".join(f"{f'depth {d}':>12}" for d in DEPTHS) + "   a frame more  with a line")
    with tempfile.TemporaryDirectory() as d:
        for name, path, command in (("python3", "/usr/bin/python3", ("-c", PYTHON)), ("ruby", "/usr/bin/ruby", ("-e", RUBY)),
                                    ("node", shutil.which("node"), ("-e", NODE)), ("erlang", shutil.which("erlc"), None)):
            if not path or not shutil.which(path):
                print(f"{name}: not here")
            elif command:
                measure(d, name, path, *command)
            else:
                measure(d, name, *erlang(d))


if __name__ == "__main__":
    main()
