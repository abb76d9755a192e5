/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Call frame information made by hand -> rules, x86-64. Expected rules follow from DWARF 5,
 * section 6.4, and the Linux Standard Base; real files are compared with libdw in
 * tests/e2e/unwind_rows.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/test_unwind_build.h"

#define AT (BUILD_TEXT + 0x1000u)
#define SP(off, fp) UW_RULE(UW_KIND_SP, (off) / 8, fp)
#define FP(off, fp) UW_RULE(UW_KIND_FP, (off) / 8, fp)
#define UNSUPPORTED UW_SPECIAL(UW_SP_UNSUPPORTED)

static const struct build_cie plain = { 0 };

/* Table of the records in b, which are freed. */
static int make(struct unwind_table *t, struct bytes *b, bool is_debug_frame)
{
	struct build_section sec = { is_debug_frame ? ".debug_frame" : ".eh_frame", b->p, b->n, 0 };
	struct bytes elf = build_elf(EM_X86_64, &sec, 1);
	int err = unwind_table_build(t, elf.p, elf.n, UNWIND_KEEP_ROWS);

	check_table(t, err);
	free(elf.p);
	free(b->p);
	*b = (struct bytes){ 0 };
	return err;
}

/* Table of one FDE [AT, AT + len) with a CIE and a program. */
static int make_one(struct unwind_table *t, const struct build_cie *cie, uint64_t len,
		    const uint8_t *program, size_t n)
{
	struct bytes b = { 0 };

	put_fde(&b, cie, put_cie(&b, cie), AT, len, program, n);
	return make(t, &b, cie->is_debug_frame);
}

/* Rule at AT of a function with this program. */
static uint32_t rule_of(const uint8_t *program, size_t n)
{
	struct unwind_table t;
	uint32_t rule;

	assert_int_equal(make_one(&t, &plain, 16, program, n), 0);
	assert_int_equal(t.stats.n_bad_fde, 0);
	rule = unwind_table_rule(&t, AT);
	unwind_table_release(&t);
	return rule;
}

static void push_rbp_mov_rsp_rbp__gives_three_rows_and_the_frame_pointer_rule(void **state)
{
	struct unwind_table t;

	(void)state;
	/* advance 1, cfa offset 16, rbp at cfa-16; advance 3, cfa register rbp; advance 16, cfa
	 * rsp+8 */
	assert_int_equal(make_one(&t, &plain, 32,
				  LIST(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x50, 0x0c, 7, 8)),
			 0);
	assert_int_equal(unwind_table_rule(&t, AT - 1), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT), SP(8, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 1), SP(16, 2));
	assert_int_equal(unwind_table_rule(&t, AT + 3), SP(16, 2));
	assert_int_equal(unwind_table_rule(&t, AT + 4), UW_RULE_FRAME_POINTER);
	assert_int_equal(unwind_table_rule(&t, AT + 19), UW_RULE_FRAME_POINTER);
	assert_int_equal(unwind_table_rule(&t, AT + 20), SP(8, 2));
	assert_int_equal(unwind_table_rule(&t, AT + 31), SP(8, 2));
	assert_int_equal(unwind_table_rule(&t, AT + 32), UW_RULE_NONE);
	assert_int_equal(t.stats.n_fde, 1);
	unwind_table_release(&t);
}

static void each_form_of_advance__moves_the_row(void **state)
{
	static const struct {
		uint8_t program[12];
		size_t n;
		uint64_t at;
	} v[] = {
		{ { 0x45, 0x0e, 16 }, 3, 5 },
		{ { 0x02, 200, 0x0e, 16 }, 4, 200 },
		{ { 0x03, 0x34, 0x12, 0x0e, 16 }, 5, 0x1234 },
		{ { 0x04, 0x00, 0x20, 0x01, 0x00, 0x0e, 16 }, 7, 0x12000 },
		/* set_loc, absolute */
		{ { 0x01, 0x00, 0x20, 0x10, 0, 0, 0, 0, 0, 0x0e, 16 }, 11, 0x1000 },
	};
	struct unwind_table t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(make_one(&t, &plain, 0x20000, v[i].program, v[i].n), 0);
		assert_int_equal(unwind_table_rule(&t, AT + v[i].at - 1), SP(8, 0));
		assert_int_equal(unwind_table_rule(&t, AT + v[i].at), SP(16, 0));
		unwind_table_release(&t);
	}
}

static void code_alignment__scales_advances(void **state)
{
	struct build_cie cie = { .code_align = 4 };
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &cie, 64, LIST(0x43, 0x0e, 16)), 0);
	assert_int_equal(unwind_table_rule(&t, AT + 11), SP(8, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 12), SP(16, 0));
	unwind_table_release(&t);
}

static void each_way_to_say_a_rule__gives_it(void **state)
{
	static const struct {
		uint8_t program[24];
		size_t n;
		uint32_t rule;
	} v[] = {
		{ { 0x00 }, 1, SP(8, 0) },
		{ { 0x0c, 6, 16, 0x86, 2 }, 5, FP(16, 2) },
		{ { 0x12, 7, 0x7c }, 3, SP(32, 0) },                /* def_cfa_sf -4 * -8 */
		{ { 0x13, 0x7d }, 2, SP(24, 0) },                   /* def_cfa_offset_sf */
		{ { 0x05, 6, 3 }, 3, SP(8, 3) },                    /* offset_extended */
		{ { 0x11, 6, 3 }, 3, SP(8, 3) },                    /* offset_extended_sf */
		{ { 0x2f, 6, 0x7d }, 3, UW_SPECIAL(UW_SP_EXOTIC) }, /* above the CFA */
		{ { 0x86, 2, 0xc6 }, 3, SP(8, 0) },                 /* restore */
		{ { 0x86, 2, 0x06, 6 }, 4, SP(8, 0) },              /* restore_extended */
		{ { 0x86, 2, 0x08, 6 }, 4, SP(8, 0) },              /* same_value */
		{ { 0x07, 6 }, 2, SP(8, UW_FP_UNDEFINED) },
		{ { 0x09, 6, 3 }, 3, SP(8, UW_FP_UNDEFINED) }, /* in another register */
		{ { 0x14, 6, 1 }, 3, SP(8, UW_FP_UNDEFINED) }, /* val_offset */
		{ { 0x15, 6, 1 }, 3, SP(8, UW_FP_UNDEFINED) },
		{ { 0x16, 6, 2, 0x76, 0 }, 5, SP(8, UW_FP_UNDEFINED) }, /* val_expression */
		{ { 0x2e, 0x90, 1, 0x0e, 24 }, 5, SP(24, 0) },          /* GNU_args_size */
		{ { 0x83, 2, 0x8c, 3, 0x0e, 24 }, 6, SP(24, 0) },       /* rbx, r12: not tracked */
		{ { 0x0e, 0xf8, 0xff, 1 }, 4, SP(32760, 0) }, /* the largest plain offset */
		{ { 0x0e, 0x80, 0x80, 2 }, 4, UW_SPECIAL(UW_SP_EXOTIC) },
		{ { 0x0e, 12 }, 2, UW_SPECIAL(UW_SP_EXOTIC) }, /* no multiple of 8 */
		{ { 0x86, 0xfe, 7 }, 3, SP(8, 1022) },
		{ { 0x86, 0xff, 7 }, 3, UW_SPECIAL(UW_SP_EXOTIC) },
		{ { 0x07, 16 }, 2, UW_SPECIAL(UW_SP_END) },
		{ { 0x90, 2 }, 2, UNSUPPORTED }, /* return address elsewhere */
		{ { 0x08, 16 }, 2, UNSUPPORTED },
		{ { 0x0c, 10, 0 }, 3, UNSUPPORTED }, /* CFA from r10 */
		{ { 0x0d, 0 }, 2, UNSUPPORTED },     /* CFA from rax */
		/* def_cfa_register ends an expression, as in libgcrypt */
		{ { 0x0f, 2, 0x70, 8, 0x0d, 7, 0x0e, 24 }, 8, SP(24, 0) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		uint32_t got = rule_of(v[i].program, v[i].n);

		if (got != v[i].rule)
			fail_msg("case %zu: %06x, not %06x", i, got, v[i].rule);
	}
}

static void remembered_states__nest_and_bring_the_cfa_back(void **state)
{
	struct unwind_table t;

	(void)state;
	/* 16; remember; +1: 24; remember; +1: 32; restore; +1 (24); restore; +1 (16) */
	assert_int_equal(make_one(&t, &plain, 16,
				  LIST(0x0e, 16, 0x0a, 0x41, 0x0e, 24, 0x0a, 0x41, 0x0e, 32, 0x41,
				       0x0b, 0x41, 0x0b)),
			 0);
	assert_int_equal(unwind_table_rule(&t, AT), SP(16, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 1), SP(24, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 2), SP(32, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 3), SP(24, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 4), SP(16, 0));
	unwind_table_release(&t);
}

static void lazy_binding_plt__is_recognised_in_its_three_forms(void **state)
{
	uint8_t program[] = {
		0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22
	};

	(void)state;
	assert_int_equal(rule_of(program, sizeof(program)), UW_SPECIAL(UW_SP_PLT11));
	program[8] = 0x3a;
	assert_int_equal(rule_of(program, sizeof(program)), UW_SPECIAL(UW_SP_PLT10));
	program[8] = 0x39;
	assert_int_equal(rule_of(program, sizeof(program)), UW_SPECIAL(UW_SP_PLT9));
	program[8] = 0x35;
	assert_int_equal(rule_of(program, sizeof(program)), UNSUPPORTED);
	program[3] = 16; /* another offset is another rule */
	assert_int_equal(rule_of(program, sizeof(program)), UNSUPPORTED);
}

/* lea 8(%rsp),%r10; and $-32,%rsp; push -8(%r10); push %rbp; mov %rsp,%rbp; push %r10 */
static void realigned_functions__use_the_exotic_table(void **state)
{
	struct unwind_table t;
	struct uw_exotic x;

	(void)state;
	/* rbp at [rbp + 0]; CFA = *(rbp - 8); then an address with an addend */
	assert_int_equal(
		make_one(&t, &plain, 16,
			 LIST(0x10, 6, 2, 0x76, 0, 0x0f, 3, 0x76, 0x78, 0x06, 0x41, 0x0f, 6, 0x77,
			      0xb8, 1, 0x06, 0x23, 56, 0x41, 0x0f, 3, 0x76, 0x78, 0x06)),
		0);
	assert_int_equal(unwind_table_rule(&t, AT), UW_SPECIAL(UW_SP_EXOTIC));
	assert_int_equal(unwind_table_rule(&t, AT + 1), UW_SPECIAL(UW_SP_EXOTIC + 1));
	assert_int_equal(unwind_table_rule(&t, AT + 2), UW_SPECIAL(UW_SP_EXOTIC));
	assert_int_equal(t.n_exotic, 2); /* the third is the first again */
	x = (struct uw_exotic){ .reg = 1, .deref = 1, .fp_kind = 2, .off = -8, .ra_off = -8 };
	assert_memory_equal(&t.exotic[0], &x, sizeof(x));
	x = (struct uw_exotic){ .deref = 1, .fp_kind = 2, .off = 184, .add = 56, .ra_off = -8 };
	assert_memory_equal(&t.exotic[1], &x, sizeof(x));
	unwind_table_release(&t);
}

static void more_exotic_rules_than_the_cap__are_unsupported_not_wrong(void **state)
{
	struct bytes program = { 0 };
	struct unwind_table t;
	uint32_t i;

	(void)state;
	for (i = 0; i < UW_MAX_EXOTIC + 100; i++) { /* CFA = rsp + 32768 + 8 * i */
		uint32_t off = 32768 + 8 * i;

		put(&program, LIST(0x0e, (uint8_t)(off | 0x80), (uint8_t)(off >> 7 | 0x80),
				   (uint8_t)(off >> 14), 0x41));
	}
	assert_int_equal(make_one(&t, &plain, 0x8000, program.p, program.n), 0);
	free(program.p);
	assert_int_equal(t.n_exotic, UW_MAX_EXOTIC);
	assert_int_equal(t.exotic[UW_MAX_EXOTIC - 1].off, 32768 + 8 * (UW_MAX_EXOTIC - 1));
	assert_int_equal(unwind_table_rule(&t, AT + 77), UW_SPECIAL(UW_SP_EXOTIC + 77));
	assert_int_equal(unwind_table_rule(&t, AT + UW_MAX_EXOTIC), UNSUPPORTED);
	unwind_table_release(&t);
}

/* Augmentation S, with the kernel's frame: CFA *(rsp+160), rip at rsp+168, rbp at rsp+120. */
static void signal_frames__have_the_kernels_shape_or_are_unsupported(void **state)
{
	struct build_cie cie = { .augmentation = "zRS",
				 .augmentation_data = (uint8_t[]){ 0 },
				 .augmentation_bytes = 1 };
	uint8_t program[] = { 0x0f, 4,    0x77, 0xa0, 1, 0x06, 0x10, 16,   3,
			      0x77, 0xa8, 1,    0x10, 6, 3,    0x77, 0xf8, 0 };
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &cie, 16, program, sizeof(program)), 0);
	assert_int_equal(unwind_table_rule(&t, AT), UW_SPECIAL(UW_SP_SIGNAL));
	unwind_table_release(&t);
	program[10] = 0xb0;
	assert_int_equal(make_one(&t, &cie, 16, program, sizeof(program)), 0);
	assert_int_equal(unwind_table_rule(&t, AT), UNSUPPORTED);
	unwind_table_release(&t);
}

static void functions_without_cfi__have_no_info_and_their_neighbours_keep_theirs(void **state)
{
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t cie = put_cie(&b, &plain);

	(void)state;
	/* in the order of a linker: the cold part of the second function last */
	put_fde(&b, &plain, cie, AT + 0x200, 0x40, LIST(0x0e, 32));
	put_fde(&b, &plain, cie, AT, 0x100, LIST(0x0e, 16));
	put_fde(&b, &plain, cie, AT + 0x1000, 5, LIST(0x0e, 48)); /* .cold: begins in mid-frame */
	assert_int_equal(make(&t, &b, false), 0);
	assert_int_equal(unwind_table_rule(&t, AT + 0xff), SP(16, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x100), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT + 0x1ff), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT + 0x200), SP(32, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x240), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT + 0x1004), SP(48, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x1005), UW_RULE_NONE);
	assert_int_equal(t.n_rows, 6); /* three begins, three ends */
	unwind_table_release(&t);
}

static void adjacent_functions_with_one_rule__share_a_row(void **state)
{
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t cie = put_cie(&b, &plain);

	(void)state;
	put_fde(&b, &plain, cie, AT, 0x10, LIST(0));
	put_fde(&b, &plain, cie, AT + 0x10, 0x10, LIST(0));
	assert_int_equal(make(&t, &b, false), 0);
	assert_int_equal(t.n_rows, 2); /* at AT, a block's begin, and the end */
	assert_int_equal(unwind_table_rule(&t, AT + 0x1f), SP(8, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x20), UW_RULE_NONE);
	unwind_table_release(&t);
}

static void blocks_inside_one_rule__share_its_row(void **state)
{
	struct unwind_table t;
	uint64_t i;

	(void)state;
	/* 16 blocks; advance 0x810, cfa offset 16 */
	assert_int_equal(make_one(&t, &plain, 0x1000, LIST(0x03, 0x10, 0x08, 0x0e, 16)), 0);
	for (i = 0; i < 0x1000; i++)
		assert_int_equal(unwind_table_rule(&t, AT + i), SP(i < 0x810 ? 8 : 16, 0));
	assert_int_equal(t.n_blocks, 16);
	/* blocks 0 to 7, both rules in block 8, blocks 9 to 15 */
	assert_int_equal(t.n_packed, 1 + 2 + 1);
	unwind_table_release(&t);
}

#define GROUP_BYTES (UW_GROUP_BLOCKS << UW_BLOCK_SHIFT_X86)

static void groups_inside_one_rule__cost_a_word_each(void **state)
{
	const uint32_t before = 5 * GROUP_BYTES + 0x310, size = 11 * GROUP_BYTES + 0x120;
	struct unwind_table t;
	uint64_t i;

	(void)state;
	/* advance4 `before`, cfa offset 16 */
	assert_int_equal(make_one(&t, &plain, size,
				  LIST(0x04, before & 0xff, before >> 8 & 0xff, before >> 16, 0, 0x0e, 16)), 0);
	for (i = 0; i < size; i++)
		assert_int_equal(unwind_table_rule(&t, AT + i), SP(i < before ? 8 : 16, 0));
	assert_int_equal(unwind_table_rule(&t, AT + size), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT + 12 * GROUP_BYTES), UW_RULE_NONE);
	/* all of one row but group 5, where the rule changes, and the last, where the function ends */
	assert_int_equal(t.n_groups, 12);
	for (i = 0; i < 12; i++)
		assert_int_equal((t.groups[i] & UW_GROUP_ONE_ROW) != 0, i != 5 && i != 11);
	assert_int_equal(t.n_entries, UW_GROUP_BLOCKS + 1 + 2 + 1);
	unwind_table_release(&t);
}

static void overlapping_fdes__the_one_that_starts_last_holds(void **state)
{
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t cie = put_cie(&b, &plain);

	(void)state;
	put_fde(&b, &plain, cie, AT, 0x100, LIST(0x0e, 16, 0x02, 0x30, 0x0e, 24));
	put_fde(&b, &plain, cie, AT + 0x20, 0x10, LIST(0x0e, 64));
	put_fde(&b, &plain, cie, AT, 0x100, LIST(0x0e, 96)); /* the same address: the first holds */
	assert_int_equal(make(&t, &b, false), 0);
	assert_int_equal(unwind_table_rule(&t, AT + 0x1f), SP(16, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x20), SP(64, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 0x30), UW_RULE_NONE);
	unwind_table_release(&t);
}

static void rows_past_the_fdes_end__are_cut(void **state)
{
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &plain, 8, LIST(0x44, 0x0e, 16, 0x50, 0x0e, 24)), 0);
	assert_int_equal(unwind_table_rule(&t, AT + 7), SP(16, 0));
	assert_int_equal(unwind_table_rule(&t, AT + 8), UW_RULE_NONE);
	assert_int_equal(t.n_rows, 3);
	unwind_table_release(&t);
}

static void an_advance_over_the_end_of_the_address_space__ends_the_function(void **state)
{
	struct build_cie cie = { .code_align = 0ULL - 0x800 };
	struct unwind_table t;

	(void)state;
	assert_int_equal(make_one(&t, &cie, 16, LIST(0x0e, 16, 0x41, 0x0e, 24)), 0);
	assert_int_equal(unwind_table_rule(&t, AT - 0x800), UW_RULE_NONE);
	assert_int_equal(unwind_table_rule(&t, AT + 15), SP(16, 0));
	assert_int_equal(t.n_rows, 2);
	unwind_table_release(&t);
}

static void an_expression_of_absurd_length__spoils_its_function(void **state)
{
	struct bytes program = { 0 };
	struct unwind_table t;
	int i;

	(void)state;
	put(&program, LIST(0x0f));
	put_uleb(&program, 5000);
	for (i = 0; i < 5000; i++)
		put_uint(&program, 0x96, 1); /* nop */
	assert_int_equal(make_one(&t, &plain, 16, program.p, program.n), 0);
	free(program.p);
	assert_int_equal(t.stats.n_bad_fde, 1);
	assert_int_equal(unwind_table_rule(&t, AT), UW_RULE_NONE);
	unwind_table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_rbp_mov_rsp_rbp__gives_three_rows_and_the_frame_pointer_rule),
		cmocka_unit_test(each_form_of_advance__moves_the_row),
		cmocka_unit_test(code_alignment__scales_advances),
		cmocka_unit_test(each_way_to_say_a_rule__gives_it),
		cmocka_unit_test(remembered_states__nest_and_bring_the_cfa_back),
		cmocka_unit_test(lazy_binding_plt__is_recognised_in_its_three_forms),
		cmocka_unit_test(realigned_functions__use_the_exotic_table),
		cmocka_unit_test(more_exotic_rules_than_the_cap__are_unsupported_not_wrong),
		cmocka_unit_test(signal_frames__have_the_kernels_shape_or_are_unsupported),
		cmocka_unit_test(
			functions_without_cfi__have_no_info_and_their_neighbours_keep_theirs),
		cmocka_unit_test(adjacent_functions_with_one_rule__share_a_row),
		cmocka_unit_test(blocks_inside_one_rule__share_its_row),
		cmocka_unit_test(groups_inside_one_rule__cost_a_word_each),
		cmocka_unit_test(overlapping_fdes__the_one_that_starts_last_holds),
		cmocka_unit_test(rows_past_the_fdes_end__are_cut),
		cmocka_unit_test(an_advance_over_the_end_of_the_address_space__ends_the_function),
		cmocka_unit_test(an_expression_of_absurd_length__spoils_its_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
