/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Formats, byte by byte: profiles built by hand, rendered, compared with tests/golden/NAME.*. With
 * GOLDEN_WRITE=1 the files are written instead: read the difference before committing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "render/renderer.h"
#include "tests/golden/golden.h"
#include "tests/golden/profiles.h"

static void a_growing_process(void **state)
{
	(void)state;
	golden_compare("growing", make_growing, "report", "txt");
	golden_compare("growing", make_growing, "folded", "folded");
}

static void nothing_kept(void **state)
{
	(void)state;
	golden_compare("empty", make_empty, "report", "txt");
	golden_compare("empty", make_empty, "folded", "folded");
}

static void several_processes_and_a_loss(void **state)
{
	(void)state;
	golden_compare("many", make_many, "report", "txt");
	golden_compare("many", make_many, "folded", "folded");
}

/* Sum of the three number columns of the table's rows, in tenths and blocks; the last row is the total. */
static void check_sums(const char *text)
{
	const char *line = strstr(text, "\n #  ");
	long long amount = 0, rate = 0, blocks = 0, a, r, b, ta = 0, tr = 0, tb = 0;
	int n_rows = 0;

	assert_non_null(line);
	for (line = strchr(line + 1, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1) {
		char cell[3][16], *at;
		int i, w[] = { 3, 12, 23, 33 };

		if (line[11] == ' ')
			continue; /* a second line of WHERE */
		for (i = 0; i < 3; i++) {
			size_t len = (size_t)(w[i + 1] - w[i]), k, o = 0;

			for (k = 0; k < len && o < 15; k++)
				if (line[w[i] + (int)k] != ' ' && line[w[i] + (int)k] != '.')
					cell[i][o++] = line[w[i] + (int)k];
			cell[i][o] = '\0';
		}
		a = strtoll(cell[0], &at, 10);
		r = strtoll(cell[1], &at, 10);
		b = strtoll(cell[2], &at, 10);
		amount += ta;
		rate += tr;
		blocks += tb;
		ta = a;
		tr = r;
		tb = b;
		n_rows++;
	}
	assert_in_range(n_rows, 1, 16);
	if (amount != ta || rate != tr || blocks != tb)
		fail_msg("columns do not add up: %lld %lld %lld\n%s", amount - ta, rate - tr, blocks - tb, text);
}

static void columns_add_up_as_printed(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	uint64_t seed = 88172645463325252ULL;
	int round, i;

	(void)state;
	for (round = 0; round < 1000; round++) {
		static const char *const names[] = { "f", "main", NULL };
		struct buf b = BUF_INIT;
		struct profile p;

		make_common(&p);
		p.window_ns = 1 + hash_u64(seed + 1) % (100 * NS_PER_S);
		make_process(&p, 1, 10, "first")->old = (struct mp_proc_totals){
			.old_free_blocks = hash_u64(seed + 2) % 3,
			.old_free_bytes = hash_u64(seed + 3) % 100000,
			.lost_bytes = hash_u64(seed + 4) % 5000,
			.lost_blocks = 1,
		};
		for (i = 0; i < round % 30; i++, seed++)
			make_totals(make_stack(&p, (uint64_t)i + 1, 1, MP_END_COMPLETE, names),
			    hash_u64(seed) % (1ULL << (hash_u64(seed + 7) % 36)), hash_u64(seed + 9) % 5000 + 1, 0, 0);
		seed += 100;
		renderer_by_name("report")->render(&b, &p, &o);
		check_sums(b.data);
		buf_release(&b);
		profile_release(&p);
	}
}

/* A process attached late, beside others: with much else to tell. */
static void make_late(struct profile *p)
{
	struct bridge *b;

	make_growing(p);
	b = &p->bridges[0];
	b->now[BRIDGE_HEAP_BEFORE] = b->at_attach[BRIDGE_HEAP_BEFORE] = (int64_t)b->before_bytes * 2;
	b->before_bytes *= 2;
	b->now[BRIDGE_RSS] = 2 * (int64_t)b->before_bytes - 20 * (int64_t)MIB;
	bridge_finish(b->now);
	p->has_verdict = true;
	p->verdict = (struct verdict){ .word = TREND_LEAK, .by_heap = true, .rate = 71512.4, .low = 60000, .high = 140000, .ratio = 0.99,
				       .uptime_s = 3900, .site_share = 0.97, .need_s = 300, .is_strong = true,
				       .why = WHY_COHORT | WHY_HISTORY | WHY_STRAIGHT | WHY_WINDOWS, .but = BUT_YOUNG };
	p->procs[0].runtime = profile_string(p, "CPython 3.11.2");
	p->procs[0].grown[0] = (struct profile_grown){ .type = profile_string(p, "Shop::Order"), .objects = 1200, .now = 4000 };
	p->procs[0].now.oom_kills = 22;
	p->losses[MP_LOSS_BLOCKS_FULL] = (struct profile_loss){ 5, 4096 };
	p->losses[MP_LOSS_LOST_RETURN] = (struct profile_loss){ 1, 0 };
	p->watch = (struct profile_watch){ .rung = RUNG_SAMPLED, .interval_bytes = 8192, .share = 0.0625, .work = 0.8, .budget = 0.1,
					   .cpu_before = 0.5, .cpu_armed = 0.6, .delay_before = 0.1, .delay_armed = 0.2 };
	p->watch.steps[p->watch.n_steps++] = (struct profile_step){
		.time_ns = 3200 * NS_PER_MS, .from = RUNG_EXACT, .to = RUNG_SAMPLED, .interval_bytes = 8192, .share = 0.31 };
	p->gaps = (struct profile_gaps){ .are_there = true, .now = TOUCHES_BY_STACK, .begin_ns = 12 * NS_PER_S,
					 .until_ns = 29 * NS_PER_S, .unseen_ns = 5 * NS_PER_S, .unplaced_ns = 17 * NS_PER_S, .rate = 480000 };
}

static unsigned int n_lines(const char *s)
{
	unsigned int n = 0;

	while (*s)
		n += *s++ == '\n';
	return n;
}

static void much_to_tell__leaves_what_is_from_before_by_size_and_what_happens_at_the_limit(void **state)
{
	unsigned int columns;

	(void)state;
	for (columns = 100; columns <= 160; columns += 20) {
		struct render_opts o = { .metric = METRIC_LIVE_BYTES, .columns = columns };
		struct buf b = BUF_INIT;
		struct profile p;

		make_late(&p);
		renderer_by_name("report")->render(&b, &p, &o);
		if (!strstr(b.data, "\nFROM BEFORE ATTACH, BY SIZE") || !strstr(b.data, "chunks of 2016 B") || n_lines(b.data) > 40)
			fail_msg("%u columns:\n%s", columns, b.data);
		assert_non_null(strstr(b.data, "There 512.0 MiB of swap fill up, then the kernel kills it;"));
		assert_non_null(strstr(b.data, "7.00 GiB on (memory.high)"));
		buf_release(&b);
		profile_release(&p);
	}
}

static void frees_of_unknown_size__are_told_as_such(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .columns = 100 };
	struct buf b = BUF_INIT;
	struct profile p;

	(void)state;
	make_growing(&p);
	p.procs[0].old.old_free_blocks = p.procs[0].old.old_free_unsized = 2265;
	p.procs[0].old.old_free_bytes = 0;
	renderer_by_name("report")->render(&b, &p, &o);
	assert_non_null(strstr(b.data, " 0.0       0.0    -2 265         older blocks freed, 2 265 of unknown size\n"));
	buf_release(&b);
	profile_release(&p);
}

static void what_is_mapped__is_told_beside_what_the_heap_made(void **state)
{
	static const char *const names[] = { "map_block", "main", NULL };
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .columns = 100 };
	struct buf b = BUF_INIT;
	struct profile p;

	(void)state;
	make_growing(&p);
	make_totals(make_stack(&p, 77777, p.procs[0].gen, MP_END_COMPLETE, names), 6 * MIB, 2, 0, 0);
	p.stacks[p.n_stacks - 1].plane = STACK_VM;
	renderer_by_name("report")->render(&b, &p, &o);
	if (!strstr(b.data, " freed again; 6.0 MiB mapped)\n"))
		fail_msg("%s", strstr(b.data, "net ("));
	buf_reset(&b);
	o.columns = 90;
	renderer_by_name("report")->render(&b, &p, &o);
	if (!strstr(b.data, " net (heap: 996.4 MiB made, 953.7 MiB freed)\n"))
		fail_msg("%s", strstr(b.data, "net ("));
	buf_release(&b);
	profile_release(&p);
}

static void of_many_workers__those_with_most_of_their_own_are_shown(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .columns = 100 };
	struct buf b = BUF_INIT;
	struct profile p;
	uint32_t i;

	(void)state;
	make_common(&p);
	for (i = 0; i < 14; i++) {
		struct profile_proc *proc = make_process(&p, i + 1, 100 + (pid_t)i, "worker");

		proc->parent = i ? 0 : UINT32_MAX;
		proc->sharing.is_there[0] = proc->sharing.is_there[1] = true;
		proc->sharing.private_bytes[1] = i == 13 ? 40 * MIB : MIB;
	}
	renderer_by_name("report")->render(&b, &p, &o);
	if (!strstr(b.data, "\n   113  worker                  40.0     +40.0 ") || !strstr(b.data, " more (-v)\n") ||
	    !strstr(b.data, "\n   100  worker, forks "))
		fail_msg("%s", strstr(b.data, "WORKERS"));
	buf_release(&b);
	profile_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_growing_process),
		cmocka_unit_test(nothing_kept),
		cmocka_unit_test(several_processes_and_a_loss),
		cmocka_unit_test(columns_add_up_as_printed),
		cmocka_unit_test(much_to_tell__leaves_what_is_from_before_by_size_and_what_happens_at_the_limit),
		cmocka_unit_test(frees_of_unknown_size__are_told_as_such),
		cmocka_unit_test(what_is_mapped__is_told_beside_what_the_heap_made),
		cmocka_unit_test(of_many_workers__those_with_most_of_their_own_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
