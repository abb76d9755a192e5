/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What is made of a heap that is an estimate, as not every call was seen: by the memory beside it, and by the heap at
 * both ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "model/windows.h"
#include "tests/unit/verdict_scene.h"

static double quarter_leak(double t, double w)
{
	(void)w;
	return 100 * MIB + 0.25 * MIB * t;
}

/* What came in the place of older blocks until all of these had gone: its sum is right, its series is not. */
static void a_rise_of_an_estimate__is_none_where_the_heap_has_no_more_at_the_end(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.memory, steady, 60, 1000, 1);
	c.in.counts_older = false;
	c.in.knows_replaced = true;
	verdict_of(&c.in, &v);
	assert_true(v.by_heap); /* it grows into holes */
	assert_int_equal(v.word, TREND_LEAK);
	c.in.net_bytes = 4 * MIB;
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_equal(v.word, TREND_FLAT);
	redraw(&c.heap, filling, 60, 0.1 * MIB, 1);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_FLAT);
	c.in.net_bytes = 58 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEVELS_OFF);
	end_scene(&c);
}

/* Drawn by chance, the halves of an estimate may be alike. */
static void an_estimate_that_is_straight__is_no_leak_where_the_memory_slows_down(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.heap, quarter_leak, 60, 0.1 * MIB, 1);
	redraw(&c.memory, root_of_time, 60, 0.05 * MIB, 1);
	verdict_of(&c.in, &v);
	assert_true(v.word == TREND_LEAK && v.why & WHY_STRAIGHT); /* every call of it was seen */
	c.in.heap_deviation = 10000;
	verdict_of(&c.in, &v);
	assert_true(v.by_heap);
	assert_int_equal(v.word, TREND_GROWING);
	assert_int_equal(v.but, BUT_MEMORY_SLOWS);
	assert_false(v.why & WHY_STRAIGHT);
	assert_true(v.ratio < 0.8);
	end_scene(&c);
}

/* Sampled, frees of older blocks are not counted: what the heap itself tells of them is. */
static void what_is_sampled_below_teeth__is_a_leak_where_the_heap_has_more_of_it(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_scene_below_teeth(&c);
	c.in.counts_older = false;
	c.site.alone = (struct site_trend){ 300 * 1024, 290 * 1024, 310 * 1024, 1.0 };
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH); /* nobody knows */
	c.in.knows_replaced = true;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_true(v.by_heap);
	c.site.old_freed_bytes = 17 * MIB;
	c.site.net_bytes = 0;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH);
	end_scene(&c);
}

/* A full cache, sampled, in a program whose memory says nothing: its new blocks look like growth, and are none. */
static void a_sampled_cache__is_no_growth_where_the_heap_has_no_more_of_it(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	series_release(&c.memory);
	c.in.memory = NULL;
	c.in.counts_older = false;
	c.in.knows_replaced = true;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	c.in.replaced_bytes = c.site.old_freed_bytes = 60 * MIB;
	c.site.net_bytes = 0;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_UNDECIDED);
	series_release(&c.heap);
}

/* A heap that is estimated may have been estimated otherwise before. */
static void an_estimate_that_levels_off__is_not_believed_where_the_memory_grows(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	end_scene(&c);
	draw(&c.heap, filling, 60, 0.1 * MIB, 1);
	draw(&c.memory, quarter_leak, 60, 0.1 * MIB, 2);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEVELS_OFF);
	c.in.heap_deviation = 10000;
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_true(v.word == TREND_GROWING || v.word == TREND_LEAK);
	end_scene(&c);
}

/* In brief bursts: what the heap has more at the end, of a site that keeps what it makes. */
static void a_site_that_the_heap_confirms__grows_below_a_memory_that_swings(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	end_scene(&c);
	c.in.heap = NULL;
	c.in.counts_older = false;
	draw(&c.memory, teeth, 60, 0.1 * MIB, 3);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH);
	c.site.alone = (struct site_trend){ 0.9 * MIB, 0.8 * MIB, 1.0 * MIB, -1 };
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING); /* no leak: whether it came straight is not known */
	assert_true(v.by_heap);
	assert_float_equal(v.rate, 0.9 * MIB, 1);
	assert_false(v.why & WHY_STRAIGHT);
	assert_false(v.but & BUT_SLOWS);
	c.site.early_alive = 0.5 * c.site.early_blocks;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_SAW_TOOTH); /* it does not keep them */
	series_release(&c.memory);
}

/* Entries that live for long replace older ones: net of these nothing grows; seen without them it would be a leak. */
static void what_replaces_unseen_blocks__is_no_leak(void **state)
{
	struct verdict v;
	struct scene c;

	(void)state;
	a_leak_scene(&c);
	redraw(&c.memory, steady, 60, 1000, 1);
	c.in.counts_older = false;
	verdict_of(&c.in, &v);
	assert_false(v.by_heap);
	assert_int_equal(v.word, TREND_FLAT);
	redraw(&c.memory, leak, 60, 0.1 * MIB, 1); /* but what grows in memory too, does */
	verdict_of(&c.in, &v);
	assert_true(v.by_heap);
	assert_int_equal(v.word, TREND_LEAK);
	end_scene(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rise_of_an_estimate__is_none_where_the_heap_has_no_more_at_the_end),
		cmocka_unit_test(an_estimate_that_is_straight__is_no_leak_where_the_memory_slows_down),
		cmocka_unit_test(what_is_sampled_below_teeth__is_a_leak_where_the_heap_has_more_of_it),
		cmocka_unit_test(a_sampled_cache__is_no_growth_where_the_heap_has_no_more_of_it),
		cmocka_unit_test(an_estimate_that_levels_off__is_not_believed_where_the_memory_grows),
		cmocka_unit_test(a_site_that_the_heap_confirms__grows_below_a_memory_that_swings),
		cmocka_unit_test(what_replaces_unseen_blocks__is_no_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
