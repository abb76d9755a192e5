/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * glibc's heap, read from outside and without a stop: which part is in use, free, cached, top; the
 * blocks in use by size and type. glibc 2.31 to 2.41, see glibc_layout.h.
 *
 * main_arena is found by its shape in the writable data of libc (Debian's has no .symtab; a static
 * program's lies in its own data): its empty bins point at themselves, and `next` leads in a ring
 * through all arenas back to it. Heaps are walked chunk by chunk.
 *
 *	arena  heap | chunk in use | free | in use (in a tcache) | ... | top |
 *	system_bytes = in use + cached + free + top + unread + headers of heaps
 *
 * The target runs meanwhile. A chain that breaks (the chunk was split, joined or given back while
 * it was read, or its page is swapped out) is taken up again where eight chunks fit together; what
 * lay between is `unread`. Before the result is trusted it is compared with what the allocator
 * itself counts: system_mem of each arena, and mp_.mmapped_mem. reason tells why it is not.
 *
 * Pure; depends on base. Errors: -ENOENT no heap of glibc's, -ENOMEM too many arenas.
 */
#ifndef MEMPROBE_ALLOC_GLIBC_HEAP_H
#define MEMPROBE_ALLOC_GLIBC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc/address_set.h"
#include "alloc/heap_census.h"
#include "alloc/target_memory.h"

/* Whole chunks; resident: the part that lies on resident pages. */
struct heap_part {
	uint64_t bytes, resident_bytes, blocks;
};

struct glibc_arena {
	uint64_t address;
	uint64_t system_bytes; /* what the arena says that it got from the system */
	uint64_t top_address;
	uint32_t n_heaps;
	bool is_main;
	struct heap_part in_use; /* without those in caches */
	struct heap_part since;  /* of in_use: allocated since the attach */
	struct heap_part cached; /* in a thread's tcache or a fastbin: free, but looks in use */
	struct heap_part free;   /* in other bins */
	struct heap_part top;
	struct heap_part unread; /* blocks: breaks of the chain */
	struct heap_part header; /* heap_info, the arena itself, fenceposts */
	uint64_t trim_bytes;	 /* whole resident pages in free chunks and the main top: malloc_trim's */
};

struct glibc_heap {
	const char *layout;         /* "2.35": that release's or a later one's; "": not told */
	struct glibc_arena *arenas; /* [0] is the main one */
	size_t n_arenas;
	struct glibc_arena sum;                  /* of all arenas */
	struct heap_part mmapped, mmapped_since; /* chunks with a mapping of their own, in use */
	uint64_t mmapped_claimed;                /* what mp_ says; UINT64_MAX: mp_ was not found */
	struct memory_range *extents; /* sorted: heaps and mmapped chunks (kind BRK, ANON) */
	size_t n_extents, extents_cap;
	struct heap_census *census;
	uint64_t took_ns;
	bool is_trusted;
	char reason[128]; /* "" when trusted */
};

struct glibc_heap_opts {
	const struct target_memory *memory;
	const struct memory_range *ranges; /* sorted, disjoint */
	size_t n_ranges;
	const struct address_set *since; /* addresses of blocks (not chunks); NULL: none */
	uint64_t budget_ns;              /* 0: as long as it takes; else the rest is unread */
};

/* 0 (also when not trusted) or -errno. *out is to be released in each case. */
int glibc_heap_read(struct glibc_heap *out, const struct glibc_heap_opts *o);
void glibc_heap_release(struct glibc_heap *h);

#endif
