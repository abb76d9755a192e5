/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The sliding window; see memory_window.h. */
#include "alloc/memory_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void window_init(struct memory_window *w, const struct target_memory *m)
{
	*w = (struct memory_window){ .m = m, .data = xmalloc(WINDOW_BYTES) };
	while ((1ULL << w->page_shift) < m->page_bytes)
		w->page_shift++;
}

void window_release(struct memory_window *w)
{
	free(w->data);
	w->data = NULL;
	window_forget(w);
}

void window_forget(struct memory_window *w)
{
	w->start = w->end = 0;
}

/* Read the run of resident pages [from, to); what cannot be read after all is absent. */
static void read_run(struct memory_window *w, size_t from, size_t to)
{
	size_t len = (to - from) << w->page_shift, at = from << w->page_shift;
	size_t got = w->m->read(w->m->ctx, w->start + at, w->data + at, len);

	for (from += got >> w->page_shift; from < to; from++)
		w->state[from] = PAGE_ABSENT;
}

void window_load(struct memory_window *w, uint64_t addr, uint64_t limit)
{
	size_t n = WINDOW_BYTES >> w->page_shift, i, run;

	w->start = addr >> w->page_shift << w->page_shift;
	if (limit <= w->start) {
		window_forget(w);
		return;
	}
	if (limit - w->start < WINDOW_BYTES)
		n = (limit - w->start + w->m->page_bytes - 1) >> w->page_shift;
	w->end = w->start + (n << w->page_shift);
	w->m->pages(w->m->ctx, w->start, n, w->state);
	for (i = 0; i < n; i = run + 1) {
		for (run = i; run < n && w->state[run] == PAGE_RESIDENT; run++)
			;
		if (run > i)
			read_run(w, i, run);
	}
}

/* Bytes of [addr, end) on resident pages; state[0] is the page of `base`. */
static uint64_t count_resident(const struct memory_window *w, const uint8_t *state, uint64_t base,
			       uint64_t addr, uint64_t end)
{
	uint64_t sum = 0, next;

	for (; addr < end; addr = next) {
		next = ((addr >> w->page_shift) + 1) << w->page_shift;
		if (next > end)
			next = end;
		if (state[(addr - base) >> w->page_shift] == PAGE_RESIDENT)
			sum += next - addr;
	}
	return sum;
}

uint64_t window_resident(struct memory_window *w, uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len, sum = 0, base, stop;
	uint8_t state[1024];

	if (addr >= w->start && end <= w->end)
		return count_resident(w, w->state, w->start, addr, end);
	if (addr >= w->start && addr < w->end) {
		sum = count_resident(w, w->state, w->start, addr, w->end);
		addr = w->end;
	}
	for (; addr < end; addr = stop) {
		base = addr >> w->page_shift << w->page_shift;
		stop = base + (sizeof(state) << w->page_shift);
		if (stop > end)
			stop = end;
		w->m->pages(w->m->ctx, base, (stop - base + w->m->page_bytes - 1) >> w->page_shift,
			    state);
		sum += count_resident(w, state, base, addr, stop);
	}
	return sum;
}
