/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the lifetimes of blocks (model/lifetimes.h) need beside the pass over the live ones: what each stack had made a
 * second or two before, and at each mark; part of the collector. The pass itself is in evidence.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/units.h"
#include "collect/collector_internal.h"

#define RECENT_NS NS_PER_S
/* Of all marks together: beyond it what was made by a mark is not kept. 24 bytes each. */
#define MOST_AT_MARKS (1u << 20)

/* What was made last is counted from the older of two moments, each a second or more after the one before. */
void lifetimes_look(struct collector *c)
{
	struct checkpoint now;

	if (c->profile.window_ns < c->lately[0].window_ns + RECENT_NS || checkpoint_take(c, &now))
		return;
	free(c->lately[1].v);
	c->lately[1] = c->lately[0];
	c->lately[0] = now;
}

void lifetimes_look_release(struct collector *c)
{
	size_t i;

	for (i = 0; i < 2; i++)
		free(c->lately[i].v);
	for (i = 0; i < PROFILE_MAX_MARKS; i++)
		free(c->at_marks[i].v);
}

int collector_mark(struct collector *c)
{
	struct profile *p = &c->profile;
	struct profile_mark m = { 0 };
	struct checkpoint at;
	size_t i, kept = 0;
	int err;

	if (p->n_marks == PROFILE_MAX_MARKS)
		return -ENOSPC;
	err = collector_snapshot(c, false);
	if (err)
		return err;
	snapshot_fill_times(c); /* what was born since it began is before the mark: it is counted below */
	err = checkpoint_take(c, &at);
	if (err)
		return err;
	m.time_ns = p->window_ns;
	for (i = 0; i < p->n_stacks; i++) {
		if (!stack_is_heap(&p->stacks[i]))
			continue;
		m.live_bytes += totals_live_bytes(&p->stacks[i].t);
		m.live_blocks += totals_live_blocks(&p->stacks[i].t);
	}
	for (i = 0; i < p->n_marks; i++)
		kept += c->at_marks[i].n;
	if (kept + at.n <= MOST_AT_MARKS)
		c->at_marks[p->n_marks] = at;
	else
		free(at.v);
	p->marks[p->n_marks++] = m;
	return 0;
}

/* A second old at least; blocks that are made unseen in between cannot be told. */
static const struct checkpoint *recent_of(const struct collector *c)
{
	const struct checkpoint *r = c->lately;

	if (rung_is_gated(c->profile.watch.rung))
		return NULL;
	if (r[0].v && r[0].window_ns + RECENT_NS <= c->profile.window_ns)
		return &r[0];
	return r[1].v ? &r[1] : NULL;
}

static void tell_made(struct collector *c, struct lifetimes_pass *a)
{
	const struct profile *p = &c->profile;
	size_t mark, i;

	for (mark = 0; mark <= p->n_marks; mark++) {
		const struct checkpoint *at = mark < p->n_marks ? &c->at_marks[mark] : NULL;

		if (at && !at->v)
			continue;
		for (i = 0; i < (at ? at->n : p->n_stacks); i++)
			lifetimes_made(a, (uint32_t)i, mark, at ? at->v[i].bytes : p->stacks[i].t.alloc_bytes,
				       at ? at->v[i].blocks : p->stacks[i].t.alloc_blocks);
		lifetimes_counted(a, mark);
	}
}

struct lifetimes_pass *lifetimes_look_begin(struct collector *c)
{
	const struct profile *p = &c->profile;
	const struct checkpoint *recent = recent_of(c);
	struct lifetimes_pass *a;
	size_t i;

	a = lifetimes_begin(p, recent ? (uint32_t)((p->window_ns - recent->window_ns) / NS_PER_MS) : 0);
	for (i = 0; recent && i < p->n_stacks; i++) {
		uint64_t then = i < recent->n ? recent->v[i].blocks : 0, now = p->stacks[i].t.alloc_blocks;

		lifetimes_recent(a, (uint32_t)i, now > then ? now - then : 0);
	}
	if (p->n_marks)
		tell_made(c, a);
	return a;
}

/* In brief bursts the table holds blocks that have ended. */
void lifetimes_look_end(struct collector *c, struct lifetimes_pass *a)
{
	lifetimes_end(a, &c->profile.lifetimes);
	if (c->profile.watch.rung >= RUNG_BRIEF)
		c->profile.lifetimes.n = c->profile.lifetimes.n_survivors = 0;
}
