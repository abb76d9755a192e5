/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Walk of a glibc arena, chunk by chunk; see glibc_heap.h.
 *
 * Whether a chunk is in use stands in the next one's size word (PREV_INUSE), so each chunk waits
 * until the next has been read. A free chunk's size stands once more behind it: when the two differ
 * the chain is torn.
 */
#include "alloc/glibc_internal.h"

#include "base/xalloc.h"

#define RESYNC_CHUNKS 8
#define LOOKS_PER_CLOCK 4096

struct walk {
	struct heap_reader *r;
	struct glibc_arena *a;
	uint64_t limit; /* of what may be read */
	/* the chunk that waits */
	bool waits, is_since, is_tcache;
	uint64_t addr, size, resident, first_word, trim;
	uint64_t looks;
};

static bool walk_is_late(struct walk *w)
{
	return w->looks++ % LOOKS_PER_CLOCK == 0 && reader_is_late(w->r);
}

/* Only constants of mapped files are kept as types. */
static uint64_t type_word(struct walk *w, uint64_t word)
{
	return word >> 12 && !(word & 7) && reader_range(w->r, word, MEMORY_CONST) ? word : 0;
}

static void take_in_use(struct walk *w)
{
	struct heap_reader *r = w->r;

	part_add(&w->a->in_use, w->size, w->resident, 1);
	if (w->is_since)
		part_add(&w->a->since, w->size, w->resident, 1);
	census_add(r->h->census, w->size, 1, w->is_since, type_word(w, w->first_word));
	if (w->is_tcache) {
		XGROW(r->tcaches, r->n_tcaches, r->tcaches_cap);
		r->tcaches[r->n_tcaches++] = w->addr;
	}
}

static void flush(struct walk *w, bool in_use)
{
	if (w->waits && in_use)
		take_in_use(w);
	else if (w->waits) {
		part_add(&w->a->free, w->size, w->resident, 1);
		w->a->trim_bytes += w->trim;
	}
	w->waits = false;
}

/* Whole resident pages of a chunk, behind what a free one has at its start. */
static uint64_t whole_pages(struct walk *w, uint64_t addr, uint64_t size)
{
	uint64_t page = w->r->o->memory->page_bytes, start, end;

	if (size < page)
		return 0;
	start = (addr + FREE_CHUNK_BYTES + page - 1) & ~(page - 1);
	end = (addr + size) & ~(page - 1);
	return end > start ? window_resident(&w->r->w, start, end - start) : 0;
}

/* Of a chunk whose header has been read: most lie within its page. */
static uint64_t resident_of(struct walk *w, uint64_t addr, uint64_t size)
{
	struct memory_window *m = &w->r->w;

	if (addr >> m->page_shift == (addr + size - 1) >> m->page_shift)
		return size;
	return window_resident(m, addr, size);
}

static void skip(struct walk *w, uint64_t from, uint64_t to)
{
	if (to > from)
		part_add(&w->a->unread, to - from, window_resident(&w->r->w, from, to - from), 1);
}

static bool size_fits(const struct walk *w, uint64_t addr, uint64_t head, uint64_t end)
{
	uint64_t size = head & ~CHUNK_FLAGS;

	if (size < CHUNK_MIN_BYTES || (size & 15) || (head & CHUNK_IS_MMAPPED) || size > end - addr)
		return false;
	return !w->a->is_main || !(head & CHUNK_NON_MAIN);
}

/* A chunk header in the window as it is, which must not slide while candidates are tried. */
static const uint8_t *peek(struct walk *w, uint64_t addr)
{
	const struct memory_window *m = &w->r->w;

	if (addr < m->start || addr + CHUNK_HEADER_BYTES > m->end)
		return NULL;
	return window_at(&w->r->w, addr, CHUNK_HEADER_BYTES, w->limit);
}

static bool chain_holds(struct walk *w, uint64_t addr, uint64_t end)
{
	uint64_t size = 0;
	unsigned int n;

	for (n = 0; n < RESYNC_CHUNKS && addr != end; n++) {
		const uint8_t *p = peek(w, addr);
		uint64_t head;

		if (!p)
			return n > 1; /* as far as can be seen */
		head = read_word(p + 8);
		if (!size_fits(w, addr, head, end))
			return false;
		if (n && !(head & CHUNK_PREV_INUSE) && read_word(p) != size)
			return false;
		size = head & ~CHUNK_FLAGS;
		addr += size;
	}
	return true;
}

/* The next address at or behind addr where chunks fit together, or end. */
static uint64_t resync(struct walk *w, uint64_t addr, uint64_t end)
{
	uint64_t page = w->r->o->memory->page_bytes;

	for (addr = (addr + 15) & ~15ULL; addr < end && !walk_is_late(w);) {
		if (!window_at(&w->r->w, addr, CHUNK_HEADER_BYTES, w->limit)) {
			addr = (addr / page + 1) * page;
			continue;
		}
		if (chain_holds(w, addr, end))
			return addr;
		addr += 16;
	}
	return end;
}

/* Take the header at addr; false when the chain is torn there. */
static bool take_header(struct walk *w, uint64_t addr, const uint8_t *p, uint64_t end)
{
	uint64_t head = read_word(p + 8), mem = addr + CHUNK_HEADER_BYTES;
	bool prev_in_use = head & CHUNK_PREV_INUSE;
	const void *first, *whole;

	if (w->waits && !prev_in_use && read_word(p) != w->size)
		return false;
	if ((head & ~CHUNK_FLAGS) == FENCEPOST_BYTES ||
	    (addr + FENCEPOST_BYTES == end && head >> 3 == 0)) {
		flush(w, prev_in_use);
		part_add(&w->a->header, FENCEPOST_BYTES, FENCEPOST_BYTES, 0);
		w->addr = addr;
		w->size = FENCEPOST_BYTES;
		return true;
	}
	if (!size_fits(w, addr, head, end))
		return false;
	flush(w, prev_in_use);
	w->waits = true;
	w->addr = addr;
	w->size = head & ~CHUNK_FLAGS;
	w->resident = resident_of(w, addr, w->size);
	w->trim = whole_pages(w, addr, w->size);
	w->is_since = w->r->o->since && address_set_has(w->r->o->since, mem);
	/* the chunk's own header is read already: this does not slide the window out of order */
	first = window_at(&w->r->w, mem, 8, w->limit);
	w->first_word = first ? read_word(first) : 0;
	whole = w->size == TCACHE_CHUNK_BYTES ? window_at(&w->r->w, mem, w->size - CHUNK_HEADER_BYTES, w->limit)
					      : NULL;
	w->is_tcache = whole && glibc_looks_like_tcache(whole);
	return true;
}

/* Chunks of [addr, end); end is the top chunk, or the end of the heap. */
static void walk_segment(struct walk *w, uint64_t addr, uint64_t end)
{
	while (addr < end) {
		const uint8_t *p = window_at(&w->r->w, addr, CHUNK_HEADER_BYTES, w->limit);
		uint64_t from = addr;

		if (walk_is_late(w)) {
			flush(w, true);
			skip(w, addr, end);
			return;
		}
		if (p && take_header(w, addr, p, end)) {
			addr = w->addr + w->size;
			continue;
		}
		if (p && w->waits) { /* torn: the chunk before was no longer what it seemed */
			from = w->addr;
			w->waits = false;
		}
		flush(w, true);
		addr = resync(w, addr + 16, end);
		skip(w, from, addr);
	}
}

static void take_top(struct walk *w, uint64_t top, uint64_t end)
{
	const uint8_t *p = window_at(&w->r->w, top, CHUNK_HEADER_BYTES, w->limit);
	uint64_t head = p ? read_word(p + 8) : 0, size = head & ~CHUNK_FLAGS;

	flush(w, !p || (head & CHUNK_PREV_INUSE));
	if (!p || size > end - top) {
		skip(w, top, end);
		return;
	}
	part_add(&w->a->top, size, window_resident(&w->r->w, top, size), 1);
	if (w->a->is_main)
		w->a->trim_bytes += whole_pages(w, top, size);
}

/* Adjacent ranges of the brk heap are one. */
static uint64_t brk_end(const struct heap_reader *r, uint64_t addr)
{
	const struct memory_range *m;

	while ((m = reader_range(r, addr, MEMORY_BRK)))
		addr = m->end;
	return addr;
}

/* Part of the main arena that was mapped because brk could not grow. */
static void walk_mapped_part(struct heap_reader *r, struct glibc_arena *a)
{
	const struct memory_range *m = reader_range(r, a->top_address, MEMORY_ANON);
	struct walk w = { .r = r, .a = a };

	if (!m)
		return;
	w.limit = m->end;
	a->n_heaps++;
	walk_segment(&w, m->start, a->top_address);
	take_top(&w, a->top_address, m->end);
	reader_add_extent(r, m->start, m->end, MEMORY_BRK);
}

static uint64_t first_brk(const struct heap_reader *r)
{
	size_t i;

	for (i = 0; i < r->o->n_ranges; i++)
		if (r->o->ranges[i].kind == MEMORY_BRK)
			return r->o->ranges[i].start;
	return 0;
}

void glibc_walk_main(struct heap_reader *r, struct glibc_arena *a)
{
	uint64_t start = r->sbrk_base ? r->sbrk_base : first_brk(r), end = brk_end(r, start);
	bool has_top = a->top_address >= start && a->top_address < end;
	struct walk w = { .r = r, .a = a, .limit = end };

	if (!a->system_bytes)
		return;
	if (start && end > start) {
		a->n_heaps++;
		walk_segment(&w, (start + 15) & ~15ULL, has_top ? a->top_address : end);
		if (has_top)
			take_top(&w, a->top_address, end);
		else
			flush(&w, true);
		reader_add_extent(r, start, end, MEMORY_BRK);
	}
	if (!has_top)
		walk_mapped_part(r, a);
}

static void walk_heap(struct heap_reader *r, struct glibc_arena *a, uint64_t heap, uint64_t size)
{
	struct walk w = { .r = r, .a = a, .limit = heap + size };
	bool has_top = a->top_address - heap < size;
	uint64_t start = heap + r->heap_info_bytes;

	if (a->address - heap < size) /* chunk2mem of the first chunk is aligned */
		start = (a->address + ARENA_BYTES + 15) & ~15ULL;
	a->n_heaps++;
	part_add(&a->header, start - heap, start - heap, 0);
	walk_segment(&w, start, has_top ? a->top_address : heap + size);
	if (has_top)
		take_top(&w, a->top_address, heap + size);
	flush(&w, true);
	reader_add_extent(r, heap, heap + size, MEMORY_BRK);
}

void glibc_walk_heaps(struct heap_reader *r, struct glibc_arena *a)
{
	uint64_t heap = a->top_address & ~(HEAP_MAX_BYTES - 1);
	uint8_t info[HEAP_HEADER_BYTES];
	uint64_t sum = 0; /* a ring of heaps ends there, too */

	while (heap && sum <= a->system_bytes + HEAP_MAX_BYTES && reader_read(r, heap, info, sizeof(info))) {
		uint64_t size = read_word(info + HEAP_SIZE);

		if (read_word(info + HEAP_AR_PTR) != a->address || !size || size > HEAP_MAX_BYTES ||
		    size % r->o->memory->page_bytes)
			return;
		walk_heap(r, a, heap, size);
		sum += size;
		heap = read_word(info + HEAP_PREV);
		if (heap & (HEAP_MAX_BYTES - 1))
			return;
	}
}
