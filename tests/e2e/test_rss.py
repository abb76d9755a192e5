#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Resident memory (-P rss): who touched it first, what gave it back, what was never touched. The truth is the target's own
count, checked by itself against pagemap; to the page, but for kernels before 6.2, which tell of a thread's faults
64 at a time.
"""
import json
import os
import re
import subprocess

from harness import Memprobe, Target, has_function, main, parse_folded, run, sum_of, test

PAGE = 4096
RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))
# A thread's faults are told of when there are so many: what is not yet told is up to as many pages less, and what is told
# late is another site's.
SLACK = 0 if RELEASE >= (6, 2) else 64


class Profile:
    """What --json says."""

    def __init__(self, text):
        lines = [json.loads(line) for line in text.splitlines()]
        names = {o["id"]: o["name"] for o in lines if o["type"] == "frame"}
        self.processes = {o["pid"]: o for o in lines if o["type"] == "process"}
        self.losses = {o["name"]: o["events"] for o in lines if o["type"] == "loss"}
        self.stacks = [(o, [names[f] for f in o["frames"]]) for o in lines if o["type"] == "stack"]

    def pages(self, function, field="rss_bytes", pid=None):
        return sum(o.get(field, 0) for o, frames in self.stacks
                   if has_function(frames, function) and (pid is None or o["pid"] == pid)) // PAGE

    def released(self, pid, how):
        return self.processes[pid]["rss"]["released"].get(how, 0) // PAGE


def pages_equal(t, name, pages, truth):
    return t.between(name, pages, truth - SLACK, truth + SLACK)


def profile(cases, *options):
    """The profile of one run, and what the target said of each case."""
    with Target("touches") as target, \
            Memprobe("-d", 0, "-p", target.pid, "--json", *options) as m:
        m.armed()
        truths = {case: target.ask(case).values for case in cases}
        with open(f"/proc/{target.pid}/smaps_rollup") as f:
            rollup = {w[0]: int(w[1]) * 1024 for w in (line.split() for line in f) if w[0].endswith(":")}
        m.stop()
        target.exit()
        return Profile(m.stdout), truths, target.pid, rollup, m.stderr


TOUCHES = {
    "write": ("do_write", "pages_that_are_written__are_the_writer_s"),
    "zero page": ("s_look", "pages_that_are_only_read__are_the_page_of_zeros_and_nobody_s"),
    "read call": ("s_read_call", "a_fresh_buffer_that_read_fills__is_the_caller_s_of_read"),
    "populate": ("s_populate", "MAP_POPULATE__is_the_caller_s_of_mmap"),
    "mlock": ("s_mlock", "mlock__is_its_caller_s"),
    "huge": ("s_huge", "one_touch_of_a_huge_page__is_all_of_it"),
    "shared": ("s_shared", "shared_memory__is_counted_as_resident"),
    "brk": ("s_brk", "memory_by_brk__is_the_one_s_that_touches_it"),
}
RELEASES = {
    "dontneed": ("madvise", "MADV_DONTNEED__gives_its_pages_back"),
    "munmap": ("munmap", "munmap__gives_the_touched_part_back"),
    "brk": ("brk", "a_brk_that_shrinks__gives_its_pages_back"),
}


@test
def rules(t):
    cases = ["write", "zero page", "read call", "populate", "mlock", "huge", "shared", "dontneed", "munmap", "brk"]
    p, truths, pid, rollup, err = profile(cases, "-P", "rss")
    for case, (site, name) in TOUCHES.items():
        pages_equal(t, name, p.pages(site), truths[case]["pages"])
        if case not in ("zero page", "brk"): # only read; given back by now
            t.equal("the_truth_of_" + case.replace(" ", "_") + "__is_what_the_page_tables_say", truths[case]["pages"],
                    truths[case]["present"])
    for case, (how, name) in RELEASES.items():
        pages_equal(t, name, p.released(pid, how), truths[case]["pages"])
    rss = p.processes[pid]["rss"]
    grown = (rss["touched_bytes"] - rss["released"]["bytes"]) // PAGE
    now = (rollup["Anonymous:"] + rollup.get("Pss_Shmem:", 0)) // PAGE
    before = p.processes[pid]["at_attach"]["rss_anon_bytes"] // PAGE
    t.between("what_was_touched_less_what_was_given_back__is_what_the_process_grew_by", grown, now - before - SLACK - 4,
              now - before + SLACK + 4)
    t.true("the_heap_plane_is_off__no_allocation_is_counted",
           not any(o["alloc_blocks"] for o, _ in p.stacks), "there are blocks")


@test
def told(t):
    """In the report: a block of 8 MiB of which one is used."""
    with Target("touches") as target, Memprobe("-d", 0, "-p", target.pid, "--report", "-P", "heap,rss") as m:
        m.armed()
        target.ask("blocks")
        m.stop()
        report = m.stdout
        target.exit()
    found = re.search(r"^(?:rss| ) +never touched: (?:about )?([\d.]+) MiB of the ([\d.]+) MiB of (\S+)$", report, re.M)
    if t.true("what_was_never_touched__is_in_the_report", found, report):
        t.equal("it_is_told_whose_it_is", (found[2], found[3]), ("8.0", "s_block"))
        t.between("and_how_much", float(found[1]), 5, 7.1) # where a huge page came, less


@test
def ended(t):
    with Target("touches") as target, Memprobe("-d", 0, "-P", "rss", "-p", target.pid, "--json") as m:
        m.armed()
        truth = target.ask("write").values
        target.exit()
        m.wait()
        p = Profile(m.stdout)
    process = p.processes[target.pid]
    before = (process["at_attach"]["rss_anon_bytes"] + process["at_attach"].get("rss_shmem_bytes", 0)) // PAGE
    # what it touches to read its last word and to end
    t.between("the_end_of_a_process__gives_all_of_it_back", p.released(target.pid, "exit"), before + truth["pages"] - SLACK - 4,
              before + truth["pages"] + SLACK + 16)


@test
def lazily_freed(t):
    p, truths, pid, rollup, err = profile(["free"], "-P", "rss")
    pages_equal(t, "MADV_FREE__gives_nothing_back_yet", p.pages("do_free"), truths["free"]["pages"])
    t.equal("MADV_FREE__is_no_release", p.released(pid, "madvise"), 0)
    # The last few are in a batch of the CPU's.
    t.between("the_kernel_has_it_as_lazily_freed", rollup["LazyFree:"] // PAGE, truths["free"]["pages"] - 31,
              truths["free"]["pages"])
    t.equal("what_is_lazily_freed__is_still_present", truths["free"]["present"], truths["free"]["pages"])


@test
def copy_on_write(t):
    with Target("touches") as target, \
            Memprobe("-d", 0, "-P", "rss", "-p", target.pid, "--json") as m:
        m.armed()
        target.say("fork")
        values = {}
        while len(values) < 3:
            words = target.line().split()
            values[words[1]] = int(words[2])
        m.stop()
        target.ask("end child")
        target.exit()
        p = Profile(m.stdout)
    pages_equal(t, "a_child_that_writes_to_200_pages_of_its_parent_and_64_new_ones__touches_64",
                p.pages("s_child", pid=values["child"]), values["pages"])


@test
def planes_together(t):
    p, truths, pid, rollup, err = profile(["write", "read call", "blocks"], "-P", "heap,rss")
    pages_equal(t, "with_the_heap_probes_too__the_pages_are_the_same", p.pages("do_write"), truths["write"]["pages"])
    inside = [frames for o, frames in p.stacks if o.get("rss_bytes") and has_function(frames, "malloc")]
    t.true("pages_touched_within_a_probed_malloc__have_their_whole_stack",
           inside and all(has_function(f, "s_block") and has_function(f, "main") for f in inside),
           f"{inside!r}")
    block = [o for o, frames in p.stacks if o["live_blocks"] and has_function(frames, "s_block")]
    untouched = sum(o.get("untouched_bytes", 0) for o in block)
    # 7 of 8 MiB, but for the pages at its ends; where a huge page came, less
    t.between("a_block_of_8_MiB_of_which_1_was_touched__has_7_untouched", untouched, 5 << 20, 7 << 20)
    t.equal("live_bytes__are_the_heap_s_alone", sum(o["live_bytes"] for o, _ in p.stacks), (8 << 20) + (1 << 20))


@test
def joined(t):
    """Allocated by one, touched by another: the block, the mapping and who touched them, less what was given back."""
    p, truths, pid, rollup, err = profile(["handed", "huge"], "-P", "heap,vm,rss")
    truth = truths["handed"]
    t.true("a_mapping_that_is_split_by_madvise__is_none_that_ended_unseen", "vm_missed" not in p.losses, f"{p.losses}")
    owners = {"block": [o for o, frames in p.stacks if has_function(frames, "s_make") and o["live_bytes"]],
              "mapping": [o for o, frames in p.stacks if has_function(frames, "do_handed") and "[mmap]" in frames]}
    for what, stacks in owners.items():
        t.equal(f"a_{what}__is_resident_as_far_as_the_page_tables_hold_it", sum(o.get("resident_bytes", 0) for o in stacks),
                truth[what])
        t.equal(f"the_rest_of_a_{what}__was_never_touched__or_is_given_back", sum(o.get("untouched_bytes", 0) for o in stacks),
                sum(o["live_bytes"] for o in stacks) - truth[what])
    if not any("touched_by" in o for o, _ in p.stacks):
        return t.skip("who_touched_a_block", "this kernel does not tell the addresses of page faults")
    for what, stacks in owners.items():
        t.equal(f"who_touched_the_{what}__is_named", {o.get("touched_by") for o in stacks}, {"s_write"})
    if not SLACK: # else one page of 64 is known
        t.equal("what_the_one_touched_of_the_other_s_memory__is_counted_to_the_page",
                [sum(o["touched_by_bytes"] for o in owners[what]) // PAGE for what in ("block", "mapping")], [200, 150])
        back = p.pages("s_fill", "rss_given_back_bytes")
        t.equal("what_was_given_back__is_taken_from_who_touched_it", (p.pages("s_fill"), back), (500, 150))


@test
def formats(t):
    with Target("touches") as target, \
            Memprobe("-d", 0, "-P", "rss", "-p", target.pid, "-m", "rss-bytes") as m:
        m.armed()
        truth = target.ask("write").values
        m.stop()
        folded = parse_folded(m.stdout)
        pages_equal(t, "folded_by_rss-bytes__has_the_bytes_of_each_stack", sum_of(folded, "do_write") // PAGE,
                    truth["pages"])
    with Target("touches") as target, Memprobe("-d", 0, "-P", "rss", "-p", target.pid, "--report", "-m", "rss-bytes") as m:
        m.armed()
        target.ask("write")
        m.stop()
        t.true("the_report_by_rss-bytes__names_who_touched", "do_write" in m.stdout or "s_write" in m.stdout, m.stdout)
    with Target("touches") as target, Memprobe("-d", 0, "-P", "rss", "-p", target.pid) as m:
        m.armed()
        target.ask("write")
        m.stop()
        t.equal("folded_by_default__has_no_resident_memory_in_it", m.stdout, "")


@test
def any_process(t):
    with Target("noalloc") as target:
        m = run("-P", "rss", "-d", 1, "-p", target.process.pid)
        t.equal("a_static_program_without_an_allocator__can_be_watched", m.status, 0)
    with Target("touches") as target:
        m = run("-P", "rss", "-m", "rss-bytes", "--", target.process.args[0], stdin=subprocess.DEVNULL)
        t.equal("a_command__runs_to_its_end", m.status, 0)
        stacks = [line for line in m.stdout.splitlines() if line.startswith("touches")]
        t.true("the_first_touches_of_a_command__have_stacks", any(";main;" in line for line in stacks), m.stdout)


if __name__ == "__main__":
    main()
