/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What lived when most heap did; part of the collector, with COMMAND only. The sum is looked at ten times a second or
 * so; each time it has passed the last peak by half a percent, what each stack holds is copied. A peak that
 * comes and goes between two looks is not seen. What processes held that have ended since is no part of it.
 */
#include "collect/collector_internal.h"

/* The copy costs a read of the table: not for less than this. */
#define PEAK_STEP 1.005

/* Of the heap: mappings are no part of the peak. */
static void copy(struct collector *c)
{
	struct profile *p = &c->profile;
	size_t i;

	if (snapshot_read_stacks(c))
		return;
	snapshot_fill_times(c);
	p->peak = (struct profile_peak){ .time_ns = p->window_ns };
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];
		bool counts = s->plane == STACK_HEAP && !proc_is_over(&p->procs[s->proc]);

		s->peak_bytes = counts ? totals_live_bytes(&s->t) : 0;
		s->peak_blocks = counts ? totals_live_blocks(&s->t) : 0;
		p->peak.live_bytes += s->peak_bytes;
		p->peak.live_blocks += s->peak_blocks;
	}
}

void peak_look(struct collector *c, uint64_t live_bytes)
{
	if (c->options->command && (double)live_bytes > (double)c->profile.peak.live_bytes * PEAK_STEP)
		copy(c);
}
