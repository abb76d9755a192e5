/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the objects of a managed language that outlive full collections do to the verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "model/verdict.h"
#include "tests/unit/series_shapes.h"

enum { GARBAGE, KEPT };

struct scene {
	struct series heap, memory;
	struct verdict_site sites[2];
	struct verdict_input in;
};

static void end_scene(struct scene *c)
{
	series_release(&c->heap);
	series_release(&c->memory);
}

/*
 * Its memory grows in steps, its heap is mostly garbage, and the objects of one class are more after each full
 * collection.
 */
static void a_class_scene(struct scene *c)
{
	draw(&c->heap, teeth, 60, 1000, 1);
	draw(&c->memory, in_steps, 60, 10000, 2);
	c->sites[GARBAGE] = (struct verdict_site){ .net_bytes = 30 * MIB, .live_bytes = 30 * MIB, .blocks = 90000, .alive = 9000,
					  .early_blocks = 8000, .early_alive = 20 };
	c->sites[KEPT] = (struct verdict_site){ .net_bytes = MIB, .live_bytes = MIB, .blocks = 1000, .alive = 1000,
					  .early_blocks = 300, .early_alive = 300 };
	c->in = (struct verdict_input){
		.heap = &c->heap,
		.memory = &c->memory,
		.window_s = 60,
		.uptime_s = 10,
		.before_bytes = 20 * MIB,
		.counts_older = true,
		.sites = c->sites,
		.n_sites = 2,
		.blocks = 200000,
		.alive = 11000,
		.is_collected = true,
		.counts_collections = true,
		.collections = 20,
		.classes = { .objects = 4911, .full = 18, .looks = 12, .until_s = 58, .rate = 20000, .low = 19000,
			     .high = 21000, .ratio = 1 },
	};
}

/* The same, but its memory alone is known, and it is past its start. */
static void a_memory_scene(struct scene *c, shape_fn f, double sigma)
{
	a_class_scene(c);
	end_scene(c);
	draw(&c->memory, f, 60, sigma, 1);
	c->in.uptime_s = 100;
}

static void a_class_that_outlives_collections_and_a_site_that_keeps__are_a_leak(void **state)
{
	size_t at[VERDICT_SITES];
	struct verdict v;
	struct scene c = { 0 };

	(void)state;
	a_class_scene(&c);
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_true(v.by_classes);
	assert_int_equal(v.why, WHY_CLASSES | WHY_COHORT);
	assert_true(v.rate == 20000 && v.low == 19000 && v.high == 21000);
	assert_int_equal(verdict_sites(&v, 60, c.in.sites, 2, at), 1);
	assert_int_equal(at[0], KEPT); /* not the garbage, of which there is more */
	c.sites[KEPT].early_alive = 0.65 * c.sites[KEPT].early_blocks; /* an estimate */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	c.sites[KEPT].early_alive = 0.55 * c.sites[KEPT].early_blocks;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	c.in.classes.objects = 0;
	verdict_of(&c.in, &v);
	assert_int_not_equal(v.word, TREND_GROWING);
	assert_int_not_equal(v.word, TREND_LEAK);
	end_scene(&c);
}

static void a_class_alone_or_one_that_is_not_seen_to_the_end__is_no_leak(void **state)
{
	struct verdict v;
	struct scene c = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 7; i++) {
		a_class_scene(&c);
		switch (i) {
		case 0: /* no site keeps: one kind of evidence */
			c.sites[KEPT].early_alive = 10;
			break;
		case 1: /* the last look was long ago */
			c.in.classes.until_s = 40;
			break;
		case 2:
			c.in.classes.looks = 5;
			break;
		case 3: /* no more than moves by itself */
			c.in.classes.low = 3000;
			break;
		case 4: /* it has just begun */
			c.in.uptime_s = 0;
			break;
		case 5: /* the memory says that it is full */
			series_release(&c.heap);
			redraw(&c.memory, filled, 60, 1000, 1);
			break;
		case 6: /* ever less is new */
			series_release(&c.heap);
			redraw(&c.memory, root_of_time, 60, 1000, 1);
			break;
		}
		verdict_of(&c.in, &v);
		if (v.word == TREND_LEAK)
			fail_msg("case %d: why %x", i, v.why);
		if (i == 0 || i == 5)
			assert_int_equal(v.word, TREND_GROWING);
		if (i == 5) /* though its objects go on: what is told of it is both */
			assert_true(v.by_classes && v.but & BUT_MEMORY_SLOWS && v.ratio < 0.5);
		end_scene(&c);
	}
}

/* Then a few looks are enough. */
static void a_class_and_a_straight_growth_of_the_memory__are_a_leak(void **state)
{
	struct verdict v;
	struct scene c = { 0 };

	(void)state;
	a_memory_scene(&c, leak, 0.1 * MIB);
	c.in.classes.looks = 4;
	c.in.classes.until_s = 40;
	verdict_of(&c.in, &v);
	assert_false(v.by_classes);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why, WHY_CLASSES | WHY_STRAIGHT);
	c.in.classes.objects = 0;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	end_scene(&c);
}

/* Brief bursts tell of no site that it keeps. */
static void objects_that_stay_and_a_class_or_a_straight_growth__are_a_leak(void **state)
{
	struct verdict v;
	struct scene c = { 0 };

	(void)state;
	a_class_scene(&c);
	c.sites[KEPT].early_alive = 10;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	c.in.stays = (struct class_stay){ .born = 4000, .early = 2000, .alive = 1990, .full = 16, .rate = 15000, .ratio = 1 };
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why, WHY_CLASSES | WHY_OBJECTS);
	c.in.stays.rate = 1900; /* others make the growth */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	end_scene(&c);
	draw(&c.memory, leak, 60, 0.1 * MIB, 1);
	c.in.classes.objects = 0;
	c.in.uptime_s = 100;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	c.in.stays.rate = 0.2 * MIB;
	c.sites[KEPT].net_bytes = 50 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why & ~WHY_HISTORY, WHY_STRAIGHT | WHY_OBJECTS);
	c.in.uptime_s = 0; /* it has just begun */
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING);
	end_scene(&c);
}

/* Where it fills up, what came stays; it is the memory that tells. */
static void objects_that_stay_alone__are_no_leak(void **state)
{
	static const shape_fn shapes[] = { filled, root_of_time, steady };
	struct verdict v;
	struct scene c = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		a_memory_scene(&c, shapes[i], 1000);
		c.in.classes.objects = 0;
		c.sites[KEPT].early_alive = 10;
		c.in.stays = (struct class_stay){ .born = 4000, .early = 2000, .alive = 1990, .full = 16, .rate = 1e6, .ratio = 1 };
		verdict_of(&c.in, &v);
		assert_int_not_equal(v.word, TREND_LEAK);
		end_scene(&c);
	}
}

/* As the JVM's: what it keeps may grow within what is resident. */
static void memory_that_stands_and_a_heap_that_stays_resident__tell_nothing_until_collections_do(void **state)
{
	static const shape_fn shapes[] = { filled, steady };
	struct verdict v;
	struct scene c = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		a_memory_scene(&c, shapes[i], 1000);
		c.in.is_outside = true;
		c.sites[KEPT].early_alive = 10;
		c.in.collections = 2;
		c.in.classes.objects = 0;
		verdict_of(&c.in, &v);
		assert_int_equal(v.word, i ? TREND_FLAT : TREND_LEVELS_OFF); /* another runtime's */
		c.in.hides_growth = true;
		verdict_of(&c.in, &v);
		assert_int_equal(v.word, TREND_UNDECIDED);
		assert_int_equal(v.doubt, DOUBT_HIDDEN);
		assert_true(v.need_s >= 180); /* six, and one more, at two a minute */
		c.in.hides_growth = false; /* six of them tell */
		c.in.collections = 6;
		verdict_of(&c.in, &v);
		assert_int_equal(v.word, i ? TREND_FLAT : TREND_LEVELS_OFF);
		c.in.classes = (struct class_rise){ .objects = 4911, .full = 18, .looks = 12, .until_s = 58, .rate = 20000, .low = 19000,
						    .high = 21000, .ratio = 1 };
		verdict_of(&c.in, &v); /* they tell: what they leave grows */
		assert_int_equal(v.word, TREND_GROWING);
		assert_true(v.by_classes);
		end_scene(&c);
	}
}

/* The JVM's code and tables grow, ever slower, beside a heap that is resident and fills up. */
static void what_fills_a_resident_heap__is_not_what_grows_beside_it(void **state)
{
	struct verdict v;
	struct scene c = { 0 };

	(void)state;
	a_memory_scene(&c, root_of_time, 0.05 * MIB);
	c.sites[KEPT].early_alive = 10;
	c.in.classes.rate = c.in.classes.low = c.in.classes.high = MIB;
	verdict_of(&c.in, &v);
	assert_true(v.word == TREND_GROWING && v.but & BUT_SLOWS && !v.by_classes); /* what they leave is part of it */
	c.in.is_outside = true; /* they lie elsewhere */
	verdict_of(&c.in, &v);
	assert_true(v.word == TREND_GROWING && v.by_classes);
	assert_float_equal(v.rate, MIB, 1);
	c.in.classes.rate = c.in.classes.low = c.in.classes.high = 20000;
	verdict_of(&c.in, &v);
	assert_false(v.by_classes);
	end_scene(&c);
}

/* Slots of objects pass no allocator. */
static void objects_that_make_half_of_the_growth__are_enough_where_no_site_does(void **state)
{
	struct verdict v;
	struct scene c = { 0 };

	(void)state;
	a_memory_scene(&c, leak, 0.1 * MIB);
	c.in.before_bytes = 40 * MIB;
	c.in.n_sites = 0;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_GROWING); /* 20 kB of 1 MiB a second */
	assert_int_equal(v.but, BUT_NO_SITE);
	c.in.classes.rate = 0.6 * MIB;
	verdict_of(&c.in, &v);
	assert_int_equal(v.word, TREND_LEAK);
	assert_int_equal(v.why, WHY_CLASSES | WHY_STRAIGHT);
	end_scene(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_that_outlives_collections_and_a_site_that_keeps__are_a_leak),
		cmocka_unit_test(a_class_alone_or_one_that_is_not_seen_to_the_end__is_no_leak),
		cmocka_unit_test(a_class_and_a_straight_growth_of_the_memory__are_a_leak),
		cmocka_unit_test(objects_that_stay_and_a_class_or_a_straight_growth__are_a_leak),
		cmocka_unit_test(objects_that_stay_alone__are_no_leak),
		cmocka_unit_test(memory_that_stands_and_a_heap_that_stays_resident__tell_nothing_until_collections_do),
		cmocka_unit_test(what_fills_a_resident_heap__is_not_what_grows_beside_it),
		cmocka_unit_test(objects_that_make_half_of_the_growth__are_enough_where_no_site_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
