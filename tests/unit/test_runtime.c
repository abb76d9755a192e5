/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What managed runtimes share, and the parts of theirs that are pure: merging of frames, V8's position tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/runtime.h"
#include "runtime/v8_heap.h"
#include "runtime/v8_inlined.h"
#include "runtime/v8_pages.h"

#define INNER(c) { .code = (c) }
#define LAST(c) { .code = (c), .at = MP_RT_ENTRY }

static void each_group__stands_before_its_own_interpreter_frame(void **state)
{
	/* malloc new_string eval yield eval main */
	static const bool eval[] = { false, false, true, false, true, false };
	static const struct mp_rt_frame v[] = { INNER(1), LAST(2), LAST(3) };
	uint32_t before[7];
	const uint32_t want[7] = { 0, 0, 2, 0, 1, 0, 0 };

	(void)state;
	runtime_merge(eval, 6, v, 3, before);
	assert_memory_equal(before, want, sizeof(want));
}

static void frames_without_an_interpreter_frame__are_left_over_outermost(void **state)
{
	static const bool eval[] = { false, true };
	static const struct mp_rt_frame v[] = { LAST(1), INNER(2), LAST(3) };
	uint32_t before[3];
	const uint32_t want[3] = { 0, 1, 2 }, none[3] = { 0 };

	(void)state;
	runtime_merge(eval, 2, v, 3, before);
	assert_memory_equal(before, want, sizeof(want));
	runtime_merge(eval, 2, v, 0, before);
	assert_memory_equal(before, none, sizeof(none));
}

/* Written by hand after V8's encoder: zigzag, seven bits a byte; positions are kept as (position + 1) * 2. */
static void a_bytecode_offset__has_the_position_of_the_last_entry_before_it(void **state)
{
	static const uint8_t table[] = {
		0,    44,	     /* offset 0 (statement), position 10: raw 22, zigzag 44 */
		0x05, 0xd0, 0x01, /* offset +2 (expression: -1 - 2, zigzag 5), raw +104: position 62 */
		20,   0x9f, 0x01, /* offset +10 (statement), raw -80: position 22 */
	};

	(void)state;
	assert_int_equal(v8_position(table, sizeof(table), 0), 10);
	assert_int_equal(v8_position(table, sizeof(table), 1), 10);
	assert_int_equal(v8_position(table, sizeof(table), 2), 62);
	assert_int_equal(v8_position(table, sizeof(table), 11), 62);
	assert_int_equal(v8_position(table, sizeof(table), 12), 22);
	assert_int_equal(v8_position(table, sizeof(table), 1000), 22);
	assert_int_equal(v8_position(table, 1, 5), -1); /* cut */
	assert_int_equal(v8_position(table, 0, 5), -1);
}

static void a_table_without_an_end__is_read_to_its_length_only(void **state)
{
	static const uint8_t table[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };

	(void)state;
	assert_int_equal(v8_position(table, sizeof(table), 5), -1);
}

/* Zigzag, seven bits a byte. */
static size_t put_int(uint8_t *at, int64_t d)
{
	uint64_t v = (uint64_t)d << 1 ^ (uint64_t)(d >> 63);
	size_t n = 0;

	for (; v >> 7; v >>= 7)
		at[n++] = (uint8_t)(v | 0x80);
	at[n++] = (uint8_t)v;
	return n;
}

static void a_place_in_compiled_code__has_its_position_and_what_it_was_inlined_as(void **state)
{
	static const struct {
		int64_t code, position, inlined;
	} rows[] = { { 16, 100, -1 }, { 40, 7, 0 }, { 64, 9, 3 }, { 80, 120, -1 } };
	struct v8_place place;
	int64_t raw = 0, code = 0;
	uint8_t table[128];
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < 4; i++) {
		int64_t next = (rows[i].position + 1) << 1 | (rows[i].inlined + 1) << 31;

		n += put_int(&table[n], rows[i].code - code);
		n += put_int(&table[n], next - raw);
		code = rows[i].code;
		raw = next;
	}
	assert_false(v8_place_in(table, n, 15, &place));
	for (i = 0; i < 4; i++) {
		assert_true(v8_place_in(table, n, (uint32_t)rows[i].code + 3, &place));
		assert_int_equal(place.position, rows[i].position);
		assert_int_equal(place.inlined, rows[i].inlined);
		assert_int_equal(place.offset, rows[i].code);
	}
	assert_false(v8_place_in(table, 1, 100, &place)); /* cut */
}

static void the_count_of_collections__is_where_mark_compact_adds_one(void **state)
{
	/* addl $1, 0x240(%r12); addq $1, 0x220(%r12); as g++ 12 wrote them in node 20.20.2 */
	static const uint8_t code[] = { 0x90, 0x41, 0x83, 0x84, 0x24, 0x40, 0x02, 0x00, 0x00, 0x01,
					0x49, 0x83, 0x84, 0x24, 0x20, 0x02, 0x00, 0x00, 0x01, 0xc3 };
	/* addl $1, 0x310(%rbx) */
	static const uint8_t other[] = { 0x83, 0x83, 0x10, 0x03, 0x00, 0x00, 0x01, 0xc3 };
	uint8_t both[sizeof(code) + sizeof(other)];

	(void)state;
	assert_int_equal(v8_count_offset_in(code, sizeof(code)), 0x240);
	assert_int_equal(v8_count_offset_in(other, sizeof(other)), 0x310);
	assert_int_equal(v8_count_offset_in(code, 8), 0);
	memcpy(both, code, sizeof(code));
	memcpy(both + sizeof(code), other, sizeof(other));
	assert_int_equal(v8_count_offset_in(both, sizeof(both)), 0); /* not certain */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_in_compiled_code__has_its_position_and_what_it_was_inlined_as),
		cmocka_unit_test(each_group__stands_before_its_own_interpreter_frame),
		cmocka_unit_test(frames_without_an_interpreter_frame__are_left_over_outermost),
		cmocka_unit_test(a_bytecode_offset__has_the_position_of_the_last_entry_before_it),
		cmocka_unit_test(a_table_without_an_end__is_read_to_its_length_only),
		cmocka_unit_test(the_count_of_collections__is_where_mark_compact_adds_one),
	};

	return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
