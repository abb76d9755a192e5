/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Spans by worked examples, and a program that is played through: garbage that lives 2 ms and a leak, seen in bursts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/watched.h"

static void watched_add(struct watched_spans *w, uint32_t begin_ms, uint32_t end_ms)
{
	watched_begin(w, begin_ms);
	watched_end(w, end_ms);
}

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

static void the_middle__is_where_half_of_the_allocations_are(void **state)
{
	struct watched_spans w = { 0 };
	uint32_t t;

	(void)state;
	watched_note(&w, 0, 1000); /* of no span */
	watched_begin(&w, 0);
	for (t = 70; t <= 90; t += 2)
		watched_note(&w, t, t > 70 ? 100 : 0);
	watched_end(&w, 90);
	assert_int_equal(w.v[0].middle_ms, 80);
	watched_begin(&w, 100);
	watched_note(&w, 140, 10);
	watched_end(&w, 140);
	assert_int_equal(w.v[1].middle_ms, 120);
	/* at once, and then nothing */
	watched_begin(&w, 200);
	watched_note(&w, 203, 50);
	watched_note(&w, 240, 1);
	watched_end(&w, 240);
	assert_in_range(w.v[2].middle_ms, 201, 203);
	watched_release(&w);
}

static void a_long_span__keeps_its_middle_in_little_room(void **state)
{
	struct watched_spans w = { 0 };
	uint32_t t;

	(void)state;
	watched_begin(&w, 0);
	for (t = 1; t <= 100000; t++)
		watched_note(&w, t * 20, t <= 50000 ? 1 : 3);
	assert_true(w.pace_cap <= 2048);
	watched_end(&w, 2000000);
	/* 50000 + 3 * 16667 of 200000 */
	assert_in_range(w.v[0].middle_ms, 66667 * 20 - 20000, 66667 * 20 + 20000);
	watched_release(&w);
}

/*
 * A program that makes 2000 calls in 2 ms every 100 ms; the probes let 2000 calls through until they are taken away:
 * the burst ends with the calls. One call in a hundred is a leak.
 */
static void a_program_that_mostly_sleeps__tells_its_leak_as_one_that_does_not(void **state)
{
	struct watched_spans w = { 0 };
	double leaks = 0, early = 0;
	uint32_t burst, t, i;

	(void)state;
	srand(11);
	for (burst = 0; burst < 100; burst++) {
		uint32_t begin = burst * 1000, work = begin + 10 + (uint32_t)(rand() % 90);
		uint32_t births[20];

		watched_begin(&w, begin);
		for (t = work; t < work + 20; t++) { /* ten times slower in bursts */
			births[t - work] = t;
			watched_note(&w, t + 1, 100);
		}
		watched_end(&w, work + 20);
		for (i = 0; i < 20; i++) {
			leaks++;
			early += watched_long(&w, births[i]);
		}
	}
	assert_true(early > 0.45 * leaks && early < 0.55 * leaks);
	assert_true(watched_may_stay(leaks, early) > 0.95 * leaks);
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
		cmocka_unit_test(the_middle__is_where_half_of_the_allocations_are),
		cmocka_unit_test(a_long_span__keeps_its_middle_in_little_room),
		cmocka_unit_test(a_program_that_mostly_sleeps__tells_its_leak_as_one_that_does_not),
		cmocka_unit_test(what_may_stay__is_never_more_than_was_born),
		cmocka_unit_test(garbage_that_is_cut_by_the_ends_of_bursts__does_not_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
