/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* From what was seen of a machine to its rows; see machine.h. Pure; watching is machine_watch.c. */
#include "model/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/profile.h"

/* Rows other than trees. */
#define OTHER_KINDS (MACHINE_KIND_NR - 1)
#define MOST_TREES (MACHINE_MOST_ROWS - OTHER_KINDS)
/* Points of a tree's series; looks between them are left out. */
#define MOST_POINTS 256
/* Trees that moved by less are ranked by size. */
#define GROWTH_THAT_RANKS (256.0 * 1024)
/* One that ended is told of when it had so much of what was in use. */
#define PART_THAT_MATTERS 0.05

struct tree {
	size_t root, first, n; /* members: order[first .. first + n) */
	double growth, highest, fault_rate;
	unsigned int rank; /* class: those that grow, large ones that ended, the others */
	int64_t bytes;
	bool has_ended;
};

struct fill {
	const struct machine_watch *w;
	struct profile *p;
	struct machine *m;
	size_t *root, *order; /* of each process; processes by root */
	struct tree *trees;
	size_t n_trees;
};

const char *machine_seen_name(enum machine_seen s)
{
	static const char *const names[] = {
		"/proc", "faults", "heap, away", "in bursts", "heap, sampled", "heap, exact",
	};

	return names[s];
}

const struct machine_row *machine_row_of(const struct machine *m, enum machine_row_kind kind)
{
	size_t i;

	for (i = 0; i < m->n_rows; i++)
		if (m->rows[i].kind == kind)
			return &m->rows[i];
	return NULL;
}

/* ---- a tree over time ---- */

/* What of anonymous and swapped memory was others' too, at that time. */
static double shared_at(const struct machine_proc *p, double t_s)
{
	double part;

	if (p->rollup_s <= p->rollup_first_s)
		return p->shared;
	part = (t_s - p->rollup_first_s) / (p->rollup_s - p->rollup_first_s);
	return p->shared_first + fmin(1, fmax(0, part)) * (p->shared - p->shared_first);
}

static bool lives_at(const struct machine_proc *p, double t_s)
{
	return p->memory.n && t_s >= p->first_s && !(p->has_ended && t_s >= p->end_s);
}

static double tree_at(const struct fill *f, const struct tree *t, double t_s, double *shmem)
{
	double sum = 0, own, mapped;
	size_t i;

	*shmem = 0;
	for (i = t->first; i < t->first + t->n; i++) {
		const struct machine_proc *p = &f->w->procs[f->order[i]];

		if (!lives_at(p, t_s))
			continue;
		mapped = p->shmem.n && t_s >= p->shmem.v[0].t_s ? series_at(&p->shmem, t_s) : 0;
		own = series_at(&p->memory, t_s) - mapped;
		if (f->order[i] != t->root)
			own -= shared_at(p, t_s);
		sum += fmax(0, own);
		*shmem = fmax(*shmem, mapped);
	}
	return sum + *shmem;
}

static void tree_series(const struct fill *f, const struct tree *t, struct series *out)
{
	const struct series *times = &f->w->used;
	size_t i, step = times->n / MOST_POINTS + 1;
	double shmem;

	series_release(out);
	for (i = 0; i < times->n; i += step)
		series_add(out, times->v[i].t_s, tree_at(f, t, times->v[i].t_s, &shmem));
}

static double first_time(const struct machine_watch *w)
{
	return w->used.n ? w->used.v[0].t_s : 0;
}

static double highest_of(const struct fill *f, const struct tree *t)
{
	double lowest, highest = 0, most = 0;
	size_t i;

	for (i = t->first; i < t->first + t->n; i++) {
		series_range(&f->w->procs[f->order[i]].memory, 0, f->w->window_s, &lowest, &highest);
		most = fmax(most, highest);
	}
	return most;
}

/* ---- finding the trees ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Sorts (root, process) pairs packed into one number: there are never 2^32 of them. */
static void order_by_root(struct fill *f)
{
	size_t i, n = f->w->n_procs;
	uint64_t *pairs = xcalloc(n + 1, sizeof(*pairs));

	for (i = 0; i < n; i++)
		pairs[i] = (uint64_t)f->root[i] << 32 | i;
	qsort(pairs, n, sizeof(*pairs), by_number);
	for (i = 0; i < n; i++)
		f->order[i] = (size_t)(pairs[i] & UINT32_MAX);
	free(pairs);
}

/* Its share is read now and then; what it grew by since is its own. */
static int64_t bytes_of(const struct machine_proc *p)
{
	double since;

	if (p->has_ended)
		return 0;
	if (!p->has_pss)
		return (int64_t)series_last(&p->memory);
	since = p->memory.n ? series_last(&p->memory) - series_at(&p->memory, p->rollup_s) : 0;
	return (int64_t)fmax(0, (double)p->pss_bytes + since);
}

/* Of one that came later: over all of the window, as its growth is. */
static double fault_rate_of(const struct machine_proc *p)
{
	if (p->faulted_s <= 0 || p->faulted_bytes < p->faulted_first_bytes)
		return 0;
	return (double)(p->faulted_bytes - p->faulted_first_bytes) / p->faulted_s;
}

static void measure_tree(const struct fill *f, struct tree *t)
{
	double shmem, first = tree_at(f, t, first_time(f->w), &shmem);
	size_t i;

	t->growth = tree_at(f, t, f->w->window_s, &shmem) - first;
	t->has_ended = true;
	for (i = t->first; i < t->first + t->n; i++) {
		t->bytes += bytes_of(&f->w->procs[f->order[i]]);
		t->fault_rate += fault_rate_of(&f->w->procs[f->order[i]]);
		t->has_ended = t->has_ended && f->w->procs[f->order[i]].has_ended;
	}
	t->highest = highest_of(f, t);
	t->rank = 2;
	if (t->has_ended)
		t->rank -= t->highest > PART_THAT_MATTERS * (double)machine_used_bytes(&f->w->now);
	else if (t->growth > GROWTH_THAT_RANKS)
		t->rank = 0;
}

static int by_rank(const void *a, const void *b)
{
	const struct tree *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (!x->rank && x->growth != y->growth)
		return x->growth > y->growth ? -1 : 1;
	if (x->rank == 1 && x->highest != y->highest)
		return x->highest > y->highest ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->root < y->root ? -1 : 1;
}

static void find_trees(struct fill *f)
{
	size_t i, n = f->w->n_procs;

	f->root = xcalloc(n + 1, sizeof(*f->root));
	f->order = xcalloc(n + 1, sizeof(*f->order));
	f->trees = xcalloc(n + 1, sizeof(*f->trees));
	machine_roots(f->w, f->root);
	order_by_root(f);
	for (i = 0; i < n; i++) {
		size_t root = f->root[f->order[i]];

		if (!f->n_trees || f->trees[f->n_trees - 1].root != root)
			f->trees[f->n_trees++] = (struct tree){ .root = root, .first = i };
		f->trees[f->n_trees - 1].n++;
	}
	for (i = 0; i < f->n_trees; i++)
		measure_tree(f, &f->trees[i]);
	qsort(f->trees, f->n_trees, sizeof(*f->trees), by_rank);
}

/* ---- when something is full ---- */

/* Nobody is in it any more: what it last used is not used now. */
static bool is_gone(const struct fill *f, const struct machine_watch_group *g)
{
	return g->read_s < f->w->groups_s;
}

static void fill_group(struct fill *f, const struct machine_watch_group *g)
{
	struct machine_group *out = &f->m->groups[f->m->n_groups++];
	struct growth grown;
	double room = (double)g->limit_bytes - (double)g->used_bytes;

	if (g->swap_left_bytes < f->w->now.swap_free_bytes)
		room += (double)g->swap_left_bytes;
	else
		room += (double)f->w->now.swap_free_bytes;
	*out = (struct machine_group){
		.name = profile_string(f->p, g->name),
		.limit_bytes = g->limit_bytes,
		.used_bytes = is_gone(f, g) ? 0 : g->used_bytes,
		.oom_kills = g->oom_kills,
		.new_kills = g->oom_kills > g->oom_kills_first ? g->oom_kills - g->oom_kills_first : 0,
		.kills_group = g->kills_group,
		.full_s = -1,
		.full_low_s = -1,
		.full_high_s = -1,
	};
	if (is_gone(f, g))
		return;
	if (g->used.n)
		out->growth_bytes = (int64_t)(series_last(&g->used) - g->used.v[0].bytes);
	growth_of(&g->used, f->w->window_s, &grown);
	if (grown.word != TREND_GROWING)
		return;
	out->full_s = machine_seconds_to(room, grown.rate);
	out->full_low_s = machine_seconds_to(room, grown.high);
	out->full_high_s = machine_seconds_to(room, grown.low);
}

static int by_growth(const void *a, const void *b)
{
	const struct machine_watch_group *x = *(const struct machine_watch_group *const *)a;
	const struct machine_watch_group *y = *(const struct machine_watch_group *const *)b;
	double gx = x->used.n ? series_last(&x->used) - x->used.v[0].bytes : 0;
	double gy = y->used.n ? series_last(&y->used) - y->used.v[0].bytes : 0;

	if (gx != gy)
		return gx > gy ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Of a control group without a limit nobody counts but its processes. */
struct group_sum {
	uint64_t id;
	const char *name;
	double bytes, growth;
};

static int by_sum_growth(const void *a, const void *b)
{
	const struct group_sum *x = a, *y = b;

	if (x->growth != y->growth)
		return x->growth > y->growth ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool has_limited_group(const struct machine *m, uint32_t name)
{
	size_t i;

	for (i = 0; i < m->n_groups; i++)
		if (m->groups[i].name == name)
			return true;
	return false;
}

static struct group_sum *sum_groups(const struct machine_watch *w, size_t *n)
{
	struct group_sum *v = xcalloc(w->n_procs + 1, sizeof(*v));
	struct table at = TABLE_INIT;
	size_t i;

	*n = 0;
	for (i = 0; i < w->n_procs; i++) {
		const struct machine_proc *p = &w->procs[i];
		uint64_t *known = table_get(&at, p->group_id);
		double first = p->came || !p->memory.n ? 0 : p->memory.v[0].bytes, last = 0;
		struct group_sum *sum;

		if (!*p->group)
			continue;
		if (!known) {
			v[*n] = (struct group_sum){ .id = p->group_id, .name = p->group };
			table_put(&at, p->group_id, (*n)++);
			known = table_get(&at, p->group_id);
		}
		sum = &v[*known];
		if (!p->has_ended && p->memory.n)
			last = series_last(&p->memory);
		sum->bytes += last;
		sum->growth += last - first;
	}
	table_release(&at);
	return v;
}

/* Those with a limit, then those that grew most of the others. */
static void fill_groups(struct fill *f)
{
	const struct machine_watch_group **sorted = xcalloc(f->w->n_groups + 1, sizeof(*sorted));
	struct group_sum *sums;
	size_t i, n, n_sorted = 0;

	for (i = 0; i < f->w->n_groups; i++) {
		const struct machine_watch_group *g = &f->w->groups[i];

		if (!is_gone(f, g) || g->oom_kills > g->oom_kills_first)
			sorted[n_sorted++] = g;
	}
	qsort(sorted, n_sorted, sizeof(*sorted), by_growth);
	for (i = 0; i < n_sorted && i < MACHINE_MOST_GROUPS; i++)
		fill_group(f, sorted[i]);
	free(sorted);
	sums = sum_groups(f->w, &n);
	qsort(sums, n, sizeof(*sums), by_sum_growth);
	for (i = 0; i < n && f->m->n_groups < MACHINE_MOST_GROUPS; i++) {
		uint32_t name = profile_string(f->p, sums[i].name);

		if (sums[i].growth < GROWTH_THAT_RANKS || has_limited_group(f->m, name))
			continue;
		f->m->groups[f->m->n_groups++] = (struct machine_group){
			.name = name, .limit_bytes = UINT64_MAX, .used_bytes = (uint64_t)sums[i].bytes,
			.growth_bytes = (int64_t)sums[i].growth, .full_s = -1, .full_low_s = -1, .full_high_s = -1,
		};
	}
	free(sums);
}

/* Of the limits above a process: the one that is full first. */
static double group_full_s(const struct fill *f, const struct machine_proc *p)
{
	double first = -1;
	size_t i, k;

	for (i = 0; i < p->n_groups; i++)
		for (k = 0; k < f->m->n_groups; k++) {
			const struct machine_group *g = &f->m->groups[k];

			if (g->name != profile_string(f->p, f->w->groups[p->groups[i]].name) || g->full_s < 0)
				continue;
			if (first < 0 || g->full_s < first)
				first = g->full_s;
		}
	return first;
}

/* ---- rows ---- */

static void take_growth(struct machine_row *r, const struct series *s, double window_s)
{
	struct growth g;

	growth_of(s, window_s, &g);
	r->word = g.word;
	r->doubt = g.doubt;
	r->rate = g.rate;
	r->low = g.low;
	r->high = g.high;
}

static void take_worker(const struct fill *f, const struct tree *t, struct machine_row *r)
{
	const struct machine_proc *most = NULL, *probed = NULL;
	size_t i;

	for (i = t->first; i < t->first + t->n; i++) {
		const struct machine_proc *p = &f->w->procs[f->order[i]];

		if (p->seen > SEEN_FAULTS && (!probed || machine_proc_growth(p) > machine_proc_growth(probed)))
			probed = p;
		if (p->has_ended)
			continue;
		r->n_procs++;
		r->seen = p->seen > r->seen ? p->seen : r->seen;
		if (!most || machine_proc_growth(p) > machine_proc_growth(most))
			most = p;
	}
	if (probed)
		r->probed_pid = probed->pid;
	if (!most)
		return;
	r->worker_pid = most->pid;
	r->worker_growth = (int64_t)machine_proc_growth(most);
	r->worker_private = most->private_bytes;
}

static void add_tree(struct fill *f, const struct tree *t)
{
	const struct machine_proc *root = &f->w->procs[t->root];
	struct machine_row *r = &f->m->rows[f->m->n_rows++];
	struct series s = { 0 };

	*r = (struct machine_row){
		.kind = MACHINE_TREE,
		.pid = root->pid,
		.name = profile_string(f->p, root->name),
		.group = profile_string(f->p, root->group),
		.bytes = t->bytes,
		.growth_bytes = (int64_t)t->growth,
		.full_s = -1,
		.age_s = root->age_s > 0 || root->came ? root->age_s + f->w->window_s - root->first_s : 0,
		.has_ended = t->has_ended,
		.seen = root->seen,
		.fault_rate = t->fault_rate,
	};
	take_worker(f, t, r);
	tree_series(f, t, &s);
	take_growth(r, &s, f->w->window_s);
	series_release(&s);
	if (r->word == TREND_GROWING && !t->has_ended)
		r->full_s = group_full_s(f, root);
}

static struct machine_row *add_row(struct machine *m, enum machine_row_kind kind, int64_t bytes, int64_t growth)
{
	struct machine_row *r = &m->rows[m->n_rows++];

	*r = (struct machine_row){ .kind = kind, .bytes = bytes, .growth_bytes = growth, .full_s = -1 };
	return r;
}

static void add_others(struct fill *f, size_t from)
{
	enum machine_seen seen = SEEN_PROC;
	int64_t bytes = 0, growth = 0;
	struct machine_row *r;
	double faults = 0;
	uint32_t n = 0;
	size_t i, k;

	for (i = from; i < f->n_trees; i++) {
		const struct tree *t = &f->trees[i];

		bytes += t->bytes;
		growth += (int64_t)t->growth;
		faults += t->fault_rate;
		for (k = t->first; k < t->first + t->n; k++) {
			n += !f->w->procs[f->order[k]].has_ended;
			seen = f->w->procs[f->order[k]].seen > SEEN_PROC ? SEEN_FAULTS : seen;
		}
	}
	if (!n && !growth)
		return;
	r = add_row(f->m, MACHINE_OTHERS, bytes, growth);
	r->n_procs = n;
	r->seen = seen;
	r->fault_rate = faults;
}

static int64_t kernel_bytes(const struct machine_memory *m)
{
	return (int64_t)(m->slab_bytes + m->page_table_bytes + m->stack_bytes + m->other_kernel_bytes);
}

/* What no process has mapped. */
static void add_shmem(struct fill *f)
{
	const struct machine_watch *w = f->w;
	int64_t bytes = (int64_t)w->now.shmem_bytes, growth = bytes - (int64_t)w->first.shmem_bytes;
	struct machine_row *r;
	double now, first;
	size_t i;

	for (i = 0; i < w->n_procs; i++)
		if (!w->procs[i].has_ended)
			bytes -= (int64_t)w->procs[i].pss_shmem_bytes;
	for (i = 0; i < f->n_trees; i++) {
		tree_at(f, &f->trees[i], w->window_s, &now);
		tree_at(f, &f->trees[i], first_time(w), &first);
		growth -= (int64_t)(now - first);
	}
	r = add_row(f->m, MACHINE_SHMEM, bytes, growth);
	take_growth(r, &w->shmem, w->window_s);
}

static void add_other_kinds(struct fill *f)
{
	const struct machine_memory *now = &f->w->now, *first = &f->w->first;
	int64_t used = (int64_t)machine_used_bytes(now), grown = used - (int64_t)machine_used_bytes(first);
	int64_t bytes = used, growth = grown;
	struct machine_row *r;
	size_t i;

	r = add_row(f->m, MACHINE_KERNEL, kernel_bytes(now), kernel_bytes(now) - kernel_bytes(first));
	take_growth(r, &f->w->kernel, f->w->window_s);
	add_shmem(f);
	if (now->hugetlb_bytes || first->hugetlb_bytes)
		add_row(f->m, MACHINE_HUGETLB, (int64_t)now->hugetlb_bytes,
			(int64_t)(now->hugetlb_bytes - first->hugetlb_bytes));
	if (now->kept_free_bytes)
		add_row(f->m, MACHINE_KEPT, (int64_t)now->kept_free_bytes,
			(int64_t)(now->kept_free_bytes - first->kept_free_bytes));
	for (i = 0; i < f->m->n_rows; i++) {
		bytes -= f->m->rows[i].bytes;
		growth -= f->m->rows[i].growth_bytes;
	}
	add_row(f->m, MACHINE_UNEXPLAINED, bytes, growth);
	r = add_row(f->m, MACHINE_USED, used, grown);
	take_growth(r, &f->w->used, f->w->window_s);
}

/* ---- all of it ---- */

void machine_fill(struct profile *p, const struct machine_watch *w)
{
	struct fill f = { .w = w, .p = p, .m = &p->machine };
	struct machine *m = f.m;
	size_t i;

	*m = (struct machine){
		.is_there = true,
		.first = w->first,
		.now = w->now,
		.window_s = w->window_s,
		.n_came = w->n_came,
		.n_went = w->n_went,
	};
	for (i = 0; i < w->n_procs; i++) {
		m->n_processes += !w->procs[i].has_ended;
		m->n_probed += w->procs[i].seen > SEEN_HEAP_AWAY && !w->procs[i].has_ended;
	}
	fill_groups(&f);
	find_trees(&f);
	for (i = 0; i < f.n_trees && i < MOST_TREES; i++)
		add_tree(&f, &f.trees[i]);
	add_others(&f, i);
	add_other_kinds(&f);
	growth_of(&w->used, w->window_s, &m->used);
	machine_fill_outlook(m);
	free(f.root);
	free(f.order);
	free(f.trees);
}
