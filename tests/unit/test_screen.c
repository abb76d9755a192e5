/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Lines at their width: where they are broken. Links libpure.a only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/profile.h"
#include "render/renderer.h"
#include "render/report_internal.h"

static void assert_fits(const char *text, size_t width, size_t hang, const char *expected)
{
	struct buf b = BUF_INIT;

	text_fit(&b, text, width, hang);
	assert_string_equal(b.data, expected);
	buf_release(&b);
}

static void a_long_line__goes_on_at_its_column(void **state)
{
	(void)state;
	assert_fits("trust   lost nothing of all that was there\n", 28, 8, "trust   lost nothing of all\n        that was there\n");
}

static void a_number__stays_with_its_unit(void **state)
{
	(void)state;
	assert_fits("ends at the limit of 23.54 GiB\n", 28, 2, "ends at the limit of\n  23.54 GiB\n");
	assert_fits("it grows by (12 to 34 MiB)\n", 22, 2, "it grows by (12 to\n  34 MiB)\n");
}

static void an_option__stays_with_its_value(void **state)
{
	(void)state;
	assert_fits("type memprobe census -p 4242\n", 26, 2, "type memprobe census\n  -p 4242\n");
}

static void numbers_only__are_broken_all_the_same(void **state)
{
	(void)state;
	assert_fits("12 34 56 78\n", 8, 1, "12 34 56\n 78\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_line__goes_on_at_its_column),
		cmocka_unit_test(a_number__stays_with_its_unit),
		cmocka_unit_test(an_option__stays_with_its_value),
		cmocka_unit_test(numbers_only__are_broken_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
