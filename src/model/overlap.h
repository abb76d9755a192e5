/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which blocks must have ended, since a later block lies where they were. Pure.
 *
 * Two blocks that live at the same time do not overlap; of two that do, the older one has ended before the younger
 * one began, though nobody saw its free:
 *
 *	0x1000 +900 born 10 ms	ended: 0x1200 +700 born 800 ms lies on it
 *	0x1200 +700 born 800 ms	may live
 *	0x2000 +100 born 10 ms	may live
 */
#ifndef MEMPROBE_MODEL_OVERLAP_H
#define MEMPROBE_MODEL_OVERLAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct overlap_block {
	uint64_t addr, size_bytes;
	uint32_t gen;	   /* address space */
	uint32_t birth_ms; /* blocks of the same moment tell nothing of one another */
	uint32_t stack;	   /* the caller's, as weight */
	uint32_t weight : 30;
	uint32_t has_ended : 1; /* result */
	uint32_t by_look : 1;	/* the caller's: nothing lies on it, its end was seen otherwise */
};

/* Sorts v by address; n log n. Returns how many have ended. */
size_t overlap_find(struct overlap_block *v, size_t n);

#endif
