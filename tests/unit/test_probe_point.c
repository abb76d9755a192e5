/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Probe points: forms of prologues, and what must stay at the entry. Bytes assembled by hand, checked with objdump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/probe_point.h"

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
	{ "glibc 2.36 free: test %rdi,%rdi; je +0x33", CODE("\x48\x85\xff\x74\x33\x55"), 1, 3, PROBE_EMULATED },
	{ "endbr64; push %rbp", CODE("\xf3\x0f\x1e\xfa\x55\x48\x89\xe5"), 1, 4, PROBE_EMULATED },
	{ "endbr64; test %rdi,%rdi; je", CODE("\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x20"), 1, 7, PROBE_EMULATED },
	{ "glibc posix_memalign: cmpb $0,x(%rip); je rel32",
	  CODE("\x80\x3d\x11\x22\x33\x00\x00\x0f\x84\x10\x00\x00\x00"), 7, 7, PROBE_EMULATED },
	{ "jmp rel32 (musl malloc)", CODE("\xe9\x00\x10\x00\x00"), 1, 0, PROBE_EMULATED },
	{ "mov x(%rip),%rax; push %rbx", CODE("\x48\x8b\x05\x11\x22\x33\x00\x53"), 1, 7, PROBE_EMULATED },
	{ "mov %rdi,%rax; push %rbx", CODE("\x48\x89\xf8\x53"), 1, 3, PROBE_EMULATED },
	{ "mov %rax,%rdi would change the argument", CODE("\x48\x89\xc7\x53"), 1, 0, PROBE_STEPPED },
	{ "mov %rax,%rsi is no matter where it is no argument", CODE("\x48\x89\xc6\x53"), 1, 3, PROBE_EMULATED },
	{ "xor %esi,%esi changes a second argument", CODE("\x31\xf6\x53"), 3, 0, PROBE_STEPPED },
	{ "sub $8,%rsp moves the stack pointer", CODE("\x48\x83\xec\x08\x53"), 1, 0, PROBE_STEPPED },
	{ "mov %rsp,%rbp loses the caller's", CODE("\x48\x89\xe5\x53"), 1, 0, PROBE_STEPPED },
	{ "a store is not skipped", CODE("\x48\x89\x3d\x11\x22\x33\x00\x53"), 1, 0, PROBE_STEPPED },
	{ "ret leaves the function", CODE("\xc3\x53"), 1, 0, PROBE_STEPPED },
	{ "cmp with memory through a pointer may fault: left alone", CODE("\x80\x3f\x00\x53"), 1, 0, PROBE_STEPPED },
};

static void each_form__gets_its_place(void **state)
{
	uint8_t code[64];
	struct probe_point pp;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(code, 0xc3, sizeof(code));
		memcpy(code, forms[i].code, forms[i].len);
		probe_point_find(&pp, code, sizeof(code), forms[i].arguments, true);
		if (pp.offset != forms[i].offset || pp.cost != forms[i].cost)
			fail_msg("%s: +%u cost %d, %s", forms[i].what, pp.offset, (int)pp.cost, pp.why);
	}
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

static void a_short_function__is_never_read_past_its_end(void **state)
{
	uint8_t code[16] = { 0x48, 0x85, 0xff, 0x74, 0x01 };
	struct probe_point pp;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(code); len++)
		probe_point_find(&pp, code, len, 1, true);
	probe_point_find(&pp, code, 4, 1, true);
	assert_int_equal(pp.offset, 0);
}

int main(void)
{
#if !defined(__x86_64__)
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form__gets_its_place),
		cmocka_unit_test(a_jump_back_behind_the_entry__keeps_the_probe_there),
		cmocka_unit_test(a_short_function__is_never_read_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
