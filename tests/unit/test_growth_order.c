/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which of two stacks grew more, by what is sure of it; and what is said where the scale of bursts is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/profile.h"
#include "render/watch_text.h"

#define KIB 1024ull

/* deviation_bytes: of the estimate */
static struct profile_stack stack(uint64_t live_bytes, uint64_t old_bytes, uint64_t deviation_bytes)
{
	return (struct profile_stack){ .live_bytes = live_bytes, .old_bytes = old_bytes,
				       .t.alloc_var = deviation_bytes * deviation_bytes / MP_VAR_UNIT };
}

static void exact_figures__are_compared_as_they_are(void **state)
{
	struct profile_stack a = stack(300 * KIB, 0, 0), b = stack(200 * KIB, 0, 0);

	(void)state;
	assert_true(stack_grew_more(&a, &b));
	assert_false(stack_grew_more(&b, &a));
	assert_false(stack_grew_more(&a, &a));
}

static void what_only_replaces__did_not_grow(void **state)
{
	struct profile_stack cache = stack(900 * KIB, 890 * KIB, 0), leak = stack(20 * KIB, 0, 0);

	(void)state;
	assert_true(stack_grew_more(&leak, &cache));
}

static void one_large_block_that_was_drawn__stands_below_a_thousand_small_ones(void **state)
{
	struct profile_stack one = stack(4100 * KIB, 0, 4000 * KIB), many = stack(1600 * KIB, 0, 300 * KIB);

	(void)state;
	assert_true(stack_grew_more(&many, &one));
	assert_false(stack_grew_more(&one, &many));
}

static void where_nothing_is_sure__the_estimate_decides(void **state)
{
	struct profile_stack a = stack(400 * KIB, 0, 400 * KIB), b = stack(100 * KIB, 0, 90 * KIB);

	(void)state;
	assert_true(stack_grew_more(&a, &b));
	assert_false(stack_grew_more(&b, &a));
}

/* As of a node in brief bursts, all of whose Buffers live at the end of some: 1 in 100 is kept. */
static void a_growth__is_put_down_to_the_site_that_is_sure_of_it(void **state)
{
	struct profile_stack stacks[] = { stack(178000 * KIB, 0, 195000 * KIB), stack(152000 * KIB, 0, 13000 * KIB),
					  stack(4000 * KIB, 0, 0) };
	struct profile_proc proc = { .tgid = 42 };
	struct profile p = { .window_ns = 30000000000, .n_procs = 1, .procs = &proc, .n_stacks = 3, .stacks = stacks, .has_verdict = true,
			     .verdict = { .word = TREND_GROWING, .rate = 3700.0 * KIB } };
	const struct profile_stack *sites[VERDICT_SITES];

	(void)state;
	assert_int_equal(profile_verdict_sites(&p, sites), 1);
	assert_ptr_equal(sites[0], &stacks[1]);
	stacks[0].t.alloc_var = 0;
	assert_int_equal(profile_verdict_sites(&p, sites), 1);
	assert_ptr_equal(sites[0], &stacks[0]);
}

static void more_than_is_mapped__is_said_to_be_proportions_only(void **state)
{
	struct buf out = BUF_INIT;
	struct profile p;

	(void)state;
	profile_init(&p);
	p.watch.rung = RUNG_BRIEF;
	p.watch.open_share = 0.1;
	watch_add_how(&out, &p);
	assert_null(strstr(out.data, "proportions only"));
	p.watch.too_much = 10;
	buf_reset(&out);
	watch_add_how(&out, &p);
	assert_non_null(strstr(out.data, "proportions only: all together would be 10 times what is mapped"));
	buf_release(&out);
	profile_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_figures__are_compared_as_they_are),
		cmocka_unit_test(what_only_replaces__did_not_grow),
		cmocka_unit_test(one_large_block_that_was_drawn__stands_below_a_thousand_small_ones),
		cmocka_unit_test(where_nothing_is_sure__the_estimate_decides),
		cmocka_unit_test(a_growth__is_put_down_to_the_site_that_is_sure_of_it),
		cmocka_unit_test(more_than_is_mapped__is_said_to_be_proportions_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
