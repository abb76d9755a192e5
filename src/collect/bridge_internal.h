/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the bridge share: one look at one process. Not for others. */
#ifndef MEMPROBE_COLLECT_BRIDGE_INTERNAL_H
#define MEMPROBE_COLLECT_BRIDGE_INTERNAL_H

#include "collect/collector_internal.h"
#include "collect/heap_look.h"
#include "proc/smaps.h"
#include "runtime/runtime.h"

struct since_block {
	uint64_t addr, size_bytes;
};

/* Blocks of one process that live, as the ledger has them. */
struct since_blocks {
	uint32_t gen;
	struct since_block *v;
	size_t n, cap;
	struct address_set set;
};

struct bridge_look {
	struct collector *c;
	struct bridge *b;
	const struct profile_proc *proc;
	int64_t *rows;
	struct since_blocks *since; /* NULL: at the attach, or sampled */
	struct proc_memory memory;
	struct proc_smaps smaps;
	struct glibc_heap heap;
	int heap_err;
	struct runtime_ranges managed; /* the heap of its runtime */
	struct bridge_claim *claims;
	size_t n_claims;
	bool is_foreign; /* anonymous mappings are an allocator's that is not read */
};

static inline bool heap_is_read(const struct bridge_look *l)
{
	return !l->heap_err && l->heap.is_trusted;
}

/* bridge_look.c: the row of what no claim covers of a mapping; claims in their order. */
enum bridge_row bridge_row_of(const struct bridge_look *l, const struct proc_map *m);
int bridge_claims_by_start(const void *a, const void *b);
/* bridge_direct.c: claims, sorted and disjoint, for what the program itself has mapped since the attach. */
void bridge_claim_direct(struct bridge_look *l);
/* heap_looks.c: keeps what blocks are in use */
void heap_looks_note(const struct bridge_look *l);
/* ... how many of that size were at the attach; false: not known */
bool heap_looks_at_attach(const struct bridge_look *l, uint64_t chunk_bytes, uint64_t *blocks);
/* bridge_census.c: what the blocks from before the attach are, and those of the largest site's size. */
void bridge_fill_census(struct bridge_look *l);

#endif
