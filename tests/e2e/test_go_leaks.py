#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Leaks in Go, in a program with its own memory profile linked and in one without: by that profile, by goroutines, by first touches,
against the program's own count.
"""
import time

from harness import Memprobe, main, parse_folded, test
from interpreters import JsonLines, Program, counted_census, go_requests

SESSION = 4096 # Go's size class for 4000 bytes


def wait_for(program, n):
    while program.tell("count")["kept"] < n:
        time.sleep(0.05)


@test
def map_with_a_profile(t):
    with Program(go_requests(True), "map", "500") as program:
        wait_for(program, 300)
        grown, said, text = counted_census(program, 4)
    name = "main.keepSession < main.serve"
    t.equal("what_grew_most__is_what_the_map_keeps", next(iter(grown), None), name)
    kept = [s["kept"] * SESSION / 2 ** 20 for s in said]
    t.between("its_growth__is_what_the_program_counts", grown.get(name, (0, 0))[1], (kept[2] - kept[1]) * 0.65, (kept[3] - kept[0]) * 1.35)


@test
def map_without_a_profile(t):
    with Program(go_requests(False), "map", "500") as program:
        with Memprobe("-d", 0, "-p", program.process.pid, "--json", auto=True) as m:
            m.armed()
            wait_for(program, program.tell("count")["kept"] + 1500)
            m.stop()
            t.equal("a_program_without_C__is_watched_at_default_options", m.status, 0)
            snapshot = JsonLines(m.stdout.encode()).snapshots[-1]
        with Memprobe("-d", 0, "-P", "rss", "-m", "rss-bytes", "-p", program.process.pid) as m:
            m.armed()
            wait_for(program, program.tell("count")["kept"] + 1500)
            m.stop()
            stacks = parse_folded(m.stdout)
    process = snapshot["process"][0]
    t.true("the_report__says_that_it_keeps_no_memory_profile", process.get("runtime", "").startswith("Go 1.") and
           "keeps no memory profile" in process.get("runtime_reason", ""), process)
    t.true("garbage_and_a_map__are_not_called_flat_or_a_leak", snapshot["verdict"][0]["word"] in ("UNDECIDED", "GROWING"),
           snapshot["verdict"])
    functions = {f for frames, _ in stacks for f in frames[1:]}
    t.true("first_touches__name_the_program's_functions", "main.keepSession" in functions and "main.serve" in functions,
           sorted(functions))


@test
def blocked_goroutines(t):
    for has_profile in (False, True):
        build = "with_a_profile" if has_profile else "without_a_profile"
        with Program(go_requests(has_profile), "goroutines", "500") as program:
            wait_for(program, 300)
            grown, said, text = counted_census(program, 2)
        name = "goroutine main.waitForReply"
        kept = [s["kept"] for s in said]
        t.equal(f"{build}__what_grew_most_is_the_goroutine", next(iter(grown), None), name)
        t.between(f"{build}__it_grew_as_the_program_counts", grown.get(name, (0, 0))[0],
                  (kept[2] - kept[1]) * 0.9, (kept[3] - kept[0]) * 1.1)
        t.true(f"{build}__with_its_stacks", grown.get(name, (0, 0))[1] * 2 ** 20 >= 2048 * (kept[2] - kept[1]) * 0.8, text)


@test
def collections(t):
    with Program(go_requests(False), "map", "100") as program:
        earlier = program.tell("count")["collections"]
        with Memprobe("-d", 0, "-P", "none", "-p", program.process.pid, "--json", auto=True) as m:
            m.armed()
            first = program.tell("count")["collections"]
            for _ in range(301): # more than the runtime's own list of them holds
                last = program.tell("collect")["collections"]
            m.stop()
            end = program.tell("count")["collections"]
            counted = JsonLines(m.stdout.encode()).snapshots[-1]["process"][0].get("collections")
    t.true("the_program__collected_more_than_300_times", last - first > 300, (first, last))
    t.between("collections__are_counted_as_the_program_counts_them", counted, last - first, end - earlier)


if __name__ == "__main__":
    main()
