/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The rule of the advice on workers that no longer share what they were forked with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"
#include "model/workers.h"

static struct sharing fell(uint64_t from_mib, uint64_t to_mib)
{
	return (struct sharing){ .is_there = { true, true }, .shared_bytes = { from_mib * MIB, to_mib * MIB } };
}

static void advice_follows_its_rule(void **state)
{
	static const struct {
		uint64_t from[2], to[2];
		bool advice;
	} rows[] = {
		{ { 48, 48 }, { 24, 24 }, true },
		{ { 48, 48 }, { 42, 42 }, false }, /* an eighth, no more */
		{ { 48, 48 }, { 41, 42 }, true },
		{ { 48, 48 }, { 48, 20 }, true }, /* one of two */
		{ { 12, 12 }, { 9, 9 }, false },  /* a quarter, but little */
		{ { 12, 12 }, { 8, 8 }, true },
		{ { 24, 24 }, { 48, 48 }, false },
		{ { 0, 0 }, { 0, 0 }, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sharing a = fell(rows[i].from[0], rows[i].to[0]), b = fell(rows[i].from[1], rows[i].to[1]);
		struct workers w = { 0 };

		workers_add(&w, &a);
		workers_add(&w, &b);
		if (workers_advice(&w) != rows[i].advice)
			fail_msg("row %zu", i);
	}
}

static void who_was_there_at_one_moment_only__does_not_count(void **state)
{
	struct sharing began = fell(48, 0), ended = fell(48, 0);
	struct workers w = { 0 };

	(void)state;
	began.is_there[0] = false;
	ended.is_there[1] = false;
	workers_add(&w, &began);
	workers_add(&w, &ended);
	assert_int_equal(w.n, 0);
	assert_false(workers_advice(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_follows_its_rule),
		cmocka_unit_test(who_was_there_at_one_moment_only__does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
