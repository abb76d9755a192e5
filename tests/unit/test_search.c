/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* FIRST_ABOVE against looking at every element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/search.h"

struct span_of_test {
	char name; /* the member is not the first, and the size no power of two */
	uint64_t start, end;
	uint32_t rest[3];
};

static size_t first_above_one_by_one(const struct span_of_test *v, size_t n, uint64_t limit)
{
	size_t i = 0;

	while (i < n && v[i].end <= limit)
		i++;
	return i;
}

static void the_first_above_a_limit_is_found_among_equal_ones_too(void **state)
{
	static const struct span_of_test v[] = {
		{ .end = 0 }, { .end = 3 }, { .end = 3 }, { .end = 3 }, { .end = 4 }, { .end = 9 }, { .end = UINT64_MAX },
	};
	size_t n, limit;

	(void)state;
	for (n = 0; n <= sizeof(v) / sizeof(v[0]); n++) {
		for (limit = 0; limit < 12; limit++)
			assert_int_equal(FIRST_ABOVE(v, n, end, limit), first_above_one_by_one(v, n, limit));
		assert_int_equal(FIRST_ABOVE(v, n, end, UINT64_MAX), n);
	}
}

static void in_no_array_at_all_it_is_0(void **state)
{
	const struct span_of_test *none = NULL;

	(void)state;
	assert_int_equal(FIRST_ABOVE(none, 0, start, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_above_a_limit_is_found_among_equal_ones_too),
		cmocka_unit_test(in_no_array_at_all_it_is_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
