/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A window of 1 MiB that slides over a process's memory: small reads in ascending order become few
 * large ones. Pages that are not resident are known as such and never read. Not for others than the
 * heap readers of src/alloc.
 */
#ifndef MEMPROBE_ALLOC_MEMORY_WINDOW_H
#define MEMPROBE_ALLOC_MEMORY_WINDOW_H

#include <stdbool.h>

#include "alloc/target_memory.h"

#define WINDOW_BYTES ((size_t)1 << 20)
#define WINDOW_MAX_PAGES (WINDOW_BYTES / 4096)

struct memory_window {
	const struct target_memory *m;
	uint64_t start, end; /* of what is loaded; equal: nothing */
	uint8_t *data;       /* WINDOW_BYTES */
	unsigned int page_shift;
	uint8_t state[WINDOW_MAX_PAGES];
};

void window_init(struct memory_window *w, const struct target_memory *m);
void window_release(struct memory_window *w);
/* Forget what was read: the next look is at the memory of then. */
void window_forget(struct memory_window *w);
/* Slide so that addr lies at the start. limit: nothing at or above it is wanted. */
void window_load(struct memory_window *w, uint64_t addr, uint64_t limit);
/* Resident bytes of a range; in the window at the time it was loaded, elsewhere now. */
uint64_t window_resident(struct memory_window *w, uint64_t addr, uint64_t len);

/* The bytes at addr (len <= 4096), or NULL where a page of them is not resident. */
static inline const void *window_at(struct memory_window *w, uint64_t addr, size_t len,
				    uint64_t limit)
{
	uint64_t first, last;

	if (addr + len > limit)
		return NULL;
	if (addr < w->start || addr + len > w->end) {
		window_load(w, addr, limit);
		if (addr < w->start || addr + len > w->end)
			return NULL;
	}
	first = (addr - w->start) >> w->page_shift;
	last = (addr + len - 1 - w->start) >> w->page_shift;
	if (w->state[first] != PAGE_RESIDENT || w->state[last] != PAGE_RESIDENT)
		return NULL;
	return w->data + (addr - w->start);
}

static inline uint64_t read_word(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

#endif
