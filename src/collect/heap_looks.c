/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How many blocks of which size the heaps of the targets had in use at the attach, and how many they have at the end:
 * for model/heap_rise.h. Of glibc's heaps, by the looks of the bridge; part of the collector.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "bpf/memprobe.h"
#include "collect/bridge_internal.h"

#define CHUNK_HEADER_BYTES 8

struct heap_looks {
	struct table chunks[PROFILE_MAX_BRIDGES]; /* at the attach: bytes of a chunk -> blocks */
	struct table attach[PROFILE_MAX_BRIDGES], now[PROFILE_MAX_BRIDGES]; /* size class -> blocks */
	uint32_t has_attach, has_now;					   /* bit i: bridge i */
	uint64_t attach_ns[PROFILE_MAX_BRIDGES], now_ns[PROFILE_MAX_BRIDGES];
};

void heap_looks_release(struct collector *c)
{
	size_t i;

	for (i = 0; c->heap_looks && i < PROFILE_MAX_BRIDGES; i++) {
		table_release(&c->heap_looks->chunks[i]);
		table_release(&c->heap_looks->attach[i]);
		table_release(&c->heap_looks->now[i]);
	}
	free(c->heap_looks);
	c->heap_looks = NULL;
}

void heap_looks_note(const struct bridge_look *l)
{
	struct collector *c = l->c;
	size_t at = (size_t)(l->b - c->profile.bridges), i, n;
	bool is_now = l->rows == l->b->now;
	double *unread = is_now ? &l->b->unread : &l->b->attach_unread;
	struct heap_class *v;
	struct table *t;

	if (!heap_is_read(l))
		return;
	*unread = l->heap.sum.system_bytes ? (double)l->heap.sum.unread.bytes / (double)l->heap.sum.system_bytes : 0;
	if (*unread > BRIDGE_MOST_UNREAD)
		return;
	if (!c->heap_looks)
		c->heap_looks = xcalloc(1, sizeof(*c->heap_looks));
	t = is_now ? &c->heap_looks->now[at] : &c->heap_looks->attach[at];
	table_release(t);
	*t = (struct table){ 0 };
	v = census_classes(l->heap.census, &n);
	for (i = 0; v && i < n; i++) {
		*table_put(t, mp_size_class(v[i].chunk_bytes - CHUNK_HEADER_BYTES), 0) += v[i].blocks;
		if (!is_now)
			*table_put(&c->heap_looks->chunks[at], v[i].chunk_bytes, 0) = v[i].blocks;
	}
	free(v);
	*(is_now ? &c->heap_looks->has_now : &c->heap_looks->has_attach) |= 1u << at;
	*(is_now ? &c->heap_looks->now_ns[at] : &c->heap_looks->attach_ns[at]) = clock_monotonic_ns();
}

bool heap_looks_at_attach(const struct bridge_look *l, uint64_t chunk_bytes, uint64_t *blocks)
{
	const struct heap_looks *h = l->c->heap_looks;
	size_t i = (size_t)(l->b - l->c->profile.bridges);
	const uint64_t *then;

	if (!h || !(h->has_attach & 1u << i))
		return false;
	then = table_get(&h->chunks[i], chunk_bytes);
	*blocks = then ? *then : 0;
	return true;
}

bool heap_looks_rise(const struct collector *c, struct heap_rise *r)
{
	const struct bridge *b = profile_bridge(&c->profile, r->proc);
	const struct heap_looks *h = c->heap_looks;
	const uint64_t *then, *now;
	size_t i;

	if (!b || !h)
		return false;
	i = (size_t)(b - c->profile.bridges);
	if (!(h->has_attach & h->has_now & 1u << i))
		return false;
	then = table_get(&h->attach[i], r->size_class);
	now = table_get(&h->now[i], r->size_class);
	r->grown = (now ? (double)*now : 0) - (then ? (double)*then : 0);
	r->seen = h->now_ns[i] > h->attach_ns[i] ? fmin(1, (double)c->profile.window_ns / (double)(h->now_ns[i] - h->attach_ns[i])) : 1;
	return true;
}
