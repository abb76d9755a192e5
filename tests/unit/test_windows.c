/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Growth of a stack in separate parts of the window: live bytes by formulas, looked at each second or tenth of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/windows.h"

#define N_STACKS 4

/* A leak; a cache that is full after a third; teeth of ten seconds; one that comes after 20 s and leaks then. */
static double live_of(size_t stack, double t, double end)
{
	switch (stack) {
	case 0:
		return 1000 * t;
	case 1:
		return 50000 * fmin(1, t / (end / 3));
	case 2:
		return 3000 * fmod(t, 10);
	default:
		return t > 20 ? 700 * (t - 20) : 0;
	}
}

static void look(struct windows *w, double end, double step)
{
	size_t i, n;
	double t;

	for (t = 0; t < end; t += step) {
		float *live;

		if (!windows_is_due(w, t))
			continue;
		n = t > 20 ? N_STACKS : N_STACKS - 1;
		live = calloc(N_STACKS, sizeof(*live));
		assert_non_null(live);
		for (i = 0; i < n; i++)
			live[i] = (float)live_of(i, t, end);
		windows_add(w, t, live, n);
		assert_true(w->n <= WINDOWS_MOMENTS);
	}
}

static void what_leaks__grows_in_each_part(void **state)
{
	static const double ends[] = { 10, 30, 60, 300, 3600 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct windows w = { 0 };

		look(&w, ends[i], 0.1);
		assert_int_equal(windows_grown(&w, 0, ends[i], live_of(0, ends[i], ends[i])), WINDOWS_NR);
		assert_in_range(windows_grown(&w, 1, ends[i], live_of(1, ends[i], ends[i])), 1, 3);
		windows_release(&w);
	}
}

static void what_comes_and_goes_or_came_late__does_not(void **state)
{
	struct windows w = { 0 };

	(void)state;
	look(&w, 60, 0.1);
	assert_true(windows_grown(&w, 2, 60, live_of(2, 60, 60)) < WINDOWS_NR);
	/* from 6 s on in parts of 9 s: not before 20 s, but in the part with it */
	assert_int_equal(windows_grown(&w, 3, 60, live_of(3, 60, 60)), 5);
	assert_int_equal(windows_grown(&w, 99, 60, 0), 0);
	windows_release(&w);
}

static void a_few_moments__tell_nothing(void **state)
{
	struct windows w = { 0 };

	(void)state;
	look(&w, 5, 0.1);
	assert_int_equal(w.n, 5);
	assert_int_equal(windows_grown(&w, 0, 5, 5000), 0);
	windows_release(&w);
}

static void too_many_stacks__are_not_kept(void **state)
{
	struct windows w = { 0 };

	(void)state;
	look(&w, 20, 0.1);
	windows_add(&w, 20, calloc(1, sizeof(float)), WINDOWS_MOST_STACKS + 1);
	assert_int_equal(w.n, 0);
	assert_int_equal(windows_grown(&w, 0, 21, 5000), 0);
	windows_release(&w);
}

static void what_rises_alone__has_its_rate(void **state)
{
	struct windows w = { 0 };
	struct site_trend t;

	(void)state;
	look(&w, 60, 0.1);
	assert_true(windows_rise(&w, 0, 60, live_of(0, 60, 60), &t));
	assert_true(t.rate > 990 && t.rate < 1010 && t.low <= t.rate && t.high >= t.rate);
	assert_true(t.ratio > 0.99 && t.ratio < 1.01);
	/* what has filled, what falls, what is not there */
	assert_false(windows_rise(&w, 1, 60, live_of(1, 60, 60), &t));
	assert_false(windows_rise(&w, 2, 60, live_of(2, 60, 60), &t));
	assert_true(t.rate == 0 && t.low == 0);
	assert_false(windows_rise(&w, 99, 60, 0, &t));
	windows_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_leaks__grows_in_each_part),
		cmocka_unit_test(what_comes_and_goes_or_came_late__does_not),
		cmocka_unit_test(a_few_moments__tell_nothing),
		cmocka_unit_test(too_many_stacks__are_not_kept),
		cmocka_unit_test(what_rises_alone__has_its_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
