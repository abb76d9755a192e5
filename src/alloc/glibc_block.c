/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Blocks by the sizes of their chunks; see glibc_block.h. */
#include "alloc/glibc_block.h"

#include "alloc/glibc_layout.h"
#include "alloc/memory_window.h"

/* The low bits of a chunk's size. */
#define PREV_INUSE 1
#define IS_MMAPPED 2
#define NON_MAIN_ARENA 4

/* A rest smaller than a chunk stays with the block; of aligned ones a little more. */
#define SLACK_BYTES 32
/* Larger ones are more often grown in place than followed by a larger one. */
#define MAY_GROW_BYTES 4096

enum fate { FATE_UNREAD, FATE_ODD, FATE_MAY_LIVE, FATE_ENDED };

static uint64_t chunk_bytes(uint64_t size_bytes)
{
	uint64_t bytes = (size_bytes + 8 + 15) & ~15ULL;

	return bytes < 32 ? 32 : bytes;
}

static enum fate fate_of(struct memory_window *w, const struct memory_range *heap, const struct glibc_block *b)
{
	uint64_t want = chunk_bytes(b->size_bytes), word, bytes;
	uint64_t arena = heap->kind == MEMORY_BRK ? 0 : NON_MAIN_ARENA;
	const void *p = window_at(w, b->addr - 8, 8, heap->end);

	if (!p)
		return FATE_UNREAD;
	word = read_word(p);
	bytes = word & ~7ULL;
	if (word & IS_MMAPPED && arena && bytes >= want)
		return FATE_MAY_LIVE;
	if (word & IS_MMAPPED || (word & NON_MAIN_ARENA) != arena || bytes % 16 || bytes < 32 || bytes > heap->end - b->addr + 16)
		return FATE_ODD;
	if (bytes < want || (bytes > want + SLACK_BYTES && b->size_bytes < MAY_GROW_BYTES))
		return FATE_ENDED;
	p = window_at(w, b->addr - 8 + bytes, 8, heap->end);
	return p && !(read_word(p) & PREV_INUSE) ? FATE_ENDED : FATE_MAY_LIVE;
}

static size_t first_from(const struct glibc_block *v, size_t n, uint64_t addr)
{
	size_t low = 0, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (v[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t glibc_blocks_ended(const struct target_memory *m, const struct memory_range *heap, struct glibc_block *v,
			  size_t n)
{
	size_t first, end, i, n_odd = 0, n_read = 0, n_ended = 0;
	struct memory_window w;
	enum fate fate;

	window_init(&w, m);
	first = first_from(v, n, heap->start + 16);
	end = first_from(v, n, heap->end);
	for (i = first; i < end; i++) {
		fate = fate_of(&w, heap, &v[i]);
		n_read += fate != FATE_UNREAD;
		n_odd += fate == FATE_ODD;
		v[i].has_ended = fate == FATE_ODD || fate == FATE_ENDED;
		n_ended += v[i].has_ended;
	}
	window_release(&w);
	if (n_odd * 2 <= n_read)
		return n_ended;
	for (i = first; i < end; i++)
		v[i].has_ended = false;
	return 0;
}
