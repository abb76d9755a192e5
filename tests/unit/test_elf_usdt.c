/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Probes that a program was built with: notes as the assembler writes them, and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "symbol/elf_usdt.h"
#include "test_symbol_build.h"

#define NOTE(desc_bytes, provider)                                                               \
	"__asm__(\".pushsection .note.stapsdt,\\\"\\\",\\\"note\\\"\\n.balign 4\\n.long 8, " desc_bytes ", 3\\n.asciz \\\"stapsdt\\\"\\n\"\n" \
	"\"1: .8byte probed, 0, counter\\n.asciz \\\"" provider "\\\"\\n.asciz \\\"born\\\"\\n.asciz \\\"8@%rax -4@4(%rsp)\\\"\\n\"\n"       \
	"\"2: .balign 4\\n.popsection\");\n"

#define PROGRAM(notes)                                                                           \
	"unsigned short counter __attribute__((section(\".probes\"))) = 0;\n"                    \
	"__asm__(\".text\\n.globl probed\\nprobed: nop\\nret\");\n" notes "int main(void) { return counter; }\n"

static struct elf_file *build(const char *name, const char *source)
{
	char *c = xasprintf("%s.c", in_dir(name)), *command;
	struct elf_file *f;
	FILE *out = fopen(c, "w");

	fputs(source, out);
	fclose(out);
	command = xasprintf("gcc -no-pie -o '%s' '%s'", in_dir(name), c);
	assert_int_equal(system(command), 0);
	free(command);
	free(c);
	assert_int_equal(elf_file_open(&f, open(in_dir(name), O_RDONLY)), 0);
	return f;
}

static void a_probe_is_found_by_its_name(void **state)
{
	struct elf_file *f = build("probe", PROGRAM(NOTE("2f - 1f", "other") NOTE("2f - 1f", "shop")));
	struct elf_usdt u;
	uint8_t byte = 0;
	uint16_t counter = 1;

	(void)state;
	assert_int_equal(elf_find_usdts(f, "shop", "born", &u, 1), 1);
	assert_string_equal(u.arguments, "8@%rax -4@4(%rsp)");
	assert_int_equal(elf_file_read(f, u.offset, &byte, 1), 1);
	assert_int_equal(byte, 0x90); /* the nop */
	assert_int_equal(elf_file_read(f, u.semaphore, &counter, 2), 2);
	assert_int_equal(counter, 0);
	assert_int_equal(elf_find_usdts(f, "shop", "died", &u, 1), 0);
	assert_int_equal(elf_find_usdts(f, "store", "born", &u, 1), 0);
	elf_file_close(f);
}

static void probes_of_one_name_are_all_found(void **state)
{
	struct elf_file *f = build("several", PROGRAM(NOTE("2f - 1f", "shop") NOTE("2f - 1f", "other") NOTE("2f - 1f", "shop")));
	struct elf_usdt u[3];

	(void)state;
	assert_int_equal(elf_find_usdts(f, "shop", "born", u, 3), 2);
	assert_int_equal(u[0].offset, u[1].offset);
	assert_int_equal(elf_find_usdts(f, "shop", "born", u, 1), 1);
	assert_int_equal(elf_find_usdts(f, "shop", "born", u, 0), 0);
	elf_file_close(f);
}

static void a_note_that_ends_too_early_is_none(void **state)
{
	static const char *const lengths[] = { "0", "23", "24", "30", "4096", "0xffffffff" };
	struct elf_usdt u;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *damaged = xstrdup(PROGRAM(NOTE("LENGTH    ", "shop")));
		char *length = strstr(damaged, "LENGTH    ");
		struct elf_file *f;

		memset(length, ' ', 10);
		memcpy(length, lengths[i], strlen(lengths[i]));
		f = build("damaged", damaged);
		assert_int_equal(elf_find_usdts(f, "shop", "born", &u, 1), 0);
		elf_file_close(f);
		free(damaged);
	}
}

static void arguments_are_registers_and_memory(void **state)
{
	struct mp_usdt_arg a[3];

	(void)state;
	assert_true(usdt_arguments("8@%rax 8@%r13 -4@4(%rsp)", a, 3));
	assert_int_equal(a[0].reg, 80);
	assert_int_equal(a[0].size, 8);
	assert_false(a[0].in_memory);
	assert_int_equal(a[1].reg, 16);
	assert_int_equal(a[2].reg, 152);
	assert_int_equal(a[2].size, 4);
	assert_true(a[2].in_memory);
	assert_int_equal(a[2].distance, 4);
	assert_true(usdt_arguments("8@-48(%rbp) -4@%ecx 8@(%rdi)", a, 3));
	assert_int_equal(a[0].distance, -48);
	assert_int_equal(a[1].reg, 88);
	assert_int_equal(a[2].distance, 0);
}

static void other_arguments_are_refused(void **state)
{
	static const char *const texts[] = { "", "8@%rax", "8@%rax 8@%xmm0", "8@%rax 1@%al", "8@%rax 8@$5", "8@%rax 8@40000(%rsp)",
					     "8@%rax 8@8(%rsp", "8@%rax 8@8(%rsp,%rax,4)", "8@%rax 8@%rip", "8@%rax 8@%", "8@%rax 8@x(%rsp)" };
	struct mp_usdt_arg a[2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(usdt_arguments(texts[i], a, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_is_found_by_its_name),
		cmocka_unit_test(probes_of_one_name_are_all_found),
		cmocka_unit_test(a_note_that_ends_too_early_is_none),
		cmocka_unit_test(arguments_are_registers_and_memory),
		cmocka_unit_test(other_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, build_setup, build_teardown);
}
