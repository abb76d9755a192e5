/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Forked workers: what is each one's own, what they share, what lies free in glibc's arenas; part of the report.
 *
 *	WORKERS (MiB)                 PRIVATE    CHANGE    SHARED    CHANGE       PSS   FREE IN ARENAS
 *	4242  ruby, forks                 2.1      +0.1      42.0      -3.0      12.7   1.2 in 1
 *	4250  ruby                       15.9     +14.0      29.1     -14.0      22.8   3.4 in 5
 *	=> workers share 33 % less than when they began: ...
 *
 * CHANGE: since the process began, or the attach. Pure.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define MOST_ROWS 9u
#define TERSE_ROWS 4u

static void add_amounts(struct buf *out, const uint64_t v[2])
{
	static const struct amount_unit unit = { "MiB", MIB };
	char now[24], number[24], change[26];
	int64_t tenths = in_tenths((int64_t)v[1], &unit) - in_tenths((int64_t)v[0], &unit);

	snprintf(change, sizeof(change), "%s%s", tenths > 0 ? "+" : "", format_tenths(number, tenths));
	buf_addf(out, " %9s %9s", format_tenths(now, in_tenths((int64_t)v[1], &unit)), change);
}

static void add_row(struct buf *out, const struct profile *p, uint32_t n, bool forks)
{
	const struct profile_proc *proc = &p->procs[n];
	const struct bridge *b = profile_bridge(p, n);
	size_t at = out->len;

	buf_addf(out, "%6d  ", (int)proc->tgid);
	buf_add_plain(out, profile_str(p, proc->comm));
	buf_adds(out, forks ? ", forks" : "");
	buf_pad(out, ' ', out->len - at < 26 ? 26 - (out->len - at) : 1);
	add_amounts(out, proc->sharing.private_bytes);
	add_amounts(out, proc->sharing.shared_bytes);
	buf_addf(out, " %9.1f", (double)proc->sharing.pss_bytes[1] / (double)MIB);
	if (b && b->has_now && b->heap == BRIDGE_HEAP_GLIBC)
		buf_addf(out, "   %.1f in %llu", (double)(b->now[BRIDGE_HEAP_KEPT] > 0 ? b->now[BRIDGE_HEAP_KEPT] : 0) / (double)MIB,
			 (unsigned long long)b->n_arenas);
	buf_addc(out, '\n');
}

static bool has_worker(const struct profile *p, uint32_t n)
{
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].parent == n && p->procs[i].sharing.is_there[1])
			return true;
	return false;
}

static void add_advice(struct buf *out, const struct profile *p)
{
	struct workers w = { 0 };
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].parent < p->n_procs)
			workers_add(&w, &p->procs[i].sharing);
	if (!workers_advice(&w))
		return;
	buf_addf(out, "=> workers share %.0f %% less than when they began, and pay for it each: warm up before the fork, with\n"
		      "   GC.compact in Ruby, gc.freeze() in Python (rule: > 12.5 %%, 4 MiB each)\n",
		 100.0 * (double)(w.shared[0] - w.shared[1]) / (double)w.shared[0]);
}

struct worker_row {
	uint64_t private_bytes;
	uint32_t proc;
	bool forks;
};

/* Who forks them first, then those that have most of their own. */
static int by_weight(const void *x, const void *y)
{
	const struct worker_row *a = x, *b = y;

	if (a->forks != b->forks)
		return a->forks ? -1 : 1;
	if (a->private_bytes != b->private_bytes)
		return a->private_bytes > b->private_bytes ? -1 : 1;
	return a->proc < b->proc ? -1 : a->proc > b->proc;
}

static int by_proc(const void *x, const void *y)
{
	const struct worker_row *a = x, *b = y;

	return a->proc < b->proc ? -1 : a->proc > b->proc;
}

static size_t collect(const struct profile *p, struct worker_row *v)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < p->n_procs; i++) {
		bool forks = has_worker(p, i);

		if (p->procs[i].sharing.is_there[1] && (forks || p->procs[i].parent < p->n_procs))
			v[n++] = (struct worker_row){ p->procs[i].sharing.private_bytes[1], i, forks };
	}
	return n;
}

void report_workers(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	size_t most = r->o->all_frames ? SIZE_MAX : r->terse ? TERSE_ROWS : MOST_ROWS, n, shown, i;
	struct worker_row *v = xcalloc(p->n_procs + 1, sizeof(*v));

	n = collect(p, v);
	shown = n < most ? n : most;
	qsort(v, n, sizeof(*v), by_weight);
	qsort(v, shown, sizeof(*v), by_proc);
	if (n)
		buf_addf(out, "\nWORKERS (MiB)%13s %9s %9s %9s %9s %9s   FREE IN ARENAS\n", "", "PRIVATE", "CHANGE", "SHARED", "CHANGE", "PSS");
	for (i = 0; i < shown; i++)
		add_row(out, p, v[i].proc, v[i].forks);
	if (n > shown)
		buf_addf(out, "        %zu more (-v)\n", n - shown);
	if (n)
		add_advice(out, p);
	free(v);
}
