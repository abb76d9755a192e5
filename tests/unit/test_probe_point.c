/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Probe points: forms of prologues, and what must stay at the entry. Bytes assembled by hand,
 * checked with objdump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/probe_point.h"
#include "base/xalloc.h"
#include "bpf/memprobe.h"

struct form {
	const char *what;
	const char *code; /* padded with ret */
	size_t len;
	unsigned int arguments;
	unsigned int offset;
	enum probe_cost cost;
};

#define CODE(s) s, sizeof(s) - 1

static const struct form forms[] = {
	{ "push %r12 is emulated where it stands", CODE("\x41\x54\x55\x53"), 1, 0, PROBE_EMULATED },
	{ "glibc 2.36 free: test %rdi,%rdi; je +0x33", CODE("\x48\x85\xff\x74\x33\x55"), 1, 3,
	  PROBE_EMULATED },
	{ "endbr64; push %rbp", CODE("\xf3\x0f\x1e\xfa\x55\x48\x89\xe5"), 1, 4, PROBE_EMULATED },
	{ "endbr64; test %rdi,%rdi; je", CODE("\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x20"), 1, 7,
	  PROBE_EMULATED },
	{ "glibc posix_memalign: cmpb $0,x(%rip); je rel32",
	  CODE("\x80\x3d\x11\x22\x33\x00\x00\x0f\x84\x10\x00\x00\x00"), 7, 7, PROBE_EMULATED },
	{ "jmp rel32 (musl malloc)", CODE("\xe9\x00\x10\x00\x00"), 1, 0, PROBE_EMULATED },
	{ "mov x(%rip),%rax; push %rbx", CODE("\x48\x8b\x05\x11\x22\x33\x00\x53"), 1, 7,
	  PROBE_EMULATED },
	{ "mov %rdi,%rax; push %rbx", CODE("\x48\x89\xf8\x53"), 1, 3, PROBE_EMULATED },
	{ "mov %rax,%rdi would change the argument", CODE("\x48\x89\xc7\x53"), 1, 0,
	  PROBE_STEPPED },
	{ "mov %rax,%rsi is no matter where it is no argument", CODE("\x48\x89\xc6\x53"), 1, 3,
	  PROBE_EMULATED },
	{ "xor %esi,%esi changes a second argument", CODE("\x31\xf6\x53"), 3, 0, PROBE_STEPPED },
	{ "sub $8,%rsp moves the stack pointer", CODE("\x48\x83\xec\x08\x53"), 1, 0,
	  PROBE_STEPPED },
	{ "mov %rsp,%rbp loses the caller's", CODE("\x48\x89\xe5\x53"), 1, 0, PROBE_STEPPED },
	{ "a store is not skipped", CODE("\x48\x89\x3d\x11\x22\x33\x00\x53"), 1, 0, PROBE_STEPPED },
	{ "ret leaves the function", CODE("\xc3\x53"), 1, 0, PROBE_STEPPED },
	{ "cmpb $0,(%rdi): a fault there ends the call", CODE("\x80\x3f\x00\x53"), 1, 3,
	  PROBE_EMULATED },
	{ "jemalloc 5.3 free: nine instructions; jne rel32",
	  CODE("\x48\x89\xf8\x48\x8b\x15\x0e\x53\x0a\x00\x48\x89\xf9\x48\xc1\xe8\x1a"
	       "\x48\x81\xe1\x00\x00\x00\xc0\x25\xf0\x00\x00\x00\x64\x48\x03\x04\x25\x00\x00\x00"
	       "\x00"
	       "\x48\x01\xd0\x48\x3b\x88\xb0\x01\x00\x00\x0f\x85\x8a\x00\x00\x00"),
	  1, 48, PROBE_EMULATED },
	{ "jemalloc malloc: cmp $0x1000,%rdi; ja", CODE("\x48\x81\xff\x00\x10\x00\x00\x77\x20"), 1,
	  7, PROBE_EMULATED },
	{ "there and back", CODE("\x48\x89\xf8\x31\xff\x48\x89\xc7\x53"), 1, 8, PROBE_EMULATED },
	{ "mov %edi,%esi keeps half of it", CODE("\x89\xfe\x31\xff\x53"), 1, 0, PROBE_STEPPED },
	{ "mov %rdi,%r9: no register that is read", CODE("\x49\x89\xf9\x31\xff\x53"), 1, 0,
	  PROBE_STEPPED },
	{ "a copy that was overwritten", CODE("\x48\x89\xfe\x31\xf6\x31\xff\x53"), 1, 0,
	  PROBE_STEPPED },
	{ "lea 0(%rdi),%rsi is taken for no copy", CODE("\x48\x8d\x37\x31\xff\x53"), 1, 0,
	  PROBE_STEPPED },
	{ "nopl 0(%rax) is not emulated by every kernel", CODE("\x0f\x1f\x40\x00\x53"), 1, 4,
	  PROBE_EMULATED },
	{ "xchg %ax,%ax; jmp rel8", CODE("\x66\x90\xeb\x10"), 1, 2, PROBE_EMULATED },
	{ "lea -1(%rdi),%rax; cmova %rdx,%rax; call rel32",
	  CODE("\x48\x8d\x47\xff\x48\x0f\x47\xc2\xe8\x00\x10\x00\x00"), 1, 8, PROBE_EMULATED },
	{ "mov %edi,%ebx: the caller's rbx is needed", CODE("\x89\xfb\x53"), 1, 0, PROBE_STEPPED },
	{ "mul %rcx writes two registers", CODE("\x48\xf7\xe1\x53"), 1, 0, PROBE_STEPPED },
	{ "lock cmpxchg stores", CODE("\xf0\x48\x0f\xb1\x17\x53"), 1, 0, PROBE_STEPPED },
	{ "syscall", CODE("\x0f\x05\x53"), 1, 0, PROBE_STEPPED },
	{ "push $1 is single-stepped and moves rsp", CODE("\x6a\x01\x53"), 1, 0, PROBE_STEPPED },
	{ "jrcxz is single-stepped", CODE("\xe3\x10\x53"), 4, 0, PROBE_STEPPED },
	{ "call through a pointer", CODE("\xff\xd0\x53"), 1, 0, PROBE_STEPPED },
	{ "not code", CODE("\x06\x07\x53"), 1, 0, PROBE_COST_UNKNOWN },
	{ "not code after the first", CODE("\x48\x85\xff\x06\x53"), 1, 0, PROBE_STEPPED },
};

/* Arguments that are found elsewhere */
static const struct {
	struct form form;
	uint32_t moved;
} moves[] = {
	{ { "mimalloc malloc: the size moves to %rsi",
		  CODE("\x48\x8b\x05\x11\x22\x33\x00\x48\x89\xfe\x64\x48\x8b\x38\x77\x10"), 1, 14,
		  PROBE_EMULATED },
	  MP_MOVED(0, 1) },
	{ { "mimalloc realloc: %rsi to %rdx, %rdi to %rsi, the heap to %rdi; jmp",
		  CODE("\x48\x89\xf2\x48\x89\xfe\x64\x48\x8b\x00\x48\x89\xc7\xe9\x00\x10\x00\x00"), 3, 13,
		  PROBE_EMULATED },
	  MP_MOVED(0, 1) | MP_MOVED(1, 2) },
	{ { "mimalloc calloc: the count in %rax", CODE("\x48\x89\xf8\x64\x48\x8b\x3a\x74\x10"), 3, 7,
		  PROBE_EMULATED },
	  MP_MOVED(0, MP_ARG_IN_RESULT) },
	{ { "musl valloc: mov %rdi,%rsi; mov $0x1000,%edi; jmp",
		  CODE("\x48\x89\xfe\xbf\x00\x10\x00\x00\xe9\x00\x10\x00\x00"), 1, 8, PROBE_EMULATED },
	  MP_MOVED(0, 1) },
	{ { "two arguments change places through %rax",
		  CODE("\x48\x89\xf8\x48\x89\xf7\x48\x89\xc6\xe9\x00\x10\x00\x00"), 3, 9,
		  PROBE_EMULATED },
	  MP_MOVED(0, 1) | MP_MOVED(1, 0) },
};

static void check_form(const struct form *f, uint32_t moved)
{
	struct probe_point pp;
	uint8_t code[64];

	memset(code, 0xc3, sizeof(code));
	memcpy(code, f->code, f->len);
	probe_point_find(&pp, code, sizeof(code), f->arguments, true);
	if (pp.offset != f->offset || pp.cost != f->cost || pp.moved != moved)
		fail_msg("%s: +%u cost %d moved %x, %s", f->what, pp.offset, (int)pp.cost, pp.moved,
			 pp.why);
}

static void each_form__gets_its_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		check_form(&forms[i], 0);
}

static void an_argument_that_moved__is_found_where_it_is(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		check_form(&moves[i].form, moves[i].moved);
}

static void a_jump_back_behind_the_entry__keeps_the_probe_there(void **state)
{
	uint8_t code[64];
	struct probe_point pp;

	(void)state;
	memset(code, 0xc3, sizeof(code));
	memcpy(code, "\x48\x85\xff\x74\x20", 5);
	memcpy(code + 20, "\xeb\xed", 2); /* jmp to 3: the place itself would be hit twice */
	probe_point_find(&pp, code, sizeof(code), 1, true);
	assert_int_equal(pp.offset, 0);
	memcpy(code + 20, "\xeb\xec", 2); /* jmp to 2 */
	probe_point_find(&pp, code, sizeof(code), 1, true);
	assert_int_equal(pp.offset, 0);
	memcpy(code + 20, "\xeb\xea", 2); /* jmp to 0: a loop over the whole function */
	probe_point_find(&pp, code, sizeof(code), 1, true);
	assert_int_equal(pp.offset, 3);
}

/* What a body may hold besides jumps back. */
static const struct {
	const char *what, *code;
	size_t len;
	unsigned int offset;
} bodies[] = {
	{ "jmp *%rax", CODE("\xff\xe0"), 0 },
	{ "notrack jmp *(%rdx,%rax,8)", CODE("\x3e\xff\x24\xc2"), 0 },
	{ "jmp *x(%rip), another object's function", CODE("\xff\x25\x11\x22\x33\x00"), 3 },
	{ "call *%rax", CODE("\xff\xd0"), 3 },
	{ "a constant with the bytes of jmp to 3", CODE("\xb8\xeb\xec\x00\x00"), 3 },
	{ "an opcode that does not exist", CODE("\x06"), 0 },
	{ "an instruction that the end cuts", CODE("\xb8\x00"), 0 },
	{ "jrcxz to 3", CODE("\xe3\xed"), 0 },
	{ "je rel32 to 3", CODE("\x0f\x84\xe9\xff\xff\xff"), 0 },
	{ "je rel32 to 5, the second instruction behind it", CODE("\x0f\x84\xeb\xff\xff\xff"), 3 },
	{ "jmp rel8 to 1", CODE("\xeb\xeb"), 0 },
	{ "call rel32 to 3", CODE("\xe8\xea\xff\xff\xff"), 0 },
	{ "call rel32 to 0: recursion", CODE("\xe8\xe7\xff\xff\xff"), 3 },
	{ "lock; and a jump over it", CODE("\x74\x01\xf0\x0f\xb1\x17"), 3 },
};

/* test %rdi,%rdi; je +0x20; nops; from 20 on the body */
static void a_function_not_proven_to_pass_once__keeps_the_probe_at_its_entry(void **state)
{
	uint8_t code[64];
	struct probe_point pp;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		memset(code, 0x90, sizeof(code));
		memcpy(code, "\x48\x85\xff\x74\x20", 5);
		memcpy(code + 20, bodies[i].code, bodies[i].len);
		len = 20 + bodies[i].len;
		probe_point_find(&pp, code, len, 1, true);
		if (pp.offset != bodies[i].offset ||
		    pp.cost != (bodies[i].offset ? PROBE_EMULATED : PROBE_STEPPED))
			fail_msg("%s: +%u, %s", bodies[i].what, pp.offset, pp.why);
	}
}

static void words_that_rsp_went_down__are_counted_but_never_under_a_return_probe(void **state)
{
	uint8_t code[64];
	struct probe_point pp;

	(void)state;
	memset(code, 0x90, sizeof(code));
	memcpy(code, "\xf3\x0f\x1e\xfa\x48\x83\xec\x18\x48\x85\xff\x74\x20", 13);
	probe_point_find(&pp, code, sizeof(code), 1, false);
	assert_int_equal(pp.offset, 11);
	assert_int_equal(pp.pushes, 3);
	assert_int_equal(pp.insn_bytes, 2);
	probe_point_find(&pp, code, sizeof(code), 1, true);
	assert_int_equal(pp.offset, 0);
	assert_int_equal(pp.pushes, 0);
	assert_int_equal(pp.insn_bytes, 4);
	code[7] = 0x14; /* no whole words */
	probe_point_find(&pp, code, sizeof(code), 1, false);
	assert_int_equal(pp.offset, 0);
	code[7] = 0xf8; /* adds */
	probe_point_find(&pp, code, sizeof(code), 1, false);
	assert_int_equal(pp.offset, 0);
}

static void the_furthest_place__is_bounded(void **state)
{
	static uint8_t code[PROBE_MAX_SHIFT + 40];
	struct probe_point pp;
	unsigned int skipped;

	(void)state;
	for (skipped = 0; skipped < PROBE_MAX_SHIFT + 8; skipped += 2) {
		memset(code, 0x90, sizeof(code));
		for (unsigned int i = 0; i < skipped; i += 2)
			memcpy(code + i, "\x66\x90", 2);
		probe_point_find(&pp, code, sizeof(code), 1, true);
		assert_int_equal(pp.offset, skipped <= PROBE_MAX_SHIFT ? skipped : 0);
	}
}

static void a_short_function__is_never_read_past_its_end(void **state)
{
	uint8_t code[16] = { 0x48, 0x85, 0xff, 0x74, 0x01, 0x90, 0x90, 0x90, 0x90, 0x90 };
	struct probe_point pp;
	uint8_t *cut;
	size_t len;

	(void)state;
	for (len = 0; len < 10; len++) { /* under ASan a byte too far is an error */
		cut = xmalloc(len + 1);
		memcpy(cut + 1, code, len);
		probe_point_find(&pp, cut + 1, len, 1, true);
		assert_int_equal(pp.offset, len < 5 ? 0 : 3);
		free(cut);
	}
}

int main(void)
{
#if !defined(__x86_64__)
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form__gets_its_place),
		cmocka_unit_test(an_argument_that_moved__is_found_where_it_is),
		cmocka_unit_test(a_jump_back_behind_the_entry__keeps_the_probe_there),
		cmocka_unit_test(a_function_not_proven_to_pass_once__keeps_the_probe_at_its_entry),
		cmocka_unit_test(
			words_that_rsp_went_down__are_counted_but_never_under_a_return_probe),
		cmocka_unit_test(the_furthest_place__is_bounded),
		cmocka_unit_test(a_short_function__is_never_read_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
