/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* From a profile with its series to its verdict. Pure; see verdict.h. */
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "model/profile.h"

/* Objects whose memory is collected as garbage: by the beginning of their name. */
static const char *const collected[] = {
	"libruby", "ruby", "node", "libnode", "libv8", "beam", "libjvm", "libcoreclr", "libmono", "libmozjs",
};

static bool is_collected(const struct profile *p)
{
	size_t i, k;

	for (i = 0; i < p->n_frames; i++) {
		const char *module = profile_str(p, p->frames[i].module);

		for (k = 0; k < sizeof(collected) / sizeof(collected[0]); k++)
			if (!strncmp(module, collected[k], strlen(collected[k])))
				return true;
	}
	return false;
}

const struct profile_stack *profile_top_grower(const struct profile *p)
{
	const struct profile_stack *top = NULL;
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (stack_is_heap(&p->stacks[i]) && stack_net_bytes(&p->stacks[i]) > (top ? stack_net_bytes(top) : 0))
			top = &p->stacks[i];
	return top;
}

/* What was there at the attach, and since when; of processes that began later nothing was. */
static void take_before(struct verdict_input *in, const struct profile *p)
{
	uint64_t largest = 0;
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		const struct profile_facts *f = &p->procs[i].at_attach;
		uint64_t bytes = f->rss_anon_bytes + f->rss_shmem_bytes + f->swap_bytes;

		if (p->procs[i].begin_ns)
			continue;
		in->before_bytes += (double)bytes;
		if (bytes < largest)
			continue;
		largest = bytes;
		in->uptime_s = (double)f->start_age_ns * 1e-9;
	}
}

static void take_stacks(struct verdict_input *in, const struct profile *p)
{
	const struct profile_stack *top = profile_top_grower(p);
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		if (!stack_is_heap(&p->stacks[i]))
			continue;
		in->others_blocks += (double)p->stacks[i].t.alloc_blocks;
		in->others_alive += (double)totals_live_blocks(&p->stacks[i].t);
	}
	if (!top)
		return;
	in->others_blocks -= (double)top->t.alloc_blocks;
	in->others_alive -= (double)totals_live_blocks(&top->t);
	in->site = (struct verdict_site){
		.net_bytes = (double)stack_net_bytes(top),
		.live_bytes = (double)top->live_bytes,
		.old_freed_bytes = (double)top->old_bytes,
		.early_blocks = (double)top->early_blocks,
		.early_alive = (double)top->early_alive,
		.grew_in = (unsigned int)top->grew_in,
	};
}

bool profile_collections(const struct profile *p, uint64_t *n)
{
	const struct profile_stack *top = profile_top_grower(p);
	bool found = false;
	size_t i;

	*n = 0;
	if (top && p->procs[top->proc].has_collections) {
		*n = p->procs[top->proc].collections;
		return true;
	}
	for (i = 0; i < p->n_procs; i++) {
		if (!p->procs[i].has_collections)
			continue;
		found = true;
		*n = p->procs[i].collections > *n ? p->procs[i].collections : *n;
	}
	return found;
}

/* Most of what it grew by is garbage of processes that have had no reason to collect. */
static bool is_uncollected(const struct profile *p)
{
	double growth = p->verdict.rate * (double)p->window_ns / (double)NS_PER_S;
	uint64_t grown;

	return holder_advice_of(&p->holders, &grown) == HOLDER_UNCOLLECTED && (double)grown > growth / 2;
}

void profile_judge(struct profile *p)
{
	struct verdict_input in = {
		.heap = &p->heap, .memory = &p->memory,
		.window_s = (double)p->window_ns / (double)NS_PER_S,
		.is_collected = is_collected(p),
	};
	uint64_t n;
	size_t i;

	in.counts_collections = profile_collections(p, &n);
	in.collections = n < UINT32_MAX ? (unsigned int)n : UINT32_MAX;
	take_before(&in, p);
	take_stacks(&in, p);
	for (i = 0; i < p->n_stacks; i++) {
		double d = totals_deviation(&p->stacks[i].t, METRIC_LIVE_BYTES);

		in.heap_deviation += d * d;
	}
	in.heap_deviation = sqrt(in.heap_deviation);
	for (i = 0; i < MP_LOSS_NR; i++)
		in.lost_bytes += (double)p->losses[i].bytes;
	verdict_of(&in, &p->verdict);
	if (p->verdict.word >= TREND_GROWING && is_uncollected(p)) {
		p->verdict.word = TREND_UNDECIDED;
		p->verdict.doubt = DOUBT_HELD;
		p->verdict.need_s = 0;
	}
	p->has_verdict = true;
}
