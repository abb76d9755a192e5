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
		cmocka_unit_test(each_group__stands_before_its_own_interpreter_frame),
		cmocka_unit_test(frames_without_an_interpreter_frame__are_left_over_outermost),
		cmocka_unit_test(a_bytecode_offset__has_the_position_of_the_last_entry_before_it),
		cmocka_unit_test(a_table_without_an_end__is_read_to_its_length_only),
		cmocka_unit_test(the_count_of_collections__is_where_mark_compact_adds_one),
	};

	return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
