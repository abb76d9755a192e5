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

/* Runtimes whose objects pass no allocator that is probed: by the beginning of their name. */
static bool is_outside(const struct profile *p)
{
	static const char *const outside[] = { "JVM", "V8", "Go " };
	size_t i, k;

	for (i = 0; i < p->n_procs; i++)
		for (k = 0; k < sizeof(outside) / sizeof(outside[0]); k++)
			if (!strncmp(profile_str(p, p->procs[i].runtime), outside[k], strlen(outside[k])))
				return true;
	return false;
}

/* Young collections, after which all that is kept has been seen; bytes per second that are not told from nothing. */
#define LEAST_YOUNG 3
#define KEPT_RATE 20480.0

/*
 * A heap that stays resident is filled without a sign; not by more than what outlives its young collections. Full ones
 * may tell.
 */
static bool hides_growth(const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		const struct profile_managed_heap *h = &p->procs[i].managed_heap;
		double grown = (double)h->kept_bytes - (double)h->kept_then_bytes;

		if (!strncmp(profile_str(p, p->procs[i].runtime), "JVM", 3) && p->procs[i].state == PROC_RUNNING && !h->told &&
		    (!*profile_str(p, h->name) || h->young < LEAST_YOUNG ||
		     grown > KEPT_RATE * (double)p->window_ns / (double)NS_PER_S))
			return true;
	}
	return false;
}

/* Their names tell too, where no frame does. */
static bool has_collector(const struct profile *p)
{
	return is_collected(p) || is_outside(p);
}

/* What a process held that has ended is no growth, while others run on. */
static bool may_grow(const struct profile *p, const struct profile_stack *s, bool any_runs)
{
	return !any_runs || !proc_is_over(&p->procs[s->proc]);
}

const struct profile_stack *profile_top_grower(const struct profile *p)
{
	const struct profile_stack *top = NULL;
	bool any_runs = profile_any_runs(p);
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (stack_is_heap(&p->stacks[i]) && stack_net_bytes(&p->stacks[i]) && may_grow(p, &p->stacks[i], any_runs) &&
		    (!top || stack_grew_more(&p->stacks[i], top)))
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

/*
 * The VERDICT_SITES heap sites that grew most for certain, as the report ranks them, and as many mappings: one of both
 * may be judged. Not what a runtime maps that collects garbage: its heap grows by that until it collects.
 */
struct growers {
	const struct profile_stack *stacks[2 * VERDICT_SITES];
	struct verdict_site sites[2 * VERDICT_SITES];
	size_t n;
};

static struct verdict_site site_of(const struct profile_stack *s, const struct site_trend *alone)
{
	return (struct verdict_site){
		.net_bytes = (double)stack_net_bytes(s),
		.live_bytes = (double)s->live_bytes,
		.old_freed_bytes = (double)s->old_bytes,
		.blocks = (double)s->t.alloc_blocks,
		.alive = (double)totals_live_blocks(&s->t),
		.early_blocks = (double)s->early_blocks,
		.early_alive = (double)s->early_alive,
		.grew_in = (unsigned int)s->grew_in,
		.alone = alone ? *alone : (struct site_trend){ 0 },
		.is_mapping = !stack_is_heap(s),
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

static double grown_bytes(const struct profile_proc *p)
{
	const struct profile_facts *a = &p->at_attach, *b = &p->now;

	return (double)(b->rss_anon_bytes + b->rss_shmem_bytes + b->swap_bytes) -
	       (double)(a->rss_anon_bytes + a->rss_shmem_bytes + a->swap_bytes);
}

static double objects_rate(const struct profile_proc *p)
{
	return fmax(p->steady.rise.objects ? p->steady.rise.rate : 0, p->staying.stay.born ? p->staying.stay.rate : 0);
}

const struct profile_proc *profile_objects_proc(const struct profile *p)
{
	const struct profile_proc *best = NULL;
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (objects_rate(&p->procs[i]) > (best ? objects_rate(best) : 0))
			best = &p->procs[i];
	return best;
}

/* Of the process whose objects grow fastest, if no other process grows more. */
static void take_classes(struct verdict_input *in, const struct profile *p)
{
	const struct profile_proc *best = profile_objects_proc(p);
	double most;
	size_t i;

	if (!best)
		return;
	most = fmax(grown_bytes(best), objects_rate(best) * in->window_s);
	for (i = 0; i < p->n_procs; i++)
		if (&p->procs[i] != best && grown_bytes(&p->procs[i]) > most)
			return;
	in->classes = best->steady.rise;
	in->stays = best->staying.stay;
}

/* Most of what it grew by is garbage of processes that have had no reason to collect. */
static bool is_uncollected(const struct profile *p)
{
	double growth = p->verdict.rate * (double)p->window_ns / (double)NS_PER_S;
	uint64_t grown;

	return holder_advice_of(&p->holders, &grown) == HOLDER_UNCOLLECTED && (double)grown > growth / 2;
}

/* Into its place; the least falls out of a full list. */
static void rank(const struct profile_stack **v, size_t *n, size_t most, const struct profile_stack *s)
{
	size_t i = *n < most ? (*n)++ : *n - 1;

	if (i == most - 1 && *n == most && v[i] && !stack_grew_more(s, v[i]))
		return;
	for (; i && stack_grew_more(s, v[i - 1]); i--)
		v[i] = v[i - 1];
	v[i] = s;
}

static void rank_plane(const struct profile *p, bool heap, const struct profile_stack **v, size_t *n)
{
	bool any_runs = profile_any_runs(p);
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (stack_is_heap(&p->stacks[i]) == heap && stack_net_bytes(&p->stacks[i]) && may_grow(p, &p->stacks[i], any_runs))
			rank(v, n, VERDICT_SITES, &p->stacks[i]);
}

static void find_growers(const struct profile *p, const struct site_trend *alone, struct growers *g)
{
	const struct profile_stack *of[2][VERDICT_SITES] = { { NULL } };
	size_t n[2] = { 0, 0 }, at[2] = { 0, 0 }, k;

	rank_plane(p, true, of[0], &n[0]);
	if (!has_collector(p))
		rank_plane(p, false, of[1], &n[1]);
	for (g->n = 0; at[0] < n[0] || at[1] < n[1]; g->n++) {
		k = at[0] == n[0] || (at[1] < n[1] && stack_grew_more(of[1][at[1]], of[0][at[0]]));
		g->stacks[g->n] = of[k][at[k]++];
		g->sites[g->n] = site_of(g->stacks[g->n], alone ? &alone[g->stacks[g->n] - p->stacks] : NULL);
	}
}

size_t profile_verdict_sites(const struct profile *p, const struct profile_stack *out[VERDICT_SITES])
{
	size_t at[VERDICT_SITES], n, i;
	struct growers g;

	if (!p->has_verdict || (p->verdict.word != TREND_GROWING && p->verdict.word != TREND_LEAK))
		return 0;
	find_growers(p, NULL, &g);
	n = verdict_sites(&p->verdict, (double)p->window_ns / (double)NS_PER_S, g.sites, g.n, at);
	for (i = 0; i < n; i++)
		out[i] = g.stacks[at[i]];
	return n;
}

static void take_stacks(struct verdict_input *in, const struct profile *p, const struct growers *g)
{
	bool any_runs = profile_any_runs(p);
	size_t i;

	in->sites = g->sites;
	in->n_sites = g->n;
	for (i = 0; i < p->n_stacks; i++) {
		if (!may_grow(p, &p->stacks[i], any_runs))
			continue;
		in->blocks += (double)p->stacks[i].t.alloc_blocks;
		in->alive += (double)totals_live_blocks(&p->stacks[i].t);
	}
}

/* In the place of older blocks, by what rises throughout: of what does not, no growth was told. */
static double replaced_bytes(const struct profile *p)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].grew_in == WINDOWS_NR)
			sum += (double)p->stacks[i].old_bytes;
	return sum;
}

/* Of the heap: what lives, but in the place of older blocks. */
static double net_bytes(const struct profile *p)
{
	bool any_runs = profile_any_runs(p);
	double sum = 0;
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (stack_is_heap(&p->stacks[i]) && may_grow(p, &p->stacks[i], any_runs))
			sum += (double)stack_net_bytes(&p->stacks[i]);
	return sum;
}

/* Of processes that have all ended, until the last one did: after that nothing could grow. */
static double judged_s(const struct profile *p)
{
	uint64_t end = 0, this;
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		this = p->procs[i].state == PROC_RUNNING || !p->procs[i].end_ns ? p->window_ns : p->procs[i].end_ns;
		end = this > end ? this : end;
	}
	return (double)(p->n_procs && end < p->window_ns ? end : p->window_ns) / (double)NS_PER_S;
}

void profile_judge(struct profile *p, const struct site_trend *alone, bool knows_replaced)
{
	struct verdict_input in = {
		.heap = &p->heap, .memory = &p->memory,
		.window_s = judged_s(p),
		.counts_older = p->watch.rung == RUNG_EXACT && !p->watch.n_steps,
		.is_collected = has_collector(p),
		.is_outside = is_outside(p),
		.hides_growth = hides_growth(p),
	};
	uint64_t n;
	struct growers growers;
	size_t i;

	in.counts_collections = profile_collections(p, &n);
	in.collections = n < UINT32_MAX ? (unsigned int)n : UINT32_MAX;
	take_before(&in, p);
	take_classes(&in, p);
	find_growers(p, alone, &growers);
	take_stacks(&in, p, &growers);
	for (i = 0; i < p->n_stacks; i++) {
		double d = totals_deviation(&p->stacks[i].t, METRIC_LIVE_BYTES);

		in.heap_deviation += d * d;
	}
	in.heap_deviation = sqrt(in.heap_deviation);
	in.knows_replaced = knows_replaced;
	in.replaced_bytes = knows_replaced ? replaced_bytes(p) : 0;
	in.net_bytes = net_bytes(p);
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
