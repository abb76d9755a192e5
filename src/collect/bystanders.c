/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Page faults of processes that are no targets, held within their budget (model/others_budget.h); part of the
 * collector.
 *
 * Counted without a probe: those of the whole machine (/proc/vmstat) less the targets' (/proc/PID/stat, and the kernel
 * side's sum of those that have ended) and memprobe's own. Not where every process is a target, nor where the user
 * insists: -P with rss in it, or -m rss-bytes.
 */
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "collect/collector_internal.h"
#include "proc/process.h"

/* Looked at so often, and never for more than a hundredth of the time. */
#define LOOK_NS (200 * NS_PER_MS)
#define LOOK_SHARE 100

static bool insists(const struct options *o)
{
	return o->has_planes || o->metric == METRIC_RSS_BYTES;
}

static uint64_t own_faults(void)
{
	static const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	struct rusage u;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < 2; i++)
		if (!getrusage(whose[i], &u))
			sum += (uint64_t)u.ru_minflt + (uint64_t)u.ru_majflt;
	return sum;
}

/* One that ends between the two is counted a look later. */
static uint64_t target_faults(const struct collector *c)
{
	uint64_t sum = kern_ended_faults(c->kern);
	const struct profile *p = &c->profile;
	struct proc_stat st;
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING && !proc_stat_read(&st, c->proc_root, p->procs[i].tgid) && !st.has_ended)
			sum += st.page_faults;
	return sum;
}

/* Those of the others since the last look, and how long that is. False: nobody counts them. */
static bool count(struct collector *c, double *dt, double *faults)
{
	struct bystanders *b = &c->bystanders;
	uint64_t all, ours = target_faults(c) + own_faults(), now = clock_monotonic_ns();

	if (proc_page_faults_read(&all, c->proc_root))
		return false;
	*dt = (double)(now - b->at_ns) * 1e-9;
	*faults = (double)(all - b->all) - ((double)ours - (double)b->ours);
	if (*faults < 0)
		*faults = 0;
	b->all = all;
	b->ours = ours;
	b->at_ns = now;
	return true;
}

void bystanders_begin(struct collector *c)
{
	const struct options *o = c->options;
	double dt, faults;

	if (o->planes & PLANE_RSS && !insists(o) && !options_whole_machine(o))
		c->bystanders.is_counted = count(c, &dt, &faults);
}

static void tell(const struct collector *c)
{
	const struct others_budget *b = &c->bystanders.budget;
	char rate[32];

	if (b->level == TOUCHES_BY_PAGE)
		log_info("first touches: watched in full again");
	else
		log_info("first touches: %s: other processes make %s page faults/s, at %u ns each (-P heap,vm,rss insists)",
			 b->level ? "which pages is not watched" : "not watched", units_format_count(rate, others_rate(b->rate)),
			 others_fault_ns(TOUCHES_BY_PAGE));
}

/* Time that was not watched grows until now. */
void bystanders_fill(struct collector *c)
{
	struct profile *p = &c->profile;
	struct profile_gaps *g = &p->gaps;
	uint64_t since = p->window_ns > g->until_ns ? p->window_ns - g->until_ns : 0;

	if (g->now < TOUCHES_BY_STACK)
		g->unseen_ns += since;
	if (g->now < TOUCHES_BY_PAGE)
		g->unplaced_ns += since;
	g->until_ns = p->window_ns;
}

static void act(struct collector *c)
{
	struct bystanders *b = &c->bystanders;
	struct profile_gaps *g = &c->profile.gaps;

	if (kern_armed_ns(c->kern)) {
		snapshot_fill_times(c);
		bystanders_fill(c);
	}
	if (b->budget.level < b->level)
		g->rate = b->budget.rate;
	if (!g->are_there)
		g->begin_ns = g->until_ns;
	g->are_there = true;
	b->level = g->now = b->budget.level;
	kern_watch_touches(c->kern, b->level);
	tell(c);
}

void bystanders_start(struct collector *c)
{
	struct bystanders *b = &c->bystanders;
	double dt, faults;

	c->profile.gaps.now = b->level = TOUCHES_BY_PAGE;
	if (!b->is_counted || kern_rss_missing(c->kern) || !count(c, &dt, &faults)) {
		b->is_counted = false;
		return;
	}
	others_budget_start(&b->budget, dt, faults);
	log_debug("others: %.0f page faults in %.3f s before arming", faults, dt);
	if (b->budget.level != b->level)
		act(c);
}

void bystanders_look(struct collector *c)
{
	struct bystanders *b = &c->bystanders;
	uint64_t begin = clock_monotonic_ns(), took;
	double dt, faults;

	if (!b->is_counted || begin < b->next_ns || !count(c, &dt, &faults))
		return;
	if (others_budget_step(&b->budget, dt, faults))
		act(c);
	took = (clock_monotonic_ns() - begin) * LOOK_SHARE;
	b->next_ns = begin + (took > LOOK_NS ? took : LOOK_NS);
}
