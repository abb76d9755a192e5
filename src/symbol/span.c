/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Sweep over range starts with a heap of the open ranges, highest rank on top; see span.h.
 * O(n log n). Depends on base.
 */
#include "symbol/span.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/search.h"
#include "base/xalloc.h"

/* Indices of open ranges; those that ended stay until they come to the top. */
struct heap {
	const struct range *ranges;
	size_t *v;
	size_t n;
};

static bool is_above(const struct heap *h, size_t i, size_t j)
{
	return h->ranges[h->v[i]].rank > h->ranges[h->v[j]].rank;
}

static void swap(struct heap *h, size_t i, size_t j)
{
	size_t t = h->v[i];

	h->v[i] = h->v[j];
	h->v[j] = t;
}

static void push(struct heap *h, size_t range)
{
	size_t i = h->n++;

	h->v[i] = range;
	for (; i && is_above(h, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(h, i, (i - 1) / 2);
}

static void pop(struct heap *h)
{
	size_t i = 0, child;

	h->v[0] = h->v[--h->n];
	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && is_above(h, child + 1, child))
			child++;
		if (!is_above(h, child, i))
			break;
		swap(h, i, child);
		i = child;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void emit(struct span *out, size_t *n, uint64_t from, uint64_t to, uint32_t name)
{
	struct span *last = *n ? &out[*n - 1] : NULL;

	if (last && last->name == name && last->start + last->size_bytes == from &&
	    to - last->start <= UINT32_MAX) {
		last->size_bytes = (uint32_t)(to - last->start);
		return;
	}
	out[(*n)++] = (struct span){ from, (uint32_t)(to - from), name };
}

static size_t drop_empty(struct range *v, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (v[i].end <= v[i].start)
			continue;
		v[kept] = v[i];
		if (v[kept].end - v[kept].start > UINT32_MAX)
			v[kept].end = v[kept].start + UINT32_MAX;
		kept++;
	}
	return kept;
}

/* Each step opens a range or ends one, so there are at most 2 n spans. */
size_t spans_paint(struct span **out, struct range *ranges, size_t n)
{
	struct heap open = { .ranges = ranges };
	size_t next = 0, n_out = 0;
	uint64_t at = 0, until;

	n = drop_empty(ranges, n);
	if (n)
		qsort(ranges, n, sizeof(*ranges), by_start);
	*out = xcalloc(2 * n, sizeof(**out));
	open.v = xcalloc(n, sizeof(*open.v));
	while (next < n || open.n) {
		if (!open.n && ranges[next].start > at)
			at = ranges[next].start;
		while (next < n && ranges[next].start <= at)
			push(&open, next++);
		while (open.n && ranges[open.v[0]].end <= at)
			pop(&open);
		if (!open.n)
			continue;
		until = ranges[open.v[0]].end;
		if (next < n && ranges[next].start < until)
			until = ranges[next].start;
		emit(*out, &n_out, at, until, ranges[open.v[0]].name);
		at = until;
	}
	free(open.v);
	*out = xreallocarray(*out, n_out, sizeof(**out));
	return n_out;
}

const struct span *spans_find(const struct span *v, size_t n, uint64_t addr)
{
	size_t i = FIRST_ABOVE(v, n, start, addr);

	if (!i || addr - v[i - 1].start >= v[i - 1].size_bytes)
		return NULL;
	return &v[i - 1];
}
