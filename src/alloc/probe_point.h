/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where inside a function the probe goes (x86-64; elsewhere always the entry).
 *
 * The kernel emulates some instructions at a probe (one trap) and single-steps the rest (two
 * traps; ten times dearer in a VM). The probe goes to the first instruction that the kernel
 * emulates, if every call reaches it exactly once and nothing changed before it that the probe
 * needs:
 *
 *	free:   48 85 ff   test %rdi,%rdi    single-stepped
 *	   +3:  74 0b      je ...            emulated: here
 *
 * What is skipped stores nothing, jumps nowhere, and writes only registers that a callee may use
 * freely; an argument may be copied from its register to another one that the probe reads:
 *
 *	mimalloc's malloc: mov x(%rip),%rax; mov %rdi,%rsi; mov %fs:(%rax),%rdi; cmp $0x400,%rsi
 *	+21:  77 29     ja ...     here, and the size is in rsi: moved = MP_MOVED(0, 1)
 *
 * The whole function is then decoded, and none of its jumps may lead behind the entry up to the
 * probe. Anything in doubt leaves the probe at the entry. That no other symbol begins there is for
 * the caller to know (compilers make none). Pure: bytes in, an offset out.
 */
#ifndef MEMPROBE_ALLOC_PROBE_POINT_H
#define MEMPROBE_ALLOC_PROBE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_cost {
	PROBE_EMULATED,     /* one trap */
	PROBE_STEPPED,      /* single-stepped */
	PROBE_COST_UNKNOWN, /* another architecture, or not understood */
};

struct probe_point {
	unsigned int offset; /* from the function's first byte */
	unsigned int pushes; /* 8-byte words that rsp went down before it; 0 for return probes */
	uint32_t moved;		 /* which register holds which argument: MP_MOVED */
	unsigned int insn_bytes; /* length of the instruction there, 0: not known */
	enum probe_cost cost;
	const char *why; /* static text, for doctor and -v */
};

/* Furthest place that is tried: jemalloc's free computes 48 bytes before its first jump. */
#define PROBE_MAX_SHIFT 64

/*
 * code: the whole function, from the file. arguments: bit i set when the probe needs argument i (0
 * to 4).
 * need_return: a return probe needs the stack pointer as it was at the entry.
 */
void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len,
		      unsigned int arguments, bool need_return);

#endif
