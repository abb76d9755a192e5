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
	assert_float_equal(v[0].replaced, 100, 0.01);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_heap_has_more__replaced_nothing),
		cmocka_unit_test(what_the_heap_does_not_have_more__replaced_older_blocks),
		cmocka_unit_test(a_class_that_shrinks__replaced_no_more_than_was_made),
		cmocka_unit_test(an_estimate__is_granted_two_deviations),
		cmocka_unit_test(larger_blocks_than_were_asked_for__are_found_in_the_next_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
