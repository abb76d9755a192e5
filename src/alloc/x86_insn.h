/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * x86-64 instructions, one at a time: how long, where to, what changes.
 *
 *	48 85 ff           test %rdi,%rdi         3 bytes, plain, writes nothing
 *	48 8b 05 d4 d3 ..  mov 0x..(%rip),%rax    7 bytes, plain, writes rax
 *	74 33              je +0x35               2 bytes, direct, emulated
 *
 * Refuses what it does not know, undefined and privileged forms among it. It does not name
 * instructions and looks at no operand that does not matter here. Pure; works on every machine.
 */
#ifndef MEMPROBE_ALLOC_X86_INSN_H
#define MEMPROBE_ALLOC_X86_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X86_MAX_INSN_BYTES 15

/* Registers by their numbers in the encoding. */
enum x86_reg {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
};

enum x86_flow {
	X86_NEXT,     /* no jump; also returns, traps, calls through pointers */
	X86_DIRECT,   /* jump, conditional jump or call to `target` */
	X86_SLOT,     /* jump through a pointer at a fixed place: into another function */
	X86_COMPUTED, /* jump through a register or a table: anywhere */
};

struct x86_insn {
	unsigned int len; /* bytes */
	enum x86_flow flow;
	int64_t target; /* X86_DIRECT: from the instruction's first byte */
	/*
	 * Plain: the next instruction follows, no memory is written, no register but those in
	 * `writes` (bit = number; flags not counted). It may read memory.
	 */
	bool plain;
	uint16_t writes;
	bool is_copy; /* plain: what it writes is all 64 bits of register `copied` */
	uint8_t copied;
	bool is_call; /* comes back to the next instruction; X86_DIRECT: `target` is called */
	bool ends;    /* the next instruction does not follow: a return, or a jump on no condition */
	/*
	 * The kernel emulates it at a probe instead of single-stepping it: push_setup_xol_ops and
	 * branch_setup_xol_ops of arch/x86/kernel/uprobes.c, in what is common to 5.10 to 6.18
	 * (which began to emulate the longer nops): push of a register, nop, jmp, jcc and call to a
	 * relative target. Forms with prefixes are left out.
	 */
	bool emulated;
};

/* One instruction at code[0..left). False: not known, or longer than `left`; out is then zero. */
bool x86_decode(struct x86_insn *out, const uint8_t *code, size_t left);

#endif
