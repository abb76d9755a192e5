/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Comparing profiles: sums of both sides are kept whatever the stacks are, equal stacks meet, and only what
 * one run knows is subtracted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/units.h"
#include "model/diff.h"

static uint32_t frame(struct profile *p, const char *name, uint32_t line)
{
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, "app"), .line = line };

	return profile_frame(p, &f);
}

static void add(struct profile *p, uint64_t id, uint32_t gen, const char *leaf, uint32_t line, uint64_t bytes)
{
	uint32_t frames[2] = { frame(p, leaf, line), frame(p, "main", 1) };
	uint32_t at = profile_add_stack(p, id, profile_proc(p, gen), frames, 2, MP_END_COMPLETE);

	p->stacks[at].t = (struct profile_totals){ .alloc_bytes = bytes, .alloc_blocks = 1 };
	p->stacks[at].live_bytes = bytes;
	p->stacks[at].live_blocks = 1;
	p->procs[p->stacks[at].proc].comm = profile_string(p, gen % 2 ? "server" : "worker");
	p->procs[p->stacks[at].proc].tgid = (int32_t)gen;
}

static void begin(struct profile *p, uint64_t run, uint64_t seconds)
{
	profile_init(p);
	p->run_id = run;
	p->window_ns = seconds * NS_PER_S;
}

static void moments_of_a_run__are_subtracted_stack_by_stack(void **state)
{
	struct profile a, b;
	struct diff d;

	(void)state;
	begin(&a, 5, 10);
	add(&a, 1, 1, "parse", 10, 300);
	add(&a, 2, 1, "cache", 20, 100);
	begin(&b, 5, 30);
	add(&b, 1, 1, "parse", 10, 900);
	add(&b, 2, 1, "cache", 20, 40);
	add(&b, 3, 1, "later", 30, 7);
	diff_make(&d, &a, &b);
	assert_true(d.is_one_run);
	assert_int_equal(d.profile.n_stacks, 3);
	assert_int_equal(diff_change(&d, 0, METRIC_LIVE_BYTES), 600);
	assert_int_equal(diff_change(&d, 1, METRIC_LIVE_BYTES), -60);
	assert_int_equal(diff_change(&d, 2, METRIC_LIVE_BYTES), 7);
	assert_int_equal(diff_value(&d, DIFF_A, 2, METRIC_LIVE_BYTES), 0);
	assert_int_equal(d.profile.stacks[0].live_bytes, 900); /* B's */
	assert_int_equal(d.profile.procs[0].tgid, 1);
	diff_release(&d);
	profile_release(&a);
	profile_release(&b);
}

static void a_stack_that_got_its_name_in_between__is_one(void **state)
{
	struct profile a, b;
	struct diff d;

	(void)state;
	begin(&a, 5, 10);
	add(&a, 1, 1, "[jit]", 0, 300);
	add(&a, 2, 1, "[jit]", 0, 50); /* it still has none */
	begin(&b, 5, 30);
	add(&b, 1, 1, "Requests.keep", 0, 900);
	add(&b, 2, 1, "[jit]", 0, 60);
	diff_make(&d, &a, &b);
	assert_int_equal(d.profile.n_stacks, 2);
	assert_int_equal(diff_change(&d, 0, METRIC_LIVE_BYTES), 600);
	assert_int_equal(diff_change(&d, 1, METRIC_LIVE_BYTES), 10);
	assert_string_equal(profile_str(&d.profile, d.profile.frames[d.profile.stack_frames[0]].name), "Requests.keep");
	diff_release(&d);
	profile_release(&a);
	profile_release(&b);
}

static void runs__are_compared_per_second_and_by_names(void **state)
{
	struct profile a, b;
	struct diff d;

	(void)state;
	begin(&a, 5, 10);
	add(&a, 1, 1, "parse", 10, 300);
	add(&a, 2, 3, "parse", 10, 100); /* another process of that name */
	begin(&b, 6, 60);
	add(&b, 8, 2, "parse", 10, 600); /* of another name */
	add(&b, 9, 7, "parse", 11, 1200); /* the line moved */
	diff_make(&d, &a, &b);
	assert_false(d.is_one_run);
	assert_int_equal(d.profile.n_stacks, 2);
	assert_int_equal(diff_value(&d, DIFF_A, 0, METRIC_LIVE_BYTES), 40);
	assert_int_equal(diff_value(&d, DIFF_B, 0, METRIC_LIVE_BYTES), 20);
	assert_int_equal(diff_change(&d, 0, METRIC_LIVE_BYTES), -20);
	assert_int_equal(diff_change(&d, 1, METRIC_LIVE_BYTES), 10);
	assert_int_equal(d.profile.procs[0].tgid, 0);
	diff_release(&d);
	a.run_id = b.run_id = 0; /* not known: not taken for one */
	diff_make(&d, &a, &b);
	assert_false(d.is_one_run);
	diff_release(&d);
	profile_release(&a);
	profile_release(&b);
}

static void sums__are_those_of_the_profiles_whatever_is_in_them(void **state)
{
	uint32_t round, i, side;

	(void)state;
	for (round = 0; round < 200; round++) {
		static const char *const names[] = { "a", "b", "c", "d" };
		uint64_t want[2] = { 0 }, got[2] = { 0 };
		struct profile p[2];
		struct diff d;

		for (side = 0; side < 2; side++) {
			begin(&p[side], 1 + side * (round % 2), 10);
			for (i = 0; i < round % 17; i++) {
				uint64_t h = hash_u64(round * 1000 + side * 100 + i);

				add(&p[side], i + 1, 1 + h % 3, names[h >> 8 & 3], h >> 16 & 1, h >> 40 & 4095);
				want[side] += p[side].stacks[i].live_bytes;
			}
		}
		diff_make(&d, &p[0], &p[1]);
		for (side = 0; side < 2; side++) {
			for (i = 0; i < d.profile.n_stacks; i++)
				got[side] += d.figures[side][i].live_bytes;
			assert_int_equal(got[side], want[side]);
			assert_int_equal(d.sum[side].live_bytes, want[side]);
		}
		diff_release(&d);
		profile_release(&p[0]);
		profile_release(&p[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_that_got_its_name_in_between__is_one),
		cmocka_unit_test(moments_of_a_run__are_subtracted_stack_by_stack),
		cmocka_unit_test(runs__are_compared_per_second_and_by_names),
		cmocka_unit_test(sums__are_those_of_the_profiles_whatever_is_in_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
