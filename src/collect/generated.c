/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Frames of generated code that wait for a perf map; see generated.h. */
#include "collect/generated.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"

#define LOOK_EACH_NS NS_PER_S

void generated_release(struct generated *g)
{
	free(g->v);
	table_release(&g->n_of);
	table_release(&g->maps);
}

static bool is_unnamed(const struct collector *c, uint32_t frame)
{
	return !strcmp(profile_str(&c->profile, c->profile.frames[frame].name), SYMBOLIZER_JIT);
}

static void keep(struct generated *g, uint32_t gen, uint64_t addr, uint32_t at)
{
	if (g->n >= GENERATED_MOST)
		return;
	XGROW(g->v, g->n, g->cap);
	g->v[g->n++] = (struct generated_frame){ .addr = addr, .at = at, .gen = gen };
	++*table_put(&g->n_of, gen, 0);
}

/* A frame of the runtime may have taken its place. */
static bool is_replaced(const struct raw_stack *r, uint64_t addr)
{
	uint32_t i;

	for (i = 0; i < r->n_runtime; i++)
		if ((r->runtime[i].at & ~MP_RT_ENTRY) == addr)
			return true;
	return false;
}

/*
 * They come in the same order with a runtime's frames and without; where their numbers differ, nobody knows which is
 * which.
 */
void generated_keep(struct collector *c, const struct raw_stack *r, const uint32_t *names, const uint32_t *first,
		    uint32_t stack)
{
	const struct profile_stack *s = &c->profile.stacks[stack];
	const uint32_t *frames = c->profile.stack_frames + s->first_frame;
	uint64_t addrs[MP_MAX_FRAMES];
	uint32_t at[MP_MAX_FRAMES], n = 0, n_at = 0, i;

	for (i = 0; i < s->n_frames && n_at < MP_MAX_FRAMES; i++)
		if (is_unnamed(c, frames[i]))
			at[n_at++] = s->first_frame + i;
	for (i = 0; n_at && i < r->n && i < MP_MAX_FRAMES; i++)
		if (is_unnamed(c, names[first[i + 1] - 1]) && !is_replaced(r, r->frames[i]))
			addrs[n++] = r->frames[i] - (i && r->frames[i]);
	for (i = 0; n == n_at && i < n; i++)
		keep(&c->generated, r->gen, addrs[i], at[i]);
}

/* The first whose index is not below. */
static size_t find(const struct generated *g, uint32_t at)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->v[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void generated_keep_copy(struct collector *c, uint32_t from, uint32_t to, uint32_t shift)
{
	const struct profile_stack *a = &c->profile.stacks[from], *b = &c->profile.stacks[to];
	struct generated *g = &c->generated;
	size_t i, n = g->n;

	for (i = find(g, a->first_frame); i < n && g->v[i].at < a->first_frame + a->n_frames; i++)
		keep(g, g->v[i].gen, g->v[i].addr, g->v[i].at - a->first_frame + b->first_frame + shift);
}

/* True when there is a map that was not there, or not this one, at the last time. */
static bool has_new_map(struct collector *c, uint32_t gen)
{
	uint32_t n = symbolizer_perf_maps(c->symbolizer, gen);
	uint64_t *seen = table_put(&c->generated.maps, gen, 0);
	bool is_new = *seen != n;

	*seen = n;
	return is_new;
}

static bool name_one(struct collector *c, const struct generated_frame *f)
{
	struct symbol s;

	if (!symbolizer_name_generated(c->symbolizer, f->gen, f->addr, &s))
		return false;
	profile_rename(&c->profile, f->at, frame_of_symbol(c, f->gen, &s));
	return true;
}

static void name_all(struct collector *c, const struct table *renewed)
{
	struct generated *g = &c->generated;
	size_t i, n = 0;

	for (i = 0; i < g->n; i++) {
		if (table_get(renewed, g->v[i].gen) && name_one(c, &g->v[i]))
			--*table_get(&g->n_of, g->v[i].gen);
		else
			g->v[n++] = g->v[i];
	}
	g->n = n;
}

void generated_name(struct collector *c)
{
	struct table renewed = TABLE_INIT;
	size_t i;

	for (i = 0; i < c->profile.n_procs; i++) {
		const struct profile_proc *p = &c->profile.procs[i];
		const uint64_t *n = table_get(&c->generated.n_of, p->gen);

		/* where all have names by now, too: so stacks that come are named by the newest map */
		if (n && has_new_map(c, p->gen) && *n)
			table_put(&renewed, p->gen, 1);
	}
	if (renewed.n)
		name_all(c, &renewed);
	table_release(&renewed);
}

void generated_look(struct collector *c)
{
	uint64_t now = clock_monotonic_ns();

	if (!c->generated.n_of.n || now < c->generated.next_ns)
		return;
	generated_name(c);
	c->generated.next_ns = now + LOOK_EACH_NS;
}
