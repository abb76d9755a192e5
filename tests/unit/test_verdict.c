/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is made of the series and sites of one run: leak or no leak, for which reasons, and when it is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "model/windows.h"
#include "tests/unit/verdict_scene.h"

static void a_leak_with_all_evidence__is_a_strong_one(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_true(v.is_strong);
	assert_true(v.by_heap);
	assert_int_equal(v.why, WHY_STRAIGHT | WHY_COHORT | WHY_HISTORY);
	assert_true(v.site_share > 0.9);
	end_scene(&c);
}

static void evidence_of_one_kind__is_no_leak(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	c.in.before_bytes = 20000 * MIB; /* more than this growth explains: tells nothing */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_false(v.is_strong);
	c.site.early_alive = 500; /* half of it has died: it may all die */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	assert_int_equal(v.why, WHY_STRAIGHT);
	end_scene(&c);
}

/* Each of these alone takes the word back. */
static void what_speaks_against_it__leaves_a_growth(void **state)
{
	struct verdict v;
	struct scene c;
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		a_leak_scene(&c);
		switch (i) {
		case 0: /* blocks of its size from before the attach are freed: it replaces them */
			c.site.old_freed_bytes = 30 * MIB;
			break;
		case 1: /* an hour old, but it holds what it makes in a minute */
			c.in.before_bytes = 100 * MIB;
			break;
		case 2:
			c.in.lost_bytes = 100 * MIB;
			break;
		case 3: /* no site has half of it */
			c.site.net_bytes = 10 * MIB;
			break;
		case 4: /* everything lives, whoever made it: it is filling up */
			c.in.alive = 99000;
			c.in.before_bytes = 100000 * MIB;
			break;
		case 5: /* it has just begun */
			c.in.uptime_s = 0;
			c.in.window_s = 60;
			break;
		}
		verdict_of(&c.in, &v);
		if (v.word != TREND_GROWING)
			fail_msg("case %d: %s, why %x, but %x", i, trend_name(v.word), v.why,
				 v.but);
		end_scene(&c);
	}
}

static void growth_outside_the_heap__is_decided_by_the_memory(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.heap, steady, 60, 1000, 1);
	c.site = (struct verdict_site){ 0 };
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_equal(v.word, TREND_GROWING);
	assert_true(v.but & BUT_NO_SITE);
	c.in.is_collected = true;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	assert_int_equal(v.doubt, DOUBT_COLLECTED);
	end_scene(&c);
}

static void where_garbage_is_collected__three_full_collections_are_needed_but_for_a_cohort(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	c.in.is_collected = c.in.counts_collections = true;
	c.in.collections = 2;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK); /* its blocks stay where those of others end */
	assert_true(v.why & WHY_COHORT);
	c.site.early_alive = c.site.early_blocks / 2;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	assert_int_equal(v.doubt, DOUBT_COLLECTED);
	c.in.collections = 3;
	verdict_of(&c.in, &v);
	assert_int_not_equal(v.word, TREND_UNDECIDED);
	c.in.is_collected = false; /* CPython: what is not referred to is freed at once */
	c.in.collections = 0;
	verdict_of(&c.in, &v);
	assert_int_not_equal(v.word, TREND_UNDECIDED);
	end_scene(&c);
}

static double noise_only(double t, double w)
{
	(void)w;
	return 100 * MIB + 40 * MIB * sin(t * 0.7) + MIB * t;
}

static void a_flat_heap_beside_a_runtimes_own__says_nothing_of_memory_that_is_not_flat(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.heap, steady, 60, 1000, 1);
	redraw(&c.memory, noise_only, 60, 1000, 1);
	c.site = (struct verdict_site){ 0 };
	verdict_of(&c.in, &v);
	assert_true(v.by_heap);
	c.in.is_outside = c.in.is_collected = true;
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_not_equal(v.word, TREND_FLAT);
	end_scene(&c);
}

/* In brief bursts: what lives meanwhile is not known, but what stayed of each stack in the end. */
static void without_a_series_of_the_heap__the_site_is_that_of_the_memory(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	series_release(&c.heap);
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_equal(v.word, TREND_LEAK);
	c.site.net_bytes = 200 * MIB; /* three times what the memory grew by: not to be believed */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	assert_int_equal(v.but, BUT_NO_SITE);
	end_scene(&c);
}

/* Faster and faster, twice in the window: not straight, but in every part of it. */
static void a_growth_that_speeds_up__is_a_leak_by_its_site(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	end_scene(&c);
	draw(&c.heap, speeding_up, 60, 0.1 * MIB, 1);
	draw(&c.memory, speeding_up, 60, 0.1 * MIB, 2);
	c.in.before_bytes = 20000 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	c.site.grew_in = WINDOWS_NR;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why, WHY_COHORT | WHY_WINDOWS);
	c.site.early_alive = 10; /* that it grows is told twice, but not that it stays */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	end_scene(&c);
}

static void what_is_undecided__says_how_long_it_would_take(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	end_scene(&c);
	draw(&c.heap, in_steps, 60, 10000, 1);
	draw(&c.memory, in_steps, 60, 10000, 2);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	assert_true(v.need_s >= 120);
	c.in.window_s = 5;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	assert_int_equal(v.doubt, DOUBT_SHORT);
	assert_true(v.need_s == 60);
	c.in.window_s = 4 * 3600; /* a shorter one tells no more */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	assert_true(v.need_s == 0);
	end_scene(&c);
}

/* As what is new of all that is asked for: all of it stays, in every part of the window, and yet ever less comes. */
static void a_growth_that_slows_down__is_no_leak(void **state)
{
	static const double windows[] = { 60, 120, 300 };
	struct verdict v;
	struct scene c;
	size_t i, seed;

	(void)state;
	for (i = 0; i < 3; i++)
		for (seed = 1; seed <= SEEDS; seed++) {
			a_leak_scene(&c);
			end_scene(&c);
			draw(&c.heap, root_of_time, windows[i], 0.05 * MIB, seed);
			draw(&c.memory, root_of_time, windows[i], 0.05 * MIB, seed + 100);
			c.in.window_s = windows[i];
			c.site.grew_in = WINDOWS_NR;
			verdict_of(&c.in, &v);
			if (v.word == TREND_LEAK || !(v.but & BUT_SLOWS || v.word == TREND_LEVELS_OFF))
				fail_msg("%.0f s, seed %zu: %s, ratio %.2f, but %x", windows[i], seed,
					 trend_name(v.word), v.ratio, v.but);
			end_scene(&c);
		}
}

static void a_heap_that_reuses_what_was_freed__is_decided_by_the_heap(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.memory, steady, 60, 1000, 1); /* RSS stands: the heap grows into holes */
	verdict_of(&c.in, &v);
	assert_true(v.by_heap);
	assert_int_equal(v.word, TREND_LEAK);
	end_scene(&c);
}

/* A pool that doubles every 40 s: all of it lives, and its steps are a growth in the end, but no
 * straight one. */
static void a_pool_that_doubles__is_no_leak(void **state)
{
	static const double windows[] = { 30, 60, 120, 300 };
	struct verdict v;
	struct scene c;
	size_t i, seed;

	(void)state;
	for (i = 0; i < 4; i++)
		for (seed = 1; seed <= SEEDS; seed++) {
			a_leak_scene(&c);
			end_scene(&c);
			draw(&c.heap, doubling, windows[i], 0.05 * MIB, seed);
			draw(&c.memory, doubling, windows[i], 0.05 * MIB, seed + 100);
			c.in.window_s = windows[i];
			verdict_of(&c.in, &v);
			assert_int_not_equal(v.word, TREND_LEAK);
			end_scene(&c);
		}
}

/* Eight sites that make 12 % each: as one, if each of them keeps what it made. */
static void several_sites__are_a_leak_when_each_keeps_its_blocks(void **state)
{
	struct verdict_site sites[8];
	struct verdict v;
	struct scene c;
	size_t i;

	(void)state;
	a_leak_scene(&c);
	for (i = 0; i < 8; i++)
		sites[i] = (struct verdict_site){ .net_bytes = 7 * MIB, .live_bytes = 7 * MIB, .blocks = 500,
						  .alive = 500, .early_blocks = 125, .early_alive = 125,
						  .grew_in = WINDOWS_NR };
	c.in.sites = sites;
	c.in.n_sites = 8;
	c.in.before_bytes = 20000 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why, WHY_STRAIGHT | WHY_COHORT | WHY_WINDOWS);
	assert_true(v.site_share >= 0.5 && v.site_share < 0.7); /* no more of them than make half */
	sites[2].early_alive = 60;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	sites[2].early_alive = 125;
	for (i = 0; i < 8; i++)
		sites[i].net_bytes = 3 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	assert_true(v.but & BUT_NO_SITE);
	end_scene(&c);
}

/* 160 KiB/s of mappings below a heap that stands still; a mapping that is only reserved is none. */
static void mappings__are_a_site_when_the_memory_grows(void **state)
{
	struct verdict_site sites[3];
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.heap, steady, 60, 1000, 1);
	sites[0] = (struct verdict_site){ .net_bytes = 1000 * MIB, .live_bytes = 1000 * MIB, .blocks = 1,
					  .alive = 1, .is_mapping = true };
	sites[1] = c.site;
	sites[1].is_mapping = true;
	sites[2] = (struct verdict_site){ .net_bytes = 0.1 * MIB, .blocks = 90000, .alive = 100 };
	c.in.sites = sites;
	c.in.n_sites = 3;
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_equal(v.word, TREND_LEAK);
	assert_true(v.why & WHY_COHORT);
	sites[1].early_alive = 10;
	c.in.before_bytes = 20000 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	end_scene(&c);
}

/* 400 KiB/s in the first half and 200 in the second, of which 150 take the place of older blocks throughout. */
static void a_site_below_teeth_that_replaces__is_as_straight_as_what_is_left(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_scene_below_teeth(&c);
	c.site.alone = (struct site_trend){ 300 * 1024, 290 * 1024, 310 * 1024, 0.5 };
	c.site.old_freed_bytes = 150.0 * 1024 * c.in.window_s;
	c.in.knows_replaced = true;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	assert_true(v.ratio > 0.199 && v.ratio < 0.201); /* 50 / 250 */
	assert_true(v.but & BUT_SLOWS);
	end_scene(&c);
}

static void a_leak_below_teeth__is_found_by_its_site(void **state)
{
	const struct site_trend alone = { 300 * 1024, 290 * 1024, 310 * 1024, 1.0 };
	struct verdict v;
	struct scene c;

	(void)state;
	a_scene_below_teeth(&c);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH);
	c.site.alone = alone;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_true(v.by_heap);
	assert_true(v.rate == alone.rate);
	c.site.early_alive = 500; /* it replaces: the next tooth */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH);
	c.site.early_alive = 1000;
	c.in.is_collected = true;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH);
	end_scene(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_with_all_evidence__is_a_strong_one),
		cmocka_unit_test(evidence_of_one_kind__is_no_leak),
		cmocka_unit_test(what_speaks_against_it__leaves_a_growth),
		cmocka_unit_test(a_pool_that_doubles__is_no_leak),
		cmocka_unit_test(growth_outside_the_heap__is_decided_by_the_memory),
		cmocka_unit_test(a_flat_heap_beside_a_runtimes_own__says_nothing_of_memory_that_is_not_flat),
		cmocka_unit_test(where_garbage_is_collected__three_full_collections_are_needed_but_for_a_cohort),
		cmocka_unit_test(what_is_undecided__says_how_long_it_would_take),
		cmocka_unit_test(a_growth_that_slows_down__is_no_leak),
		cmocka_unit_test(without_a_series_of_the_heap__the_site_is_that_of_the_memory),
		cmocka_unit_test(a_growth_that_speeds_up__is_a_leak_by_its_site),
		cmocka_unit_test(a_heap_that_reuses_what_was_freed__is_decided_by_the_heap),
		cmocka_unit_test(several_sites__are_a_leak_when_each_keeps_its_blocks),
		cmocka_unit_test(mappings__are_a_site_when_the_memory_grows),
		cmocka_unit_test(a_leak_below_teeth__is_found_by_its_site),
		cmocka_unit_test(a_site_below_teeth_that_replaces__is_as_straight_as_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
