#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The report's word for programs whose behaviour is known: what leaks is called so, with its site and rate; what is full,
fills, swings or stands is not. All are watched at the same time, at default options, once they are past their start.
"""
import contextlib
import re
import time

from harness import Failure, Memprobe, Target, main, test
from interpreters import JsonLines

WINDOW_S = 20
TEETH_WINDOW_S = 60
PAST_START_S = 45  # and the window: a minute
MIB = 1 << 20
# 2 blocks of 2048 bytes in 10 ms; 1 block of 4096 in 5 steps of 10 ms
LEAK_RATE, GARBAGE_LEAK_RATE = 2 * 2048 * 100, 4096 * 20
FIGURE = r"([0-9.]+) (KiB|MiB)/min \(([0-9.]+) to ([0-9.]+)\)"


def word_of(report):
    return re.match(r"[A-Z-]+(?: [A-Z]+)*", report)[0]


def row_of(report, site):
    """The row of the table: (ALIVE, KIND)."""
    found = re.search(rf"^ *\d+ +[0-9.]+(?: \+/- [0-9.]+)? +[-+0-9.]+ +(\?|<?\d+ %).* (leak|churn|bounded|open) +{site}\b",
                      report, re.M)
    return found.groups() if found else None


def check_leak(t, name, report, rate):
    t.true(f"{name}__is_a_leak", word_of(report) == "LEAK", report)
    t.true(f"{name}__is_that_of_its_site", re.search(r"^ +\d+ % of it at one call site: #1 s_forget", report, re.M),
           report)
    figure = re.search(FIGURE, report)
    told = [float(f) * (MIB if figure[2] == "MiB" else 1024) / 60 for f in figure.group(1, 3, 4)]
    # the figures are rounded to tenths; the steps of the program come when the machine lets them
    low, high = min(told[1], 0.95 * told[0]), max(told[2], 1.05 * told[0])
    t.true(f"{name}__has_its_rate", low <= rate <= high and high - low < rate, f"{told} {rate}\n{report}")
    t.equal(f"{name}__has_its_kind", (row_of(report, "s_forget") or "?")[-1], "leak")
    t.true(f"{name}__is_explained", len(re.findall(r"^(?:why )? +\+ ", report, re.M)) >= 2, report)
    t.true(f"{name}__has_a_but", re.search(r"^but  - ", report, re.M), report)


def check_full(t, name, report):
    t.true(f"{name}__does_not_grow", word_of(report) in ("FLAT", "UNDECIDED", "SAW-TOOTH"), report)
    t.equal(f"{name}__is_bounded", (row_of(report, "s_keep") or "?")[-1], "bounded")


@test
def words(t):
    ways = ["leak", "leak_in_garbage", "steady", "full_cache", "full_cache_of_all_sizes", "teeth"]
    with contextlib.ExitStack() as stack:
        targets = {w: stack.enter_context(Target("behaves", w)) for w in ways}
        started = time.monotonic()
        with Memprobe("-p", targets["leak"].pid, "-d", 15, "-f", "report", auto=True) as young:
            young.wait()
            t.true("a_leak_right_after_the_start__is_a_growth", word_of(young.stdout) == "GROWING", young.stdout)
            t.true("a_growth_right_after_the_start__says_so", "it was started" in young.stdout, young.stdout)
        time.sleep(max(0, PAST_START_S - (time.monotonic() - started)))
        targets["filling"] = stack.enter_context(Target("behaves", "filling"))
        runs = {w: stack.enter_context(Memprobe("-p", target.pid, "-d", WINDOW_S, "-f", "report", auto=True))
                for w, target in targets.items()}
        reports = {w: m.wait().stdout for w, m in runs.items()}
        for w, m in runs.items():
            if m.status or not reports[w]:
                raise Failure(f"{w}: memprobe ended with status {m.status}:\n{m.stderr}")
        check_leak(t, "leak", reports["leak"], LEAK_RATE)
        check_leak(t, "leak_in_garbage", reports["leak_in_garbage"], GARBAGE_LEAK_RATE)
        t.true("steady__is_flat", word_of(reports["steady"]) == "FLAT", reports["steady"])
        check_full(t, "full_cache", reports["full_cache"])
        check_full(t, "full_cache_of_all_sizes", reports["full_cache_of_all_sizes"])
        t.true("teeth__are_a_saw_tooth", word_of(reports["teeth"]) == "SAW-TOOTH", reports["teeth"])
        t.true("filling__levels_off", word_of(reports["filling"]) == "LEVELS OFF", reports["filling"])
        for w, report in reports.items():
            wide = [line for line in report.splitlines() if len(line) > 100]
            t.equal(f"{w}__fits_in_100_columns", wide, [])


@test
def children_that_end(t):
    """What they kept went with them: it is listed, but nothing grows."""
    with Target("behaves", "requests") as target, \
            Memprobe("-p", target.pid, "-d", WINDOW_S, "-f", "report", auto=True) as m:
        report = m.wait().stdout
    t.true("children_that_end__are_no_growth", word_of(report) == "FLAT", report)
    t.equal("children_that_end__fill_no_memory", re.findall(r"^Runs out", report, re.M), [])
    given_back = re.search(r"^ +-([0-9.]+) .* given back by (\d+) processes that ended$", report, re.M)
    t.true("what_they_kept__was_given_back", given_back and int(given_back[2]) >= 5 * WINDOW_S, report)
    table = report[report.index("WHERE (your code first"):]
    amounts = [float(a) for a in re.findall(r"^ *(?:\d+ )? +(-?\d+\.\d) +[-+]?\d+\.\d ", table, re.M)]
    t.true("the_column__adds_up_to_what_is_left", len(amounts) > 3 and abs(sum(amounts[:-1]) - amounts[-1]) < 0.05, f"{amounts}\n{report}")


@test
def sampled_below_teeth(t):
    """
    Where only some calls are seen, and the memory swings: the heap itself tells what stays and what is replaced. Some 70
    samples of the leak in each sixth of the window: with 24 its rise was too uneven for a trend of its own.
    """
    with Target("corpus_leaks", "under-teeth", 3, 5) as leaks, \
            Target("corpus_steady", "cache-below-teeth", 3, 5) as cache:
        time.sleep(1)
        runs = [Memprobe("-p", target.pid, "-d", TEETH_WINDOW_S, "--sample", "8k", "-f", form, auto=True)
                for target, form in ((leaks, "report"), (cache, "json"))]
        leak, full = [m.wait(TEETH_WINDOW_S + 30).stdout for m in runs]
    t.true("a_leak_below_teeth__is_seen_to_grow", word_of(leak) in ("LEAK", "GROWING"), leak)
    t.true("a_leak_below_teeth__is_that_of_its_site", re.search(r"it at one call site: #1 (s_forget|filled)", leak), leak)
    snapshot = JsonLines(full.encode()).snapshots[-1]
    t.true("a_full_cache_below_teeth__does_not_grow", snapshot["verdict"][0]["word"] in ("FLAT", "UNDECIDED", "SAW-TOOTH"),
           snapshot["verdict"])
    entry = {f["id"] for f in snapshot["frame"] if f["name"] == "s_entry"}
    entries = [s for s in snapshot["stack"] if entry & set(s["frames"])]
    live, replaced = (sum(s[k] for s in entries) for k in ("live_bytes", "replaced_bytes"))
    # all of it; two deviations are granted to the estimate. A heap that changes while it is read may tell nothing: then once more
    t.measured("a_full_cache_below_teeth__replaces_its_entries", live > 0 and replaced > live / 2, (live, replaced))


@test
def leak_in_brief_bursts(t):
    """
    Where a few of a hundred calls are seen, and of these one in five hundred stays: the heap has as many more blocks of that
    size as the program keeps, and one site alone makes such blocks.
    """
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(Target("behaves", "leak_in_garbage")) for i in range(3)]
        time.sleep(1)
        runs = [stack.enter_context(Memprobe("-p", x.pid, "-d", WINDOW_S, "--max-overhead", "0.5", "-f", "json", auto=True))
                for x in targets]
        snapshots = [JsonLines(m.wait().stdout.encode()).snapshots[-1] for m in runs]
    heads = [s["header"][0] for s in snapshots]
    t.equal("a_small_budget__is_kept_by_brief_bursts", [h["rung"] for h in heads], 3 * ["in brief bursts"])
    parts = []
    for s, head in zip(snapshots, heads):
        site = {f["id"] for f in s["frame"] if f["name"] == "s_forget"}
        told = sum(x["live_bytes"] for x in s["stack"] if site & set(x["frames"]))
        parts.append(told / (GARBAGE_LEAK_RATE * head["window_ms"] / 1000))
    # a block in 50 ms: what came while the heap was read is another; one that changes meanwhile may not be readable: once more
    t.measured("a_leak_in_garbage__has_its_bytes", all(abs(p - 1) < 0.05 for p in parts), parts)


if __name__ == "__main__":
    main()
