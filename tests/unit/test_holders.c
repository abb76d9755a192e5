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

static enum holder_advice advice(struct holder_site s, bool has_first)
{
	const struct holders h = { .is_there = true, .has_first = has_first };

	return holder_advice_of(&h, &s);
}

static void advice_is_given_by_what_each_holder_has(void **state)
{
	const struct holder_site one_each = { .bytes = 210 * 150 * KB, .blocks = 210, .held_bytes = 210 * 150 * KB,
					      .held_blocks = 210, .holders = 200, .old_holders = 200, .half_age_ms = 41000 };
	struct holder_site s = one_each;

	(void)state;
	assert_int_equal(advice(s, true), HOLDER_UNCOLLECTED);
	assert_int_equal(advice(s, false), HOLDER_ADVICE_NONE); /* who knows whether they lived long? */
	s.half_age_ms = 10; /* busy: it will collect soon */
	assert_int_equal(advice(s, true), HOLDER_ADVICE_NONE);
	s = one_each;
	s.old_holders = 20; /* short-lived processes */
	assert_int_equal(advice(s, true), HOLDER_ADVICE_NONE);
	s = one_each;
	s.held_blocks = 4000; /* twenty each: more than a process gathers before it collects */
	s.held_bytes = 4000 * 150 * KB;
	assert_int_equal(advice(s, true), HOLDER_KEEPS);
	s = one_each;
	s.held_blocks = 400000; /* small ones are something else */
	assert_int_equal(advice(s, true), HOLDER_ADVICE_NONE);
	s = one_each;
	s.holders = s.old_holders = 1; /* one process that keeps a state */
	assert_int_equal(advice(s, true), HOLDER_ADVICE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_of_two_looks_are_joined_by_who_they_are),
		cmocka_unit_test(of_many_holders__those_with_most_have_rows),
		cmocka_unit_test(advice_is_given_by_what_each_holder_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
