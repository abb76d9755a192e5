/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Holders of memory at two looks, joined by who they are and by name; and what is advised of the binaries of a place:
 * garbage that awaits a collection reads differently from parts that are kept, and neither is said of anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/holders.h"

#define WORKER 1
#define SPARE 2

static void holders_of_two_looks_are_joined_by_who_they_are(void **state)
{
	const struct holder before[] = { { .id = 90, .name = WORKER, .heap_bytes = 10 },
					 { .id = 91, .name = WORKER, .heap_bytes = 20 } };
	const struct holder now[] = { { .id = 92, .name = SPARE, .old_heap_bytes = 5 },
				      { .id = 90, .name = WORKER, .heap_bytes = 10, .binaries = 2, .binary_bytes = 40 } };
	struct holders h = { 0 };

	(void)state;
	holders_join(&h, before, 2, now, 2);
	assert_true(h.is_there && h.has_first);
	assert_int_equal(h.n_rows, 2); /* what has ended has no row */
	assert_int_equal(h.rows[0].id, 90);
	assert_int_equal(holder_row_bytes(&h.rows[0], 0), 10);
	assert_int_equal(holder_row_bytes(&h.rows[0], 1), 50);
	assert_int_equal(h.rows[1].id, 92);
	assert_int_equal(holder_row_bytes(&h.rows[1], 0), 0);
	assert_int_equal(h.n_names, 2);
	assert_int_equal(h.names[0].name, WORKER);
	assert_int_equal(h.names[0].holders[0], 2);
	assert_int_equal(h.names[0].holders[1], 1);
	assert_int_equal(h.names[0].binaries[1], 2);
	assert_int_equal(holder_row_bytes(&h.all, 0), 30);
	assert_int_equal(holder_row_bytes(&h.all, 1), 55);
	assert_int_equal(h.all.holders[1], 2);
}

static void of_many_holders__those_with_most_have_rows(void **state)
{
	struct holder now[100] = { 0 };
	struct holders h = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		now[i] = (struct holder){ .id = i, .name = WORKER, .heap_bytes = i * 37 % 101 };
	holders_join(&h, NULL, 0, now, 100);
	assert_false(h.has_first);
	assert_int_equal(h.n_rows, HOLDERS_ROWS);
	for (i = 1; i < h.n_rows; i++)
		assert_true(h.rows[i].heap_bytes[1] <= h.rows[i - 1].heap_bytes[1]);
	assert_int_equal(h.rows[0].heap_bytes[1], 100);
	assert_int_equal(h.n_names, 1);
	assert_int_equal(h.names[0].holders[1], 100);
}

#define KB 1000ULL

/* Of processes of one name, before and now; half of their binaries are so old. */
static enum holder_advice advice(uint64_t before, uint64_t now, uint64_t each, uint64_t bytes, uint64_t age_ms)
{
	struct holders h = { .is_there = true, .has_first = true, .n_names = 1, .n_sites = 1 };
	enum holder_advice a;
	uint64_t grown;

	h.names[0] = (struct holder_row){ .name = WORKER, .holders = { before, now }, .binaries = { 0, now * each },
					  .binary_bytes = { 0, now * each * bytes } };
	h.sites[0].half_age_ms = age_ms;
	a = holder_advice_of(&h, &grown);
	assert_true(!a || grown == now * each * bytes);
	h.has_first = false; /* who knows whether they lived long? */
	assert_int_equal(holder_advice_of(&h, &grown), HOLDER_ADVICE_NONE);
	return a;
}

static void advice_is_given_by_what_each_holder_has(void **state)
{
	(void)state;
	assert_int_equal(advice(200, 200, 1, 150 * KB, 41000), HOLDER_UNCOLLECTED);
	assert_int_equal(advice(200, 200, 1, 150 * KB, 10), HOLDER_ADVICE_NONE); /* busy: it will collect soon */
	assert_int_equal(advice(200, 400, 1, 150 * KB, 41000), HOLDER_ADVICE_NONE); /* there are more of them */
	assert_int_equal(advice(200, 20, 1, 150 * KB, 41000), HOLDER_ADVICE_NONE);
	assert_int_equal(advice(200, 200, 20, 150 * KB, 41000), HOLDER_KEEPS); /* more than it gathers before it collects */
	assert_int_equal(advice(200, 200, 20, 150 * KB, 10), HOLDER_KEEPS);
	assert_int_equal(advice(200, 200, 2000, 1 * KB, 41000), HOLDER_ADVICE_NONE); /* small ones are something else */
	assert_int_equal(advice(1, 1, 20, 150 * KB, 41000), HOLDER_ADVICE_NONE);     /* one process that keeps a state */
}

static void where_each_has_a_name_of_its_own__the_place_decides(void **state)
{
	struct holders h = { .is_there = true, .has_first = true, .n_sites = 1 };
	uint64_t grown;

	(void)state;
	h.sites[0] = (struct holder_site){ .bytes = 210 * 150 * KB, .blocks = 210, .held_bytes = 210 * 150 * KB, .held_blocks = 210,
					   .holders = 200, .old_holders = 200, .half_age_ms = 41000 };
	assert_int_equal(holder_advice_of(&h, &grown), HOLDER_UNCOLLECTED);
	assert_true(grown == 210 * 150 * KB);
	h.sites[0].old_holders = 20; /* short-lived processes */
	assert_int_equal(holder_advice_of(&h, &grown), HOLDER_ADVICE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_of_two_looks_are_joined_by_who_they_are),
		cmocka_unit_test(of_many_holders__those_with_most_have_rows),
		cmocka_unit_test(advice_is_given_by_what_each_holder_has),
		cmocka_unit_test(where_each_has_a_name_of_its_own__the_place_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
