/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One order for all stacks of a profile; see stack_order.h. Frames are ranked by their text once, so
 * that two stacks compare by numbers. Pure.
 */
#include "render/stack_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct context {
	const struct profile *p;
	const char *const *names; /* by frame; NULL: all of a frame counts */
	enum profile_metric metric;
	uint32_t *frame_rank, *proc_rank; /* by index in the profile */
};

static int order_of(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_frame_text(const void *x, const void *y, void *ctx)
{
	const struct context *context = ctx;
	const struct profile *p = context->p;
	const struct profile_frame *a = &p->frames[*(const uint32_t *)x], *b = &p->frames[*(const uint32_t *)y];
	int c = strcmp(profile_str(p, a->name), profile_str(p, b->name));

	if (!c)
		c = strcmp(profile_str(p, a->module), profile_str(p, b->module));
	if (!c)
		c = strcmp(profile_str(p, a->build_id), profile_str(p, b->build_id));
	if (!c)
		c = strcmp(profile_str(p, a->file), profile_str(p, b->file));
	if (!c)
		c = order_of(a->line, b->line);
	if (!c)
		c = order_of(a->vaddr, b->vaddr);
	if (!c)
		c = order_of(a->inlined, b->inlined);
	return c ? c : order_of(a->class, b->class);
}

static int by_frame_name(const void *x, const void *y, void *ctx)
{
	const struct context *c = ctx;

	return strcmp(c->names[*(const uint32_t *)x], c->names[*(const uint32_t *)y]);
}

static int by_process_name(const void *x, const void *y, void *ctx)
{
	const struct profile *p = ((const struct context *)ctx)->p;
	const struct profile_proc *a = &p->procs[*(const uint32_t *)x], *b = &p->procs[*(const uint32_t *)y];
	int c = strcmp(profile_str(p, a->comm), profile_str(p, b->comm));

	return c ? c : (a->tgid > b->tgid) - (a->tgid < b->tgid);
}

static int by_pid(const void *x, const void *y, void *ctx)
{
	const struct profile *p = ((const struct context *)ctx)->p;
	const struct profile_proc *a = &p->procs[*(const uint32_t *)x], *b = &p->procs[*(const uint32_t *)y];

	if (a->tgid != b->tgid)
		return a->tgid < b->tgid ? -1 : 1;
	return order_of(a->gen, b->gen);
}

/* Indices 0..n-1 in order. */
static uint32_t *sorted(size_t n, int (*compare)(const void *, const void *, void *), struct context *c)
{
	uint32_t *v = xcalloc(n, sizeof(*v));
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = (uint32_t)i;
	if (n)
		qsort_r(v, n, sizeof(*v), compare, c);
	return v;
}

/* What compares equal has one rank. */
static uint32_t *ranks_of(const uint32_t *order, size_t n, int (*compare)(const void *, const void *, void *),
			  struct context *c)
{
	uint32_t *rank = xcalloc(n, sizeof(*rank));
	size_t i;

	for (i = 0; i < n; i++)
		rank[order[i]] = i && !compare(&order[i - 1], &order[i], c) ? rank[order[i - 1]] : (uint32_t)i;
	return rank;
}

/* How they end, in words: two objects may be named. */
static int by_mark(const struct profile *p, const struct profile_stack *a, const struct profile_stack *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	int order = strcmp(stack_mark(p, a, &x), stack_mark(p, b, &y));

	buf_release(&x);
	buf_release(&y);
	return order;
}

/* By process, then frames from the root, then how the stack ended: 0 for stacks that read the same. */
static int by_text(const void *x, const void *y, void *ctx)
{
	const struct context *c = ctx;
	const struct profile_stack *a = ((const struct ordered_stack *)x)->s, *b = ((const struct ordered_stack *)y)->s;
	const uint32_t *fa = &c->p->stack_frames[a->first_frame], *fb = &c->p->stack_frames[b->first_frame];
	uint32_t i = a->n_frames, k = b->n_frames;

	if (c->proc_rank[a->proc] != c->proc_rank[b->proc])
		return order_of(c->proc_rank[a->proc], c->proc_rank[b->proc]);
	while (i && k) {
		uint32_t ra = c->frame_rank[fa[--i]], rb = c->frame_rank[fb[--k]];

		if (ra != rb)
			return order_of(ra, rb);
	}
	if (i != k || !c->names)
		return i != k ? order_of(i, k) : order_of(a->end, b->end);
	return *stack_end_text(a->end) || *stack_end_text(b->end) ? by_mark(c->p, a, b) : 0;
}

uint64_t ordered_stack_metric(const struct ordered_stack *s, enum profile_metric metric)
{
	switch (metric) {
	case METRIC_LIVE_BLOCKS:
		return s->live_blocks;
	case METRIC_ALLOC_BYTES:
		return s->t.alloc_bytes;
	case METRIC_ALLOC_BLOCKS:
		return s->t.alloc_blocks;
	case METRIC_RSS_BYTES:
		return s->touched_bytes > s->given_back_bytes ? s->touched_bytes - s->given_back_bytes : 0;
	default:
		return s->live_bytes;
	}
}

static int by_weight(const void *x, const void *y, void *ctx)
{
	const struct context *c = ctx;
	int order = order_of(ordered_stack_metric(y, c->metric), ordered_stack_metric(x, c->metric));

	return order ? order : by_text(x, y, ctx);
}

void ordered_stack_add(struct ordered_stack *sum, const struct ordered_stack *s)
{
	if (s->id < sum->id)
		sum->id = s->id;
	sum->live_bytes += s->live_bytes;
	sum->live_blocks += s->live_blocks;
	totals_add(&sum->t, &s->t);
	sum->touched_bytes += s->touched_bytes;
	sum->peak_bytes += s->peak_bytes;
	sum->touched_file_bytes += s->touched_file_bytes;
	sum->untouched_bytes += s->untouched_bytes;
	sum->reserved_bytes += s->reserved_bytes;
	sum->given_back_bytes += s->given_back_bytes;
	sum->resident_bytes += s->resident_bytes;
	sum->bump_bytes += s->bump_bytes;
	sum->bump_var += s->bump_var;
	if (s->toucher_bytes > sum->toucher_bytes) {
		sum->toucher = s->toucher;
		sum->toucher_bytes = s->toucher_bytes;
	}
}

static bool has_figures(const struct profile_stack *s)
{
	return s->t.alloc_blocks || s->live_blocks || s->live_bytes;
}

static bool has_touched(const struct profile_stack *s)
{
	return s->touched_bytes || s->touched_file_bytes;
}

static struct ordered_stack alone(const struct profile_stack *s)
{
	return (struct ordered_stack){ s, s->id, s->live_bytes, s->live_blocks, s->t, s->touched_bytes,
				       s->touched_file_bytes, s->untouched_bytes, s->reserved_bytes, s->peak_bytes,
				       s->given_back_bytes, s->resident_bytes, s->toucher, s->toucher_bytes,
				       s->bump_bytes, s->bump_var };
}

void stack_order_sum(struct stack_order *order, const struct profile *p, const struct render_opts *o)
{
	size_t i;

	*order = (struct stack_order){ 0 };
	for (i = 0; i < p->n_stacks; i++) {
		struct ordered_stack one = alone(&p->stacks[i]);

		if (one.s->live_bytes >= o->min_bytes) {
			ordered_stack_add(&order->sum, &one);
		} else if (has_figures(one.s)) {
			order->n_hidden++;
			order->hidden_bytes += one.live_bytes;
		}
	}
}

static void collect(struct stack_order *order, const struct profile *p, uint64_t min_bytes, bool touched_too)
{
	size_t i;

	order->v = xcalloc(p->n_stacks, sizeof(*order->v));
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		if ((s->live_bytes >= min_bytes && has_figures(s)) ||
		    (touched_too && s->touched_bytes >= min_bytes && has_touched(s)) ||
		    (touched_too && s->bump_bytes >= min_bytes && s->bump_bytes))
			order->v[order->n++] = alone(s);
	}
}

static void merge(struct stack_order *order, struct context *c)
{
	size_t i, n = 0;

	for (i = 0; i < order->n; i++) {
		if (n && !by_text(&order->v[n - 1], &order->v[i], c))
			ordered_stack_add(&order->v[n - 1], &order->v[i]);
		else
			order->v[n++] = order->v[i];
	}
	order->n = n;
}

static void make(struct stack_order *order, const struct profile *p, const struct render_opts *o,
		 const char *const *names, bool touched_too)
{
	int (*frame_order)(const void *, const void *, void *) = names ? by_frame_name : by_frame_text;
	int (*proc_order)(const void *, const void *, void *) = names ? by_process_name : by_pid;
	struct context c = { .p = p, .metric = o->metric, .names = names };
	uint32_t *frames = sorted(p->n_frames, frame_order, &c);

	stack_order_sum(order, p, o);
	order->procs = sorted(p->n_procs, proc_order, &c);
	c.frame_rank = ranks_of(frames, p->n_frames, frame_order, &c);
	c.proc_rank = ranks_of(order->procs, p->n_procs, proc_order, &c);
	collect(order, p, o->min_bytes, touched_too);
	if (order->n)
		qsort_r(order->v, order->n, sizeof(*order->v), by_text, &c);
	merge(order, &c);
	if (order->n)
		qsort_r(order->v, order->n, sizeof(*order->v), by_weight, &c);
	free(frames);
	free(c.frame_rank);
	free(c.proc_rank);
}

void stack_order_make(struct stack_order *order, const struct profile *p, const struct render_opts *o)
{
	make(order, p, o, NULL, false);
}

void stack_order_make_all(struct stack_order *order, const struct profile *p, const struct render_opts *o)
{
	make(order, p, o, NULL, true);
}

void stack_order_make_by_names(struct stack_order *order, const struct profile *p, const struct render_opts *o,
			       const char *const *names)
{
	make(order, p, o, names, false);
}

void stack_order_release(struct stack_order *order)
{
	free(order->v);
	free(order->procs);
	*order = (struct stack_order){ 0 };
}
