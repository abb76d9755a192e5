/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The bridge: where a process's resident memory is, in rows that sum to what the kernel says. Pure.
 *
 * Every row is measured by itself (page tables, the walk of the heap, the ledger); `unexplained`, which has
 * a sign, is what is left. Where the allocator's heap cannot be read, its row is what its mappings hold less
 * what was seen, and is called an estimate.
 *
 *	mapping  |........ rss 100 ........|
 *	claims      [heap 60)   [stack 8)	heap: 41 in use + 12 kept + 3 headers, walked
 *	rows     heap 41, kept 15, stacks 8, direct 32 (the pages outside of claims), unexplained 4
 *
 * Bytes are resident ones. Planes are disjoint: a byte is in one row.
 */
#ifndef MEMPROBE_MODEL_BRIDGE_H
#define MEMPROBE_MODEL_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bridge_row {
	BRIDGE_HEAP_BEFORE = 0, /* blocks in use, allocated before the attach */
	BRIDGE_HEAP_SINCE,	/* live blocks that were seen, as far as touched */
	BRIDGE_HEAP_KEPT,	/* freed but kept, headers */
	BRIDGE_OTHER_HEAP,	/* an allocator that cannot be read: mapped less what was seen */
	BRIDGE_MANAGED,		/* the heap that a managed runtime has set aside for its objects, used or not */
	BRIDGE_DIRECT,		/* anonymous mappings that are none of the others */
	BRIDGE_DIRECT_SINCE,	/* of them what the program was seen to map, after the attach */
	BRIDGE_CODE,		/* executable anonymous mappings: compilers at run time */
	BRIDGE_STACKS,
	BRIDGE_FILES, /* private changes of files included */
	BRIDGE_SHARED,
	BRIDGE_N_MEASURED,
	BRIDGE_UNEXPLAINED = BRIDGE_N_MEASURED,
	BRIDGE_RSS,
	BRIDGE_NR
};

enum bridge_heap {
	BRIDGE_HEAP_UNREAD = 0, /* see reason */
	BRIDGE_HEAP_GLIBC,
};

/* Blocks in use of one size, from before the attach; of an estimate, all that are in use. */
struct bridge_size {
	uint64_t chunk_bytes, blocks;
	uint64_t type_blocks; /* of them of this type */
	uint32_t type;	      /* string id of a class, 0: not told */
	uint32_t knows_attach; /* 1: see the next */
	uint64_t attach_blocks; /* in use at the attach; of an estimate only */
};

#define BRIDGE_MAX_SIZES 6
/* Where more of the heap than this was not read, its sizes at the attach and now are not compared. */
#define BRIDGE_MOST_UNREAD 0.01

struct bridge {
	uint32_t proc; /* index in profile.procs */
	uint32_t reason, allocator; /* string ids; "" */
	uint32_t managed;	    /* string id: "Java heap"; "": it has none that is known */
	enum bridge_heap heap;
	bool has_attach, has_now;
	bool is_estimate; /* before and since are told apart by what sampling says */
	int64_t at_attach[BRIDGE_NR], now[BRIDGE_NR];
	uint64_t untouched_bytes; /* of the blocks since the attach */
	uint64_t n_arenas, trim_bytes; /* what malloc_trim would give back */
	uint64_t swap_bytes;
	uint64_t before_bytes, before_blocks; /* in use, resident or not */
	uint64_t attach_bytes;		      /* the same at the attach: nothing can come to it */
	struct bridge_size sizes[BRIDGE_MAX_SIZES]; /* by bytes, largest first; of an estimate, by what they grew */
	uint64_t n_sizes, other_sizes, other_bytes, largest_other_bytes;
	/* the stack that grew most: blocks in use of its size */
	uint64_t site_stack, site_chunk_bytes, site_blocks;
	double attach_unread, unread; /* parts of the heap that could not be read, as it changed meanwhile: 0.004 */
};

/* A mapping, and the row of what no claim covers. */
struct bridge_map {
	uint64_t start, end, rss_bytes;
	enum bridge_row row;
};

/* A part of the memory whose pages belong to another row; BRIDGE_RSS: to nobody here (a heap that is walked). */
struct bridge_claim {
	uint64_t start, end;
	enum bridge_row row;
};

/* Resident bytes of a range, from the page tables. */
typedef uint64_t (*bridge_resident_fn)(void *ctx, uint64_t start, uint64_t end);

/*
 * Adds the mappings to rows[BRIDGE_NR]; maps and claims are sorted and disjoint. The sum of all rss_bytes goes
 * to rows[BRIDGE_RSS].
 */
void bridge_add_maps(int64_t *rows, const struct bridge_map *maps, size_t n_maps, const struct bridge_claim *claims,
		     size_t n_claims, bridge_resident_fn resident, void *ctx);
/* What is left is unexplained. */
void bridge_finish(int64_t *rows);

/*
 * The rule of the advice. More than 10 % of the heap is kept free, and: a trim would give back more than 10 %
 * and 16 MiB (TRIM); or more than 4 arenas share 16 MiB and more of it (ARENAS).
 */
enum bridge_advice { BRIDGE_ADVICE_NONE = 0, BRIDGE_ADVICE_ARENAS, BRIDGE_ADVICE_TRIM };
enum bridge_advice bridge_advice_of(const struct bridge *b);

#endif
