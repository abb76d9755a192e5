/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * main_arena and mp_ in the writable data of libc, by their shape.
 *
 * main_arena: 127 bins, each a pair of links that point at the bin itself when it is empty (at its
 * address - 16, as if the bin were a chunk) and at chunks otherwise; `next` is another arena or
 * itself. A symbol is not asked for: most libcs have none, and it would need the same check.
 * mp_: the word that is the start of the brk heap, below it counters that fit together.
 */
#include "alloc/glibc_internal.h"

#include <string.h>

/* A heap so scattered that more than 111 of 127 bins are in use is unheard of. */
#define MIN_EMPTY_BINS 16

static bool is_chunk_address(uint64_t v)
{
	return v && !(v & 15) && v >> 48 == 0;
}

static bool looks_like_arena(const uint8_t *p, uint64_t addr)
{
	unsigned int i, n_empty = 0;
	uint64_t next = read_word(p + ARENA_NEXT), top = read_word(p + ARENA_TOP);

	if (!next || (next & 7) || next >> 48 || !is_chunk_address(top))
		return false;
	for (i = 0; i < ARENA_N_BINS; i++) {
		uint64_t fd = read_word(p + ARENA_BINS + 16 * i);
		uint64_t bk = read_word(p + ARENA_BINS + 16 * i + 8);
		uint64_t self = addr + ARENA_BINS - CHUNK_HEADER_BYTES + 16 * i;

		if (fd == self && bk == self)
			n_empty++;
		else if (fd == self || bk == self || !is_chunk_address(fd) || !is_chunk_address(bk))
			return false;
	}
	return n_empty >= MIN_EMPTY_BINS;
}

/* The arena in this range that got most from the system. */
static void find_arena(struct heap_reader *r, const struct memory_range *range, uint64_t *best)
{
	uint64_t addr, end = range->end;

	for (addr = (range->start + 7) & ~7ULL; addr + ARENA_BYTES <= end; addr += 8) {
		const uint8_t *p = window_at(&r->w, addr, ARENA_BYTES, end);
		uint64_t system;

		if (!p || !looks_like_arena(p, addr))
			continue;
		system = read_word(p + ARENA_SYSTEM_MEM);
		if (r->main_arena && system <= *best)
			continue;
		*best = system;
		r->main_arena = addr;
		r->data = range;
	}
}

/* n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold */
static bool counts_fit(const uint8_t *p, uint64_t mapped_bytes)
{
	int32_t n[4];

	memcpy(n, p, sizeof(n));
	return n[0] >= 0 && n[1] > 0 && n[2] >= n[0] && (n[3] == 0 || n[3] == 1) &&
	       !n[0] == !mapped_bytes;
}

static bool looks_like_mp(const struct heap_reader *r, const uint8_t *p)
{
	uint64_t base = read_word(p + MP_SBRK_BASE), mapped = read_word(p + MP_MMAPPED_MEM);
	uint64_t max = read_word(p + MP_MAX_MMAPPED_MEM), page = r->o->memory->page_bytes;

	return reader_range(r, base, MEMORY_BRK) && mapped <= max && !(mapped % page) &&
	       !(max % page) &&
	       (counts_fit(p + MP_N_MMAPS, mapped) || counts_fit(p + MP_N_MMAPS_2_35, mapped));
}

static void find_mp(struct heap_reader *r)
{
	uint64_t addr, end = r->data->end;

	for (addr = (r->data->start + 7) & ~7ULL; addr + MP_BYTES <= end && !r->mp; addr += 8) {
		const uint8_t *p = window_at(&r->w, addr, MP_BYTES, end);

		if (!p || !looks_like_mp(r, p))
			continue;
		r->mp = addr;
		r->sbrk_base = read_word(p + MP_SBRK_BASE);
		r->h->mmapped_claimed = read_word(p + MP_MMAPPED_MEM);
	}
}

bool glibc_find(struct heap_reader *r)
{
	uint64_t best = 0;
	size_t i;

	for (i = 0; i < r->o->n_ranges; i++)
		if (r->o->ranges[i].kind == MEMORY_DATA)
			find_arena(r, &r->o->ranges[i], &best);
	if (r->main_arena)
		find_mp(r);
	return r->main_arena != 0;
}
