/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The pages of V8's heap among a process's mappings, and how often its old generation was collected. Part of the V8
 * runtime.
 *
 * A page begins at a multiple of 256 KiB with a header that says its size, its flags, its heap, where its objects begin
 * and end: memory that looks so is one. Nothing of it is exported, so each is checked, and without any that fits all
 * anonymous memory is taken for pages.
 */
#ifndef MEMPROBE_RUNTIME_V8_PAGES_H
#define MEMPROBE_RUNTIME_V8_PAGES_H

#include "runtime/v8_heap.h"

#define V8_PAGE_SHIFT 18

struct v8_page {
	uint64_t start, end; /* of its objects */
	bool is_young;	     /* of the new generation: what is there may be garbage */
	bool is_read_only;   /* V8's own maps and names: of no heap */
};

struct v8_pages {
	struct v8_page *v; /* by address; what the last scavenge has left behind is not among them */
	size_t n, cap;
	struct runtime_ranges all; /* whole pages, those left behind too */
	uint64_t heap; /* Heap of most of them; 0: no page was recognised */
};

/* 0 or -errno. p's mappings are read anew. */
int v8_pages_find(struct v8_pages *out, struct runtime_process *p);
void v8_pages_release(struct v8_pages *pages);
/* The page that holds an address, or NULL. */
const struct v8_page *v8_page_at(const struct v8_pages *pages, uint64_t addr);

/* Has the new generation moved to other pages meanwhile? Then what was read of it is not what it was. */
bool v8_pages_changed(const struct v8_pages *pages, const struct runtime_process *p);

/*
 * Where Heap counts its full mark-compacts, as the offset that Heap::MarkCompact adds 1 to. x86-64's code only; 0: not
 * found, or not certain.
 */
uint32_t v8_count_offset(struct runtime_process *p, struct runtime_object *o);
/* The same from the function's code. Pure. */
uint32_t v8_count_offset_in(const uint8_t *code, size_t len);

#endif
