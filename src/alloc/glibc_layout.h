/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Foreign structures of glibc's malloc, 2.31 to 2.41, 64 bit (x86-64 and arm64 are alike).
 *
 * Source: malloc/malloc.c and malloc/arena.c of each release. What differs between them is in
 * struct glibc_layout, and is told from the target itself: an arena other than the main one lies
 * right behind its heap's heap_info, so that its address gives that structure's size; and the last
 * link of a list of free chunks is 0 where links are plain, its own address >> 12 where they are
 * protected. The self-check of the whole is in glibc_heap.h.
 *
 *	struct malloc_state	int mutex, flags, have_fastchunks; fastbinsY[10]; top;
 *				last_remainder; bins[254]; binmap[4]; next; next_free;
 *				attached_threads; system_mem; max_system_mem
 *	struct heap_info	ar_ptr; prev; size; mprotect_size; [pagesize;] [pad]
 *	struct malloc_chunk	prev_size; size | 1 PREV_INUSE | 2 IS_MMAPPED | 4 NON_MAIN_ARENA;
 *				payload, or fd and bk of a free one
 *	tcache_perthread_struct	u16 counts[64]; entries[64]	(a block of an arena itself)
 *	struct malloc_par mp_	...; int [hp_flags,] n_mmaps, n_mmaps_max, max_n_mmaps,
 *				no_dyn_threshold; mmapped_mem; max_mmapped_mem; sbrk_base; ...
 */
#ifndef MEMPROBE_ALLOC_GLIBC_LAYOUT_H
#define MEMPROBE_ALLOC_GLIBC_LAYOUT_H

#include <stdint.h>

#define ARENA_FASTBINS 16 /* since 2.27 (have_fastchunks) */
#define ARENA_N_FASTBINS 10
#define ARENA_TOP 96
#define ARENA_BINS 112
#define ARENA_N_BINS 127
#define ARENA_NEXT 2160
#define ARENA_SYSTEM_MEM 2184
#define ARENA_BYTES 2200

#define HEAP_MAX_BYTES (64ULL << 20) /* 2 * DEFAULT_MMAP_THRESHOLD_MAX; heaps are aligned to it */
#define HEAP_AR_PTR 0
#define HEAP_PREV 8
#define HEAP_SIZE 16
#define HEAP_HEADER_BYTES 24 /* that much of heap_info is read */

#define CHUNK_PREV_INUSE 1ULL
#define CHUNK_IS_MMAPPED 2ULL
#define CHUNK_NON_MAIN 4ULL
#define CHUNK_FLAGS 7ULL
#define CHUNK_MIN_BYTES 32
#define CHUNK_HEADER_BYTES 16 /* two words, the first of which belongs to the chunk before */
#define FREE_CHUNK_BYTES 48 /* struct malloc_chunk: what mtrim leaves of a free one */
#define FENCEPOST_BYTES 16

#define TCACHE_CHUNK_BYTES 0x290 /* since 2.30; 2.42 has another */
#define TCACHE_N_BINS 64
#define TCACHE_ENTRIES 128
#define TCACHE_MAX_COUNT 65535

/* Within mp_, from 40 bytes before sbrk_base; 2.35 has hp_flags before n_mmaps, so padding behind
 */
#define MP_N_MMAPS 8
#define MP_N_MMAPS_2_35 4
#define MP_MMAPPED_MEM 24
#define MP_MAX_MMAPPED_MEM 32
#define MP_SBRK_BASE 40
#define MP_BYTES 48

struct glibc_layout {
	const char *since;        /* glibc release */
	uint64_t heap_info_bytes; /* 2.35 added pagesize, for huge pages */
	int protects_links;       /* 2.32 added PROTECT_PTR (safe linking) */
};

/* size: table */
static const struct glibc_layout glibc_layouts[] = {
	{ .since = "2.31", .heap_info_bytes = 32, .protects_links = 0 },
	{ .since = "2.32", .heap_info_bytes = 32, .protects_links = 1 },
	{ .since = "2.35", .heap_info_bytes = 48, .protects_links = 1 },
};
#define N_GLIBC_LAYOUTS (sizeof(glibc_layouts) / sizeof(glibc_layouts[0]))

_Static_assert(ARENA_FASTBINS + 8 * ARENA_N_FASTBINS == ARENA_TOP, "fastbinsY ends at top");
_Static_assert(ARENA_BINS + 16 * ARENA_N_BINS + 16 == ARENA_NEXT, "bins and binmap end at next");
_Static_assert(TCACHE_ENTRIES + 8 * TCACHE_N_BINS + CHUNK_HEADER_BYTES == TCACHE_CHUNK_BYTES,
	       "the chunk of a tcache");

#endif
