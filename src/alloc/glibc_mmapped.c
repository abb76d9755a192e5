/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Chunks with a mapping of their own (malloc of 128 KiB and more, as the threshold moves).
 *
 * Such a chunk begins where its mapping does, or, when it is aligned, prev_size bytes behind; its
 * size word carries IS_MMAPPED alone. The kernel joins neighbouring mappings, so each resident page
 * of the anonymous mappings is looked at until as much is found as mp_ says that there is.
 */
#include "alloc/glibc_internal.h"

#define PAGES_AT_ONCE 1024u
#define HEAD_BYTES 144u /* alignments up to 128 */

struct finder {
	struct heap_reader *r;
	uint64_t limit; /* of the mapping */
	uint8_t state[PAGES_AT_ONCE];
};

static bool found_all(const struct heap_reader *r)
{
	return r->h->mmapped.bytes >= r->h->mmapped_claimed;
}

/* p: the two words at addr. */
static bool is_mmapped_chunk(const struct finder *f, uint64_t addr, uint64_t page, const uint8_t *p)
{
	uint64_t lead = read_word(p), head = read_word(p + 8), size = head & ~CHUNK_FLAGS;
	uint64_t page_bytes = f->r->o->memory->page_bytes;

	return (head & CHUNK_FLAGS) == CHUNK_IS_MMAPPED && size >= CHUNK_MIN_BYTES &&
	       !(lead & 15) && addr <= f->limit && size <= f->limit - addr &&
	       !((addr + size) % page_bytes) && lead <= addr && (addr - lead) % page_bytes == 0 &&
	       (addr - lead == page || lead >= page_bytes) && size + lead >= page_bytes;
}

static void take(struct finder *f, uint64_t addr, uint64_t lead, uint64_t size)
{
	struct heap_reader *r = f->r;
	uint64_t bytes = lead + size, mem = addr + CHUNK_HEADER_BYTES;
	uint64_t resident = window_resident(&r->w, addr - lead, bytes), word = 0;
	bool is_since = r->o->since && address_set_has(r->o->since, mem);

	part_add(&r->h->mmapped, bytes, resident, 1);
	if (is_since)
		part_add(&r->h->mmapped_since, bytes, resident, 1);
	if (!reader_read(r, mem, &word, sizeof(word)) || !reader_range(r, word, MEMORY_CONST))
		word = 0;
	census_add(r->h->census, bytes, 1, is_since, word);
	reader_add_extent(r, addr - lead, addr + size, MEMORY_ANON);
}

/* A chunk whose header lies in this page; returns its end, 0 when there is none. */
static uint64_t look_at_page(struct finder *f, uint64_t page)
{
	uint8_t head[HEAD_BYTES], tail[CHUNK_HEADER_BYTES];
	uint64_t page_bytes = f->r->o->memory->page_bytes, at;
	unsigned int o;

	if (!reader_read(f->r, page, head, sizeof(head)))
		return 0;
	for (o = 0; o + CHUNK_HEADER_BYTES <= HEAD_BYTES; o += 16) {
		if (!is_mmapped_chunk(f, page + o, page, head + o))
			continue;
		take(f, page + o, read_word(head + o), read_word(head + o + 8) & ~CHUNK_FLAGS);
		return page + o + (read_word(head + o + 8) & ~CHUNK_FLAGS);
	}
	at = page + page_bytes - CHUNK_HEADER_BYTES; /* aligned to a page and more */
	if (!reader_read(f->r, at, tail, sizeof(tail)) || !is_mmapped_chunk(f, at, page, tail))
		return 0;
	take(f, at, read_word(tail), read_word(tail + 8) & ~CHUNK_FLAGS);
	return at + (read_word(tail + 8) & ~CHUNK_FLAGS);
}

/* Where the heap ends that holds addr; 0: none does. */
static uint64_t heap_end(const struct heap_reader *r, uint64_t addr)
{
	const struct glibc_heap *h = r->h;
	size_t i;

	for (i = 0; i < h->n_extents; i++)
		if (h->extents[i].kind == MEMORY_BRK && addr >= h->extents[i].start &&
		    addr < h->extents[i].end)
			return h->extents[i].end;
	return 0;
}

static void look_at_pages(struct finder *f, uint64_t start, size_t n)
{
	const struct target_memory *m = f->r->o->memory;
	uint64_t skip_to = 0;
	size_t i;

	m->pages(m->ctx, start, n, f->state);
	for (i = 0; i < n && !found_all(f->r); i++) {
		uint64_t page = start + i * m->page_bytes, end;

		if (page < skip_to || f->state[i] != PAGE_RESIDENT)
			continue;
		end = look_at_page(f, page);
		if (end)
			skip_to = end;
	}
}

static void look_at_range(struct finder *f, const struct memory_range *range)
{
	uint64_t page_bytes = f->r->o->memory->page_bytes, addr = range->start, end, n;

	f->limit = range->end;
	while (addr < range->end && !found_all(f->r) && !reader_is_late(f->r)) {
		end = heap_end(f->r, addr);
		if (end) {
			addr = end;
			continue;
		}
		n = (range->end - addr) / page_bytes;
		if (n > PAGES_AT_ONCE)
			n = PAGES_AT_ONCE;
		look_at_pages(f, addr, n);
		addr += n * page_bytes;
	}
}

void glibc_find_mmapped(struct heap_reader *r)
{
	struct finder f = { .r = r };
	size_t i;

	window_forget(&r->w);
	for (i = 0; i < r->o->n_ranges; i++)
		if (r->o->ranges[i].kind == MEMORY_ANON)
			look_at_range(&f, &r->o->ranges[i]);
}
