# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
From the results of the corpus to its table, and the bounds that they must keep.
"""
import collections
import csv

from table import true_rate

# Of one run: its program, the seed, the load in percent of one CPU and the window; the commit that was built; the word
# of the verdict, how the heap was seen, what the rate is of (heap, memory, objects), bytes per second, the share that
# one site makes; seconds until memprobe armed and, after its window, until it ended; why it failed
COLUMNS = ("program", "seed", "load", "seconds", "commit", "word", "rung", "by", "rate", "rate_low", "rate_high",
           "site_share", "start_s", "end_s", "error")
NUMBERS = dict.fromkeys(("seed", "load", "seconds", "rate", "rate_low", "rate_high"), int) | \
    dict.fromkeys(("site_share", "start_s", "end_s"), float)

LOADS = (10, 50, 100)
WORDS = ("LEAK", "GROWING", "LEVELS OFF", "SAW-TOOTH", "FLAT", "SHRINKING", "UNDECIDED", "FAILED")
FAST = 20e3 # bytes per second: found at 60 s
FOUND = ("LEAK", "GROWING") # the second: its growth and rate are told, but not enough for the word
STEADY_RUNS = 240
KEEPS_PACE = 10 # percent of load: above it the steps of a program come later, and what it loses is less than its rate
# Programs that may stay UNDECIDED (most of their runs): of twenty leaks, of twenty others
UNDECIDED = {60: (4, 6), 300: (1, 2)}


def read_results(path):
    """A list of {column: value}, without what a run does not have; none if there is no such file."""
    try:
        with open(path, newline="") as f:
            return [{k: NUMBERS.get(k, str)(v) for k, v in row.items() if v != ""} for row in csv.DictReader(f)]
    except FileNotFoundError:
        return []


def by_program(results, seconds):
    """{name: Counter of words}"""
    words = collections.defaultdict(collections.Counter)
    for r in results:
        if r["seconds"] == seconds:
            words[r["program"]][r["word"]] += 1
    return words


def undecided_programs(programs, words, is_leak):
    """Those of which more than half of the runs were not decided."""
    return [p.name for p in programs if p.is_leak == is_leak and words.get(p.name)
            and 2 * words[p.name]["UNDECIDED"] > sum(words[p.name].values())]


def missed(programs, words):
    """{name: runs of a fast leak whose growth was not told}"""
    runs = {p.name: sum(n for word, n in words[p.name].items() if word not in FOUND) for p in programs
            if p.is_leak and p.rate >= FAST and words.get(p.name)}
    return {name: n for name, n in runs.items() if n}


def wrong_leaks(programs, results):
    steady = {p.name for p in programs if not p.is_leak}
    return [r for r in results if r["program"] in steady and r["word"] == "LEAK"]


def steady_runs(programs, results):
    steady = {p.name for p in programs if not p.is_leak}
    return sum(r["program"] in steady for r in results)


def broken_bounds(programs, results):
    """What does not hold, one line each."""
    bad = [f"wrong LEAK: {r['program']}, seed {r['seed']}, load {r['load']} %, {r['seconds']} s"
           for r in wrong_leaks(programs, results)]
    n = steady_runs(programs, results)
    if n < STEADY_RUNS:
        bad.append(f"{n} runs of programs that do not leak; {STEADY_RUNS} are needed")
    for seconds, most in UNDECIDED.items():
        words = by_program(results, seconds)
        for is_leak, bound in zip((True, False), most):
            names = undecided_programs(programs, words, is_leak)
            if len(names) > bound:
                bad.append(f"UNDECIDED at {seconds} s, {len(names)} of at most {bound}: {', '.join(names)}")
    bad += [f"a leak of {FAST / 1000:.0f} kB/s or more was missed at 60 s: {name}, {n} runs"
            for name, n in missed(programs, by_program(results, 60)).items()]
    bad += [f"failed: {r['program']}, seed {r['seed']}, load {r['load']} %, {r['seconds']} s" for r in results
            if r["word"] == "FAILED"]
    return bad


def rate_lines(programs, results):
    """
    How often the range that was printed had the true rate in it, by how the heap was seen. Of the heap: the memory that
    is lost is more, by what lies free between the blocks. Only where little else runs: a program that does not get its CPU falls
    behind its steps, and loses less than it should.
    """
    rates = {p.name: p for p in programs if p.has_rate}
    lines = []
    for rung in sorted({r["rung"] for r in results if "rung" in r}):
        told = [(true_rate(rates[r["program"]], r["seed"]), r) for r in results
                if r["program"] in rates and r.get("rung") == rung and r.get("by") == "heap" and r["word"] in FOUND
                and r["load"] <= KEEPS_PACE]
        if not told:
            continue
        within = sum(r["rate_low"] <= truth <= r["rate_high"] for truth, r in told)
        off = sorted(abs(r["rate"] / truth - 1) for truth, r in told)
        lines.append(f"Rate of the heap, seen {rung}, at most {KEEPS_PACE} % load: the true rate was within the printed range in {within} of {len(told)} runs; the "
                     f"rate was off by {100 * off[len(off) // 2]:.1f} % (median; {100 * off[9 * len(off) // 10]:.0f} % "
                     "in one of ten).")
    return lines


def row(cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def table_of(programs, words):
    lines = [row(["program", "truth", "held out", "runs", *WORDS]), row(["---"] * (len(WORDS) + 4))]
    for p in programs:
        seen = words.get(p.name)
        if not seen:
            lines.append(row([p.name, "", "", "not run", *[""] * len(WORDS)]))
            continue
        truth = f"leak, {p.rate / 1000:.0f} kB/s" if p.is_leak else "no leak"
        lines.append(row([p.name, truth, "yes" if p.is_held_out else "", sum(seen.values()),
                          *[seen[w] or "" for w in WORDS]]))
    return lines


def summary(programs, results, seconds):
    some = [r for r in results if r["seconds"] == seconds]
    words = by_program(results, seconds)
    loads = collections.Counter(r["load"] for r in some)
    leaks = [p for p in programs if p.is_leak and words.get(p.name)]
    fast = [p for p in leaks if p.rate >= FAST]
    n_fast = sum(sum(words[p.name].values()) for p in fast)
    found = sum(words[p.name]["LEAK"] for p in fast)
    grown = sum(words[p.name]["GROWING"] for p in fast)
    undecided = [undecided_programs(programs, words, is_leak) for is_leak in (True, False)]
    most = UNDECIDED.get(seconds, ("-", "-"))
    steady = steady_runs(programs, some)
    commits = collections.Counter(r.get("commit", "unknown") for r in some)
    start, end = (sorted(r[k] for r in some if k in r) or [0] for k in ("start_s", "end_s"))
    return [
        f"Runs: {len(some)} (" + ", ".join(f"{n} at {load} % load" for load, n in sorted(loads.items())) +
        "); built from " + ", ".join(f"{c} ({n})" for c, n in commits.most_common()) + ".",
        f"Wrong LEAK: {len(wrong_leaks(programs, some))} of {steady} runs of programs that do not leak.",
        f"Leaks of 20 kB/s and more: of {n_fast} runs {found} called LEAK, {grown} GROWING (with its rate, but without "
        f"evidence enough for the word), {n_fast - found - grown} neither.",
        f"Undecided in more than half of their runs: {len(undecided[0])} leaks (at most {most[0]}), "
        f"{len(undecided[1])} others (at most {most[1]})" +
        (": " + ", ".join(undecided[0] + undecided[1]) if undecided[0] + undecided[1] else "") + ".",
        f"memprobe armed after {start[len(start) // 2]:.0f} s (median; {start[-1]:.0f} at most), and ended "
        f"{end[len(end) // 2]:.1f} s after its window ({end[-1]:.1f} at most).",
        *rate_lines(programs, some),
    ]


NOTES = "## Notes\n"

HEAD = """\
# What the verdict says of programs whose truth is known

Made by `make check-corpus` (tests/e2e/corpus): 24 programs that leak and 23 that do not, each attached one second after it
was ready, at memprobe's default options, with other seeds and at several loads (percent of one CPU that the program uses).
Counted are the words of the verdict. *Held out*: no rule or threshold was made on such a shape; that was fixed in
tests/e2e/corpus/table.py before the first run, and says of each that lost it because of which rule.
"""


def notes_of(path):
    """What was written by hand into the table before: its last part stays."""
    try:
        with open(path) as f:
            _, found, notes = f.read().partition(NOTES)
        return found + notes
    except OSError:
        return ""


def write_table(path, programs, results):
    notes = notes_of(path)
    parts = [HEAD]
    for seconds in sorted({r["seconds"] for r in results}):
        words = by_program(results, seconds)
        parts.append(f"## {seconds} s\n")
        parts.append("\n".join("- " + line for line in summary(programs, results, seconds)) + "\n")
        parts.append("\n".join(table_of(programs, words)) + "\n")
    parts.append("## The programs\n")
    parts.append("\n".join(f"- `{p.name}`: {p.what}" for p in programs) + "\n")
    bad = broken_bounds(programs, results)
    parts.append("## Bounds that do not hold\n")
    parts.append("\n".join("- " + line for line in bad or ["none"]) + "\n")
    if notes:
        parts.append(notes)
    with open(path, "w") as f:
        f.write("\n".join(parts))
