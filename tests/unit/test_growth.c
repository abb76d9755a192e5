/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Series of known shapes and the words for them; each with several made-up noises. The bounds in verdict.c come from
 * measured programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "model/verdict.h"
#include "tests/unit/series_shapes.h"

static const struct {
	const char *name;
	shape_fn f;
	double noise;
	enum trend_word word, other; /* either is right */
} shapes[] = {
	{ "leak", leak, 0.5 * MIB, TREND_GROWING, TREND_GROWING },
	{ "leak of 20 KiB/s", slow_leak, 0.05 * MIB, TREND_GROWING, TREND_GROWING },
	{ "leak under a saw-tooth", leak_collected, 0.2 * MIB, TREND_GROWING, TREND_GROWING },
	{ "steady", steady, 0.1 * MIB, TREND_FLAT, TREND_FLAT },
	{ "steady without a doubt", steady, 0, TREND_FLAT, TREND_FLAT },
	{ "saw-tooth", teeth, 0.2 * MIB, TREND_SAW_TOOTH, TREND_SAW_TOOTH },
	{ "filling", filling, 0.1 * MIB, TREND_LEVELS_OFF, TREND_LEVELS_OFF },
	{ "filled", filled, 0.1 * MIB, TREND_LEVELS_OFF, TREND_LEVELS_OFF },
	{ "shrinking", shrinking, 0.5 * MIB, TREND_SHRINKING, TREND_SHRINKING },
};

/* Flat between them, but not on the whole. */
static void a_growth_in_few_steps__is_not_flat(void **state)
{
	struct growth g;
	struct series s;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		draw(&s, in_steps, 60, 10000, seed);
		growth_of(&s, 60, &g);
		series_release(&s);
		assert_int_equal(g.word, TREND_UNDECIDED);
		assert_int_equal(g.doubt, DOUBT_NOISE);
	}
}

static void a_shape__has_its_word(void **state)
{
	static const double windows[] = { 30, 60, 300 };
	struct growth g;
	struct series s;
	size_t i, w;
	uint64_t seed;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (w = 0; w < 3; w++)
			for (seed = 1; seed <= SEEDS; seed++) {
				draw(&s, shapes[i].f, windows[w], shapes[i].noise, seed);
				growth_of(&s, windows[w], &g);
				series_release(&s);
				if (g.word == shapes[i].word || g.word == shapes[i].other)
					continue;
				fail_msg("%s, %.0f s, seed %llu: %s (rate %.0f, %.0f to %.0f; "
					 "ratio %.2f)",
					 shapes[i].name, windows[w], (unsigned long long)seed,
					 trend_name(g.word), g.rate, g.low, g.high, g.ratio);
			}
}

/* ---- figures ---- */

static void a_leak__has_its_rate_within_the_interval(void **state)
{
	struct growth g;
	struct series s;

	(void)state;
	draw(&s, leak, 60, 0.5 * MIB, 3);
	growth_of(&s, 60, &g);
	series_release(&s);
	assert_true(g.low <= MIB && MIB <= g.high);
	assert_true(fabs(g.rate - MIB) < 0.05 * MIB);
	assert_true(g.ratio > 0.8 && g.ratio < 1.25);
}

/* 100 + 80 (1 - e^-4t/w): ends at 180 MiB; 5 % of the 80 is left at 0.75 w, of what was left at the
 * end later. */
static void what_fills__ends_where_it_will(void **state)
{
	struct growth g;
	struct series s;

	(void)state;
	draw(&s, filling, 60, 0, 1);
	growth_of(&s, 60, &g);
	series_release(&s);
	assert_true(g.level > 177 * MIB && g.level < 183 * MIB);
	assert_true(g.seconds > 20 && g.seconds < 90);
}

static void what_has_filled__ends_where_it_is(void **state)
{
	struct growth g;
	struct series s;

	(void)state;
	draw(&s, filled, 60, 0, 1);
	growth_of(&s, 60, &g);
	series_release(&s);
	assert_true(fabs(g.level - 180 * MIB) < 0.01 * MIB);
	assert_true(g.seconds == 0);
}

static void a_window_of_seconds__decides_nothing(void **state)
{
	struct growth g;
	struct series s;

	(void)state;
	draw(&s, leak, 5, 0, 1);
	growth_of(&s, 5, &g);
	assert_int_equal(g.word, TREND_UNDECIDED);
	assert_int_equal(g.doubt, DOUBT_SHORT);
	series_release(&s);
	growth_of(&s, 60, &g); /* nothing was measured */
	assert_int_equal(g.doubt, DOUBT_SHORT);
}

/* ---- the series ---- */

static void a_full_series__keeps_its_floor_and_its_order(void **state)
{
	struct series_point floor[FLOOR_POINTS];
	struct series s = { 0 };
	size_t i, n;

	(void)state;
	for (i = 0; i < 5 * SERIES_MOST; i++)
		series_add(&s, (double)i, i % 7 ? 1000 : 10 + (double)i / 1000);
	assert_true(s.n <= SERIES_MOST);
	for (i = 1; i < s.n; i++)
		assert_true(s.v[i].t_s > s.v[i - 1].t_s);
	n = series_floor(&s, 0, 5 * SERIES_MOST, floor, FLOOR_POINTS);
	assert_int_equal(n, FLOOR_POINTS);
	for (i = 0; i < n; i++)
		assert_true(floor[i].bytes < 32);
	series_release(&s);
}

/* Worked by hand: pairs 1 2, 2 4, 3 3, 4 8: slopes 2 .5 2 -1 2 5. */
static void a_trend__is_the_median_of_the_slopes(void **state)
{
	static const struct series_point v[] = { { 1, 2 }, { 2, 4 }, { 3, 3 }, { 4, 8 } };
	struct trend t;

	(void)state;
	trend_of(v, 4, &t);
	assert_true(t.slope == 2);
	assert_true(fabs(t.tau - 4.0 / 6) < 1e-12);
	assert_true(t.low == -1 && t.high == 5);
	trend_of(v, 3, &t);
	assert_true(t.slope == 0 && t.low == 0 && t.high == 0);
}

static void falls__are_counted_after_rises_only(void **state)
{
	static const double v[] = { 10, 5, 9, 4, 8, 8, 3, 2, 7 };
	struct series s = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		series_add(&s, (double)i, v[i]);
	assert_int_equal(series_falls(&s, 0, 100, 3), 2);
	assert_int_equal(series_falls(&s, 0, 100, 6), 0);
	series_release(&s);
}

/* Three tenths as fast from the middle on, and straight there: it got less to do. */
static double half_starved(double t, double w)
{
	return 100 * MIB + MIB * (fmin(t, w / 2) + 0.3 * fmax(0, t - w / 2));
}

static void what_is_slower_but_goes_on__does_not_level_off(void **state)
{
	struct growth g;
	struct series s;
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		draw(&s, half_starved, 60, 0.1 * MIB, seed);
		growth_of(&s, 60, &g);
		series_release(&s);
		assert_int_equal(g.word, TREND_GROWING);
		assert_true(g.slows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shape__has_its_word),
		cmocka_unit_test(a_leak__has_its_rate_within_the_interval),
		cmocka_unit_test(what_fills__ends_where_it_will),
		cmocka_unit_test(what_has_filled__ends_where_it_is),
		cmocka_unit_test(a_window_of_seconds__decides_nothing),
		cmocka_unit_test(a_full_series__keeps_its_floor_and_its_order),
		cmocka_unit_test(a_trend__is_the_median_of_the_slopes),
		cmocka_unit_test(falls__are_counted_after_rises_only),
		cmocka_unit_test(a_growth_in_few_steps__is_not_flat),
		cmocka_unit_test(what_is_slower_but_goes_on__does_not_level_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
