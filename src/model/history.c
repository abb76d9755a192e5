/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Figures of successive snapshots; see history.h. Depends on the profile and on nothing that has a clock. */
#include "model/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static struct history_moment copy_of(const struct history_moment *m)
{
	struct history_moment copy = { .time_ns = m->time_ns, .n = m->n };

	copy.v = xcalloc(m->n + 1, sizeof(*copy.v));
	if (m->n)
		memcpy(copy.v, m->v, m->n * sizeof(*copy.v));
	return copy;
}

/* The moments before now are kept at their distance; the oldest goes when a younger one is old enough. */
static void keep_past(struct history *h)
{
	uint64_t last = h->n_past ? h->past[h->n_past - 1].time_ns : 0;

	if (h->now.time_ns < last + HISTORY_STEP_NS)
		return;
	if (h->n_past == HISTORY_PAST) {
		free(h->past[0].v);
		memmove(h->past, h->past + 1, --h->n_past * sizeof(h->past[0]));
	}
	h->past[h->n_past++] = copy_of(&h->now);
}

static void take_stacks(struct history *h, const struct profile *p)
{
	size_t i;

	h->now.time_ns = p->window_ns;
	h->now.v = xreallocarray(h->now.v, p->n_stacks + 1, sizeof(*h->now.v));
	h->now.n = p->n_stacks;
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		h->now.v[i] = (struct history_stack){
			.live_bytes = s->live_bytes,
			.live_blocks = s->live_blocks,
			.alloc_bytes = s->t.alloc_bytes,
			.alloc_blocks = s->t.alloc_blocks,
			.birth_sum_ms = s->t.birth_sum_ms,
			.deviation = totals_deviation(&s->t, METRIC_LIVE_BYTES),
		};
	}
}

static double memory_of(const struct profile_facts *f)
{
	return (double)(f->rss_anon_bytes + f->rss_shmem_bytes + f->swap_bytes);
}

static void take_procs(struct history *h, const struct profile *p)
{
	double t_s = (double)p->window_ns * 1e-9, memory = 0, heap = 0, *sums = xcalloc(p->n_procs + 1, sizeof(*sums));
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (stack_is_heap(&p->stacks[i]))
			sums[p->stacks[i].proc] += (double)p->stacks[i].live_bytes;
	for (i = 0; i < p->n_procs; i++) {
		const struct profile_proc *from = &p->procs[i];
		bool runs = from->state == PROC_RUNNING;
		struct history_proc *to;

		XGROW(h->procs, i, h->procs_cap);
		to = &h->procs[i];
		if (i >= h->n_procs)
			*to = (struct history_proc){ 0 };
		to->facts = from->now;
		to->state = from->state;
		/* frees of what was left out of the table are counted where all is (report_figures.c) */
		to->old_bytes = (watch_is_exact(p) ? (int64_t)from->old.lost_bytes : 0) - (int64_t)from->old.old_free_bytes;
		if (i < h->n_procs && !runs)
			continue;
		h->n_procs = i >= h->n_procs ? i + 1 : h->n_procs;
		series_add(&to->memory, t_s, runs ? memory_of(&to->facts) : 0);
		series_add(&to->heap, t_s, sums[i] + (double)to->old_bytes);
		memory += runs ? memory_of(&to->facts) : 0;
		heap += runs ? sums[i] + (double)to->old_bytes : 0;
	}
	if (p->machine.is_there)
		memory = (double)machine_used_bytes(&p->machine.now);
	series_add(&h->memory, t_s, memory);
	series_add(&h->heap, t_s, heap);
	free(sums);
}

void history_add(struct history *h, const struct profile *p)
{
	if (h->now.v)
		keep_past(h);
	take_stacks(h, p);
	take_procs(h, p);
	history_add_machine(h, p);
	h->wall_time_ns = p->wall_time_ns;
	h->lost_events = profile_lost_events(p);
	h->watch = p->watch;
}

/* Fewer early blocks than this tell nothing. */
#define LEAST_EARLY 5

void history_add_evidence(struct history *h, const struct profile *p)
{
	size_t i;

	h->evidence = xreallocarray(h->evidence, p->n_stacks + 1, sizeof(*h->evidence));
	h->n_evidence = p->n_stacks;
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		h->evidence[i] = (struct history_evidence){
			.alive = s->early_blocks < LEAST_EARLY ? -1 : (double)s->early_alive / (double)s->early_blocks,
			.replaced = s->live_bytes ? 1 - (double)stack_net_bytes(s) / (double)s->live_bytes : 0,
		};
	}
}

double history_alive(const struct history *h, size_t stack)
{
	return stack < h->n_evidence ? h->evidence[stack].alive : -1;
}

double history_replaced(const struct history *h, size_t stack)
{
	return stack < h->n_evidence ? h->evidence[stack].replaced : 0;
}

void history_set_mark(struct history *h)
{
	free(h->mark.v);
	h->mark = copy_of(&h->now);
	h->n_marks++;
}

void history_release(struct history *h)
{
	size_t i;

	for (i = 0; i < h->n_procs; i++) {
		series_release(&h->procs[i].memory);
		series_release(&h->procs[i].heap);
	}
	for (i = 0; i < h->n_past; i++)
		free(h->past[i].v);
	series_release(&h->memory);
	series_release(&h->heap);
	history_release_machine(h);
	free(h->procs);
	free(h->now.v);
	free(h->mark.v);
	free(h->evidence);
	*h = (struct history)HISTORY_INIT;
}

static const struct history_moment at_start;

const struct history_moment *history_moment(const struct history *h, enum history_base base)
{
	size_t i;

	if (base == HISTORY_START)
		return h->n_marks ? &h->mark : &at_start;
	if (h->now.time_ns <= HISTORY_WINDOW_NS + HISTORY_STEP_NS)
		return &at_start;
	for (i = 0; i + 1 < h->n_past && h->past[i + 1].time_ns + HISTORY_WINDOW_NS <= h->now.time_ns; i++)
		;
	return h->n_past ? &h->past[i] : &at_start;
}

struct history_stack history_stack(const struct history_moment *m, size_t stack)
{
	return stack < m->n ? m->v[stack] : (struct history_stack){ 0 };
}

double history_seconds(const struct history *h, enum history_base base)
{
	return (double)(h->now.time_ns - history_moment(h, base)->time_ns) * 1e-9;
}

double history_rate(const struct history *h, const struct series *s, enum history_base base)
{
	double from_s = (double)history_moment(h, base)->time_ns * 1e-9, t_s;

	if (s->n < 2)
		return 0;
	if (from_s < s->v[0].t_s)
		from_s = s->v[0].t_s; /* it began later */
	t_s = s->v[s->n - 1].t_s - from_s;
	return t_s > 0 ? (series_last(s) - series_at(s, from_s)) / t_s : 0;
}
