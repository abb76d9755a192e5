/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See shelf.h. */
#include "collect/shelf.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "collect/collector_internal.h"

void shelf_release(struct shelf *s)
{
	free(s->stacks);
	free(s->rss);
	free(s->bumps);
	*s = (struct shelf){ 0 };
}

static void take_stack(void *ctx, uint64_t hash, const struct mp_stack *row)
{
	struct collector *c = ctx;
	struct shelf *s = &c->shelf;

	if (!ended_goes(c, row->gen))
		return;
	XGROW(s->stacks, s->n_stacks, s->stacks_cap);
	s->stacks[s->n_stacks++] = (struct shelf_stack){ hash, *row };
}

static void take_rss(void *ctx, uint64_t hash, const struct mp_rss_stack *row)
{
	struct collector *c = ctx;
	struct shelf *s = &c->shelf;

	if (!ended_goes(c, row->gen))
		return;
	XGROW(s->rss, s->n_rss, s->rss_cap);
	s->rss[s->n_rss++] = (struct shelf_rss){ hash, *row };
}

static void take_bump(void *ctx, uint64_t hash, const struct mp_bump *row)
{
	struct collector *c = ctx;
	struct shelf *s = &c->shelf;

	if (!ended_goes(c, row->gen))
		return;
	XGROW(s->bumps, s->n_bumps, s->bumps_cap);
	s->bumps[s->n_bumps++] = (struct shelf_bump){ hash, *row };
}

/* What could not be read to its end stays where it is. */
int shelf_take(struct collector *c)
{
	struct shelf *s = &c->shelf;
	size_t stacks = s->n_stacks, rss = s->n_rss, bumps = s->n_bumps, i;
	int err = kern_read_stacks(c->kern, take_stack, c);

	if (!err)
		err = kern_read_rss_stacks(c->kern, take_rss, c);
	if (!err)
		err = kern_read_bumps(c->kern, take_bump, c);
	if (err) {
		s->n_stacks = stacks;
		s->n_rss = rss;
		s->n_bumps = bumps;
		return err;
	}
	for (i = stacks; i < s->n_stacks; i++)
		kern_drop_stack(c->kern, KERN_STACKS, s->stacks[i].hash);
	for (i = rss; i < s->n_rss; i++)
		kern_drop_stack(c->kern, KERN_RSS_STACKS, s->rss[i].hash);
	for (i = bumps; i < s->n_bumps; i++)
		kern_drop_stack(c->kern, KERN_BUMPS, s->bumps[i].hash);
	return 0;
}

int shelf_read_stacks(struct collector *c, kern_stack_fn fn, void *ctx)
{
	size_t i;

	for (i = 0; i < c->shelf.n_stacks; i++)
		fn(ctx, c->shelf.stacks[i].hash, &c->shelf.stacks[i].s);
	return kern_read_stacks(c->kern, fn, ctx);
}

int shelf_read_rss_stacks(struct collector *c, kern_rss_stack_fn fn, void *ctx)
{
	size_t i;

	for (i = 0; i < c->shelf.n_rss; i++)
		fn(ctx, c->shelf.rss[i].hash, &c->shelf.rss[i].s);
	return kern_read_rss_stacks(c->kern, fn, ctx);
}

int shelf_read_bumps(struct collector *c, kern_bump_fn fn, void *ctx)
{
	size_t i;

	for (i = 0; i < c->shelf.n_bumps; i++)
		fn(ctx, c->shelf.bumps[i].hash, &c->shelf.bumps[i].b);
	return kern_read_bumps(c->kern, fn, ctx);
}
