/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the memory from before the attach consists of: blocks in use by size, and by the C++ type that
 * their first word names; and how many blocks have the size of those of the largest site. Part of the bridge.
 */
#include <stdlib.h>
#include <string.h>

#include "base/roots.h"
#include "collect/bridge_internal.h"
#include "symbol/vtable.h"

/* glibc's request2size; mapped blocks have whole pages. */
static uint64_t chunk_of(uint64_t size_bytes)
{
	uint64_t chunk = (size_bytes + 8 + 15) & ~15ULL;

	return chunk < 32 ? 32 : chunk;
}

/* The class that most blocks of that size belong to. */
static void name_type(struct bridge_size *s, const struct heap_type *t, size_t n, struct vtables *names,
		      struct profile *p)
{
	const char *name;
	size_t i;

	for (i = 0; i < n; i++) {
		if (t[i].chunk_bytes != s->chunk_bytes || t[i].blocks <= s->type_blocks)
			continue;
		name = vtables_name(names, t[i].word);
		if (!name)
			continue;
		s->type_blocks = t[i].blocks < s->blocks ? t[i].blocks : s->blocks;
		s->type = profile_string(p, name);
	}
}

static double grown_bytes(const struct bridge_size *s)
{
	return s->knows_attach ? ((double)s->blocks - (double)s->attach_blocks) * (double)s->chunk_bytes : 0;
}

/* Where it is known what grew: that first. */
static int by_before(const void *a, const void *b)
{
	const struct bridge_size *x = a, *y = b;
	double grown_x = grown_bytes(x), grown_y = grown_bytes(y);
	uint64_t n = x->chunk_bytes * x->blocks, m = y->chunk_bytes * y->blocks;

	if (grown_x != grown_y)
		return grown_x > grown_y ? -1 : 1;
	return n != m ? (n > m ? -1 : 1) : x->chunk_bytes < y->chunk_bytes ? -1 : 1;
}

/* Blocks from before, as sizes in order. */
static struct bridge_size *sizes_before(const struct bridge_look *l, size_t *n)
{
	struct heap_class *k = census_classes(l->heap.census, n);
	struct bridge *b = l->b;
	struct bridge_size *v = calloc(*n + 1, sizeof(*v));
	size_t i, kept = 0;

	b->before_bytes = b->before_blocks = 0;
	for (i = 0; v && i < *n; i++) {
		uint64_t blocks = k[i].blocks - (k[i].since_blocks < k[i].blocks ? k[i].since_blocks : k[i].blocks);

		if (!blocks)
			continue;
		v[kept] = (struct bridge_size){ .chunk_bytes = k[i].chunk_bytes, .blocks = blocks };
		v[kept].knows_attach = b->is_estimate && heap_looks_at_attach(l, k[i].chunk_bytes, &v[kept].attach_blocks);
		kept++;
		b->before_blocks += blocks;
		b->before_bytes += blocks * k[i].chunk_bytes;
	}
	if (v && kept)
		qsort(v, kept, sizeof(*v), by_before);
	*n = kept;
	free(k);
	return v;
}

static void fill_sizes(struct bridge_look *l, struct vtables *names)
{
	struct bridge *b = l->b;
	size_t n, n_types, i;
	struct bridge_size *v = sizes_before(l, &n);
	struct heap_type *t = census_types(l->heap.census, &n_types);

	b->n_sizes = b->other_sizes = b->other_bytes = b->largest_other_bytes = 0;
	memset(b->sizes, 0, sizeof(b->sizes));
	for (i = 0; v && i < n; i++) {
		uint64_t bytes = v[i].chunk_bytes * v[i].blocks;

		if (b->n_sizes < BRIDGE_MAX_SIZES) {
			name_type(&v[i], t, n_types, names, &l->c->profile);
			b->sizes[b->n_sizes++] = v[i];
			continue;
		}
		b->other_sizes++;
		b->other_bytes += bytes;
		if (bytes > b->largest_other_bytes)
			b->largest_other_bytes = bytes;
	}
	free(v);
	free(t);
}

/*
 * Of the stack that grew most, which is the report's #1: a full cache that replaces its entries may hold more. Where
 * its blocks are of one size, the heap tells how many of it there are.
 */
static void fill_site(struct bridge_look *l)
{
	const struct profile *p = &l->c->profile;
	const struct profile_stack *best = NULL;
	struct heap_class *k;
	size_t i, n;

	l->b->site_stack = l->b->site_chunk_bytes = l->b->site_blocks = 0;
	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].proc == l->b->proc && stack_is_heap(&p->stacks[i]) &&
		    (!best || stack_grew_more(&p->stacks[i], best)))
			best = &p->stacks[i];
	if (!best || !totals_live_blocks(&best->t) || best->t.alloc_bytes % best->t.alloc_blocks ||
	    totals_live_bytes(&best->t) % totals_live_blocks(&best->t))
		return;
	l->b->site_stack = best->id;
	l->b->site_chunk_bytes = chunk_of(totals_live_bytes(&best->t) / totals_live_blocks(&best->t));
	k = census_classes(l->heap.census, &n);
	for (i = 0; i < n; i++)
		if (k[i].chunk_bytes == l->b->site_chunk_bytes)
			l->b->site_blocks = k[i].blocks;
	free(k);
}

void bridge_fill_census(struct bridge_look *l)
{
	struct vtables *names =
		vtables_new(l->c->proc_root, DEBUG_ROOT, l->proc->tgid, &l->smaps.maps);

	fill_sizes(l, names);
	if (!l->b->is_estimate)
		fill_site(l);
	vtables_free(names);
}
