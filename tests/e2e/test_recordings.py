#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Each run is recorded: what a recording shows is what the run itself wrote, at any of its moments, and without rights. What
was cut is read as far as it is whole.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from harness import MEMPROBE, METRICS, ROOT, Failure, Memprobe, Target, main, parse_folded, sum_of, test
from rights import run_as

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from flame_file import FlameFile # noqa: E402
from formats_file import HeapProfile, JsonLines, Pprof # noqa: E402

FORMATS = {"folded": "folded", "report": "txt", "flamegraph": "svg", "pprof": "pb.gz", "json": "jsonl",
           "heapprofile": "heapprofile"}


def memprobe(*args, **kwargs):
    return subprocess.run([MEMPROBE, *map(str, args)], capture_output=True, timeout=60, check=False, **kwargs)


def saved(m):
    found = re.findall(r"^memprobe: saved: (.*\.memprobe) \(", m.stderr, re.M)
    if len(found) != 1:
        raise Failure(f"where it is saved is not told once:\n{m.stderr}")
    return found[0]


def json_snapshots(text):
    """The lines of each: a header begins one."""
    return ["".join(part) for part in split_before(text.splitlines(True), '{"type":"header"')]


def split_before(lines, start):
    parts = []
    for line in lines:
        if line.startswith(start):
            parts.append([])
        parts[-1].append(line)
    return parts


def wait_until(what, condition, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not in {timeout_s} s: {what}")
        time.sleep(0.02)


@test
def snapshots(t):
    """A target that grows in three steps, a snapshot (SIGUSR1) after each."""
    truth = []
    with Target("steps") as target, Memprobe("-d", 0, "--json", "-p", target.pid) as m:
        m.armed()
        for n in range(1, 4):
            truth.append(target.ask("step"))
            m.process.send_signal(10)
            wait_until("a snapshot", lambda n=n: len(re.findall('"type":"summary"', m.stdout)) == n) # pylint: disable=cell-var-from-loop
            time.sleep(0.3)
        m.stop()
        target.exit()
        live, path = json_snapshots(m.stdout), saved(m)
    t.equal("three_snapshots_and_the_last_one__were_printed", len(live), 4)
    for n, text in enumerate(live):
        at = json.loads(text.splitlines()[0])["window_ms"]
        shown = memprobe("report", "--json", f"{path}@{at}ms" if n < 3 else path)
        t.equal(f"snapshot_{n + 1}_of_the_recording__has_the_bytes_that_the_run_printed", shown.stdout.decode(), text)
        t.equal("and_is_whole", shown.returncode, 0)
        want = truth[min(n, 2)]
        got = {x: {metric: sum_of(parse_folded(memprobe("report", "-m", metric, "--folded", f"{path}@{at}ms")
                                               .stdout.decode()), x) for metric in METRICS} for x in ("s_kept", "s_moving")}
        t.equal("and_the_target's_own_figures", got,
                {x: {metric: want.of(x, metric) for metric in METRICS} for x in ("s_kept", "s_moving")})
    between = memprobe("report", "--json", f"{path}@1h")
    t.equal("a_time_after_the_end__is_the_last_snapshot", between.stdout.decode(), live[3])
    t.true("and_it_is_told", b"no snapshot at 1 h" in between.stderr, between.stderr.decode())


@test
def formats(t):
    """All formats of a run beside the same ones from its recording."""
    with tempfile.TemporaryDirectory() as d, Target("lifecycle", "exit") as target:
        live = {f: os.path.join(d, "live." + s) for f, s in FORMATS.items()}
        own = os.path.join(d, "own.memprobe")
        with Memprobe("-d", 0, "-p", target.pid, "-o", own, *(a for p in live.values() for a in ("-o", p))) as m:
            m.armed()
            target.ask("go")
            m.stop()
            path = saved(m)
            error = m.stderr
        target.exit()
        again = {f: os.path.join(d, "again." + s) for f, s in FORMATS.items()}
        ended = memprobe("report", path, *(a for p in again.values() for a in ("-o", p)))
        t.equal("a_recording__is_shown_in_all_formats_at_once", (ended.returncode, ended.stdout), (0, b""))
        for f in FORMATS:
            t.equal(f"{f}__is_the_same_from_the_recording", open(again[f], "rb").read(), open(live[f], "rb").read())
        total = sum(v for _, v in parse_folded(open(again["folded"]).read()))
        data = {f: open(p, "rb").read() for f, p in again.items()}
        t.equal("all_formats_of_a_recording__have_one_total",
                [FlameFile(data["flamegraph"]).nodes[0].bytes, Pprof(data["pprof"]).totals()["live-bytes"],
                 JsonLines(data["json"]).totals()["live-bytes"], HeapProfile(data["heapprofile"]).total], [total] * 4)
        t.equal("-o_FILE.memprobe__is_the_same_recording", open(own, "rb").read(), open(path, "rb").read())
        summary = "".join(line for line in error.splitlines(True) if not re.match(r"memprobe: (armed:|saved:|\w+ \d+: RSS)", line))
        t.equal("the_words_on_stderr__are_the_same", ended.stderr.decode(), summary)
        one = os.path.join(d, "one.memprobe")
        memprobe("report", path, "-o", one)
        t.equal("a_snapshot_written_as_a_recording__shows_the_same", memprobe("report", "--json", one).stdout,
                open(live["json"], "rb").read())
        os.chmod(d, 0o755)
        os.chmod(own, 0o644)
        t.equal("a_user_without_any_rights__sees_the_same", run_as((), "report", "--json", own).stdout, open(live["json"]).read())


def columns(output):
    """{function: (A, B)} of folded with two columns."""
    sums = {}
    for line in output.decode().splitlines():
        stack, a, b = line.rsplit(" ", 2)
        for name in ("s_kept", "s_moving"):
            if name in stack.split(";"):
                before = sums.get(name, (0, 0))
                sums[name] = (before[0] + int(a), before[1] + int(b))
    return sums


@test
def differences(t):
    """Two moments of one run by level, two runs by rate."""
    runs, truths, times = [], [], []
    for _ in range(2):
        with Target("steps") as target, Memprobe("-d", 0, "--json", "-p", target.pid) as m:
            m.armed()
            truths.append([target.ask("step")])
            m.process.send_signal(10)
            wait_until("a snapshot", lambda: '"type":"summary"' in m.stdout) # pylint: disable=cell-var-from-loop
            for _ in range(1 + 2 * len(runs)):
                truths[-1].append(target.ask("step"))
            time.sleep(0.5)
            m.stop()
            target.exit()
            times.append([json.loads(s.splitlines()[0])["window_ms"] for s in json_snapshots(m.stdout)])
            runs.append(saved(m))
    first = f"{runs[0]}@{times[0][0]}ms"
    for metric in METRICS:
        got = columns(memprobe("diff", "--folded", "-m", metric, first, runs[0]).stdout)
        want = {s: (truths[0][0].of(s, metric), truths[0][-1].of(s, metric)) for s in ("s_kept", "s_moving")}
        t.equal(f"two_moments_of_a_run__have_the_target's_figures_of_both__{metric}", got, want)
    ended = memprobe("diff", "--report", first, runs[0])
    t.true("the_report__ranks_what_grew_first", re.search(r"^ 1 .* s_kept", ended.stdout.decode(), re.M) and
           ended.stdout.startswith(b"GREW by") and b"+101  s_kept" in ended.stdout, ended.stdout.decode())
    ended = memprobe("diff", "--report", runs[0], first)
    t.true("the_other_way_round__it_shrank", ended.stdout.startswith(b"SHRANK by") and b"-101  s_kept" in ended.stdout,
           ended.stdout.decode())
    ended = memprobe("diff", runs[0], runs[0])
    t.true("a_moment_and_itself__are_no_difference", ended.returncode == 2 and b"same snapshot" in ended.stderr, f"{ended}")
    for metric, option in (("live-bytes", ()), ("alloc-bytes", ("-m", "alloc-bytes"))):
        got = columns(memprobe("diff", "--folded", *option, *runs).stdout)
        want = {s: tuple(truths[i][-1].of(s, metric) * 1000 / times[i][-1] for i in (0, 1)) for s in ("s_kept", "s_moving")}
        t.true(f"two_runs__are_compared_per_second__{metric}",
               got.keys() == want.keys() and all(abs(g - w) < 2 + w * 0.005 for s in want for g, w in zip(got[s], want[s])),
               f"{got} {want}")
    ended = memprobe("diff", "--report", *runs)
    windows = re.findall(r"^[AB]  ([\d.]+) s to ", ended.stdout.decode(), re.M)
    t.true("both_windows__are_printed", len(windows) == 2 and b"A kept" in ended.stdout, ended.stdout.decode())
    ended = memprobe("diff", "--report", "-m", "rss-bytes", first, runs[0])
    t.true("resident_memory__is_not_called_heap", b" of resident memory (" in ended.stdout and b"heap" not in ended.stdout,
           ended.stdout.decode())
    for compared in ([first, runs[0]], runs):
        ended = memprobe("diff", "--folded", "-m", "peak-bytes", *compared)
        t.true("peaks__are_not_compared", ended.returncode == 2 and b"one peak" in ended.stderr, f"{ended}")
    for metric in ("live-bytes", "live-blocks", "rss-bytes"):
        ended = memprobe("diff", "-m", metric, *runs)
        t.true(f"levels_of_two_runs__are_never_subtracted__{metric}",
               ended.returncode == 2 and not ended.stdout and b"never subtracted" in ended.stderr, f"{ended}")
    for suffix in ("pb.gz", "jsonl", "heapprofile"):
        with tempfile.TemporaryDirectory() as d:
            ended = memprobe("diff", first, runs[0], "-o", os.path.join(d, "x." + suffix))
            t.true(f"a_format_that_shows_no_differences__says_so__{suffix}",
                   ended.returncode == 2 and b"shows no comparison" in ended.stderr and not os.listdir(d), f"{ended}")


@test
def what_is_not_whole(t):
    with tempfile.TemporaryDirectory() as d, Target("steps") as target:
        os.environ["XDG_STATE_HOME"] = d
        with Memprobe("-d", 0, "-p", target.pid) as m:
            m.armed()
            truth = target.ask("step")
            part = os.path.join(d, "memprobe", "*.memprobe.part")
            wait_until("a recording", lambda: glob.glob(part))
            path = glob.glob(part)[0]

            def shown():
                return sum_of(parse_folded(memprobe("report", "--folded", path).stdout.decode()), "s_kept")
            wait_until("the step in the recording", lambda: shown() == truth.of("s_kept", "live-bytes"))
            m.process.kill()
            m.wait()
        ended = memprobe("report", path)
        t.equal("a_run_that_was_killed__leaves_what_it_had",
                sum_of(parse_folded(ended.stdout.decode()), "s_kept"), truth.of("s_kept", "live-bytes"))
        t.true("and_that_it_was_cut_is_told__with_exit_1", ended.returncode == 1 and b"it was cut after" in ended.stderr,
               f"{ended}")
        data = open(path, "rb").read()
        cases = {
            "empty": (b"", "it is empty"),
            "text": (b"hello\n" * 100, "it is no recording"),
            "newer": (data[:8] + b"\x02" + data[9:], "version 2, of a newer memprobe"),
            "short": (data[:100], "no snapshot before is whole"),
            "damaged": (data[:60] + b"\xff" + data[61:], "is damaged"),
        }
        for name, (content, says) in cases.items():
            file = os.path.join(d, name)
            with open(file, "wb") as f:
                f.write(content)
            ended = memprobe("report", file)
            t.true(f"a_recording_that_is_{name}__is_exit_1_and_says_so",
                   ended.returncode == 1 and says in ended.stderr.decode() and not ended.stdout, f"{ended}")
        ended = memprobe("report", os.path.join(d, "nowhere"))
        t.true("one_that_is_not_there__too", ended.returncode == 1 and b"No such file" in ended.stderr, f"{ended}")
        target.exit()


if __name__ == "__main__":
    main()
