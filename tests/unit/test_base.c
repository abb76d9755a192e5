/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Units, buffers, tables: edges, and a table against a plain model. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/table.h"
#include "base/units.h"

static void sizes_and_times__are_read_as_documented(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t size;
	} v[] = {
		{ "0", 0, 0 },		{ "4096", 0, 4096 },	  { "1k", 0, 1024 },
		{ "1.5G", 0, 1610612736 }, { "2MiB", 0, 2 << 20 },  { "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 }, { "16777216T", -ERANGE, 0 },
		{ "", -EINVAL, 0 },	{ "-1", -EINVAL, 0 },	  { "1x", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },	{ "1 k", -EINVAL, 0 },	  { ".5k", -EINVAL, 0 },
	};
	uint64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(units_parse_size(v[i].text, &n), v[i].err);
		if (!v[i].err)
			assert_int_equal(n, v[i].size);
	}
	assert_int_equal(units_parse_duration("90", &n), 0);
	assert_int_equal(n, 90 * NS_PER_S);
	assert_int_equal(units_parse_duration("1.5ms", &n), 0);
	assert_int_equal(n, 1500 * NS_PER_US);
	assert_int_equal(units_parse_duration("8h", &n), 0);
	assert_int_equal(n, 28800 * NS_PER_S);
	assert_int_equal(units_parse_duration("5K", &n), -EINVAL);
}

static void amounts__are_printed_short(void **state)
{
	char s[32];

	(void)state;
	assert_string_equal(units_format_size(s, 1023), "1023 B");
	assert_string_equal(units_format_size(s, 1024), "1.0 KiB");
	assert_string_equal(units_format_size(s, 1048575), "1.0 MiB");
	assert_string_equal(units_format_size(s, 8 * GIB), "8.00 GiB");
	assert_string_equal(units_format_size(s, UINT64_MAX), "16.00 EiB");
	assert_string_equal(units_format_count(s, 21816), "21 816");
	assert_string_equal(units_format_count(s, 999), "999");
	assert_string_equal(units_format_count(s, 1000000), "1 000 000");
	assert_string_equal(units_format_duration(s, 400 * NS_PER_MS), "0.4 s");
	assert_string_equal(units_format_duration(s, 3900 * NS_PER_S), "1 h 05 min");
}

static void foreign_text__cannot_drive_the_terminal(void **state)
{
	static const char in[] = "a\x1b[2J\r\n\x7f\t\xc3\xa9 \xff \xc0\xaf \xed\xa0\x80 \xc2\x9b\xf0\x9f\x98\x80";
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_printable(&b, in, sizeof(in) - 1);
	assert_string_equal(b.data, "a?[2J???\t\xc3\xa9 ? ?? ??? ??\xf0\x9f\x98\x80");
	buf_release(&b);
}

static void a_table__holds_what_a_plain_array_holds(void **state)
{
	static uint64_t model[512]; /* value + 1, 0: absent */
	struct table t = TABLE_INIT;
	uint64_t x = 42, *v;
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < 200000; i++) {
		uint64_t key;

		x = hash_u64(x + 1);
		key = x % 512;
		if (x >> 60 & 1) {
			assert_int_equal(table_remove(&t, key), model[key] != 0);
			model[key] = 0;
		} else {
			*table_put(&t, key, 0) = i;
			model[key] = i + 1;
		}
	}
	for (i = 0; i < 512; i++) {
		v = table_get(&t, i);
		assert_int_equal(v ? *v + 1 : 0, model[i]);
		n += v != NULL;
	}
	assert_int_equal(t.n, n);
	table_release(&t);
}

static void interned_strings__keep_their_ids_and_places(void **state)
{
	struct intern in = INTERN_INIT;
	const char *first;
	char name[16];
	uint32_t i;

	(void)state;
	assert_int_equal(intern_id(&in, "first"), 0);
	first = intern_str(&in, 0);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(intern_id(&in, name), i + 1);
	}
	assert_int_equal(intern_id(&in, "s4999"), 5000);
	assert_ptr_equal(intern_str(&in, 0), first);
	assert_null(intern_str(&in, 5001));
	intern_release(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_times__are_read_as_documented),
		cmocka_unit_test(amounts__are_printed_short),
		cmocka_unit_test(foreign_text__cannot_drive_the_terminal),
		cmocka_unit_test(a_table__holds_what_a_plain_array_holds),
		cmocka_unit_test(interned_strings__keep_their_ids_and_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
