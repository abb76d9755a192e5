/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Single unwinding steps against a fake stack: words at addresses, all else unreadable. Expected
 * registers follow from the rule's definition (bpf/unwind.h) and, for signal frames, from the
 * kernel's headers through the C library's <ucontext.h>.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ucontext.h>
#include <cmocka.h>

#include "bpf/unwind.h"

#define STACK 0x7ffc00001000ULL
#define WORDS 256

struct fake {
	uint64_t word[WORDS]; /* from STACK on */
	uint64_t n_readable;
	struct uw_exotic exotic[2];
	size_t n_exotic;
	size_t n_reads;
};

static int fake_read(struct fake *f, uint64_t addr, __u64 *out)
{
	uint64_t at = addr - STACK;

	f->n_reads++;
	if (at % 8 || at / 8 >= f->n_readable)
		return -1;
	*out = f->word[at / 8];
	return 0;
}

#define UW_CTX struct fake
#define UW_READ64(ctx, addr, out) fake_read(ctx, addr, out)
#define UW_EXOTIC(ctx, index) ((index) < (ctx)->n_exotic ? &(ctx)->exotic[index] : NULL)
#include "bpf/unwind_step.h"

#define AT(i) (STACK + 8 * (uint64_t)(i))
#define PC 0x555555554321ULL
#define CALLER 0x555555556789ULL

/* Each word tells its place: 0x1000 + index. */
static struct fake make_fake(void)
{
	struct fake f = { .n_readable = WORDS };
	size_t i;

	for (i = 0; i < WORDS; i++)
		f.word[i] = 0x1000 + i;
	return f;
}

static struct unwind_regs make_regs(unsigned int sp, unsigned int fp)
{
	return (struct unwind_regs){ .pc = PC, .sp = AT(sp), .fp = AT(fp) };
}

static void assert_regs(const struct unwind_regs *r, uint64_t pc, uint64_t sp, uint64_t fp)
{
	assert_int_equal(r->pc, pc);
	assert_int_equal(r->sp, sp);
	assert_int_equal(r->fp, fp);
}

static void plain_rules__find_the_caller(void **state)
{
	static const struct {
		uint32_t rule;
		unsigned int pc, sp; /* word of the return address, new sp */
		uint64_t fp;
	} v[] = {
		/* sp at word 10, fp at word 20 */
		{ UW_RULE(UW_KIND_SP, 1, 0), 10, 11, AT(20) },
		{ UW_RULE(UW_KIND_SP, 6, 0), 15, 16, AT(20) },
		{ UW_RULE(UW_KIND_SP, 6, 3), 15, 16, 0x1000 + 13 },
		{ UW_RULE(UW_KIND_SP, 6, UW_FP_UNDEFINED), 15, 16, 0 },
		{ UW_RULE_FRAME_POINTER, 21, 22, 0x1000 + 20 },
		{ UW_RULE(UW_KIND_FP, 2, 5), 21, 22, 0x1000 + 17 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 20);

		r.exact = 1;
		assert_int_equal(unwind_step_x86(&f, &r, v[i].rule), UNWIND_GO_ON);
		assert_regs(&r, 0x1000 + v[i].pc, AT(v[i].sp), v[i].fp);
		assert_int_equal(r.exact, 0);
	}
}

static void a_function_entry__has_its_return_address_at_sp(void **state)
{
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);

	(void)state;
	assert_int_equal(unwind_entry_x86(&f, &r), UNWIND_GO_ON);
	assert_regs(&r, 0x1000 + 10, AT(11), AT(20));
}

static void a_cfa_that_does_not_grow__ends_the_walk_and_changes_nothing(void **state)
{
	static const uint32_t rules[] = {
		UW_RULE(UW_KIND_SP, 0, 0), /* cfa == sp */
		UW_RULE(UW_KIND_FP, 2, 2), /* fp below sp */
		UW_SPECIAL(UW_SP_EXOTIC),  /* fp + 16, below */
	};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 8), before = r;

		f.exotic[0] = (struct uw_exotic){ .reg = 1, .off = 16, .ra_off = -8 };
		f.n_exotic = 1;
		assert_int_equal(unwind_step_x86(&f, &r, rules[i]), UNWIND_UNREADABLE);
		assert_memory_equal(&r, &before, sizeof(r));
	}
}

static void an_unreadable_stack__ends_the_walk_and_changes_nothing(void **state)
{
	static const uint32_t rules[] = {
		UW_RULE(UW_KIND_SP, 1, 0), UW_RULE_FRAME_POINTER,       UW_RULE_NONE,
		UW_SPECIAL(UW_SP_SIGNAL),  UW_SPECIAL(UW_SP_PLT11),     UW_SPECIAL(UW_SP_EXOTIC),
		UW_RULE(UW_KIND_SP, 8, 7), UW_SPECIAL(UW_SP_EXOTIC + 1)
	};
	struct unwind_regs r, before;
	struct fake f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		f = make_fake();
		f.exotic[0] = (struct uw_exotic){ .off = 32, .deref = 1 };
		f.exotic[1] = (struct uw_exotic){ .off = 32, .fp_kind = 1, .fp_off = -16 };
		f.n_exotic = 2;
		f.n_readable = 10;
		r = before = make_regs(10, 12);
		assert_int_equal(unwind_step_x86(&f, &r, rules[i]), UNWIND_UNREADABLE);
		assert_memory_equal(&r, &before, sizeof(r));
		assert_true(f.n_reads > 0);
	}
}

static void a_cyclic_chain_of_frame_pointers__ends(void **state)
{
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);
	int i, result = UNWIND_GO_ON;

	(void)state;
	f.word[20] = AT(30);
	f.word[21] = CALLER;
	f.word[30] = AT(20); /* back down */
	f.word[31] = CALLER;
	for (i = 0; i < 10 && result == UNWIND_GO_ON; i++)
		result = unwind_step_x86(&f, &r, UW_RULE_FRAME_POINTER);
	assert_int_equal(result, UNWIND_UNREADABLE);
	assert_int_equal(i, 3); /* two frames, then the step down */
	r = make_regs(10, 20);
	f.word[20] = AT(20); /* to itself, without unwind info */
	assert_int_equal(unwind_step_x86(&f, &r, UW_RULE_NONE), UNWIND_GO_ON);
	assert_int_equal(unwind_step_x86(&f, &r, UW_RULE_NONE), UNWIND_NO_INFO);
}

static void without_unwind_info__a_plausible_frame_pointer_is_followed(void **state)
{
	static const struct {
		uint64_t fp;
		int result;
	} v[] = {
		{ AT(20), UNWIND_GO_ON },
		{ AT(10), UNWIND_GO_ON },       /* at sp */
		{ AT(9), UNWIND_NO_INFO },      /* below sp */
		{ AT(20) + 4, UNWIND_NO_INFO }, /* not aligned */
		{ AT(10) + UNWIND_MAX_FP_STEP, UNWIND_NO_INFO },
		{ AT(10) + UNWIND_MAX_FP_STEP - 8, UNWIND_UNREADABLE },
		{ 0, UNWIND_NO_INFO },
		{ ~7ULL, UNWIND_NO_INFO },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 0);

		r.fp = v[i].fp;
		if (unwind_step_x86(&f, &r, UW_RULE_NONE) != v[i].result)
			fail_msg("case %zu", i);
		if (v[i].result == UNWIND_GO_ON)
			assert_regs(&r, 0x1000 + (v[i].fp - STACK) / 8 + 1, v[i].fp + 16,
				    0x1000 + (v[i].fp - STACK) / 8);
	}
}

static void the_outermost_frame__ends_the_walk_as_complete(void **state)
{
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);

	(void)state;
	assert_int_equal(unwind_step_x86(&f, &r, UW_SPECIAL(UW_SP_END)), UNWIND_END);
	assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(UW_SP_END)), UNWIND_END);
	assert_int_equal(f.n_reads, 0);
	f.word[10] = 0; /* a return address of 0 */
	assert_int_equal(unwind_step_x86(&f, &r, UW_RULE(UW_KIND_SP, 1, 0)), UNWIND_END);
}

static void a_signal_frame__gives_the_interrupted_registers_and_an_exact_pc(void **state)
{
#if defined(__x86_64__)
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);
	ucontext_t uc = { 0 };

	uc.uc_mcontext.gregs[REG_RBP] = 0x1111;
	uc.uc_mcontext.gregs[REG_RSP] = (greg_t)AT(3); /* another stack, below: allowed */
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)CALLER;
	memcpy(&f.word[10], &uc, sizeof(uc) < 1024 ? sizeof(uc) : 1024);
	(void)state;
	assert_int_equal(unwind_step_x86(&f, &r, UW_SPECIAL(UW_SP_SIGNAL)), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(3), 0x1111);
	assert_int_equal(r.exact, 1);
	assert_int_equal(unwind_step_x86(&f, &r, UW_RULE(UW_KIND_SP, 1, 0)), UNWIND_GO_ON);
	assert_int_equal(r.exact, 0); /* return addresses again */
#else
	(void)state;
	skip();
#endif
}

static void plt_entries__have_one_word_more_after_their_push(void **state)
{
	static const struct {
		uint32_t code;
		unsigned int from;
	} v[] = { { UW_SP_PLT11, 11 }, { UW_SP_PLT10, 10 }, { UW_SP_PLT9, 9 } };
	unsigned int i, at;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (at = 0; at < 16; at++) {
			struct fake f = make_fake();
			struct unwind_regs r = make_regs(10, 20);
			unsigned int more = at >= v[i].from;

			r.pc = 0x401020 + at;
			assert_int_equal(unwind_step_x86(&f, &r, UW_SPECIAL(v[i].code)),
					 UNWIND_GO_ON);
			assert_regs(&r, 0x1000 + 10 + more, AT(11 + more), AT(20));
		}
	}
}

static void exotic_rules__follow_their_fields(void **state)
{
	static const struct {
		struct uw_exotic x;
		unsigned int cfa;
		uint64_t fp;
	} v[] = {
		/* sp at word 10, fp at word 20; word 16 holds AT(40), word 12 AT(30) */
		{ { .off = 64 }, 18, AT(20) },
		{ { .off = 64, .fp_kind = 3 }, 18, 0 },
		{ { .off = 64, .fp_kind = 1, .fp_off = -24 }, 18, 0x1000 + 15 },
		{ { .reg = 1, .off = 40, .fp_kind = 1, .fp_off = 8 }, 25, 0x1000 + 26 },
		{ { .reg = 1, .deref = 1, .off = -32, .fp_kind = 2 }, 40, 0x1000 + 20 },
		{ { .reg = 1, .deref = 1, .off = -32, .fp_kind = 2, .fp_off = -8 },
		  40,
		  0x1000 + 19 },
		{ { .deref = 1, .off = 16, .add = 56 }, 37, AT(20) },
		{ { .deref = 1, .off = 16, .add = -8 }, 29, AT(20) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 20);

		f.word[16] = AT(40);
		f.word[12] = AT(30);
		f.exotic[1] = v[i].x;
		f.exotic[1].ra_off = -8;
		f.n_exotic = 2;
		if (unwind_step_x86(&f, &r, UW_SPECIAL(UW_SP_EXOTIC + 1)))
			fail_msg("case %zu", i);
		assert_regs(&r, 0x1000 + v[i].cfa - 1, AT(v[i].cfa), v[i].fp);
	}
}

static void codes_without_meaning__are_unsupported(void **state)
{
	static const uint32_t codes[] = { UW_SP_UNSUPPORTED, 6, 15, UW_SP_EXOTIC + 2, 0x3fffff };
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20), before = r;
	size_t i;

	(void)state;
	f.n_exotic = 2;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_int_equal(unwind_step_x86(&f, &r, UW_SPECIAL(codes[i])), UNWIND_UNSUPPORTED);
		assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(codes[i])),
				 UNWIND_UNSUPPORTED);
	}
	assert_memory_equal(&r, &before, sizeof(r));
}

/* ---- arm64 ---- */

#define SIGNED(pc) ((pc) | 0x00a7000000000000ULL) /* pointer authentication code */
#define LR_ALONE(k) (UW_ARM64_LR_ALONE + (k))

static void arm64_rules__find_the_caller_and_strip_its_address(void **state)
{
	static const struct {
		uint32_t rule;
		unsigned int pc, sp;
		uint64_t fp;
	} v[] = {
		/* sp at word 10, fp at word 20 */
		{ UW_RULE(UW_KIND_SP, 4, 4), 11, 14, 0x1000 + 10 },
		{ UW_RULE(UW_KIND_SP, 10, 8), 13, 20, 0x1000 + 12 },
		{ UW_RULE(UW_KIND_FP, 4, 4), 21, 24, 0x1000 + 20 },
		{ UW_RULE(UW_KIND_SP, 2, LR_ALONE(2)), 10, 12, AT(20) },
		{ UW_RULE(UW_KIND_SP, 2, LR_ALONE(1)), 11, 12, AT(20) },
		{ UW_RULE_FRAME_POINTER, 21, 22, 0x1000 + 20 },
		{ UW_RULE_NONE, 21, 22, 0x1000 + 20 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 20);

		f.word[v[i].pc] = SIGNED(CALLER + i);
		assert_int_equal(unwind_step_arm64(&f, &r, v[i].rule), UNWIND_GO_ON);
		assert_regs(&r, CALLER + i, AT(v[i].sp), v[i].fp);
	}
}

static void arm64_x30__is_used_once_and_only_by_the_innermost_frame(void **state)
{
	uint32_t leaf = UW_RULE(UW_KIND_SP, 0, 0), big_leaf = UW_RULE(UW_KIND_SP, 4, 0);
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20), before;

	(void)state;
	r.lr = SIGNED(CALLER);
	r.has_lr = 1;
	before = r;
	assert_int_equal(unwind_step_arm64(&f, &r, leaf), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(10), AT(20)); /* cfa == sp: no stack was used */
	assert_int_equal(unwind_step_arm64(&f, &r, leaf), UNWIND_UNSUPPORTED);
	assert_int_equal(unwind_step_arm64(&f, &r, big_leaf), UNWIND_UNSUPPORTED);
	assert_regs(&r, CALLER, AT(10), AT(20));
	r = before;
	assert_int_equal(unwind_step_arm64(&f, &r, big_leaf), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(14), AT(20));
	r = before;
	assert_int_equal(unwind_entry_arm64(&r), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(10), AT(20));
	assert_int_equal(r.has_lr, 0);
	assert_int_equal(f.n_reads, 0);
}

static void arm64_signal_frame__gives_x30_back(void **state)
{
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);
	/* words after the siginfo (16) and 176 bytes of ucontext (22): fault address, x0.. */
	unsigned int mcontext = 10 + 16 + 22;

	(void)state;
	f.word[mcontext + 1 + 29] = 0x2929;
	f.word[mcontext + 1 + 30] = SIGNED(CALLER);
	f.word[mcontext + 1 + 31] = AT(100);
	f.word[mcontext + 1 + 32] = PC;
	assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(UW_SP_SIGNAL)), UNWIND_GO_ON);
	assert_regs(&r, PC, AT(100), 0x2929);
	assert_int_equal(r.exact, 1);
	assert_int_equal(unwind_step_arm64(&f, &r, UW_RULE(UW_KIND_SP, 2, 0)), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(102), 0x2929);
}

static void arm64_exotic_rules__find_the_pair_below_the_locals(void **state)
{
	struct fake f = make_fake();
	struct unwind_regs r = make_regs(10, 20);

	(void)state;
	f.exotic[0] =
		(struct uw_exotic){ .fp_kind = 1, .off = 800, .fp_off = -800, .ra_off = -792 };
	f.exotic[1] = (struct uw_exotic){ .ra_kind = 1, .off = 800 };
	f.n_exotic = 2;
	f.word[11] = SIGNED(CALLER);
	assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(UW_SP_EXOTIC)), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(110), 0x1000 + 10);
	r = make_regs(10, 20);
	assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(UW_SP_EXOTIC + 1)),
			 UNWIND_UNSUPPORTED);
	r.has_lr = 1;
	r.lr = SIGNED(CALLER);
	assert_int_equal(unwind_step_arm64(&f, &r, UW_SPECIAL(UW_SP_EXOTIC + 1)), UNWIND_GO_ON);
	assert_regs(&r, CALLER, AT(110), AT(20));
}

static void arm64_frames_that_do_not_grow__end_the_walk(void **state)
{
	static const struct {
		uint32_t rule;
		int result;
	} v[] = {
		{ UW_RULE(UW_KIND_SP, 0, 4), UNWIND_UNREADABLE },
		{ UW_RULE(UW_KIND_FP, 4, 4), UNWIND_UNREADABLE }, /* fp far below sp */
		{ UW_RULE(UW_KIND_SP, 0, LR_ALONE(1)), UNWIND_UNREADABLE },
		{ UW_RULE(UW_KIND_SP, 4, UW_ARM64_LR_ALONE), UNWIND_UNSUPPORTED },
		{ UW_RULE(UW_KIND_SP, 4, UW_FP_UNDEFINED), UNWIND_UNSUPPORTED },
		{ UW_RULE_NONE, UNWIND_NO_INFO },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct fake f = make_fake();
		struct unwind_regs r = make_regs(10, 2), before = r;

		if (unwind_step_arm64(&f, &r, v[i].rule) != v[i].result)
			fail_msg("case %zu", i);
		assert_memory_equal(&r, &before, sizeof(r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_rules__find_the_caller),
		cmocka_unit_test(a_function_entry__has_its_return_address_at_sp),
		cmocka_unit_test(a_cfa_that_does_not_grow__ends_the_walk_and_changes_nothing),
		cmocka_unit_test(an_unreadable_stack__ends_the_walk_and_changes_nothing),
		cmocka_unit_test(a_cyclic_chain_of_frame_pointers__ends),
		cmocka_unit_test(without_unwind_info__a_plausible_frame_pointer_is_followed),
		cmocka_unit_test(the_outermost_frame__ends_the_walk_as_complete),
		cmocka_unit_test(a_signal_frame__gives_the_interrupted_registers_and_an_exact_pc),
		cmocka_unit_test(plt_entries__have_one_word_more_after_their_push),
		cmocka_unit_test(exotic_rules__follow_their_fields),
		cmocka_unit_test(codes_without_meaning__are_unsupported),
		cmocka_unit_test(arm64_rules__find_the_caller_and_strip_its_address),
		cmocka_unit_test(arm64_x30__is_used_once_and_only_by_the_innermost_frame),
		cmocka_unit_test(arm64_signal_frame__gives_x30_back),
		cmocka_unit_test(arm64_exotic_rules__find_the_pair_below_the_locals),
		cmocka_unit_test(arm64_frames_that_do_not_grow__end_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
