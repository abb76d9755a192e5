/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The detection limit against series made here: a leak a little above it is found in most of a hundred runs, one far
 * below in few, by the very code that makes the verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "base/table.h"
#include "model/blind.h"
#include "model/verdict.h"

#define RUNS 100
#define MIB 1048576.0

static double uniform(uint64_t *seed)
{
	return (double)(hash_u64((*seed)++) >> 11) / 9007199254740992.0;
}

/* Memory of a program that swings by `noise` and leaks `rate`, looked at ten times a second. */
static void make(struct series *s, double window_s, double rate, double noise, uint64_t seed)
{
	double t, level = 0;

	*s = (struct series){ 0 };
	for (t = 0; t < window_s; t += 0.1) {
		if (uniform(&seed) < 0.1) /* it stays there for a second: the floor has noise too */
			level = noise * (uniform(&seed) + uniform(&seed) - 1);
		series_add(s, t, 100 * MIB + level + rate * t);
	}
}

static double mean_limit(double window_s, double noise)
{
	double sum = 0;
	uint64_t run;

	for (run = 0; run < RUNS; run++) {
		struct series s;
		struct blind b;

		make(&s, window_s, 0, noise, 1000003 * run);
		blind_of(&s, window_s, 0, &b);
		sum += b.memory_rate / RUNS;
		series_release(&s);
	}
	return sum;
}

static int n_found(double window_s, double rate, double noise)
{
	uint64_t run;
	int n = 0;

	for (run = 0; run < RUNS; run++) {
		struct series s;
		struct growth g;

		make(&s, window_s, rate, noise, 7919 * run + 77);
		growth_of(&s, window_s, &g);
		n += g.word == TREND_GROWING;
		series_release(&s);
	}
	return n;
}

static void a_leak_above_the_limit_is_found__one_far_below_is_not(void **state)
{
	static const struct {
		double window_s, noise;
	} v[] = { { 30, 2 * MIB }, { 60, 2 * MIB }, { 60, 20 * MIB }, { 300, 5 * MIB } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		double limit = mean_limit(v[i].window_s, v[i].noise);
		int above = n_found(v[i].window_s, 2 * limit, v[i].noise);
		int below = n_found(v[i].window_s, limit / 4, v[i].noise);

		if (above < 75 || below > 25)
			fail_msg("%g s, noise %g: limit %g B/s: found %d of 100 at twice, %d at a fourth of it", v[i].window_s,
				 v[i].noise, limit, above, below);
	}
}

static void a_longer_window_sees_slower_leaks(void **state)
{
	(void)state;
	assert_true(mean_limit(300, 2 * MIB) < mean_limit(30, 2 * MIB) / 4);
	assert_true(blind_longer(30) == 300);
	assert_true(blind_longer(12) == 120);
	assert_true(blind_longer(90000) == 86400);
}

static void without_noise__the_limit_is_the_verdicts_own(void **state)
{
	struct series s;
	struct blind b;

	(void)state;
	make(&s, 30, 0, 0, 1);
	blind_of(&s, 30, 0, &b);
	assert_true(b.memory_rate == 4096);
	assert_true(b.site_rate == 4096);
	blind_of(&s, 600, 0, &b);
	assert_true(fabs(b.site_rate - 409.6) < 1e-6);
	series_release(&s);
}

static void sampling_raises_the_limit_of_a_site(void **state)
{
	struct series none = { 0 };
	struct blind b;

	(void)state;
	blind_of(&none, 30, 65536, &b);
	assert_true(fabs(b.site_rate - 9 * 65536 / 30.0) < 1e-6);
	assert_true(b.memory_rate == 0);
	blind_of(&none, 0, 65536, &b);
	assert_true(b.site_rate == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_above_the_limit_is_found__one_far_below_is_not),
		cmocka_unit_test(a_longer_window_sees_slower_leaks),
		cmocka_unit_test(without_noise__the_limit_is_the_verdicts_own),
		cmocka_unit_test(sampling_raises_the_limit_of_a_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
