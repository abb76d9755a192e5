/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What took the place of older blocks, by what the heap has more in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/heap_rise.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

static void what_the_heap_has_more__replaced_nothing(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 4352, .grown = 4400 }, { .size_class = 58 } };

	(void)state;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 0, 0);
}

static void what_the_heap_does_not_have_more__replaced_older_blocks(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 4352, .grown = 12 }, { .size_class = 58 } };

	(void)state;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 4340, 0.01);
}

static void a_class_that_shrinks__replaced_no_more_than_was_made(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 100, .grown = -5000 }, { .size_class = 58 } };

	(void)state;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 100, 0.01);
}

static void an_estimate__is_granted_two_deviations(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 1000, .variance = 2500, .grown = 920 }, { .size_class = 58 } };

	(void)state;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 0, 0);
	v[0].grown = 800;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 200, 0.01); /* what differs for certain differs by all of it */
}

static void larger_blocks_than_were_asked_for__are_found_in_the_next_class(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 1000, .grown = 900 },
				 { .size_class = 58, .claimed = 50, .grown = 170 },
				 { .size_class = 60, .claimed = 10, .grown = 0 },
				 { .proc = 1, .size_class = 61, .claimed = 0, .grown = 100 } };

	(void)state;
	heap_rise_find_replaced(v, N(v));
	assert_float_equal(v[0].replaced, 0, 0.01);
	assert_float_equal(v[1].replaced, 0, 0.01);
	assert_float_equal(v[2].replaced, 10, 0.01);
}

/* A tenth came before the first call was watched. */
static void a_heap_that_has_more_of_what_stays__tells_the_scale(void **state)
{
	struct heap_rise v[] = {
		{ .size_class = 57, .claimed = 1000, .kept = 980, .variance = 2500, .grown = 1400, .seen = 0.9 },
		{ .size_class = 59, .claimed = 3000, .kept = 3000, .variance = 7500, .grown = 4200, .seen = 0.9 },
		{ .size_class = 63, .claimed = 1000, .kept = 100, .variance = 2500, .grown = 9000, .seen = 0.9 }, /* garbage */
		{ .size_class = 70, .claimed = 19, .kept = 19, .grown = 900, .seen = 0.9 }, /* too few */
	};

	(void)state;
	assert_float_equal(heap_rise_scale(v, N(v)), 1.26, 0.001);
	v[0].grown = v[1].grown = 1000;
	assert_float_equal(heap_rise_scale(v, N(v)), 1, 0); /* less: it may have taken the place of older ones */
	v[0].grown = 1200;
	v[1].grown = 3400;
	assert_float_equal(heap_rise_scale(v, N(v)), 1, 0); /* 4140 of 4000 is within two deviations */
	v[1].grown = 14000;
	assert_float_equal(heap_rise_scale(v, N(v)), 1, 0); /* three times as much is no matter of scale */
}

static void nothing_that_stays__tells_no_scale(void **state)
{
	struct heap_rise v[] = { { .size_class = 57, .claimed = 1000, .grown = 1400, .seen = 1 } };

	(void)state;
	assert_float_equal(heap_rise_scale(v, N(v)), 1, 0);
	assert_float_equal(heap_rise_scale(NULL, 0), 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_heap_has_more__replaced_nothing),
		cmocka_unit_test(what_the_heap_does_not_have_more__replaced_older_blocks),
		cmocka_unit_test(a_class_that_shrinks__replaced_no_more_than_was_made),
		cmocka_unit_test(an_estimate__is_granted_two_deviations),
		cmocka_unit_test(larger_blocks_than_were_asked_for__are_found_in_the_next_class),
		cmocka_unit_test(a_heap_that_has_more_of_what_stays__tells_the_scale),
		cmocka_unit_test(nothing_that_stays__tells_no_scale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
