/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Blocks that ended since a younger one lies on them: worked examples, and random heaps against the definition,
 * every pair compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/overlap.h"

#define BLOCK(a, s, b) { .addr = (a), .size_bytes = (s), .gen = 1, .birth_ms = (b) }

static bool ended(const struct overlap_block *v, size_t n, uint64_t addr)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i].addr == addr)
			return v[i].has_ended;
	fail();
	return false;
}

static void a_block_that_a_younger_one_lies_on__has_ended(void **state)
{
	struct overlap_block v[] = { BLOCK(0x1200, 700, 800), BLOCK(0x2000, 100, 10), BLOCK(0x1000, 900, 10) };

	(void)state;
	assert_int_equal(overlap_find(v, 3), 1);
	assert_true(ended(v, 3, 0x1000));
	assert_false(ended(v, 3, 0x1200));
	assert_false(ended(v, 3, 0x2000));
}

static void a_large_younger_block__ends_all_that_begin_in_it(void **state)
{
	struct overlap_block v[] = { BLOCK(0x1010, 16, 5), BLOCK(0x1000, 4096, 6), BLOCK(0x1ff0, 16, 5),
				     BLOCK(0x2000, 16, 5) };

	(void)state;
	assert_int_equal(overlap_find(v, 4), 2);
	assert_false(ended(v, 4, 0x1000));
	assert_false(ended(v, 4, 0x2000));
}

static void neighbours_and_blocks_of_one_moment__tell_nothing(void **state)
{
	struct overlap_block v[] = { BLOCK(0x1000, 16, 1), BLOCK(0x1010, 16, 2), BLOCK(0x1008, 4, 1) };

	(void)state;
	assert_int_equal(overlap_find(v, 3), 0);
}

static void another_address_space__tells_nothing(void **state)
{
	struct overlap_block v[] = { BLOCK(0x1000, 64, 1), BLOCK(0x1010, 64, 2) };

	(void)state;
	v[1].gen = 2;
	assert_int_equal(overlap_find(v, 2), 0);
}

static void no_blocks_at_all__is_no_error(void **state)
{
	struct overlap_block one[] = { BLOCK(0x1000, 64, 1) };

	(void)state;
	assert_int_equal(overlap_find(one, 0), 0);
	assert_int_equal(overlap_find(one, 1), 0);
}

/* By the definition, pair by pair. */
static bool has_ended(const struct overlap_block *v, size_t n, size_t i)
{
	size_t j;

	for (j = 0; j < n; j++)
		if (v[j].gen == v[i].gen && v[j].birth_ms > v[i].birth_ms &&
		    v[j].addr < v[i].addr + v[i].size_bytes && v[i].addr < v[j].addr + v[j].size_bytes)
			return true;
	return false;
}

static void random_heaps__agree_with_the_comparison_of_all_pairs(void **state)
{
	struct overlap_block v[200];
	size_t round, n, i;

	(void)state;
	srandom(1);
	for (round = 0; round < 400; round++) {
		n = 1 + (size_t)random() % 200;
		memset(v, 0, sizeof(v));
		for (i = 0; i < n; i++)
			v[i] = (struct overlap_block){
				.addr = (uint64_t)(i * 200 + 1 + (size_t)random() % 199) % (1 + round * 100),
				.size_bytes = 1 + (uint64_t)random() % (random() % 8 ? 64 : 4096),
				.gen = 1 + (uint32_t)random() % 2,
				.birth_ms = (uint32_t)random() % 50,
			};
		overlap_find(v, n);
		for (i = 0; i < n; i++)
			assert_int_equal(v[i].has_ended, has_ended(v, n, i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_that_a_younger_one_lies_on__has_ended),
		cmocka_unit_test(a_large_younger_block__ends_all_that_begin_in_it),
		cmocka_unit_test(neighbours_and_blocks_of_one_moment__tell_nothing),
		cmocka_unit_test(another_address_space__tells_nothing),
		cmocka_unit_test(no_blocks_at_all__is_no_error),
		cmocka_unit_test(random_heaps__agree_with_the_comparison_of_all_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
