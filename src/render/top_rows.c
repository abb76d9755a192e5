/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Rows of `memprobe top`; see top_rows.h. Pure. */
#include "render/top_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static enum history_base base_of(const struct top_state *st)
{
	return st->since_start ? HISTORY_START : HISTORY_RECENT;
}

/* ---- filter ---- */

/* Has a stack, or its process, a name that the filter is part of? Case does not count. */
static bool stack_matches(const struct profile *p, const struct profile_stack *s, const char *filter)
{
	const uint32_t *frames = &p->stack_frames[s->first_frame];
	uint32_t i;

	if (!*filter || strcasestr(profile_str(p, p->procs[s->proc].comm), filter))
		return true;
	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[frames[i]];

		if (strcasestr(profile_str(p, f->name), filter) || strcasestr(profile_str(p, f->module), filter))
			return true;
	}
	return false;
}

/* By frame: one look at each name, however many stacks have it. */
static bool *matching_frames(const struct profile *p, const char *filter)
{
	bool *v = xcalloc(p->n_frames + 1, sizeof(*v));
	size_t i;

	for (i = 0; i < p->n_frames; i++)
		v[i] = strcasestr(profile_str(p, p->frames[i].name), filter) ||
		       strcasestr(profile_str(p, p->frames[i].module), filter);
	return v;
}

static bool passes(const struct profile *p, const struct profile_stack *s, const char *filter, const bool *frames)
{
	uint32_t i;

	if (!*filter || strcasestr(profile_str(p, p->procs[s->proc].comm), filter))
		return true;
	for (i = 0; i < s->n_frames; i++)
		if (frames[p->stack_frames[s->first_frame + i]])
			return true;
	return false;
}

/* ---- order ---- */

struct order {
	enum top_sort sort;
	bool since;
};

static double key_of(const struct top_row *r, const struct order *o)
{
	switch (o->sort) {
	case TOP_BY_BYTES:
		return o->since ? r->change : r->bytes;
	case TOP_BY_ALIVE:
		return r->alive;
	case TOP_BY_COUNT:
		return r->made;
	default:
		return o->since ? r->change : r->rate;
	}
}

/* Largest first; equal ones by what they hold, then as they came. */
static int by_key(const void *x, const void *y, void *ctx)
{
	const struct top_row *a = x, *b = y;
	double ka = key_of(a, ctx), kb = key_of(b, ctx);

	if (ka != kb)
		return ka > kb ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void sort(struct top_rows *r, const struct top_state *st)
{
	struct order o = { st->sort, st->since_start };

	if (r->n)
		qsort_r(r->v, r->n, sizeof(*r->v), by_key, &o);
}

/* ---- stacks ---- */

static double mean_age(const struct history *h, const struct history_stack *now)
{
	uint64_t now_ms = h->now.time_ns / 1000000, birth_ms;

	if (!now->live_blocks)
		return -1;
	birth_ms = now->birth_sum_ms / now->live_blocks;
	return now_ms > birth_ms ? (double)(now_ms - birth_ms) * 1e-3 : 0;
}

static struct top_row stack_row(const struct history *h, const struct history_moment *base, double seconds, bool since,
				uint32_t id)
{
	struct history_stack now = history_stack(&h->now, id), then = history_stack(base, id);
	double blocks = (double)now.live_blocks - (double)then.live_blocks;
	struct top_row r = {
		.id = id,
		.proc = TOP_NONE,
		.bytes = (double)now.live_bytes,
		.change = (double)now.live_bytes - (double)then.live_bytes,
		.blocks = since ? blocks : (double)now.live_blocks,
		.made = (double)now.alloc_blocks - (double)then.alloc_blocks,
		.age_s = mean_age(h, &now),
		.deviation = now.deviation,
		.site = TOP_NONE,
	};

	if (r.change > 0) /* a full cache that replaces its entries does not grow */
		r.change *= 1 - history_replaced(h, id);
	r.rate = seconds > 0 ? r.change / seconds : 0;
	r.alive = history_alive(h, id);
	return r;
}

static void add_to_sum(struct top_row *sum, const struct top_row *r)
{
	sum->bytes += r->bytes;
	sum->change += r->change;
	sum->rate += r->rate;
	sum->heap_rate += r->heap_rate;
	sum->blocks += r->blocks;
	sum->made += r->made;
	sum->deviation = sqrt(sum->deviation * sum->deviation + r->deviation * r->deviation);
}

void top_rows_stacks(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st,
		     uint32_t proc)
{
	const struct history_moment *base = history_moment(h, base_of(st));
	double seconds = history_seconds(h, base_of(st));
	bool *frames = *st->filter ? matching_frames(p, st->filter) : NULL;
	size_t i;

	*r = (struct top_rows){ .sum = { .id = TOP_NONE, .site = TOP_NONE, .age_s = -1, .alive = -1 } };
	r->v = xcalloc(h->now.n + 1, sizeof(*r->v));
	for (i = 0; i < h->now.n && i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];
		struct top_row row;

		if ((proc != TOP_NONE && s->proc != proc) || !passes(p, s, st->filter, frames))
			continue;
		row = stack_row(h, base, seconds, st->since_start, (uint32_t)i);
		if (row.bytes <= 0 && row.made <= 0 && row.change >= 0)
			continue;
		if (stack_is_heap(s))
			add_to_sum(&r->sum, &row);
		r->v[r->n++] = row;
	}
	free(frames);
	sort(r, st);
}

/* ---- processes ---- */

/* What the stacks of each process come to; by index. */
static void add_stacks(struct top_row *rows, size_t n, const struct profile *p, const struct history *h,
		       const struct top_state *st)
{
	const struct history_moment *base = history_moment(h, base_of(st));
	double seconds = history_seconds(h, base_of(st));
	size_t i;

	for (i = 0; i < h->now.n && i < p->n_stacks; i++) {
		struct top_row s = stack_row(h, base, seconds, true, (uint32_t)i), *r;

		if (p->stacks[i].proc >= n)
			continue;
		r = &rows[p->stacks[i].proc];
		if (!stack_is_heap(&p->stacks[i])) /* what is mapped need not be in memory */
			continue;
		r->made += s.made;
		r->heap_rate += s.rate;
		if (s.change > 0 && (r->site == TOP_NONE || s.rate > r->site_rate)) {
			r->site = (uint32_t)i;
			r->site_rate = s.rate;
			r->alive = s.alive;
		}
	}
}

static bool matches(const struct profile *p, uint32_t proc, uint32_t site, const char *filter)
{
	char pid[16];

	if (!*filter || strcasestr(profile_str(p, p->procs[proc].comm), filter))
		return true;
	snprintf(pid, sizeof(pid), "%d", p->procs[proc].tgid);
	return strstr(pid, filter) || (site != TOP_NONE && stack_matches(p, &p->stacks[site], filter));
}

static void rows_of_run(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st)
{
	size_t n = h->n_procs < p->n_procs ? h->n_procs : p->n_procs, i, n_running = 0;
	double seconds = history_seconds(h, base_of(st));
	struct top_row *rows = xcalloc(n + 1, sizeof(*rows));

	for (i = 0; i < n; i++) {
		const struct history_proc *hp = &h->procs[i];

		n_running += hp->state == PROC_RUNNING;
		rows[i] = (struct top_row){ .id = (uint32_t)i, .proc = (uint32_t)i, .pid = p->procs[i].tgid,
					    .site = TOP_NONE, .age_s = -1, .alive = -1 };
		rows[i].bytes = series_last(&hp->memory);
		rows[i].rate = hp->state == PROC_RUNNING ? history_rate(h, &hp->memory, base_of(st)) : 0;
		rows[i].change = rows[i].rate * seconds;
	}
	add_stacks(rows, n, p, h, st);
	*r = (struct top_rows){ .v = rows, .sum = { .id = TOP_NONE, .site = TOP_NONE, .age_s = -1, .alive = -1 } };
	for (i = 0; i < n; i++) {
		if (n_running && h->procs[i].state != PROC_RUNNING)
			continue;
		if (!matches(p, (uint32_t)i, rows[i].site, st->filter))
			continue;
		add_to_sum(&r->sum, &rows[i]);
		rows[r->n++] = rows[i];
	}
	sort(r, st);
}

/* ---- the whole machine ---- */

/* The process that runs under that number, as far as it has heap probes, or had. */
static uint32_t proc_of(const struct profile *p, const struct history *h, int32_t pid)
{
	uint32_t i;

	for (i = (uint32_t)(h->n_procs < p->n_procs ? h->n_procs : p->n_procs); i-- > 0;)
		if (p->procs[i].tgid == pid && (h->procs[i].state == PROC_RUNNING || h->procs[i].state == PROC_DROPPED) &&
		    !(p->procs[i].end_ns && p->procs[i].end_ns <= p->procs[i].begin_ns)) /* taken out before it began */
			return i;
	return TOP_NONE;
}

static uint32_t proc_of_tree(const struct profile *p, const struct history *h, const struct machine_row *row)
{
	const int32_t pids[] = { row->probed_pid, row->worker_pid, row->pid };
	uint32_t proc = TOP_NONE;
	size_t i;

	for (i = 0; i < sizeof(pids) / sizeof(pids[0]) && proc == TOP_NONE; i++)
		if (pids[i])
			proc = proc_of(p, h, pids[i]);
	return proc;
}

static struct top_row tree_row(const struct profile *p, const struct history *h, const struct top_state *st,
			       const struct history_tree *t)
{
	struct top_row r = {
		.id = t->id,
		.proc = TOP_NONE,
		.tree = t,
		.bytes = (double)t->row.bytes,
		.rate = history_rate(h, &t->bytes, base_of(st)),
		.site = TOP_NONE,
		.age_s = -1,
		.alive = -1,
	};

	r.change = r.rate * history_seconds(h, base_of(st));
	if (t->row.kind != MACHINE_TREE)
		return r;
	r.proc = proc_of_tree(p, h, &t->row);
	r.pid = t->row.worker_pid ? t->row.worker_pid : t->row.pid;
	return r;
}

static struct top_row member_row(const struct profile *p, const struct history *h, const struct top_state *st,
				 const struct history_member *m)
{
	double seconds = history_seconds(h, base_of(st));

	return (struct top_row){
		.id = TOP_MEMBER | (uint32_t)m->pid,
		.proc = proc_of(p, h, m->pid),
		.pid = m->pid,
		.member = m,
		.bytes = m->bytes,
		.change = m->grown[base_of(st)],
		.rate = seconds > 0 ? m->grown[base_of(st)] / seconds : 0,
		.site = TOP_NONE,
		.age_s = -1,
		.alive = -1,
	};
}

/* What stacks add to rows whose process has probes. */
static void add_sites(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st)
{
	size_t n = h->n_procs < p->n_procs ? h->n_procs : p->n_procs, i;
	struct top_row *procs = xcalloc(n + 1, sizeof(*procs));

	for (i = 0; i < n; i++)
		procs[i].site = TOP_NONE;
	add_stacks(procs, n, p, h, st);
	for (i = 0; i < r->n; i++) {
		const struct top_row *from;

		if (r->v[i].proc == TOP_NONE)
			continue;
		from = &procs[r->v[i].proc];
		r->v[i].site = from->site;
		r->v[i].made = from->made;
		r->v[i].heap_rate = from->heap_rate;
		r->v[i].alive = from->site == TOP_NONE ? -1 : from->alive;
	}
	free(procs);
}

static bool tree_matches(const struct profile *p, const struct history_tree *t, const char *filter)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", t->row.pid);
	return !*filter || strcasestr(profile_str(p, t->row.name), filter) ||
	       strcasestr(profile_str(p, t->row.group), filter) || strstr(pid, filter);
}

/* Among those that grow; memprobe itself does so while it starts, and stands below. */
static bool is_listed(const struct history_tree *t, const struct top_state *st)
{
	return t->row.kind == MACHINE_TREE && (t->row.pid != st->own_pid || !st->own_pid);
}

/* Trees in order, members of the open one below it, then what is no process. */
static void rows_of_machine(struct top_rows *r, const struct profile *p, const struct history *h,
			    const struct top_state *st)
{
	struct top_rows trees = { .v = xcalloc(h->n_trees + 1, sizeof(*trees.v)) };
	size_t i, k;

	*r = (struct top_rows){ .v = xcalloc(h->n_trees + h->n_members + 1, sizeof(*r->v)),
				.sum = { .id = TOP_NONE, .site = TOP_NONE, .age_s = -1, .alive = -1 } };
	for (i = 0; i < h->n_trees; i++)
		if (is_listed(&h->trees[i], st) && tree_matches(p, &h->trees[i], st->filter))
			trees.v[trees.n++] = tree_row(p, h, st, &h->trees[i]);
	add_sites(&trees, p, h, st);
	sort(&trees, st);
	for (i = 0; i < trees.n; i++) {
		r->v[r->n++] = trees.v[i];
		for (k = 0; k < h->n_members && st->open_tree && trees.v[i].id == (uint32_t)st->open_tree; k++)
			r->v[r->n++] = member_row(p, h, st, &h->members[k]);
	}
	for (i = 0; i < h->n_trees && !*st->filter; i++)
		if (!is_listed(&h->trees[i], st) && h->trees[i].row.kind != MACHINE_USED)
			r->v[r->n + r->n_fixed++] = tree_row(p, h, st, &h->trees[i]);
	r->n += r->n_fixed;
	r->sum.rate = history_rate(h, &h->memory, base_of(st));
	free(trees.v);
}

void top_rows_procs(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st)
{
	if (h->machine.is_there)
		rows_of_machine(r, p, h, st);
	else
		rows_of_run(r, p, h, st);
}

void top_rows_release(struct top_rows *r)
{
	free(r->v);
	*r = (struct top_rows){ 0 };
}
