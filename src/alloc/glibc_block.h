/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Do blocks that were seen to be allocated still live? Told by the words that glibc keeps before and behind each,
 * without a walk through the heap. In the main heap and in those of threads' arenas, whose chunks have NON_MAIN_ARENA
 * set too; a block with a mapping of its own may live as long as that is there. glibc 2.26 to 2.41, 64 bit.
 *
 *	at block - 8		at the next chunk's size	a block of 1000 bytes (chunk of 1008)
 *	1008 | PREV_INUSE	... | PREV_INUSE		may live
 *	1136 | PREV_INUSE	... | PREV_INUSE		has ended: another one lies there
 *	1008 | PREV_INUSE	... | 0				has ended: its chunk is free
 *	8064 | PREV_INUSE	... | PREV_INUSE		a block of 5000 may have grown; with 0 it has ended
 *
 * Of a block that lives neither word changes so, therefore none that lives is called ended, though the target runs
 * meanwhile; unless it was grown or shrunk by a realloc that nobody saw, and is not the same block any more. What
 * lies in a thread's cache, or has another block of the same size in its place, seems to live.
 * Pure.
 */
#ifndef MEMPROBE_ALLOC_GLIBC_BLOCK_H
#define MEMPROBE_ALLOC_GLIBC_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc/target_memory.h"

struct glibc_block {
	uint64_t addr, size_bytes; /* as malloc returned it, as it was asked for */
	size_t at;		   /* the caller's */
	bool has_ended;		   /* result */
};

/*
 * v: sorted by address; those outside of heap (MEMORY_BRK, or MEMORY_ANON: a thread's) are left as they are. Returns
 * how many have ended: 0, and none is marked, where fewer than half of the words look like glibc's, as it is not its
 * heap then.
 */
size_t glibc_blocks_ended(const struct target_memory *m, const struct memory_range *heap, struct glibc_block *v,
			  size_t n);

#endif
