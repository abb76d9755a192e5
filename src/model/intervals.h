/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The mappings of a process as intervals of addresses, and what they come to per stack.
 *
 * Each address belongs to at most one interval: to a mapping that is counted (one call of the program is one block), or
 * to what is not counted, but there: mappings from before the attach, of files, the kernel's, an allocator's own. Whole
 * pages; ends are exclusive. Committed is what may be accessed, reserved what may not (PROT_NONE): bytes are the
 * committed ones, reserved bytes stand apart. A mapping ends, as a block, with its last page.
 *
 *	map 0x10000-0x18000 at stack 7	allocated 32 KiB / 1
 *	unmap 0x12000-0x14000		freed      8 KiB / 0, two intervals of one mapping
 *	map 0x10000-0x12000 at stack 9	freed     16 KiB / 0; stack 9: allocated 8 KiB / 1
 *	unmap 0x0-0x20000		freed     32 KiB / 1; stack 9: freed 8 KiB / 1
 *
 * How system calls become these operations is in mapping_calls.h. Pure: no I/O, no clock, no globals.
 */
#ifndef MEMPROBE_MODEL_INTERVALS_H
#define MEMPROBE_MODEL_INTERVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

/* All that one stack has mapped; live = alloc - free. */
struct vm_stack {
	uint64_t hash;
	uint32_t gen;
	bool is_thread_stack; /* mapped with MAP_STACK */
	uint64_t alloc_bytes, alloc_blocks, free_bytes, free_blocks;
	uint64_t birth_sum_ms;	 /* of the live blocks */
	uint64_t reserved_bytes; /* now */
};

/* Of all processes. Zeroed: empty. */
struct vm_ledger {
	struct vm_stack *stacks;
	size_t n, cap;
	struct table index_of; /* hash -> index */
};

void vm_ledger_release(struct vm_ledger *l);

/* One call that mapped. */
struct vm_mapping {
	uint32_t stack;	   /* index in the ledger */
	uint32_t birth_ms;
	uint64_t bytes, reserved_bytes; /* what is left of it; both 0: free for another */
	uint32_t next_free;
};

/* Not counted: the mapping of an interval that is only known to be there. */
#define VM_UNCOUNTED 0

struct vm_interval {
	uint64_t start, end;
	uint32_t mapping; /* index in vm_space.mappings */
	bool is_reserved, is_shm;
};

/* The address space of one process generation. */
struct vm_space {
	struct vm_ledger *ledger;
	uint32_t gen;
	struct vm_interval *v; /* sorted by start, none overlap */
	size_t n, cap;
	struct vm_mapping *mappings; /* [0] is VM_UNCOUNTED */
	size_t n_mappings, mappings_cap;
	uint32_t first_free; /* 0: none */
	uint64_t brk;	     /* end of the heap segment; 0: not known */
};

void vm_space_init(struct vm_space *s, struct vm_ledger *l, uint32_t gen);
void vm_space_release(struct vm_space *s);
/* A forked child: everything is there, nothing counts. s: initialised. */
void vm_space_fork(struct vm_space *s, const struct vm_space *parent);
/* Its process has ended: intervals go, mappings and totals stay as they are. */
void vm_space_freeze(struct vm_space *s);

/* What is entered. */
struct vm_new {
	uint64_t hash; /* of its stack; 0: not counted */
	uint32_t birth_ms;
	bool is_reserved, is_thread_stack, is_shm;
};

/* Ends what lies there, and enters the new. */
void vm_map(struct vm_space *s, uint64_t start, uint64_t end, const struct vm_new *m);
void vm_unmap(struct vm_space *s, uint64_t start, uint64_t end);
/* What is there already stays, the gaps become uncounted. Returns the bytes of the gaps. */
uint64_t vm_fill(struct vm_space *s, uint64_t start, uint64_t end);
/* Commits or reserves what is counted, up to the first address that is not mapped (as mprotect does). */
void vm_protect(struct vm_space *s, uint64_t start, uint64_t end, bool is_reserved);
/*
 * mremap: what lay at old becomes one block at the new place, with the older one's birth; m->hash is the stack of the
 * call. Something uncounted from before the attach becomes a new block. keep_old: it stays mapped, too.
 */
void vm_move(struct vm_space *s, uint64_t old, uint64_t old_bytes, uint64_t at, uint64_t bytes, bool keep_old,
	     const struct vm_new *m);

/* The interval that holds addr, or NULL; the first that ends behind it, or NULL. */
const struct vm_interval *vm_find(const struct vm_space *s, uint64_t addr);
const struct vm_interval *vm_find_next(const struct vm_space *s, uint64_t addr);
/* The first gap in [*start, end): its bounds in *start and *gap_end. False: there is none. */
bool vm_find_gap(const struct vm_space *s, uint64_t *start, uint64_t end, uint64_t *gap_end);

#endif
