/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ghosts by worked examples, and by a heap that is played through: places that are taken in turn, of which only those
 * in bursts are seen.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/ghosts.h"

static void without_met_blocks__all_that_is_unmet_stays(void **state)
{
	struct ghosts_stack v[] = { { 1000, 0, 0, 1000 }, { 500, 0, 0, 20 } };

	(void)state;
	assert_true(ghosts_ratio(v, 2, 0.1) == 0);
	assert_true(ghosts_stay(&v[0], 0) == 1000);
}

static void one_that_sees_everything__has_no_ghosts(void **state)
{
	struct ghosts_stack v[] = { { 1000, 900, 0, 100 } };

	(void)state;
	assert_true(ghosts_ratio(v, 1, 1) == 0);
	assert_true(ghosts_ratio(v, 1, 0) == 0);
	assert_true(ghosts_ratio(NULL, 0, 0.5) == 0);
}

static void the_example_of_the_header__holds(void **state)
{
	struct ghosts_stack v[] = { { 100000, 78000, 0, 3700 }, { 1000, 0, 0, 1000 } };
	double ratio = ghosts_ratio(v, 2, 0.18);

	(void)state;
	assert_true(ratio > 0.044 && ratio < 0.048);
	assert_true(ghosts_stay(&v[0], ratio) < 0.002 * 100000);
	assert_true(ghosts_stay(&v[1], ratio) == 1000);
}

static void sites_of_the_same_size__show_how_few_ghosts_a_busy_one_has(void **state)
{
	/* the first two sites show that blocks are met again: the third one's unmet blocks have stayed */
	struct ghosts_stack v[] = { { 100000, 80000, 0, 8 }, { 50000, 40000, 0, 10 }, { 100000, 70000, 0, 10000 } };

	(void)state;
	assert_true(ghosts_stay(&v[2], ghosts_ratio(v, 3, 0.05)) > 9900);
}

/* Of one that was busy early and one that was late: neither stays, though one shows twice the ghosts of the other. */
static void busy_sites_that_differ_by_twice__do_not_stand_above_a_leak(void **state)
{
	struct ghosts_stack v[] = { { 1000000, 900000, 0, 45000 }, { 1000000, 850000, 0, 76000 }, { 20000, 0, 0, 20000 } };
	double ratio = ghosts_ratio(v, 3, 1.0 / 30);

	(void)state;
	assert_true(ghosts_stay(&v[0], ratio) + ghosts_stay(&v[1], ratio) < 2000);
	assert_true(ghosts_stay(&v[2], ratio) == 20000);
}

/* Three of four are found by looks before anything else lies there: a quarter of the ghosts. */
static void what_looks_find__leaves_fewer_ghosts(void **state)
{
	struct ghosts_stack met[] = { { 100000, 92000, 0, 7000 }, { 1000, 0, 0, 1000 } };
	struct ghosts_stack seen[] = { { 100000, 92000, 69000, 7000 }, { 1000, 0, 0, 1000 } };
	double all = ghosts_ratio(met, 2, 1.0 / 30), part = ghosts_ratio(seen, 2, 1.0 / 30);

	(void)state;
	assert_true(ghosts_stay(&met[0], all) < 0.002 * 100000);
	assert_true(ghosts_stay(&seen[0], part) < 0.01 * 100000 && part < all);
	/* an odd of 29 / 4, of which what stays is part */
	assert_true(fabs(part - (ghosts_stay(&seen[0], part) + 1000) / 101000 * 29 / 4) < 0.001);
}

#define PLACES 20000
#define BIRTHS 1000000
enum { BUSY, LEAK, N_SITES };

struct place {
	int site; /* of the last block that was seen here, if it was born early; else -1 */
	int is_taken;  /* for good */
};

/*
 * Blocks take free places by chance, one after the other; of site BUSY they pass, of site LEAK (1 %) they stay. Each is
 * seen with the chance `seen`; those of the first half are looked at. Returns the part of the estimate that BUSY has.
 */
static double play(double seen, struct ghosts_stack *v, double *ratio)
{
	static struct place p[PLACES];
	long i, at;

	memset(v, 0, N_SITES * sizeof(*v));
	for (i = 0; i < PLACES; i++)
		p[i] = (struct place){ -1, 0 };
	for (i = 0; i < BIRTHS; i++) {
		int site = i % 100 ? BUSY : LEAK;

		do
			at = random() % PLACES;
		while (p[at].is_taken);
		p[at].is_taken = site == LEAK;
		if ((double)random() >= seen * 2147483648.0)
			continue;
		if (p[at].site >= 0)
			v[p[at].site].met++;
		v[site].born += i < BIRTHS / 2;
		p[at].site = i < BIRTHS / 2 ? site : -1;
	}
	for (i = 0; i < PLACES; i++)
		if (p[i].site >= 0)
			v[p[i].site].unmet++;
	*ratio = ghosts_ratio(v, N_SITES, seen);
	return ghosts_stay(&v[BUSY], *ratio) / (ghosts_stay(&v[BUSY], *ratio) + ghosts_stay(&v[LEAK], *ratio));
}

static void a_heap_played_through__has_its_leak_on_top(void **state)
{
	struct ghosts_stack v[N_SITES];
	double ratio;

	(void)state;
	srandom(1);
	/* as it stands in the table, the busy site holds more */
	assert_true(play(0.05, v, &ratio) < 0.5);
	assert_true(v[BUSY].unmet > 10 * v[LEAK].unmet);
	assert_true(play(0.18, v, &ratio) < 0.2);
	assert_true(v[BUSY].unmet > 3 * v[LEAK].unmet);
	assert_true(ghosts_stay(&v[LEAK], ratio) == v[LEAK].born);
}

static void claims_beyond_the_heap__are_of_those_that_had_blocks_end(void **state)
{
	struct ghosts_claim v[] = { { 130000, 6300000, 0 }, { 60000, 2000, 0 } };

	(void)state;
	assert_true(ghosts_beyond(v, 2, 100000) < 1);
	assert_int_equal((int)(v[0].ghosts + 0.5), 99968);
	assert_int_equal((int)(v[1].ghosts + 0.5), 32);
	assert_true(ghosts_beyond(v, 2, 0) == 0);
	assert_true(v[0].ghosts == 0 && v[1].ghosts == 0);
}

/* A full cache makes others of that size: its blocks took the place of older ones, and hardly one of them ended. */
static void what_no_one_is_likely_to_have_missed__is_left(void **state)
{
	struct ghosts_claim busy[] = { { 1000, 100000, 0 }, { 60000, 2000, 0 } },
			    keepers[] = { { 500, 10, 0 }, { 700, 0, 0 } };

	(void)state;
	assert_int_equal((int)(ghosts_beyond(busy, 2, 50000) + 0.5), 50000 - 1000 - 200);
	assert_int_equal((int)(busy[0].ghosts + 0.5), 1000);
	assert_int_equal((int)(busy[1].ghosts + 0.5), 200);
	assert_int_equal((int)(ghosts_beyond(keepers, 2, 600) + 0.5), 599);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_met_blocks__all_that_is_unmet_stays),
		cmocka_unit_test(one_that_sees_everything__has_no_ghosts),
		cmocka_unit_test(the_example_of_the_header__holds),
		cmocka_unit_test(sites_of_the_same_size__show_how_few_ghosts_a_busy_one_has),
		cmocka_unit_test(busy_sites_that_differ_by_twice__do_not_stand_above_a_leak),
		cmocka_unit_test(what_looks_find__leaves_fewer_ghosts),
		cmocka_unit_test(a_heap_played_through__has_its_leak_on_top),
		cmocka_unit_test(claims_beyond_the_heap__are_of_those_that_had_blocks_end),
		cmocka_unit_test(what_no_one_is_likely_to_have_missed__is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
