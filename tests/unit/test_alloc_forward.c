/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Functions that always call another one, and functions that only seem to. Bytes assembled by hand;
 * the code lies at 0x1000, the targets at 0x2000 and 0x3000.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/forward.h"
#include "base/xalloc.h"

#define AT 0x1000

static const uint64_t targets[] = { 0x2000, 0x3000 };

#define CODE(s) s, sizeof(s) - 1

static const struct {
	const char *what, *code;
	size_t len;
	bool forwards;
} functions[] = {
	{ "jmp 2000", CODE("\xe9\xfb\x0f\x00\x00"), true },
	{ "endbr64; jmp 3000", CODE("\xf3\x0f\x1e\xfa\xe9\xf7\x1f\x00\x00"), true },
	{ "jmp 2001", CODE("\xe9\xfc\x0f\x00\x00"), false },
	{ "ret", CODE("\xc3"), false },
	{ "push; call 2000; pop; ret", CODE("\x53\xe8\xfa\x0f\x00\x00\x5b\xc3"), true },
	{ "call another; call 2000; ret", CODE("\xe8\x00\x00\x01\x00\xe8\xf6\x0f\x00\x00\xc3"), true },
	{ "call another; ret", CODE("\xe8\x00\x00\x01\x00\xc3"), false },
	{ "call *%rax; jmp 2000", CODE("\xff\xd0\xe9\xf9\x0f\x00\x00"), true },
	{ "je over the call", CODE("\x74\x05\xe8\xf9\x0f\x00\x00\xc3"), false },
	{ "je to a second call", CODE("\x74\x05\xe9\xf9\x0f\x00\x00\xe8\xf4\x0f\x00\x00\xc3"), true },
	{ "jne out of the function: its cold part", CODE("\x0f\x85\x00\xf0\xff\xff\xe9\xf5\x0f\x00\x00"),
	  true },
	{ "jmp out of the function", CODE("\xe9\x00\xf0\xff\xff"), false },
	{ "jmp *x(%rip)", CODE("\xff\x25\x00\x00\x00\x00"), false },
	{ "jmp *%rax", CODE("\xff\xe0"), false },
	{ "a loop around the call", CODE("\xe8\xfb\x0f\x00\x00\xeb\xf9"), true },
	{ "a loop before the call",
	  CODE("\x48\xff\xc8\x75\xfb\xe9\xf6\x0f\x00\x00"), true },
	{ "not code", CODE("\x06\xe9\xfa\x0f\x00\x00"), false },
	{ "the call is cut", CODE("\xe8\xfb\x0f\x00"), false },
	{ "malloc where the fast path failed: ret before it",
	  CODE("\x48\x81\xff\x00\x10\x00\x00\x77\x01\xc3\xe9\xf1\x0f\x00\x00"), false },
};

static void a_function__forwards_when_every_way_out_passes_a_target(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		size_t len = functions[i].len;
		uint8_t *code = xmalloc(len); /* exactly as long, for ASan */

		memcpy(code, functions[i].code, len);
		if (code_forwards(code, len, AT, targets, 2) != functions[i].forwards)
			fail_msg("%s: %d", functions[i].what, !functions[i].forwards);
		free(code);
	}
}

static void nothing__forwards_to_no_target(void **state)
{
	(void)state;
	assert_false(code_forwards((const uint8_t *)"\xe9\xfb\x0f\x00\x00", 5, AT, targets, 0));
	assert_false(code_forwards((const uint8_t *)"", 0, AT, targets, 2));
}

int main(void)
{
#if !defined(__x86_64__)
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function__forwards_when_every_way_out_passes_a_target),
		cmocka_unit_test(nothing__forwards_to_no_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
