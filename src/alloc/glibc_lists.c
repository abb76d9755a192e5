/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Free chunks that look like chunks in use: those in the threads' tcaches and in the fastbins.
 *
 * A thread's tcache is itself a block of an arena; where it is only the thread knows. Every block
 * of its size is tried: what is one has 64 counts that agree with 64 lists of chunks of the right
 * sizes. Lists are followed to their end, so a wrong reading of the links does not pass.
 */
#include "alloc/glibc_internal.h"

#include <stdlib.h>

#include "base/xalloc.h"

#define LINE_BYTES 4096u
#define N_LINES 1024u

struct lists {
	struct heap_reader *r;
	uint8_t *data;               /* N_LINES lines of memory, direct mapped */
	uint64_t line_addr[N_LINES]; /* 0: empty */
	uint64_t looks;
};

static const uint8_t *line_at(struct lists *l, uint64_t addr)
{
	uint64_t line = addr / LINE_BYTES * LINE_BYTES;
	size_t slot = addr / LINE_BYTES % N_LINES;
	uint8_t *p = l->data + slot * LINE_BYTES, state = PAGE_ABSENT;
	const struct target_memory *m = l->r->o->memory;

	if (l->line_addr[slot] != line) {
		m->pages(m->ctx, line / m->page_bytes * m->page_bytes, 1, &state);
		l->line_addr[slot] = 0;
		if (!line || state != PAGE_RESIDENT ||
		    m->read(m->ctx, line, p, LINE_BYTES) != LINE_BYTES)
			return NULL;
		l->line_addr[slot] = line;
	}
	return p + (addr - line);
}

static bool word_at(struct lists *l, uint64_t addr, uint64_t *out)
{
	const uint8_t *p = addr & 7 ? NULL : line_at(l, addr);

	if (p)
		*out = read_word(p);
	return p != NULL;
}

/*
 * Follow a list of free chunks. link_bias: what is to be added to a link to get the next payload
 * (16 where links point at chunks). Returns false when it does not end, or a chunk has another
 * size.
 */
static bool follow(struct lists *l, uint64_t mem, uint64_t size, uint64_t link_bias, int protect,
		   uint64_t max, uint64_t *n)
{
	uint64_t head, link;

	for (*n = 0; mem; (*n)++) {
		if (*n >= max || (mem & 15) || !word_at(l, mem - 8, &head) ||
		    (head & ~CHUNK_FLAGS) != size || !word_at(l, mem, &link))
			return false;
		if (l->looks++ % 4096 == 0 && reader_is_late(l->r))
			return false;
		if (protect)
			link ^= mem >> 12;
		mem = link ? link + link_bias : 0;
	}
	return true;
}

/* The same with whichever kind of links fits; what fits once is kept. */
static bool follow_any(struct lists *l, uint64_t mem, uint64_t size, uint64_t bias, uint64_t max,
		       uint64_t *n)
{
	struct heap_reader *r = l->r;
	int protect;

	if (r->protects_links >= 0)
		return follow(l, mem, size, bias, r->protects_links, max, n);
	for (protect = 1; protect >= 0; protect--) {
		if (!follow(l, mem, size, bias, protect, max, n))
			continue;
		r->protects_links = protect;
		return true;
	}
	return false;
}

static struct glibc_arena *arena_of(struct heap_reader *r, uint64_t mem)
{
	uint64_t ar_ptr, heap = mem & ~(HEAP_MAX_BYTES - 1);
	size_t i;

	if (!reader_range(r, mem, MEMORY_BRK) && reader_read(r, heap, &ar_ptr, sizeof(ar_ptr)))
		for (i = 1; i < r->h->n_arenas; i++)
			if (r->h->arenas[i].address == ar_ptr)
				return &r->h->arenas[i];
	return &r->h->arenas[0];
}

static void take_back(struct heap_part *p, uint64_t bytes, uint64_t blocks)
{
	p->bytes -= p->bytes < bytes ? p->bytes : bytes;
	p->resident_bytes -= p->resident_bytes < bytes ? p->resident_bytes : bytes;
	p->blocks -= p->blocks < blocks ? p->blocks : blocks;
}

static void move(struct lists *l, uint64_t mem, uint64_t size, uint64_t n)
{
	struct glibc_arena *a = arena_of(l->r, mem);

	take_back(&a->in_use, n * size, n);
	part_add(&a->cached, n * size, n * size, n);
	census_add(l->r->h->census, size, -(int64_t)n, false, 0);
}

bool glibc_looks_like_tcache(const uint8_t *payload)
{
	uint16_t counts[TCACHE_N_BINS];
	unsigned int i, n = 0;

	__builtin_memcpy(counts, payload, sizeof(counts));
	for (i = 0; i < TCACHE_N_BINS; i++) {
		uint64_t entry = read_word(payload + TCACHE_ENTRIES + 8 * i);

		if (!counts[i] != !entry || (entry & 15) || entry >> 48)
			return false;
		n += counts[i] != 0;
	}
	return n > 0;
}

static void take_tcache(struct lists *l, uint64_t chunk)
{
	uint8_t t[TCACHE_CHUNK_BYTES - CHUNK_HEADER_BYTES];
	uint16_t counts[TCACHE_N_BINS];
	uint64_t entry, n;
	unsigned int i;

	if (!reader_read(l->r, chunk + CHUNK_HEADER_BYTES, t, sizeof(t)) || !glibc_looks_like_tcache(t))
		return;
	__builtin_memcpy(counts, t, sizeof(counts));
	for (i = 0; i < TCACHE_N_BINS; i++) {
		uint64_t size = CHUNK_MIN_BYTES + 16 * i;

		entry = read_word(t + TCACHE_ENTRIES + 8 * i);
		if (entry && follow_any(l, entry, size, 0, TCACHE_MAX_COUNT, &n) && n == counts[i])
			move(l, entry, size, n);
	}
}

static void take_fastbins(struct lists *l, const struct glibc_arena *a)
{
	uint8_t bins[8 * ARENA_N_FASTBINS];
	uint64_t chunk, n;
	unsigned int i;

	if (!reader_read(l->r, a->address + ARENA_FASTBINS, bins, sizeof(bins)))
		return;
	for (i = 0; i < ARENA_N_FASTBINS; i++) {
		uint64_t size = CHUNK_MIN_BYTES + 16 * i, mem;

		chunk = read_word(bins + 8 * i);
		mem = chunk + CHUNK_HEADER_BYTES;
		if (chunk && follow_any(l, mem, size, CHUNK_HEADER_BYTES, a->system_bytes / size, &n))
			move(l, mem, size, n);
	}
}

void glibc_take_cached(struct heap_reader *r)
{
	struct lists *l = xcalloc(1, sizeof(*l));
	size_t i;

	l->r = r;
	l->data = xmalloc((size_t)N_LINES * LINE_BYTES);
	for (i = 0; i < r->n_tcaches; i++)
		take_tcache(l, r->tcaches[i]);
	for (i = 0; i < r->h->n_arenas; i++)
		take_fastbins(l, &r->h->arenas[i]);
	free(l->data);
	free(l);
}
