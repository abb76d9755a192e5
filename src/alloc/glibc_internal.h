/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the glibc heap reader share. Not for others. */
#ifndef MEMPROBE_ALLOC_GLIBC_INTERNAL_H
#define MEMPROBE_ALLOC_GLIBC_INTERNAL_H

#include "alloc/glibc_heap.h"
#include "alloc/glibc_layout.h"
#include "alloc/memory_window.h"

#define GLIBC_MAX_ARENAS 4096

struct heap_reader {
	const struct glibc_heap_opts *o;
	struct glibc_heap *h;
	struct memory_window w;
	uint64_t began_ns;
	uint64_t main_arena, sbrk_base, mp; /* addresses; 0: not found */
	const struct memory_range *data;    /* where main_arena was found */
	uint64_t heap_info_bytes;           /* 0: not seen yet */
	int protects_links;                 /* -1: not seen yet */
	bool out_of_time;
	uint64_t *tcaches; /* chunks that may be one */
	size_t n_tcaches, tcaches_cap;
};

/* glibc_find.c: main_arena and mp_. False: there is none. */
bool glibc_find(struct heap_reader *r);
/* glibc_walk.c: one arena whose address is set in a. */
void glibc_walk_main(struct heap_reader *r, struct glibc_arena *a);
void glibc_walk_heaps(struct heap_reader *r, struct glibc_arena *a);
/* Do the counts agree with the lists, and is there any? payload: of a chunk of TCACHE_CHUNK_BYTES. */
bool glibc_looks_like_tcache(const uint8_t *payload);
/* glibc_lists.c: move what lies in tcaches and fastbins from in_use to cached. */
void glibc_take_cached(struct heap_reader *r);
/* glibc_mmapped.c: chunks with a mapping of their own. */
void glibc_find_mmapped(struct heap_reader *r);

/* Read through to the memory of now. */
bool reader_read(struct heap_reader *r, uint64_t addr, void *out, size_t len);
bool reader_is_late(struct heap_reader *r);
void reader_add_extent(struct heap_reader *r, uint64_t start, uint64_t end, enum memory_kind kind);
/* The range of this kind that holds addr, or NULL. */
const struct memory_range *reader_range(const struct heap_reader *r, uint64_t addr,
					enum memory_kind kind);

static inline void part_add(struct heap_part *p, uint64_t bytes, uint64_t resident_bytes,
			    uint64_t blocks)
{
	p->bytes += bytes;
	p->resident_bytes += resident_bytes;
	p->blocks += blocks;
}

#endif
