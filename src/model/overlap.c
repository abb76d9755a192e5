/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * See overlap.h. Sorted by address, the blocks that begin inside a block follow it directly: the youngest of them is
 * a maximum over a range. That a block begins inside older ones is the same seen from the other side: it
 * hands its birth to the range that it covers. Two trees of maxima, one to ask for ranges, one to hand to them.
 */
#include "model/overlap.h"

#include <stdlib.h>

#include "base/xalloc.h"

static int by_address(const void *a, const void *b)
{
	const struct overlap_block *x = a, *y = b;

	if (x->gen != y->gen)
		return x->gen < y->gen ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static bool begins_within(const struct overlap_block *b, const struct overlap_block *outer)
{
	return b->gen == outer->gen && b->addr - outer->addr < outer->size_bytes;
}

/* The first after i that does not begin within it. */
static size_t end_of(const struct overlap_block *v, size_t n, size_t i)
{
	size_t low = i + 1, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (begins_within(&v[mid], &v[i]))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void raise_to(uint32_t *at, uint32_t value)
{
	if (*at < value)
		*at = value;
}

/* Trees of n leaves at [n, 2 n); the parent of k is k / 2. */
static uint32_t range_most(const uint32_t *tree, size_t n, size_t from, size_t to)
{
	uint32_t most = 0;

	for (from += n, to += n; from < to; from /= 2, to /= 2) {
		if (from & 1)
			raise_to(&most, tree[from++]);
		if (to & 1)
			raise_to(&most, tree[--to]);
	}
	return most;
}

static void range_hand(uint32_t *tree, size_t n, size_t from, size_t to, uint32_t value)
{
	for (from += n, to += n; from < to; from /= 2, to /= 2) {
		if (from & 1)
			raise_to(&tree[from++], value);
		if (to & 1)
			raise_to(&tree[--to], value);
	}
}

static uint32_t point_most(const uint32_t *tree, size_t n, size_t at)
{
	uint32_t most = 0;

	for (at += n; at; at /= 2)
		raise_to(&most, tree[at]);
	return most;
}

size_t overlap_find(struct overlap_block *v, size_t n)
{
	uint32_t *born = xcalloc(2 * n + 1, sizeof(*born)), *handed = xcalloc(2 * n + 1, sizeof(*handed));
	size_t i, end, n_ended = 0;

	qsort(v, n, sizeof(*v), by_address);
	for (i = 0; i < n; i++)
		born[n + i] = v[i].birth_ms;
	for (i = n; i-- > 1;)
		born[i] = born[2 * i] > born[2 * i + 1] ? born[2 * i] : born[2 * i + 1];
	for (i = 0; i < n; i++) {
		end = end_of(v, n, i);
		v[i].has_ended = range_most(born, n, i + 1, end) > v[i].birth_ms;
		range_hand(handed, n, i + 1, end, v[i].birth_ms);
	}
	for (i = 0; i < n; i++) {
		v[i].has_ended |= point_most(handed, n, i) > v[i].birth_ms;
		n_ended += v[i].has_ended;
	}
	free(born);
	free(handed);
	return n_ended;
}
