/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which class of objects grows from one full collection to the next: of drawn looks at three classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/class_looks.h"
#include "tests/unit/series_shapes.h"

#define WINDOW_S 60
#define OBJECT_BYTES 500
enum { LEAKED, STEADY, CACHED, CLASSES };

/* Objects of the class that is not steady, t seconds after the attach. */
typedef double (*count_fn)(double t);

static double leaks(double t)
{
	return 600 + 80 * t;
}
static double fills(double t) /* within 8 s, most of it */
{
	return 600 + 4000 * (1 - exp(-(t + 5) / 8));
}
static double fills_straight(double t) /* until second 40 */
{
	return 600 + 80 * fmin(t, 40);
}
static double loads(double t) /* a start-up of 25 s */
{
	return 600 + 400 * fmin(t, 25);
}
static double as_a_root(double t)
{
	return 600 + 1000 * sqrt(t + 5);
}
static double waves(double t) /* sessions come and go in 40 s */
{
	return 2000 + 1500 * sin(t / 40 * 6.283);
}
static double grows_a_little(double t) /* fewer than can be told */
{
	return 600 + t;
}
static double is_batch(double t) /* of 12 s */
{
	return 600 + 80 * fmod(t, 12);
}

static void take_look(struct class_looks *l, double t, uint64_t full, count_fn count, int place, uint64_t *seed)
{
	struct class_look look = { .t_s = t, .full = full, .objects = calloc(CLASSES, sizeof(float)), .n = CLASSES };

	look.objects[STEADY] = (float)(3000 + 60 * noise(seed));
	look.objects[place] += (float)(count(t) * (1 + 0.002 * noise(seed)));
	look.bytes = OBJECT_BYTES * (double)(look.objects[LEAKED] + look.objects[CACHED] + 3000);
	class_looks_add(l, &look);
}

/* Looked at ten times a second, a full collection each `every` seconds. */
static void watch(struct class_looks *l, count_fn count, int place, double every, uint64_t seed)
{
	int i;

	for (i = 0; i < 10 * WINDOW_S; i++) {
		double t = i / 10.0;
		uint64_t full = (uint64_t)(t / every);

		if (class_looks_is_due(l, t, full))
			take_look(l, t, full, count, place, &seed);
	}
}

static void a_class_that_leaks__is_found_with_its_growth_and_rate(void **state)
{
	static const double every[] = { 0.3, 1, 4, 8 };
	struct class_looks l = { 0 };
	struct class_rise r;
	uint64_t seed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(every) / sizeof(every[0]); i++)
		for (seed = 1; seed <= SEEDS; seed++) {
			watch(&l, leaks, LEAKED, every[i], seed);
			assert_true(l.n <= CLASS_LOOKS);
			assert_true(class_looks_rise(&l, WINDOW_S, &r));
			assert_int_equal(r.class, LEAKED);
			assert_true(fabs((double)r.objects - 80 * (r.until_s - l.v[l.n - r.looks].t_s)) < 30);
			assert_int_equal(r.full, l.v[l.n - 1].full - l.v[l.n - r.looks].full);
			assert_true(r.full >= 3);
			assert_true(r.low <= r.rate && r.rate <= r.high);
			assert_true(r.rate > 0.95 * 80 * OBJECT_BYTES && r.rate < 1.05 * 80 * OBJECT_BYTES);
			assert_true(class_rise_decides(&r, WINDOW_S));
			class_looks_release(&l);
		}
}

static void what_fills_up_comes_and_goes_or_stands__is_no_rise(void **state)
{
	static const count_fn shapes[] = { fills, fills_straight, loads, as_a_root, waves, grows_a_little, is_batch };
	static const double every[] = { 0.3, 1, 4, 8, 12 };
	struct class_looks l = { 0 };
	struct class_rise r;
	uint64_t seed;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (k = 0; k < sizeof(every) / sizeof(every[0]); k++)
			for (seed = 1; seed <= SEEDS; seed++) {
				watch(&l, shapes[i], CACHED, every[k], seed);
				if (class_looks_rise(&l, WINDOW_S, &r))
					fail_msg("shape %zu each %.1f s: +%d", i, every[k], (int)r.objects);
				assert_int_equal(r.objects, 0);
				class_looks_release(&l);
			}
}

static void a_look_without_a_collection_since__is_not_due(void **state)
{
	struct class_looks l = { 0 };
	uint64_t seed = 1;

	(void)state;
	assert_false(class_looks_is_due(&l, 50, 0)); /* what was there at the attach may be garbage */
	assert_true(class_looks_is_due(&l, 50, 1));
	take_look(&l, 50, 1, leaks, LEAKED, &seed);
	assert_false(class_looks_is_due(&l, 59, 1));
	assert_false(class_looks_is_due(&l, 50.5, 2)); /* so soon */
	assert_true(class_looks_is_due(&l, 59, 2));
	class_looks_release(&l);
}

static void less_than_three_collections_or_half_a_window__tell_nothing(void **state)
{
	struct class_looks l = { 0 };
	struct class_rise r;
	uint64_t seed = 1;
	int i;

	(void)state;
	watch(&l, leaks, LEAKED, 16, 1); /* three looks */
	assert_int_equal(l.n, 3);
	assert_false(class_looks_rise(&l, WINDOW_S, &r));
	class_looks_release(&l);
	for (i = 0; i < 10; i++)
		take_look(&l, 10 + 2 * i, 1 + (uint64_t)i, leaks, LEAKED, &seed);
	assert_false(class_looks_rise(&l, WINDOW_S, &r)); /* 18 s of it */
	assert_true(class_looks_rise(&l, 30, &r));
	class_looks_release(&l);
}

/* The memory may have stopped to grow after it. */
static void a_rise_that_ends_before_the_window_or_of_few_looks__does_not_decide(void **state)
{
	struct class_looks l = { 0 };
	struct class_rise r;
	uint64_t seed = 1;
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		take_look(&l, 10 + 4 * i, 1 + (uint64_t)i, leaks, LEAKED, &seed);
	assert_true(class_looks_rise(&l, WINDOW_S, &r));
	assert_false(class_rise_decides(&r, WINDOW_S));
	assert_true(class_rise_decides(&r, 48));
	class_looks_release(&l);
	watch(&l, leaks, LEAKED, 11, 1);
	assert_true(class_looks_rise(&l, WINDOW_S, &r));
	assert_int_equal(r.looks, 5);
	assert_false(class_rise_decides(&r, WINDOW_S));
	class_looks_release(&l);
}

static void what_objects_are_made_of__is_named_only_where_no_class_rises(void **state)
{
	struct class_looks l = { .n_parts = LEAKED + 1 };
	struct class_rise r;
	size_t i;

	(void)state;
	watch(&l, leaks, LEAKED, 4, 1);
	assert_true(class_looks_rise(&l, WINDOW_S, &r));
	assert_int_equal(r.class, LEAKED);
	for (i = 0; i < l.n; i++)
		l.v[i].objects[CACHED] = l.v[i].objects[LEAKED] / 3;
	assert_true(class_looks_rise(&l, WINDOW_S, &r));
	assert_int_equal(r.class, CACHED);
	class_looks_release(&l);
}

static void more_classes_than_are_kept__empty_it(void **state)
{
	struct class_look look = { .t_s = 10, .full = 3, .n = CLASS_LOOKS_MOST + 1 };
	struct class_looks l = { 0 };
	uint64_t seed = 1;

	(void)state;
	take_look(&l, 5, 1, leaks, LEAKED, &seed);
	look.objects = calloc(look.n, sizeof(float));
	class_looks_add(&l, &look);
	assert_int_equal(l.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_that_leaks__is_found_with_its_growth_and_rate),
		cmocka_unit_test(what_fills_up_comes_and_goes_or_stands__is_no_rise),
		cmocka_unit_test(a_look_without_a_collection_since__is_not_due),
		cmocka_unit_test(less_than_three_collections_or_half_a_window__tell_nothing),
		cmocka_unit_test(what_objects_are_made_of__is_named_only_where_no_class_rises),
		cmocka_unit_test(a_rise_that_ends_before_the_window_or_of_few_looks__does_not_decide),
		cmocka_unit_test(more_classes_than_are_kept__empty_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
