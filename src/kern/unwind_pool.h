/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The words of all unwind tables: one pool of 32-bit words in chunks of 1 MiB, added to the kernel's
 * array of chunks as needed and mapped into this process, so that a table is written with plain stores. An
 * extent may span chunks. Not for others than src/kern.
 */
#ifndef MEMPROBE_KERN_UNWIND_POOL_H
#define MEMPROBE_KERN_UNWIND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/unwind.h"

struct pool_extent {
	uint32_t first, n; /* words */
};

struct pool_list {
	struct pool_extent *v; /* unsorted; small */
	size_t n, cap;
};

struct unwind_pool {
	int map_fd; /* uw_words */
	uint32_t *chunks[UW_MAX_TABLE_CHUNKS];
	uint32_t n_chunks, max_chunks;
	struct pool_list unused;
	struct pool_list resting; /* given back, but a walk may still read them */
};

/* max_bytes is rounded down to chunks, one at least. */
void unwind_pool_open(struct unwind_pool *p, int map_fd, uint64_t max_bytes);
void unwind_pool_release(struct unwind_pool *p);
/* n words, from a new chunk if need be; false when the pool is full. */
bool unwind_pool_take(struct unwind_pool *p, uint32_t n, struct pool_extent *out);
/* Given back words rest until unwind_pool_wake. */
void unwind_pool_give_back(struct unwind_pool *p, struct pool_extent e);
void unwind_pool_wake(struct unwind_pool *p);
void unwind_pool_put(struct unwind_pool *p, uint32_t at, uint32_t word);
uint64_t unwind_pool_max_words(const struct unwind_pool *p);

#endif
