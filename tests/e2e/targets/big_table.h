/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Code with an unwind table of BIG_TABLE_ROWS rows (4 bytes each in the kernel, and 1 to 2 % more): a function
 * in which the distance to the caller's frame changes, as its CFI says, at each instruction. Never called.
 */
#define BIG_TABLE_TEXT_(x) #x
#define BIG_TABLE_TEXT(x) BIG_TABLE_TEXT_(x)

__asm__(".text\n"
	".type big_table, @function\n"
	"big_table:\n"
	".cfi_startproc\n"
	".rept " BIG_TABLE_TEXT(BIG_TABLE_ROWS) " / 2\n"
	"nop\n"
	".cfi_adjust_cfa_offset 8\n"
	"nop\n"
	".cfi_adjust_cfa_offset -8\n"
	".endr\n"
	"ret\n"
	".cfi_endproc\n"
	".size big_table, . - big_table\n");
