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
	struct class_look look = { .t_s = t, .of_s = t, .full = full, .v = calloc(CLASSES, sizeof(struct class_count)), .n = CLASSES };

	look.v[STEADY].objects = (float)(3000 + 60 * noise(seed));
	look.v[place].objects += (float)(count(t) * (1 + 0.002 * noise(seed)));
	look.bytes = OBJECT_BYTES * (double)(look.v[LEAKED].objects + look.v[CACHED].objects + 3000);
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
	assert_false(class_looks_tell(&l, WINDOW_S));
	assert_true(class_looks_tell(&l, 48));
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
		l.v[i].v[CACHED].objects = l.v[i].v[LEAKED].objects / 3;
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
	look.v = calloc(look.n, sizeof(*look.v));
	class_looks_add(&l, &look);
	assert_int_equal(l.n, 0);
}

/* ---- which objects stay ---- */

#define LIVES 20000
#define OLDEST_S (-120.0)

struct life {
	double born_s, end_s;
};

/* When the nth object of a kind is born and ends, s seconds being those since the attach. */
typedef struct life (*life_fn)(size_t n);

static struct life kept(size_t n) /* 80 a second */
{
	double born = OLDEST_S + (double)n / 80;

	return (struct life){ born, 1e9 };
}
static struct life nearly_all_kept(size_t n)
{
	struct life l = kept(n);

	l.end_s = n % 40 ? 1e9 : l.born_s + 15;
	return l;
}
static struct life half_kept(size_t n) /* what the others are, is not known */
{
	struct life l = kept(n);

	l.end_s = n % 2 ? 1e9 : l.born_s + 10;
	return l;
}
static struct life replaced(size_t n) /* a full cache of 2000 */
{
	double born = OLDEST_S + (double)n / 80;

	return (struct life){ born, born + 25 };
}
static struct life replaced_slowly(size_t n) /* it holds what came in 100 s */
{
	double born = OLDEST_S + (double)n / 80;

	return (struct life){ born, born + 100 };
}
static struct life comes_ever_less(size_t n) /* a cache that fills */
{
	return (struct life){ n < 6000 ? -15 * log(1 - (double)n / 6000) : 1e9, 1e9 };
}
static struct life comes_as_a_root(size_t n)
{
	double root = (double)n / 1000;

	return (struct life){ root * root - 15, 1e9 };
}
static struct life comes_until_40(size_t n)
{
	return (struct life){ n < 3200 ? (double)n / 80 : 1e9, 1e9 };
}
static struct life comes_at_once(size_t n) /* what is loaded in the midst of it */
{
	return (struct life){ n < 3000 ? 32 + (double)n / 3000 : 1e9, 1e9 };
}
static struct life served(size_t n) /* half a second each */
{
	double born = OLDEST_S + (double)n / 80;

	return (struct life){ born, born + 0.5 };
}
static struct life a_few(size_t n)
{
	return (struct life){ OLDEST_S + (double)n, 1e9 };
}

/* A look at t_s: the number of the one that saw an object first is that of the first at or after its birth. */
static void look_at_lives(struct class_looks *l, life_fn life, const double *at_s, uint32_t number)
{
	double t_s = at_s[number];
	struct class_look look = { .t_s = t_s, .of_s = at_s[number - 1], .full = number, .n = CLASSES, .number = number };
	uint32_t since[64] = { 0 }, k;
	size_t n;

	look.v = calloc(CLASSES, sizeof(*look.v));
	for (n = 0; n < LIVES; n++) {
		struct life one = life(n);

		if (one.born_s > t_s || one.end_s <= t_s)
			continue;
		for (k = 1; at_s[k] < one.born_s; k++)
			;
		since[k] += k < number;
		look.v[LEAKED].objects += k < number;
	}
	look.v[LEAKED].bytes = look.v[LEAKED].objects * OBJECT_BYTES;
	look.bytes = (double)look.v[LEAKED].bytes;
	class_looks_add(l, &look);
	if (l->n)
		class_looks_count(l, LEAKED, since);
}

static bool stays(life_fn life, double every_s, struct class_stay *s)
{
	struct class_looks l = { 0 };
	double at_s[64] = { 0 };
	uint32_t number = 1;
	double t_s;
	bool found;

	at_s[0] = -1e9;
	for (t_s = 0.1; t_s < WINDOW_S; t_s += every_s) {
		at_s[number] = t_s;
		if (number > 1 && class_looks_is_due(&l, t_s, number))
			look_at_lives(&l, life, at_s, number);
		number++;
	}
	found = class_looks_stay(&l, WINDOW_S, s);
	assert_int_equal(found, s->born > 0);
	class_looks_release(&l);
	return found;
}

static void what_came_in_the_window_and_is_kept__is_found_with_its_number_and_rate(void **state)
{
	static const double every_s[] = { 1, 1.5, 4, 8 };
	struct class_stay s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(every_s) / sizeof(every_s[0]); i++) {
		assert_true(stays(kept, every_s[i], &s));
		assert_int_equal(s.class, LEAKED);
		assert_int_equal(s.early, s.alive);
		if (s.born < 80 * 0.6 * WINDOW_S || s.born > 80 * WINDOW_S)
			fail_msg("each %.1f s: %d", every_s[i], (int)s.born);
		assert_true(s.early >= 0.3 * s.born && s.early <= 0.6 * s.born);
		assert_true(s.full >= 3);
		assert_true(s.rate > 0.95 * 80 * OBJECT_BYTES && s.rate < 1.05 * 80 * OBJECT_BYTES);
		assert_true(s.ratio > 0.9 && s.ratio < 1.1);
		assert_true(stays(nearly_all_kept, every_s[i], &s));
		assert_true(s.alive < s.early);
	}
}

static void what_is_replaced_fills_up_or_comes_once__does_not_stay(void **state)
{
	static const life_fn lives[] = { replaced,	 replaced_slowly, half_kept, comes_ever_less, comes_as_a_root,
					 comes_until_40, comes_at_once,	  served,    a_few };
	static const double every_s[] = { 1, 1.5, 4, 8, 15, 25 };
	struct class_stay s;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		for (k = 0; k < sizeof(every_s) / sizeof(every_s[0]); k++)
			if (stays(lives[i], every_s[k], &s))
				fail_msg("kind %zu each %.1f s: %d stay of %d, ratio %.2f", i, every_s[k], (int)s.born, (int)s.early,
					 s.ratio);
}

static void looks_without_numbers_or_that_end_early__do_not_tell_what_stays(void **state)
{
	double at_s[64] = { -1e9 };
	struct class_looks l = { 0 };
	struct class_stay s;
	uint32_t i;
	size_t k;

	(void)state;
	for (i = 1; i < 20; i++) {
		at_s[i] = 2 * i;
		if (i > 1)
			look_at_lives(&l, kept, at_s, i);
	}
	assert_true(class_looks_stay(&l, 40, &s));
	assert_false(class_looks_stay(&l, WINDOW_S, &s)); /* 38 s of it: it may be full since */
	for (k = 0; k < l.n; k++)
		l.v[k].number = 0;
	assert_false(class_looks_stay(&l, 40, &s));
	class_looks_release(&l);
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
		cmocka_unit_test(what_came_in_the_window_and_is_kept__is_found_with_its_number_and_rate),
		cmocka_unit_test(what_is_replaced_fills_up_or_comes_once__does_not_stay),
		cmocka_unit_test(looks_without_numbers_or_that_end_early__do_not_tell_what_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
