#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The table of live blocks: a million blocks, a full table, ages, sizes."""
import time

from harness import Memprobe, Target, main, measure, parse_losses, sum_of, test


@test
def a_million_blocks(t):
    truth, results, runs = measure("full", metrics=("live-bytes", "live-blocks"))
    t.sites({
        "s_keep": "M4_a_million_live_blocks__are_exact",
        "s_churn": "M4_churn_beside_a_million_blocks__is_nothing",
    }, truth, results)
    for run in runs:
        t.no_loss("M4_a_million_live_blocks__lose_nothing", run)


@test
def a_full_table(t):
    with Target("full", 300200, 50000) as target, \
            Memprobe("-d", 0, "-p", target.pid, "-m", "live-blocks", "--max-memory", "16M") as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        kept = sum_of(m.stacks(), "s_keep")
        keep = truth.of("s_keep", "live-blocks")
        lost = m.losses()
        t.equal("M4_with_a_full_table__exit_status_is_0_without_strict", m.status, 0)
        t.between("M4_with_a_full_table__some_blocks_are_kept_and_some_are_lost", kept, 1, keep - 1)
        t.true("M4_with_a_full_table__the_loss_is_printed_by_name", "full" in m.stderr, m.stderr)
        # the churn of 50000 finds the table full too: each of its blocks may be lost as well
        t.between("M4_with_a_full_table__kept_and_lost_blocks_add_up", kept + (lost or 0), keep,
                  keep + truth.of("s_churn", "alloc-blocks"))
        t.equal("M4_with_a_full_table__churn_makes_no_leak", sum_of(m.stacks(), "s_churn"), 0)


@test
def totals_of_a_full_table(t):
    with Target("full", 300200, 50000) as target, \
            Memprobe("-d", 0, "-p", target.pid, "-m", "alloc-blocks", "--max-memory", "16M") as m:
        m.armed()
        truth = target.ask("go")
        m.stop()
        for site in ("s_keep", "s_churn"):
            t.equal(f"with_a_full_table__all_allocations_of_{site}_are_in_the_totals", sum_of(m.stacks(), site),
                    truth.of(site, "alloc-blocks"))


@test
def a_full_table_is_emptied(t):
    with Target("full", 300200, 50000) as target, \
            Memprobe("-d", 0, "-p", target.pid, "-m", "live-bytes", "--max-memory", "16M") as m:
        m.armed()
        target.ask("go")
        target.ask("go")
        m.stop()
        t.equal("M4_after_all_blocks_of_a_full_table_are_freed__live_is_nothing",
                sum(v for _, v in m.stacks()), 0)


@test
def strict(t):
    with Target("full", 300200, 1000) as target, \
            Memprobe("-d", 0, "-p", target.pid, "--strict", "--max-memory", "16M") as m:
        m.armed()
        target.ask("go")
        m.stop()
        t.equal("a_run_with_losses_under_strict__exits_with_5", m.status, 5)


@test
def ages(t):
    for metric in ("live-bytes", "live-blocks"):
        truth, results, _ = measure("churner", metrics=(metric,), options=("--older", "1s"))
        stacks = results[metric]
        t.equal(f"M11_blocks_of_milliseconds__are_not_older_than_1_s_in_{metric}",
                sum_of(stacks, "s_churner"), 0)
        t.equal(f"a_vector_reallocated_just_now__is_as_old_as_its_first_round_in_{metric}",
                sum_of(stacks, "s_old_vector"), truth[metric].of("s_old_vector", metric))
        t.equal(f"a_new_block__is_not_older_than_1_s_in_{metric}", sum_of(stacks, "s_young"), 0)


@test
def ages_come(t):
    with Target("churner") as target, \
            Memprobe("-d", 0, "-p", target.pid, "--older", "300ms") as m:
        m.armed()
        truth = target.ask("go")
        time.sleep(0.5)
        m.stop()
        t.equal("a_block_of_half_a_second__is_older_than_300_ms", sum_of(m.stacks(), "s_young"),
                truth.of("s_young", "live-bytes"))


@test
def sizes(t):
    # ten blocks of 5000, 5001 ... 5009 bytes
    for option, want in ((("--min-size", 5006), 5006 + 5007 + 5008 + 5009),
                         (("--max-size", 5001), 5000 + 5001),
                         (("--min-size", 5003, "--max-size", 5005), 5003 + 5004 + 5005),
                         (("--min-size", 5010), 0)):
        _, results, runs = measure("lifecycle", "exit", metrics=("live-bytes",), options=option,
                                    may_be_empty=not want)
        words = "_".join(str(o).strip("-").replace("-", "_") for o in option)
        t.equal(f"with_{words}__blocks_are_chosen_by_their_size",
                sum_of(results["live-bytes"], "s_parent"), want)
        t.equal(f"with_{words}__the_run_succeeds", runs[0].status, 0)


@test
def losses_are_read(t):
    t.equal("the_harness__reads_a_printed_loss", parse_losses("memprobe: lost 1,234 calls"), 1234)
    t.equal("the_harness__does_not_take_silence_for_no_loss", parse_losses("memprobe: fine"), None)


if __name__ == "__main__":
    main()
