#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
What a recording costs a run: 131 072 different stacks, 30 s, with and without --no-save, in turn. Root. Prints memprobe's
CPU time, the target's rounds per second, the size of the recording and how many snapshots are in it.
"""
import glob
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading

BUILD = os.environ.get("BUILD", "build")
MEMPROBE = os.environ.get("MEMPROBE", os.path.join(BUILD, "memprobe"))
SECONDS = int(os.environ.get("SECONDS_EACH", "30"))
ROUNDS = int(os.environ.get("TIMES", "2"))


class Target:
    def __init__(self):
        self.process = subprocess.Popen([os.path.join(BUILD, "tools", "bench", "unique_stacks")], stdout=subprocess.PIPE, text=True)
        self.rounds = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.rounds.append(int(line.split()[1]))

    def end(self):
        self.process.kill()
        self.process.wait()


def cpu_of_children():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def run(state, *options):
    target = Target()
    before = cpu_of_children()
    m = subprocess.run([MEMPROBE, "--sample", "off", "--max-memory", "512M", "-d", str(SECONDS), "-p", str(target.process.pid), "--folded", *options],
                       capture_output=True, text=True, check=True, env=dict(os.environ, XDG_STATE_HOME=state))
    cpu = cpu_of_children() - before
    target.end()
    return cpu, statistics.median(target.rounds[2:-1]), len(m.stdout.splitlines()), m.stderr


def main():
    if os.geteuid() != 0:
        print("needs root")
        return 77
    with tempfile.TemporaryDirectory() as state:
        for _ in range(ROUNDS):
            for name, options in (("recorded", ()), ("--no-save", ("--no-save",))):
                cpu, rounds, stacks, err = run(state, *options)
                print(f"{name:<10} memprobe {cpu:6.2f} s of CPU in {SECONDS} s; target {rounds:.0f} rounds/s; {stacks} stacks live; "
                      f"lost {re.findall(r'lost (.*)', err)[:1]}", flush=True)
        files = glob.glob(state + "/memprobe/*.memprobe")
        for path in files:
            data = open(path, "rb").read()
            print(f"recording: {len(data) / 1048576:.2f} MiB, {data.count(b'SNAP')} snapshots")
    return 0


if __name__ == "__main__":
    sys.exit(main())
