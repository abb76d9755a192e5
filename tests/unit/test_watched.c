/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Spans by worked examples, and a program that is played through: garbage that lives 2 ms and a leak, seen in bursts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/watched.h"

static void a_block_of_the_first_half__was_watched_long(void **state)
{
	struct watched_spans w = { 0 };

	(void)state;
	watched_add(&w, 0, 60);
	watched_add(&w, 400, 480);
	assert_true(watched_long(&w, 0));
	assert_true(watched_long(&w, 29));
	assert_false(watched_long(&w, 30));
	assert_false(watched_long(&w, 59));
	assert_true(watched_long(&w, 400));
	assert_true(watched_long(&w, 439));
	assert_false(watched_long(&w, 440));
	assert_false(watched_long(&w, 479));
	watched_release(&w);
}

static void a_block_of_no_span__is_watched_still(void **state)
{
	struct watched_spans w = { 0 };

	(void)state;
	assert_true(watched_long(&w, 5));
	watched_add(&w, 10, 20);
	assert_true(watched_long(&w, 5));
	assert_true(watched_long(&w, 20));
	assert_true(watched_long(&w, 1000));
	watched_release(&w);
}

static void a_span_that_is_empty_or_begins_too_early__is_none(void **state)
{
	struct watched_spans w = { 0 };

	(void)state;
	watched_add(&w, 10, 10);
	watched_add(&w, 10, 20);
	watched_add(&w, 15, 40);
	watched_add(&w, 20, 40);
	assert_int_equal(w.n, 2);
	assert_int_equal(w.v[1].begin_ms, 20);
	watched_release(&w);
}

static void what_may_stay__is_never_more_than_was_born(void **state)
{
	(void)state;
	assert_true(watched_may_stay(0, 0) == 0);
	assert_true(watched_may_stay(5, 0) == 5);
	assert_true(watched_may_stay(30000, 0) == 6);
	assert_true(watched_may_stay(300, 149) == 300);
}

/* A request each 3 ms makes 99 blocks that live 2 ms and one that stays; bursts of 40 ms in 400, at any phase. */
static void garbage_that_is_cut_by_the_ends_of_bursts__does_not_stay(void **state)
{
	struct watched_spans w = { 0 };
	double born = 0, cut = 0, cut_early = 0, leaks = 0, leaks_early = 0;
	uint32_t burst, t;

	(void)state;
	srand(7);
	for (burst = 0; burst < 60; burst++) {
		uint32_t begin = burst * 400 + (uint32_t)(rand() % 40), end = begin + 30 + (uint32_t)(rand() % 20);

		watched_add(&w, begin, end);
		for (t = begin + (uint32_t)(rand() % 3); t < end; t += 3) {
			born += 99;
			leaks++;
			leaks_early += watched_long(&w, t);
			if (t + 2 < end)
				continue;
			cut += 99;
			cut_early += 99 * watched_long(&w, t);
		}
	}
	assert_true(cut > 0.02 * born); /* more than the leak: it would be ranked first */
	assert_true(watched_may_stay(born, cut_early) < 0.001 * born);
	assert_true(watched_may_stay(leaks, leaks_early) == leaks);
	watched_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_of_the_first_half__was_watched_long),
		cmocka_unit_test(a_block_of_no_span__is_watched_still),
		cmocka_unit_test(a_span_that_is_empty_or_begins_too_early__is_none),
		cmocka_unit_test(what_may_stay__is_never_more_than_was_born),
		cmocka_unit_test(garbage_that_is_cut_by_the_ends_of_bursts__does_not_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
