/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What lived when most heap did; part of the collector, with COMMAND only. The sum is looked at ten times a second or
 * so; each time it has passed the last peak by half a percent, what each stack holds is copied. A peak that
 * comes and goes between two looks is not seen.
 */
#include "collect/collector_internal.h"

/* The copy costs a read of the table: not for less than this. */
#define PEAK_STEP 1.005

struct sum {
	uint64_t bytes, blocks;
};

static void add(void *ctx, uint64_t hash, const struct mp_stack *s)
{
	struct sum *sum = ctx;

	(void)hash;
	if (s->alloc_bytes > s->free_bytes)
		sum->bytes += s->alloc_bytes - s->free_bytes;
	if (s->alloc_blocks > s->free_blocks)
		sum->blocks += s->alloc_blocks - s->free_blocks;
}

/* Of the heap: mappings are no part of the peak. */
static void copy(struct collector *c)
{
	struct profile *p = &c->profile;
	size_t i;

	if (kern_read_stacks(c->kern, snapshot_take_stack, c))
		return;
	snapshot_fill_times(c);
	p->peak = (struct profile_peak){ .time_ns = p->window_ns };
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		s->peak_bytes = s->plane == STACK_HEAP ? totals_live_bytes(&s->t) : 0;
		s->peak_blocks = s->plane == STACK_HEAP ? totals_live_blocks(&s->t) : 0;
		p->peak.live_bytes += s->peak_bytes;
		p->peak.live_blocks += s->peak_blocks;
	}
}

void peak_look(struct collector *c)
{
	struct sum now = { 0 };

	if (!c->options->command || c->brief_weight || kern_read_stacks(c->kern, add, &now))
		return;
	if ((double)now.bytes > (double)c->profile.peak.live_bytes * PEAK_STEP)
		copy(c);
}
