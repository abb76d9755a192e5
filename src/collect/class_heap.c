/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What was told to live, made to agree with what the heap itself has more in use, size by size; see class_parts.h. Part
 * of the collector.
 */
#include "collect/class_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "model/ghosts.h"

/* A stack that keeps what it makes: so much of it lives. */
#define KEPT_PART 0.9
/* A stack that was seen to make fewer blocks may make others, too. */
#define LEAST_MADE 20
/* Of what is told in bursts, so much at most is too much. */
#define MOST_OVERSTATED 0.5

static bool keeps(const struct profile_totals *t)
{
	return (double)totals_live_blocks(t) >= KEPT_PART * (double)t->alloc_blocks;
}

static void add_rise(struct class_parts *a, uint32_t proc, uint32_t size_class, const struct class_part *part)
{
	double blocks = part ? (double)part->blocks : 0;

	XGROW(a->rises, a->n_rises, a->rises_cap);
	a->rises[a->n_rises++] = (struct heap_rise){ .proc = proc, .size_class = size_class,
						     .claimed = blocks,
						     .kept = part && keeps(&a->c->profile.stacks[part->stack].t) ? blocks : 0,
						     .variance = part ? part->variance : 0 };
}

/* Of all of them. */
static bool heap_tells(const struct class_parts *a)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		struct heap_rise r = { .proc = a->c->profile.stacks[a->v[i].stack].proc, .size_class = a->v[i].size_class };

		if (!heap_looks_rise(a->c, &r))
			return false;
	}
	return true;
}

/* One row for each class, and what the heap tells of it. */
static void find_rises(struct class_parts *a)
{
	const struct profile *p = &a->c->profile;
	size_t i, n = 0;

	for (i = 0; i < a->n; i++) {
		uint32_t proc = p->stacks[a->v[i].stack].proc;

		add_rise(a, proc, a->v[i].size_class, &a->v[i]);
		add_rise(a, proc, a->v[i].size_class + 1, NULL);
	}
	if (a->n_rises)
		qsort(a->rises, a->n_rises, sizeof(*a->rises), class_parts_by_class);
	for (i = 0; i < a->n_rises; i++) {
		struct heap_rise *r = &a->rises[i], *last = &a->rises[n ? n - 1 : 0];

		if (n && !class_parts_by_class(last, r)) {
			last->claimed += r->claimed;
			last->kept += r->kept;
			last->variance += r->variance;
			continue;
		}
		heap_looks_rise(a->c, r);
		a->rises[n++] = *r;
	}
	a->n_rises = n;
}

/* What blocks of a stack tell together is limited by what else is known of it (survival.c): a part of it. */
static void limit_to_totals(struct class_parts *a)
{
	const struct profile *p = &a->c->profile;
	double *told = xcalloc(p->n_stacks + 1, sizeof(*told)), part;
	size_t i;

	for (i = 0; i < a->n; i++)
		told[a->v[i].stack] += (double)a->v[i].blocks;
	for (i = 0; i < a->n; i++) {
		struct class_part *v = &a->v[i];

		part = told[v->stack] > 0 ? (double)totals_live_blocks(&p->stacks[v->stack].t) / told[v->stack] : 0;
		if (part >= 1)
			continue;
		v->bytes = (uint64_t)((double)v->bytes * part);
		v->blocks = (uint64_t)((double)v->blocks * part);
		v->variance *= part;
	}
	free(told);
}

static void give_replaced(struct class_parts *a)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		struct profile_stack *s = &a->c->profile.stacks[a->v[i].stack];
		const struct heap_rise *r = class_parts_rise(a, &a->v[i]);
		double share = r->claimed > 0 ? r->replaced / r->claimed : 0;

		s->old_bytes += (uint64_t)((double)a->v[i].bytes * share);
		s->old_blocks += (uint64_t)((double)a->v[i].blocks * share);
	}
}

static void scale_stacks(struct profile *p, uint32_t proc, double scale)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		if (s->proc != proc || !stack_is_heap(s))
			continue;
		totals_scale(&s->t, scale);
		s->live_bytes = (uint64_t)((double)s->live_bytes * scale);
		s->live_blocks = (uint64_t)((double)s->live_blocks * scale);
	}
}

static void scale_part(struct class_part *v, double scale)
{
	v->bytes = (uint64_t)((double)v->bytes * scale);
	v->blocks = (uint64_t)((double)v->blocks * scale);
	v->variance *= scale * scale;
}

/* Each process by what its own heap tells. */
static void scale_all(struct class_parts *a)
{
	size_t i, j, end;

	for (i = 0; i < a->n_rises; i = end) {
		uint32_t proc = a->rises[i].proc;
		double scale;

		for (end = i; end < a->n_rises && a->rises[end].proc == proc; end++)
			;
		scale = heap_rise_scale(a->rises + i, end - i);
		if (scale <= 1)
			continue;
		log_debug("process %d: of what stays its heap has %.2f times what was told: all is scaled by that",
			  (int)a->c->profile.procs[proc].tgid, scale);
		a->c->profile.procs[proc].correction.scale = scale;
		scale_stacks(&a->c->profile, proc, scale);
		for (j = 0; j < a->n; j++)
			if (a->c->profile.stacks[a->v[j].stack].proc == proc)
				scale_part(&a->v[j], scale);
		for (j = i; j < end; j++) {
			a->rises[j].claimed *= scale;
			a->rises[j].variance *= scale * scale;
		}
	}
}

static bool makes_that_size(const struct profile_totals *t, uint32_t size_class)
{
	return t->alloc_blocks >= LEAST_MADE && class_parts_class_of(t->alloc_bytes / t->alloc_blocks) == size_class;
}

static void set_live(struct profile_stack *s, struct class_part *part, double blocks)
{
	double by = blocks - (double)part->blocks, size = (double)s->t.alloc_bytes / (double)s->t.alloc_blocks;

	totals_add_live(&s->t, (int64_t)(by * size), (int64_t)by);
	s->live_bytes = totals_live_bytes(&s->t);
	s->live_blocks = totals_live_blocks(&s->t);
	part->bytes = (uint64_t)(blocks * size);
	part->blocks = (uint64_t)blocks;
}

static void correct_sole_maker(struct profile *p, struct class_part *part, struct heap_rise *r)
{
	const struct profile_totals *t = &p->stacks[part->stack].t;
	double blocks = r->grown * r->seen, unsure;

	if (blocks <= 0 || !t->alloc_bytes || !makes_that_size(t, r->size_class))
		return;
	unsure = 2 * totals_deviation(t, METRIC_LIVE_BYTES) * (double)t->alloc_blocks / (double)t->alloc_bytes;
	if (r->claimed > blocks + unsure)
		return;
	set_live(&p->stacks[part->stack], part, blocks);
	r->claimed = blocks;
}

/*
 * Where brief bursts have seen little of what stays: what the heap has more in a class lives, and is that of the only
 * stack that was seen to make such blocks, and no others. What is told beyond that may have taken the place of older
 * blocks, if it is more than the estimate may be off by.
 */
static void correct_sole_makers(struct class_parts *a)
{
	uint32_t *of_stack = xcalloc(a->c->profile.n_stacks + 1, sizeof(*of_stack));
	uint32_t *of_rise = xcalloc(a->n_rises + 1, sizeof(*of_rise));
	size_t i;

	for (i = 0; i < a->n; i++) {
		of_stack[a->v[i].stack]++;
		of_rise[class_parts_rise(a, &a->v[i]) - a->rises]++;
	}
	for (i = 0; i < a->n; i++) {
		struct heap_rise *r = class_parts_rise(a, &a->v[i]);

		if (of_stack[a->v[i].stack] == 1 && of_rise[r - a->rises] == 1)
			correct_sole_maker(&a->c->profile, &a->v[i], r);
	}
	free(of_stack);
	free(of_rise);
}

/* So much less of a part lives: 0 to 1. Sets bytes to how many that are; what that leaves of its stack: 0 to 1. */
static double take_part(struct profile *p, struct class_part *part, double less, double *bytes)
{
	const struct profile_stack *s = &p->stacks[part->stack];
	double live = (double)totals_live_bytes(&s->t);

	*bytes = fmin((double)part->bytes * less, live);
	part->bytes = (uint64_t)((double)part->bytes * (1 - less));
	part->blocks = (uint64_t)((double)part->blocks * (1 - less));
	p->procs[s->proc].correction.taken_bytes += (uint64_t)*bytes;
	return live > 0 ? 1 - *bytes / live : 1;
}

static void note_live(struct profile_stack *s)
{
	s->live_bytes = totals_live_bytes(&s->t);
	s->live_blocks = totals_live_blocks(&s->t);
}

/* Less of a stack lives than was told: `less` of one of its classes has ended. Bytes. */
static double take_ghosts(struct profile *p, struct class_part *part, double less)
{
	struct profile_stack *s = &p->stacks[part->stack];
	double bytes, left = take_part(p, part, less, &bytes);

	totals_limit_live(&s->t, left);
	s->early_alive = (uint64_t)((double)s->early_alive * left);
	note_live(s);
	return bytes;
}

/* Less of a stack was made than was told, by `less` of one of its classes. Bytes that live less. */
static double take_unmade(struct profile *p, struct class_part *part, double less)
{
	struct profile_stack *s = &p->stacks[part->stack];
	double bytes, left = take_part(p, part, less, &bytes);

	totals_scale(&s->t, left);
	s->early_blocks = (uint64_t)((double)s->early_blocks * left);
	s->early_alive = (uint64_t)((double)s->early_alive * left);
	note_live(s);
	return bytes;
}

/* Blocks of each part that have ended: as those of its stack. */
static double *find_ended(const struct class_parts *a)
{
	double *ended = xcalloc(a->n + 1, sizeof(*ended));
	size_t i;

	for (i = 0; i < a->n; i++) {
		const struct profile_totals *t = &a->c->profile.stacks[a->v[i].stack].t;
		uint64_t live = totals_live_blocks(t);

		ended[i] = live ? (double)t->free_blocks * (double)a->v[i].blocks / (double)live : 0;
	}
	return ended;
}

/*
 * Of one class: n parts of it, by their places in a->v. doubts: of each stack, bytes of which it is not known whether
 * they are its, where others had blocks end, too.
 */
static void drop_ghosts(struct class_parts *a, struct heap_rise *r, const size_t *at, size_t n, const double *ended,
			double *doubts)
{
	struct ghosts_claim *claims = xcalloc(n + 1, sizeof(*claims));
	double all = 0, left;
	size_t i;

	for (i = 0; i < n; i++) {
		claims[i] = (struct ghosts_claim){ .claimed = (double)a->v[at[i]].blocks, .ended = ended[at[i]] };
		all += claims[i].ended;
	}
	left = ghosts_beyond(claims, n, r->replaced);
	for (i = 0; i < n; i++) {
		struct class_part *part = &a->v[at[i]];

		if (claims[i].ghosts >= 1)
			doubts[part->stack] += (1 - claims[i].ended / all) *
					       take_ghosts(&a->c->profile, part, claims[i].ghosts / claims[i].claimed);
	}
	r->claimed -= r->replaced - left;
	r->replaced = left;
	free(claims);
}

/* What a block seen in bursts stands for is an estimate. More than so much is no matter of it: blocks were replaced. */
static void scale_down(struct class_parts *a, struct heap_rise *r, const size_t *at, size_t n, double *doubts)
{
	double less = r->claimed > 0 ? r->replaced / r->claimed : 0;
	size_t i;

	if (less <= 0 || less > MOST_OVERSTATED)
		return;
	for (i = 0; i < n; i++)
		doubts[a->v[at[i]].stack] += take_unmade(&a->c->profile, &a->v[at[i]], less);
	r->claimed -= r->replaced;
	r->replaced = 0;
}

/*
 * What stacks claim beyond what the heap has. First what had ended: of each as much as it had so many blocks end that
 * it is likely to have missed them. Then what was never made. Adds to the doubts of the stacks, in bytes.
 */
static void take_from_claims(struct class_parts *a, double *doubts)
{
	size_t *at = xcalloc(a->n + 1, sizeof(*at)), i, k, n;
	double *ended = find_ended(a);

	for (i = 0; i < a->n_rises; i++) {
		if (a->rises[i].replaced <= 0)
			continue;
		for (n = k = 0; k < a->n; k++)
			if (a->v[k].blocks && a->v[k].size_class == a->rises[i].size_class &&
			    class_parts_rise(a, &a->v[k]) == &a->rises[i])
				at[n++] = k;
		drop_ghosts(a, &a->rises[i], at, n, ended, doubts);
		scale_down(a, &a->rises[i], at, n, doubts);
	}
	free(ended);
	free(at);
}

/* Blocks of a part that may have ended unseen, as far as that is known: one deviation. */
static double unsure_blocks(const struct profile *p, const struct class_part *v)
{
	const struct profile_totals *t = &p->stacks[v->stack].t;
	uint64_t live = totals_live_bytes(t);

	return live ? totals_deviation(t, METRIC_LIVE_BYTES) / (double)live * (double)v->blocks : 0;
}

/*
 * Two deviations of each stack. What a class has not is missing where it is least sure: a site of which all stays, and
 * one that makes a hundred times as much garbage of the same size, of which ghosts are left.
 */
static void widen(struct class_parts *a, double *doubts)
{
	struct profile *p = &a->c->profile;
	double *unsure = xcalloc(a->n_rises + 1, sizeof(*unsure)), part;
	size_t i;

	for (i = 0; i < a->n; i++)
		unsure[class_parts_rise(a, &a->v[i]) - a->rises] += unsure_blocks(p, &a->v[i]);
	for (i = 0; i < a->n; i++) {
		const struct class_part *v = &a->v[i];
		const struct heap_rise *r = class_parts_rise(a, v);
		double all = unsure[r - a->rises];

		if (!v->blocks || r->claimed <= 0)
			continue;
		part = all > 0 ? r->replaced * unsure_blocks(p, v) / all / (double)v->blocks : r->replaced / r->claimed;
		doubts[v->stack] += (double)v->bytes * fmin(1, part);
	}
	for (i = 0; i < p->n_stacks; i++)
		totals_doubt(&p->stacks[i].t, doubts[i] / 2);
	free(unsure);
}

bool class_parts_meet_heap(struct class_parts *a)
{
	bool is_brief = a->c->brief_weight > 0, is_gated = rung_is_gated(a->c->profile.watch.rung);
	bool is_all = !snapshot_is_filtered(a->c->options);
	size_t i;

	a->has_corrected = false;
	for (i = 0; i < a->c->profile.n_procs; i++)
		a->c->profile.procs[i].correction = (struct profile_correction){ 0 };
	if (!heap_tells(a))
		return false;
	if (is_brief)
		limit_to_totals(a);
	find_rises(a);
	if (is_gated && is_all)
		scale_all(a);
	if (is_brief && is_all)
		correct_sole_makers(a);
	heap_rise_find_replaced(a->rises, a->n_rises);
	if (is_brief) {
		double *doubts = xcalloc(a->c->profile.n_stacks + 1, sizeof(*doubts));

		if (is_all)
			take_from_claims(a, doubts);
		a->has_corrected = is_all;
		widen(a, doubts);
		free(doubts);
	} else {
		give_replaced(a);
	}
	if (is_gated)
		bridge_divide_again(a->c);
	return true;
}

void class_parts_confirm(const struct class_parts *a, struct site_trend *alone)
{
	const struct profile *p = &a->c->profile;
	double *bytes = xcalloc(p->n_stacks + 1, sizeof(*bytes)), window_s = (double)p->window_ns / NS_PER_S;
	size_t i;

	for (i = 0; i < a->n; i++) {
		const struct heap_rise *r = class_parts_rise(a, &a->v[i]);

		if (r->claimed > 0)
			bytes[a->v[i].stack] += (double)a->v[i].bytes * (1 - r->replaced / r->claimed);
	}
	for (i = 0; i < p->n_stacks; i++) {
		double unsure = 2 * totals_deviation(&p->stacks[i].t, METRIC_LIVE_BYTES);

		if (bytes[i] > unsure && keeps(&p->stacks[i].t))
			alone[i] = (struct site_trend){ bytes[i] / window_s, (bytes[i] - unsure) / window_s,
							(bytes[i] + unsure) / window_s, -1 };
	}
	free(bytes);
}
