#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Runs the corpus under memprobe at its default options, and tables the verdicts: `make check-corpus`. Hours, so not part
of make check; it goes on where it was stopped.

    run.py [-v] [--seeds N] [--loads 10,50,100] [--seconds 60,300] [--only PATTERN] [--most N] [--at-once N]
           [--first-seed N] [--first-slot N]
    run.py --table FILE         the table of what has been run
    run.py --check              exit 1 if what has been run breaks a bound

One result per line in results.csv, with the commit that was built and the seconds that memprobe took to arm and, after
its window, to end. What is there is not run again: delete the lines whose verdict a change may have moved. Runs of one
load go at the same time, so that the programs use about one CPU; each has a copy of libc of its own, as probes on a
shared one would tax the others, and a session of its own: where the CPUs are shared among sessions (the kernel's
autogroup) it gets what it asks for, whatever else runs. A program is attached a second after it is ready.
--most: end after so many batches; --first-slot: other than those of another run.py at the same time. Depends on
harness.py, table.py and tables of results.py.
"""
import argparse
import csv
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from harness import BUILD, Failure, Memprobe, Target, build, missing # pylint: disable=wrong-import-position
from results import COLUMNS, LOADS, broken_bounds, read_results, write_table # pylint: disable=wrong-import-position
from table import PROGRAMS # pylint: disable=wrong-import-position

WHERE = os.path.join(BUILD, "corpus")
RESULTS = os.path.join(HERE, "results.csv")
AT_ONCE = {2: 24, 10: 10, 50: 2, 100: 1}
OWN_SESSION = ("/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/bin/setsid") # which does not outlive this one
START_S = 120 # on a machine that starts many at once
END_S = 60
BEFORE_ATTACH_S = 1
SWAP_BYTES = 128 << 20


class Swap:
    """Some, for the program that needs it; gone in the end. Nothing if the machine has its own or gives none."""

    def __enter__(self):
        self.file = None
        with open("/proc/swaps") as f:
            self.is_there = len(f.readlines()) > 1
        if self.is_there:
            return self
        with tempfile.NamedTemporaryFile(dir=WHERE, delete=False) as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(bytes(SWAP_BYTES))
        self.file = f.name
        self.is_there = all(subprocess.run([*c, f.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                           check=False).returncode == 0 for c in (["mkswap"], ["swapon"]))
        return self

    def __exit__(self, *exc):
        if not self.file:
            return
        if self.is_there:
            subprocess.run(["swapoff", self.file], check=False)
        os.unlink(self.file)


def libc_of_own(slot):
    """A directory with a copy of libc: LD_LIBRARY_PATH."""
    directory = os.path.join(WHERE, f"libc-{slot}")
    os.makedirs(directory, exist_ok=True)
    for library in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"):
        copy = os.path.join(directory, "libc.so.6")
        if os.path.exists(library) and not os.path.exists(copy):
            shutil.copy(library, copy)
    return directory


def why_not(program, swap):
    """Why it cannot run here."""
    binary = program.command[0]
    if binary.startswith("/") and not os.path.exists(binary):
        return f"no {binary}"
    if program.name == "leak/swapped" and not swap:
        return "no swap, and none could be added"
    return None


class Run:
    """One program with memprobe on it."""

    def __init__(self, program, seed, load, seconds, slot):
        self.key = {"program": program.name, "seed": seed, "load": load, "seconds": seconds}
        command = program.command
        if not command[0].startswith("/"):
            command = [build(command[0]), *command[1:]]
        self.target = Target(*OWN_SESSION, *command, seed, load, env={"LD_LIBRARY_PATH": libc_of_own(slot)})
        self.memprobe = self.armed_at = self.ended_at = None

    def attach(self):
        self.memprobe = Memprobe("-p", self.target.pid, "-d", self.key["seconds"], "--no-save", "--json", auto=True,
                                 argv0=OWN_SESSION)

    def is_over(self):
        """Ended, or later than it may be; notes when it armed and when it ended."""
        m, now = self.memprobe, time.monotonic()
        if not self.armed_at and "memprobe: armed:" in m.stderr:
            self.armed_at = now
        if m.process.poll() is not None:
            self.ended_at = now
            return True
        return now > (self.armed_at + self.key["seconds"] + END_S if self.armed_at else m.started + START_S)

    def result(self):
        """When it is over."""
        result = dict(self.key, word="FAILED")
        if self.armed_at:
            result["start_s"] = round(self.armed_at - self.memprobe.started, 1)
        if self.ended_at and self.armed_at:
            result["end_s"] = round(self.ended_at - self.armed_at - self.key["seconds"], 1)
        try:
            self.memprobe.wait(0.1)
            lines = [json.loads(line) for line in self.memprobe.stdout.splitlines()]
            verdict = [line for line in lines if line["type"] == "verdict"]
            if verdict:
                result.update((k, v) for k, v in verdict[-1].items() if k != "type")
            result["rung"] = "".join([line["rung"] for line in lines if "rung" in line][-1:])
        except (Failure, ValueError) as why:
            result["error"] = str(why)[-300:]
        if not self.target.is_alive():
            result["word"], result["error"] = "FAILED", "the program ended"
        return result

    def close(self):
        if self.memprobe:
            self.memprobe.__exit__()
        self.target.__exit__()


def wait_for(runs):
    """Each as it is over."""
    left = list(runs)
    while left:
        for run in [run for run in left if run.is_over()]:
            left.remove(run)
            yield run
        time.sleep(0.1)


def run_batch(batch, first_slot, say):
    built_from = commit()
    runs = [Run(*key, slot) for slot, key in enumerate(batch, first_slot)]
    try:
        time.sleep(BEFORE_ATTACH_S)
        for run in runs:
            run.attach()
        for run in wait_for(runs):
            result = dict(run.result(), commit=built_from)
            note(result)
            say(f"{result['word']:<10} {json.dumps(result)}")
    finally:
        for run in runs:
            run.close()


def commit():
    """Of the sources, if git knows it."""
    git = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                         check=False)
    return git.stdout.strip() or "unknown"


def note(result):
    """Appended; a file that is not there yet gets its head."""
    with open(RESULTS, "a", newline="") as f:
        w = csv.DictWriter(f, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        if f.tell() == 0:
            w.writeheader()
        w.writerow(result)


def batches(args, swap, say):
    """Lists of (program, seed, load, seconds) that have not been run; first one seed of all, then the next."""
    done = {(r["program"], r["seed"], r["load"], r["seconds"]) for r in read_results(RESULTS)}
    for program in PROGRAMS:
        why = why_not(program, swap)
        if why:
            say(f"skip {program.name}: {why}")
    for seconds in map(int, args.seconds.split(",")):
        for load in map(int, args.loads.split(",")):
            keys = [(p, seed, load, seconds) for seed in range(args.first_seed, args.first_seed + args.seeds)
                    for p in PROGRAMS
                    if fnmatch.fnmatch(p.name, args.only) and not why_not(p, swap)
                    and (p.name, seed, load, seconds) not in done]
            size = args.at_once or AT_ONCE.get(load, 2)
            yield from (keys[i:i + size] for i in range(0, len(keys), size))


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("-v", action="store_true")
    p.add_argument("--seeds", type=int, default=10)
    p.add_argument("--first-seed", type=int, default=1)
    p.add_argument("--loads", default=",".join(map(str, LOADS)))
    p.add_argument("--seconds", default="60")
    p.add_argument("--only", default="*")
    p.add_argument("--most", type=int, default=1000000)
    p.add_argument("--at-once", type=int)
    p.add_argument("--first-slot", type=int, default=0)
    p.add_argument("--table")
    p.add_argument("--check", action="store_true")
    return p.parse_args()


def main():
    args = parse()
    os.makedirs(WHERE, exist_ok=True)
    if args.table:
        write_table(args.table, PROGRAMS, read_results(RESULTS))
        return 0
    if args.check:
        bad = broken_bounds(PROGRAMS, read_results(RESULTS))
        print("\n".join(bad) or "all bounds hold")
        return 1 if bad else 0
    why = missing()
    if why:
        print(f"cannot run: {why}", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # by way of what ends programs and swap
    signal.signal(signal.SIGINT, signal.default_int_handler)
    say = print if args.v else lambda line: None
    with Swap() as swap:
        for n, batch in enumerate(batches(args, swap.is_there, say)):
            if n == args.most:
                return 0
            run_batch(batch, args.first_slot, say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
