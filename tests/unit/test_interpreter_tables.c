/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The pure parts of CPython's and Ruby's readers: line tables, succinct indexes, offsets that 3.13 tells, getters of
 * thread-local words. What real interpreters hold is compared in tests/e2e/test_interpreters.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "runtime/cpython.h"
#include "runtime/ruby.h"

/* co_linetable of a function of 106 bytes of code that begins in line 1, compiled by CPython 3.11.2 */
static const uint8_t table[] = {
	0x80, 0x00, 0xf0, 0x02, 0x03, 0x09, 0x06, 0xf0, 0x00, 0x03, 0x09, 0x06, 0xe0, 0x11, 0x12, 0xf0, 0x05, 0x03,
	0x09, 0x06, 0xf1, 0x00, 0x03, 0x09, 0x06, 0xf4, 0x00, 0x03, 0x09, 0x06, 0x80, 0x41, 0xf0, 0x08, 0x00, 0x08,
	0x09, 0xf0, 0x00, 0x02, 0x05, 0x13, 0xd8, 0x10, 0x11, 0xd8, 0x10, 0x11, 0xf0, 0x03, 0x01, 0x10, 0x13, 0xf0,
	0x00, 0x01, 0x09, 0x13, 0xf0, 0x08, 0x04, 0x05, 0x0e, 0xdd, 0x08, 0x09, 0xd8, 0x0c, 0x0d, 0xf1, 0x03, 0x01,
	0x09, 0x0f, 0xf4, 0x00, 0x01, 0x09, 0x0f, 0xf0, 0x00, 0x01, 0x09, 0x0f, 0xf0, 0x00, 0x01, 0x09, 0x0f, 0xf8,
	0xe5, 0x0b, 0x14, 0xf0, 0x00, 0x01, 0x05, 0x0e, 0xf0, 0x00, 0x01, 0x05, 0x0e, 0xf0, 0x00, 0x01, 0x05, 0x0e,
	0xd8, 0x08, 0x0d, 0xf0, 0x03, 0x01, 0x05, 0x0e, 0xf8, 0xf8, 0xf8, 0xe0, 0x0b, 0x0c, 0x88, 0x31,
};

/* Its co_lines(): where each begins; 0: no line */
static const struct {
	int from, line;
} lines[] = {
	{ 0, 1 },   { 2, 2 },	{ 6, 4 },   { 8, 2 },	{ 26, 6 },  { 30, 7 },	{ 32, 8 },  { 34, 7 },	{ 38, 11 }, { 40, 12 },
	{ 52, 13 }, { 54, 12 }, { 72, 0 },  { 74, 14 }, { 92, 15 }, { 94, 14 }, { 96, 0 },  { 102, 16 },
};

static void each_instruction__has_the_line_that_the_compiler_tells(void **state)
{
	size_t i = 0;
	int at;

	(void)state;
	for (at = 0; at < 106; at += 2) {
		if (i + 1 < sizeof(lines) / sizeof(lines[0]) && at >= lines[i + 1].from)
			i++;
		assert_int_equal(cpython_line(table, sizeof(table), 1, at), lines[i].line);
	}
	assert_int_equal(cpython_line(table, sizeof(table), 1, 106), -1);
	assert_int_equal(cpython_line(table, sizeof(table), 1, -2), 1); /* not begun yet */
}

static void a_line_table__tells_how_much_code_it_is_about(void **state)
{
	(void)state;
	assert_int_equal(cpython_line_table_covers(table, sizeof(table)), 106);
	assert_int_equal(cpython_line_table_covers(table, sizeof(table) - 1), -1);
	assert_int_equal(cpython_line_table_covers(table + 1, sizeof(table) - 1), -1);
}

/* Of blocks of 64 bytes, of which 200 were handed out once and 180 are. */
static void a_pool__is_known_by_its_head_and_by_each_part_of_it(void **state)
{
	const uint64_t at = 0x7f0000004000;
	/* count; free block; next and previous pool; arena, size class; offsets of the next block and of the last */
	const uint64_t h[6] = { 180,         at + 48 + 5 * 64, at + 0x8000,
				at - 0x4000, 3ULL << 32 | 7,   (uint64_t)(16384 - 64) << 32 | (48 + 200 * 64) };
	uint64_t seed = 1;
	int i, n = 0;

	(void)state;
	assert_true(cpython_is_pool(h, at));
	assert_false(cpython_is_pool(h, at + 0x4000)); /* its free block lies elsewhere */
	for (i = 0; i < 5; i++) {
		static const struct {
			int word;
			uint64_t bits;
		} wrong[] = { { 0, 1 << 10 }, { 1, 4 }, { 2, 1 }, { 4, 1ULL << 36 }, { 5, 32 } };
		uint64_t other[6];

		memcpy(other, h, sizeof(other));
		other[wrong[i].word] ^= wrong[i].bits;
		assert_false(cpython_is_pool(other, at));
	}
	for (i = 0; i < 1000000; i++) {
		uint64_t w[6];
		int k;

		for (k = 0; k < 6; k++)
			w[k] = hash_u64(seed++);
		n += cpython_is_pool(w, at);
	}
	assert_int_equal(n, 0);
}

static void a_damaged_line_table__gives_a_line_or_an_error_and_reads_nothing_beyond(void **state)
{
	size_t i, cut;
	uint8_t *copy;

	(void)state;
	srand(1);
	for (i = 0; i < 20000; i++) {
		cut = (size_t)rand() % sizeof(table) + 1;
		copy = malloc(cut); /* of that size, so that a sanitizer sees a read beyond */
		assert_non_null(copy);
		memcpy(copy, table, cut);
		copy[(size_t)rand() % cut] = (uint8_t)rand();
		assert_true(cpython_line(copy, cut, 1, rand() % 200) >= -1);
		assert_true(cpython_line_table_covers(copy, cut) >= -1);
		free(copy);
	}
}

/* ---- Ruby ---- */

#define POSITIONS 3000

struct index {
	uint64_t words[6 + 10 * (POSITIONS / 512 + 1)];
};

/* As succ_index_table is described: 6 words of nine 7-bit counters, blocks {rank, small ranks, 8 words}. */
static void index_build(struct index *x, const uint8_t *set)
{
	uint64_t total = 0, i;

	memset(x, 0, sizeof(*x));
	for (i = 0; i < 54; i++) {
		total += set[i];
		x->words[i / 9] |= total << i % 9 * 7;
	}
	for (; i < POSITIONS; i++) {
		uint64_t *block = &x->words[6 + (i - 54) / 512 * 10], bit = (i - 54) % 512, in_block;

		if (!bit)
			block[0] = total;
		total += set[i];
		block[2 + bit / 64] |= (uint64_t)set[i] << bit % 64;
		in_block = total - block[0];
		if (bit % 64 == 63 && bit / 64 < 7)
			block[1] |= in_block << bit / 64 * 9;
	}
}

static bool read_index(void *ctx, uint64_t offset, void *out, size_t len)
{
	struct index *x = ctx;

	if (offset + len > sizeof(x->words))
		return false;
	memcpy(out, (char *)x->words + offset, len);
	return true;
}

static void the_rank_of_a_position__is_the_number_of_entries_up_to_it(void **state)
{
	uint8_t set[POSITIONS];
	uint32_t i, count = 0;
	struct index x;

	(void)state;
	srand(2);
	for (i = 0; i < POSITIONS; i++)
		set[i] = i == 0 || rand() % 3 == 0;
	index_build(&x, set);
	for (i = 0; i < POSITIONS; i++) {
		count += set[i];
		assert_int_equal(ruby_rank(read_index, &x, i), count);
	}
	assert_int_equal(ruby_rank(read_index, &x, POSITIONS + 1024), 0); /* beyond: unreadable */
}

/* As gcc writes `return ruby_current_vm_ptr->objspace->profile.count`. */
static void a_function_that_loads_a_word__tells_where_it_is(void **state)
{
	static const uint8_t mov[] = { 0x48, 0x8b, 0x05, 0x10, 0, 0, 0, 0x48, 0x8b, 0x80, 0x18, 5, 0, 0 };
	static const uint8_t lea[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0xff, 0x48, 0x8b, 0x00, 0xc3 };
	static const uint8_t address[] = { 0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0xc3, 0x90, 0x90 }; /* the word's own address */
	static const uint8_t other[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x8b, 0x05, 0, 0, 0, 0 };
	size_t i;

	(void)state;
	assert_int_equal(ruby_loaded_word(mov, sizeof(mov), 0x1000), 0x1000 + 7 + 0x10);
	assert_int_equal(ruby_loaded_word(lea, sizeof(lea), 0x1000), 0x1000 + 4 + 7 - 0x10);
	assert_int_equal(ruby_loaded_word(address, sizeof(address), 0x1000), 0);
	assert_int_equal(ruby_loaded_word(other, sizeof(other), 0x1000), 0);
	for (i = 0; i < 10; i++)
		assert_int_equal(ruby_loaded_word(mov, i, 0x1000), 0);
}

static void put_jump(uint8_t *code, size_t at, uint8_t op, uint32_t vaddr, uint32_t to)
{
	uint32_t distance = to - (vaddr + (uint32_t)at + 5);

	code[at] = op;
	memcpy(code + at + 1, &distance, sizeof(distance));
}

static void the_function_that_two_others_call__is_found_where_it_is_the_only_one(void **state)
{
	static const uint64_t starts[] = { 0x1000, 0x1100, 0x3000, 0x4000, 0x6000 };
	uint8_t a[40] = { 0 }, b[40] = { 0 };
	const struct ruby_code x = { a, sizeof(a), 0x1000 }, y = { b, sizeof(b), 0x1100 };

	(void)state;
	put_jump(a, 3, 0xe8, 0x1000, 0x2000);
	put_jump(b, 30, 0xe8, 0x1100, 0x2000); /* both, but no function begins there */
	put_jump(a, 10, 0xe8, 0x1000, 0x3000); /* the first alone */
	put_jump(b, 8, 0xe8, 0x1100, 0x6000);  /* the second alone */
	put_jump(a, 35, 0xe9, 0x1000, 0x4000);
	assert_int_equal(ruby_common_callee(&x, &y, starts, 5), 0);
	put_jump(b, 20, 0xe8, 0x1100, 0x4000);
	assert_int_equal(ruby_common_callee(&x, &y, starts, 5), 0x4000);
	put_jump(a, 20, 0xe8, 0x1000, 0x4000); /* twice is once */
	assert_int_equal(ruby_common_callee(&x, &y, starts, 5), 0x4000);
	put_jump(b, 14, 0xe8, 0x1100, 0x3000); /* two of them */
	assert_int_equal(ruby_common_callee(&x, &y, starts, 5), 0);
}

static void a_layout__is_of_its_version_alone(void **state)
{
	(void)state;
	assert_int_equal(ruby_layout_find("3.1.2")->frame_bytes, 64);
	assert_int_equal(ruby_layout_find("3.3.8")->frame_bytes, 56);
	assert_null(ruby_layout_find("3.2.8"));
	assert_null(ruby_layout_find("3.30.1"));
	assert_null(ruby_layout_find("(unknown)"));
}

/* ---- layouts ---- */

static void put(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

/* struct _Py_DebugOffsets of CPython 3.13.0, as a debugger shows it */
static void fill(uint8_t *t)
{
	static const struct {
		uint32_t at, value;
	} v[] = { { 40, 632 },	{ 64, 7264 }, { 72, 7344 }, { 80, 7400 }, { 168, 8 },	{ 184, 72 },  { 192, 152 }, { 232, 8 },
		  { 240, 0 },	{ 248, 56 },  { 264, 70 },  { 280, 112 }, { 296, 128 }, { 304, 136 }, { 312, 68 },  { 560, 40 } };
	size_t i;

	memset(t, 0, CPYTHON_TABLE_BYTES);
	memcpy(t, "xdebugpy", 8);
	put(t + 8, 0x030d00f0);
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		put(t + v[i].at, v[i].value);
}

static void what_cpython_3_13_tells_of_itself__becomes_the_layout(void **state)
{
	uint8_t t[CPYTHON_TABLE_BYTES];
	struct cpython_layout l;

	(void)state;
	fill(t);
	assert_true(cpython_layout_parse(&l, t, sizeof(t)));
	assert_int_equal(l.runtime_interpreters, 632);
	assert_int_equal(l.interp_generations, 7424);
	assert_int_equal(l.thread_frame, 72);
	assert_int_equal(l.frame_instr, 56);
	assert_int_equal(l.frame_mark, 70);
	assert_int_equal(l.code_firstlineno, 68);
	assert_int_equal(l.unicode_data, 56);
	assert_int_equal(l.cframe_frame, 0);
}

static void another_version_or_a_build_without_the_lock__is_not_understood(void **state)
{
	uint8_t t[CPYTHON_TABLE_BYTES];
	struct cpython_layout l;

	(void)state;
	fill(t);
	put(t + 8, 0x030e00f0);
	assert_false(cpython_layout_parse(&l, t, sizeof(t)));
	fill(t);
	put(t + 16, 1);
	assert_false(cpython_layout_parse(&l, t, sizeof(t)));
	fill(t);
	put(t + 248, 80); /* outside of what the probe copies */
	assert_false(cpython_layout_parse(&l, t, sizeof(t)));
	fill(t);
	t[0] = 'y';
	assert_false(cpython_layout_parse(&l, t, sizeof(t)));
	assert_false(cpython_layout_parse(&l, t, sizeof(t) - 1));
}

/* ---- getters ---- */

static bool decode(const char *code, size_t len, struct thread_local_place *p, uint64_t *slot)
{
	return thread_local_decode((const uint8_t *)code, len, 0x1000, p, slot);
}

#define DECODE(code) decode(code, sizeof(code) - 1, &p, &slot)

static void a_getter__tells_where_its_word_lies(void **state)
{
	struct thread_local_place p;
	uint64_t slot;

	(void)state;
	/* mov 0x10(%rip),%rax; ret */
	assert_true(DECODE("\x48\x8b\x05\x10\x00\x00\x00\xc3"));
	assert_int_equal(p.how, MP_TLS_ADDRESS);
	assert_int_equal(p.at, 0x1017);
	assert_int_equal(slot, 0);
	/* mov 0x10(%rip),%rax; mov 0x240(%rax),%rax; ret */
	assert_true(DECODE("\x48\x8b\x05\x10\x00\x00\x00\x48\x8b\x80\x40\x02\x00\x00\xc3"));
	assert_int_equal(p.at, 0x240);
	assert_int_equal(slot, 0x1017);
	/* endbr64; mov %fs:-8,%rax; ret */
	assert_true(DECODE("\xf3\x0f\x1e\xfa\x64\x48\x8b\x04\x25\xf8\xff\xff\xff\xc3"));
	assert_int_equal(p.how, MP_TLS_STATIC);
	assert_int_equal(p.at, (uint64_t)-8);
	/* sub $8,%rsp; data16 lea 0x20(%rip),%rdi; data16 data16 rex.W call; mov (%rax),%rax */
	assert_true(DECODE("\x48\x83\xec\x08\x66\x48\x8d\x3d\x20\x00\x00\x00\x66\x66\x48\xe8\x00\x00\x00\x00\x48\x8b\x00"));
	assert_int_equal(p.how, MP_TLS_DYNAMIC);
	assert_int_equal(slot, 0x102c);
}

static void code_that_does_more__is_not_taken_for_a_getter(void **state)
{
	static const char getter[] = "\x48\x83\xec\x08\x66\x48\x8d\x3d\x20\x00\x00\x00\x66\x66\x48\xe8\x00\x00\x00\x00\x48\x8b\x00";
	struct thread_local_place p;
	uint64_t slot;
	size_t len;

	(void)state;
	assert_false(DECODE("\x48\x8b\x05\x10\x00\x00\x00\x48\x89\xc7\xc3"));
	assert_false(DECODE("\x55\x48\x89\xe5\xc3"));
	for (len = 0; len < sizeof(getter) - 1; len++)
		assert_false(decode(getter, len, &p, &slot));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_instruction__has_the_line_that_the_compiler_tells),
		cmocka_unit_test(a_pool__is_known_by_its_head_and_by_each_part_of_it),
		cmocka_unit_test(a_line_table__tells_how_much_code_it_is_about),
		cmocka_unit_test(a_damaged_line_table__gives_a_line_or_an_error_and_reads_nothing_beyond),
		cmocka_unit_test(the_rank_of_a_position__is_the_number_of_entries_up_to_it),
		cmocka_unit_test(a_function_that_loads_a_word__tells_where_it_is),
		cmocka_unit_test(the_function_that_two_others_call__is_found_where_it_is_the_only_one),
		cmocka_unit_test(a_layout__is_of_its_version_alone),
		cmocka_unit_test(what_cpython_3_13_tells_of_itself__becomes_the_layout),
		cmocka_unit_test(another_version_or_a_build_without_the_lock__is_not_understood),
		cmocka_unit_test(a_getter__tells_where_its_word_lies),
		cmocka_unit_test(code_that_does_more__is_not_taken_for_a_getter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
