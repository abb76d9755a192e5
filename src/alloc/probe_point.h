/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where inside a function the probe goes (x86-64).
 *
 * The kernel emulates some instructions at a probe (one trap) and single-steps the rest (two
 * traps; ten times dearer in a VM). The probe goes to the first instruction that every call
 * reaches, that the kernel emulates, and before which nothing changed that the probe needs:
 *
 *	free:   48 85 ff   test %rdi,%rdi    single-stepped
 *	   +3:  74 0b      je ...            emulated: here
 *
 * Anything the decoder is not sure of stays at the entry. Pure: bytes in, an offset out.
 */
#ifndef MEMPROBE_ALLOC_PROBE_POINT_H
#define MEMPROBE_ALLOC_PROBE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_cost {
	PROBE_EMULATED,	  /* one trap */
	PROBE_STEPPED,	  /* single-stepped */
	PROBE_COST_UNKNOWN, /* another architecture */
};

struct probe_point {
	unsigned int offset; /* from the function's first byte */
	unsigned int pushes; /* 8-byte pushes between there and the probe; 0 for return probes */
	enum probe_cost cost;
	const char *why; /* static text, for doctor and -v */
};

/* Furthest place that is tried. */
#define PROBE_MAX_SHIFT 16

/*
 * code: the whole function, from the file. arguments: bit i set when argument i must be intact.
 * need_return: a return probe needs the stack pointer as it was at the entry.
 */
void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len, unsigned int arguments,
		      bool need_return);

#endif
