/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Call frame information of arm64 made by hand -> rules. Registers: x29 is 29, x30 is 30, sp is
 * 31 (DWARF for the Arm 64-bit architecture). Distribution files are compared with libdw by
 * tests/e2e/unwind_rows.c, which takes files of either machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/test_unwind_build.h"

#define AT (BUILD_TEXT + 0x1000u)
#define SP(off, field) UW_RULE(UW_KIND_SP, (off) / 8, field)
#define FP(off, field) UW_RULE(UW_KIND_FP, (off) / 8, field)
#define EXOTIC UW_SPECIAL(UW_SP_EXOTIC)
#define UNSUPPORTED UW_SPECIAL(UW_SP_UNSUPPORTED)

/* CFA = sp, as GCC's; code alignment 4. */
static const uint8_t initial[] = { 0x0c, 31, 0 };
static const struct build_cie gcc = {
	.code_align = 4, .ra_column = 30, .program = initial, .program_bytes = sizeof(initial)
};

static int make_one(struct unwind_table *t, const struct build_cie *cie, const uint8_t *program,
		    size_t n)
{
	struct build_section sec = { .name = ".eh_frame" };
	struct bytes b = { 0 }, elf;
	int err;

	put_fde(&b, cie, put_cie(&b, cie), AT, 0x2000, program, n);
	sec.data = b.p;
	sec.n = b.n;
	elf = build_elf(EM_AARCH64, &sec, 1);
	err = unwind_table_build(t, elf.p, elf.n, UNWIND_KEEP_ROWS);
	check_table(t, err);
	free(elf.p);
	free(b.p);
	return err;
}

/* stp x29, x30, [sp, -32]!; mov x29, sp; ...; ldp x29, x30, [sp], 32; ret */
static void a_usual_function__has_the_pair_after_the_push(void **state)
{
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &gcc,
				  LIST(0x41, 0x0e, 32, 0x9d, 4, 0x9e, 3, 0x41, 0x0d, 29, 0x42, 0xdd,
				       0xde, 0x0c, 31, 0)),
			 0);
	assert_int_equal(unwind_table_rule(&t, AT), SP(0, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 3), SP(0, 0)); /* inside the instruction */
	assert_int_equal(unwind_table_rule(&t, AT + 4), SP(32, 4));
	assert_int_equal(unwind_table_rule(&t, AT + 8), FP(32, 4));
	assert_int_equal(unwind_table_rule(&t, AT + 15), FP(32, 4));
	assert_int_equal(unwind_table_rule(&t, AT + 16), SP(0, 0));
	assert_int_equal(t.block_shift, 10);
	unwind_table_release(&t);
}

static void each_place_of_the_return_address__has_its_rule(void **state)
{
	static const struct {
		uint8_t program[16];
		size_t n;
		uint32_t rule;
	} v[] = {
		{ { 0x2d }, 1, SP(0, 0) }, /* paciasp: stripped at run time anyway */
		{ { 0x2c }, 1, SP(0, 0) },
		{ { 0x0e, 16, 0x9e, 2 },
		  4,
		  SP(16, UW_ARM64_LR_ALONE + 2) }, /* str x30, [sp, -16]! */
		{ { 0x0e, 16, 0x9e, 1 }, 4, SP(16, UW_ARM64_LR_ALONE + 1) },
		{ { 0x0e, 16, 0x9e, 0xff, 3 }, 5, SP(16, UW_ARM64_LR_ALONE + 511) },
		{ { 0x0e, 16, 0x9e, 0x80, 4 }, 5, EXOTIC }, /* one slot further */
		{ { 0x9d, 0xfe, 3, 0x9e, 0xfd, 3 }, 6, SP(0, 510) },
		{ { 0x9d, 0xff, 3, 0x9e, 0xfe, 3 }, 6, EXOTIC },
		{ { 0x0e, 16, 0x9d, 1, 0x9e, 2 }, 6, EXOTIC }, /* the pair the other way round */
		{ { 0x0e, 16, 0x9d, 2 }, 4, EXOTIC },          /* x29 saved, x30 not yet */
		{ { 0x07, 30 }, 2, UW_SPECIAL(UW_SP_END) },
		{ { 0x09, 30, 17 }, 3, UNSUPPORTED },     /* in another register */
		{ { 0x0c, 9, 0 }, 3, UNSUPPORTED },       /* CFA from x9 */
		{ { 0x0f, 2, 0x8f, 0 }, 4, UNSUPPORTED }, /* an expression, as with SVE */
	};
	struct unwind_table t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(make_one(&t, &gcc, v[i].program, v[i].n), 0);
		if (unwind_table_rule(&t, AT) != v[i].rule)
			fail_msg("case %zu: %06x, not %06x", i, unwind_table_rule(&t, AT),
				 v[i].rule);
		unwind_table_release(&t);
	}
}

/* sub sp, sp, 65552; stp x29, x30, [sp]: the pair lies below the locals. */
static void large_frames__are_in_the_exotic_table(void **state)
{
	struct uw_exotic want = { .fp_kind = 1, .off = 65552, .fp_off = -65552, .ra_off = -65544 };
	struct unwind_table t;

	(void)state;
	assert_int_equal(
		make_one(&t, &gcc, LIST(0x0e, 0x90, 0x80, 4, 0x9d, 0x82, 0x40, 0x9e, 0x81, 0x40)),
		0);
	assert_int_equal(unwind_table_rule(&t, AT), EXOTIC);
	assert_int_equal(t.n_exotic, 1);
	assert_memory_equal(&t.exotic[0], &want, sizeof(want));
	unwind_table_release(&t);
}

static void x30_still_unsaved_in_a_large_frame__is_exotic_too(void **state)
{
	struct uw_exotic want = { .ra_kind = 1, .off = 65552 };
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &gcc, LIST(0x0e, 0x90, 0x80, 4)), 0);
	assert_int_equal(unwind_table_rule(&t, AT), EXOTIC);
	assert_memory_equal(&t.exotic[0], &want, sizeof(want));
	unwind_table_release(&t);
}

/* The vDSO's __kernel_rt_sigreturn; B: return addresses signed with the B key. */
static void signal_frames_and_b_keys__are_read_from_the_augmentation(void **state)
{
	struct build_cie cie = gcc;
	struct unwind_table t;

	(void)state;
	cie.augmentation = "zRSB";
	cie.augmentation_data = (const uint8_t[]){ 0 };
	cie.augmentation_bytes = 1;
	assert_int_equal(make_one(&t, &cie, LIST(0x0c, 29, 0, 0x9d, 0, 0x9e, 0x7f)), 0);
	assert_int_equal(unwind_table_rule(&t, AT), UW_SPECIAL(UW_SP_SIGNAL));
	unwind_table_release(&t);
	cie.augmentation = "zRB";
	assert_int_equal(make_one(&t, &cie, LIST(0x2d)), 0);
	assert_int_equal(unwind_table_rule(&t, AT), SP(0, 0));
	unwind_table_release(&t);
}

static void blocks_of_1_kib__hold_256_instructions(void **state)
{
	struct bytes program = { 0 };
	struct unwind_table t;
	unsigned int i;

	(void)state;
	for (i = 0; i < 512; i++) /* each instruction its own row */
		put(&program, LIST(0x0e, (uint8_t)(16 * (i % 7)), 0x41));
	assert_int_equal(make_one(&t, &gcc, program.p, program.n), 0);
	free(program.p);
	for (i = 0; i < 512; i++)
		assert_int_equal(unwind_table_rule(&t, AT + 4 * i), SP(16 * (i % 7), 0));
	assert_int_equal(t.entries[1] - t.entries[0], 256);
	assert_int_equal(t.packed[5] >> 24, 5);
	unwind_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_usual_function__has_the_pair_after_the_push),
		cmocka_unit_test(each_place_of_the_return_address__has_its_rule),
		cmocka_unit_test(large_frames__are_in_the_exotic_table),
		cmocka_unit_test(x30_still_unsaved_in_a_large_frame__is_exotic_too),
		cmocka_unit_test(signal_frames_and_b_keys__are_read_from_the_augmentation),
		cmocka_unit_test(blocks_of_1_kib__hold_256_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
