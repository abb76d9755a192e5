/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See lifetimes.h. */
#include "model/lifetimes.h"

#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "model/profile.h"

/* Ages are told to so many parts of the window. */
#define PARTS 200

struct made {
	uint64_t bytes, blocks;
};

struct slot {
	uint32_t stack;
	uint64_t by_age[PARTS + 1], blocks;
	uint64_t recent_blocks, recent_alive;
	struct survivor_row v[LIFETIMES_MOST_MARKS + 2];
	struct made made[LIFETIMES_MOST_MARKS + 1]; /* until each mark */
};

struct lifetimes_pass {
	const struct profile *p;
	uint8_t *slot_of; /* of a stack; n: the rest */
	struct slot *slots;
	size_t n;
	uint32_t window_ms, recent_ms;
	size_t n_marks;
	bool counted[LIFETIMES_MOST_MARKS + 1];
};

struct held {
	uint32_t stack;
	uint64_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

struct lifetimes_pass *lifetimes_begin(const struct profile *p, uint32_t recent_ms)
{
	struct lifetimes_pass *a = xcalloc(1, sizeof(*a));
	struct held *held = xcalloc(p->n_stacks + 1, sizeof(*held));
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		held[i] = (struct held){ (uint32_t)i, totals_live_bytes(&p->stacks[i].t) };
	qsort(held, p->n_stacks, sizeof(*held), by_bytes);
	a->p = p;
	a->n = p->n_stacks < LIFETIMES_STACKS ? p->n_stacks : LIFETIMES_STACKS;
	a->slots = xcalloc(a->n + 1, sizeof(*a->slots));
	a->slot_of = xcalloc(p->n_stacks + 1, sizeof(*a->slot_of));
	for (i = 0; i < p->n_stacks; i++) {
		a->slot_of[held[i].stack] = (uint8_t)(i < a->n ? i : a->n);
		if (i < a->n)
			a->slots[i].stack = held[i].stack;
	}
	a->slots[a->n].stack = LIFETIMES_REST;
	a->window_ms = (uint32_t)(p->window_ns / NS_PER_MS);
	a->recent_ms = recent_ms;
	a->n_marks = p->n_marks;
	free(held);
	return a;
}

static size_t interval_of(const struct lifetimes_pass *a, uint32_t birth_ms)
{
	size_t i;

	for (i = 0; i < a->n_marks; i++)
		if (birth_ms < a->p->marks[i].time_ns / NS_PER_MS)
			return i;
	return a->n_marks;
}

void lifetimes_block(struct lifetimes_pass *a, uint32_t stack, uint64_t size_bytes, uint64_t weight, uint32_t birth_ms,
		     bool age_unknown)
{
	struct slot *s = &a->slots[a->slot_of[stack]];
	uint32_t age_ms = birth_ms < a->window_ms ? a->window_ms - birth_ms : 0;
	struct survivor_row *v = &s->v[age_unknown ? a->n_marks + 1 : interval_of(a, birth_ms)];

	v->bytes += size_bytes * weight;
	v->blocks += weight;
	if (age_unknown)
		return;
	s->by_age[a->window_ms ? (uint64_t)age_ms * PARTS / a->window_ms : 0] += weight;
	s->blocks += weight;
	if (age_ms < a->recent_ms)
		s->recent_alive += weight;
}

void lifetimes_made(struct lifetimes_pass *a, uint32_t stack, size_t mark, uint64_t bytes, uint64_t blocks)
{
	struct made *m = &a->slots[a->slot_of[stack]].made[mark];

	m->bytes += bytes;
	m->blocks += blocks;
}

void lifetimes_counted(struct lifetimes_pass *a, size_t mark)
{
	a->counted[mark] = true;
}

void lifetimes_recent(struct lifetimes_pass *a, uint32_t stack, uint64_t blocks)
{
	a->slots[a->slot_of[stack]].recent_blocks += blocks;
}

/* The age that so many of the blocks do not pass: the upper end of its part. */
static uint32_t age_of(const struct lifetimes_pass *a, const struct slot *s, double share)
{
	double want = share * (double)s->blocks, sum = 0;
	uint64_t i;

	for (i = 0; i < PARTS && sum + (double)s->by_age[i] < want; i++)
		sum += (double)s->by_age[i];
	return s->blocks ? (uint32_t)((i < PARTS ? i + 1 : i) * a->window_ms / PARTS) : 0;
}

/* What was made in an interval is what was made until its end, less what was made until its beginning. */
static void add_survivors(const struct lifetimes_pass *a, const struct slot *s, struct lifetimes *out)
{
	static const struct made none;
	size_t i;

	for (i = 0; i < a->n_marks + 2; i++) {
		bool is_counted = i <= a->n_marks && a->counted[i] && (!i || a->counted[i - 1]);
		const struct made *to = is_counted ? &s->made[i] : &none, *from = is_counted && i ? &s->made[i - 1] : &none;
		struct survivor_row v = s->v[i];

		v.stack = s->stack;
		v.interval = (uint32_t)i;
		if (to->blocks >= from->blocks && to->bytes >= from->bytes) {
			v.made_bytes = to->bytes - from->bytes;
			v.made_blocks = to->blocks - from->blocks;
		}
		if (v.blocks || v.made_blocks)
			out->survivors[out->n_survivors++] = v;
	}
}

void lifetimes_end(struct lifetimes_pass *a, struct lifetimes *out)
{
	size_t i;

	*out = (struct lifetimes){ .recent_ms = a->recent_ms };
	for (i = 0; i <= a->n; i++) {
		const struct slot *s = &a->slots[i];

		if (i < a->n && (s->blocks || s->recent_blocks))
			out->rows[out->n++] = (struct lifetime_row){
				.stack = s->stack,
				.half_ms = age_of(a, s, 0.5),
				.nine_tenths_ms = age_of(a, s, 0.9),
				.recent_blocks = s->recent_blocks,
				.recent_alive = s->recent_alive < s->recent_blocks ? s->recent_alive : s->recent_blocks,
			};
		if (a->n_marks)
			add_survivors(a, s, out);
	}
	free(a->slots);
	free(a->slot_of);
	free(a);
}
