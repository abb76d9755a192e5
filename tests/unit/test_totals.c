/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is made of a stack's totals when something else tells how much of it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/profile.h"

static struct profile_totals some(void)
{
	return (struct profile_totals){
		.alloc_bytes = 1000, .alloc_blocks = 100, .free_bytes = 600, .free_blocks = 60, .birth_sum_ms = 400,
		.alloc_var = 50, .free_var = 10,
	};
}

static void a_scale__is_that_of_all_but_squares(void **state)
{
	struct profile_totals t = some();

	(void)state;
	totals_scale(&t, 2);
	assert_int_equal(t.alloc_bytes, 2000);
	assert_int_equal(t.free_blocks, 120);
	assert_int_equal(totals_live_bytes(&t), 800);
	assert_int_equal(t.birth_sum_ms, 800);
	assert_int_equal(t.alloc_var - t.free_var, 160);
}

static void what_lives_beside__was_not_freed(void **state)
{
	struct profile_totals t = some();

	(void)state;
	totals_add_live(&t, 300, 30);
	assert_int_equal(totals_live_bytes(&t), 700);
	assert_int_equal(totals_live_blocks(&t), 70);
	assert_int_equal(t.alloc_bytes, 1000);
	assert_int_equal(t.birth_sum_ms, 700); /* of the age of those that were known */
}

static void more_than_was_freed__was_allocated_unseen(void **state)
{
	struct profile_totals t = some();

	(void)state;
	totals_add_live(&t, 800, 80);
	assert_int_equal(totals_live_bytes(&t), 1200);
	assert_int_equal(t.free_blocks, 0);
	assert_int_equal(t.alloc_blocks, 120);
}

static void what_does_not_live__was_freed(void **state)
{
	struct profile_totals t = some();

	(void)state;
	totals_add_live(&t, -100, -10);
	assert_int_equal(totals_live_bytes(&t), 300);
	assert_int_equal(t.alloc_blocks, 100);
	assert_int_equal(t.free_blocks, 70);
}

static void a_part_that_lives__has_its_part_of_the_deviation(void **state)
{
	struct profile_totals t = some();

	(void)state;
	totals_limit_live(&t, 0.25);
	assert_int_equal(totals_live_bytes(&t), 100);
	assert_int_equal(totals_live_blocks(&t), 10);
	assert_int_equal(t.alloc_blocks, 100);
	assert_int_equal(t.birth_sum_ms, 100);
	assert_int_equal(t.alloc_var - t.free_var, 10);
	totals_limit_live(&t, 0);
	assert_int_equal(totals_live_bytes(&t), 0);
	assert_true(totals_deviation(&t, METRIC_LIVE_BYTES) == 0);
}

static void a_doubt__is_beside_the_others(void **state)
{
	struct profile_totals t = some();
	double before = totals_deviation(&t, METRIC_LIVE_BYTES), after;

	(void)state;
	totals_doubt(&t, 10 * before);
	after = totals_deviation(&t, METRIC_LIVE_BYTES);
	assert_true(after > 10 * before && after < 10.2 * before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scale__is_that_of_all_but_squares),
		cmocka_unit_test(what_lives_beside__was_not_freed),
		cmocka_unit_test(more_than_was_freed__was_allocated_unseen),
		cmocka_unit_test(what_does_not_live__was_freed),
		cmocka_unit_test(a_part_that_lives__has_its_part_of_the_deviation),
		cmocka_unit_test(a_doubt__is_beside_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
