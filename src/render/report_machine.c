/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report on a whole machine (model/machine.h): who grows, when RAM or a control group is full, what to type next;
 * then all of its memory in rows (report_machine_rows.c); then the code of those that had heap probes.
 *
 *	GROWING   app-17 uses 171.0 MiB/min more; 84 % of it: checkout (pid 8114)
 *	RAM full  in 19 min (17 min to 21 min), near 03:31 UTC; swap off; memory stall 11 % of the last 10 s; ...
 *	next      sudo memprobe -p 8114 -d 2m    (30 s cannot tell a leak from a cache that fills)
 *
 * At most 40 lines, unless all frames are asked for. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "render/machine_text.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"
#include "render/watch_text.h"

#define SHOWN_TREES 5
#define SHOWN_TREES_VERBOSE 20
#define DETAILS 3
#define STACKS_OF_ONE 3
#define MOST_GROUPS_TOLD 3
#define NEAR_LIMIT 0.8
/* Probes that were away again sooner tell no rate. */
#define LEAST_RATE_S 2
/* Heap that is told to have grown by so many times what the memory did. */
#define TOO_MUCH 1.25

/* ---- details of those with heap probes ---- */

static uint32_t proc_of(const struct profile *p, int32_t pid)
{
	uint32_t found = UINT32_MAX, i;

	for (i = 0; i < p->n_procs && pid; i++)
		if (p->procs[i].tgid == pid)
			found = i;
	return found;
}

static void add_bytes(struct buf *out, int64_t bytes)
{
	char size[16];

	units_format_size(size, (uint64_t)(bytes < 0 ? -bytes : bytes));
	buf_addf(out, "%s%s", bytes < 0 ? "-" : "+", size);
}

static double watched_s(const struct profile *p, const struct profile_proc *proc)
{
	uint64_t end = proc->end_ns ? proc->end_ns : p->window_ns;

	return end > proc->begin_ns ? (double)(end - proc->begin_ns) * 1e-9 : 0;
}

/*
 * The scale of bursts is an estimate, and a program's memory is measured: where it is told to have got more heap than
 * memory, the former is doubted. It may be right (what is freed and used again, what is never touched), so it is left
 * as it is.
 */
static void add_doubt(struct buf *out, const struct profile *p, const struct machine_row *r, uint32_t proc)
{
	double seconds = watched_s(p, &p->procs[proc]), heap = (double)heap_net_of(p, proc).bytes;
	double memory = r->growth_bytes > 0 ? (double)r->growth_bytes : 0, times;

	if (watch_is_exact(p) || seconds < LEAST_RATE_S || heap < TOO_MUCH * memory + (double)MIB || r->n_procs > 1)
		return;
	times = memory > 0 && p->machine.window_s > 0 ? heap / seconds / (memory / p->machine.window_s) : 0;
	if (times >= TOO_MUCH)
		buf_addf(out, "\n   the heap by what bursts told, %.1f times its memory: take proportions from it, no amounts", times);
	else
		buf_adds(out, "\n   the heap by what bursts told, more than its memory: take proportions from it, no amounts");
}

static void add_title(struct buf *out, const struct profile *p, const struct machine_row *r, size_t number, uint32_t proc)
{
	const char *name = profile_str(p, r->name);
	char watched[24];

	buf_addf(out, "\n%zu  ", number);
	buf_add_printable(out, name, strlen(name));
	buf_addf(out, " %d: heap ", r->probed_pid);
	add_bytes(out, heap_net_of(p, proc).bytes);
	units_format_duration(watched, (uint64_t)(watched_s(p, &p->procs[proc]) * (double)NS_PER_S));
	buf_addf(out, " in %s, all of its %smemory ", watched, r->n_procs > 1 ? "tree's " : "");
	add_bytes(out, r->growth_bytes);
	buf_addf(out, " in %.0f s", p->machine.window_s);
	if (r->has_ended)
		buf_adds(out, "; it has ended");
	add_doubt(out, p, r, proc);
	buf_addc(out, '\n');
}

static void add_stack_row(struct buf *out, const struct profile *p, const struct profile_stack *s, double seconds,
			  const struct render_opts *o)
{
	struct profile alone = *p; /* its process has been named */
	double alive = verdict_alive(p, s);
	char live[16], share[8] = "?", rate[24];

	alone.n_procs = 1;
	if (alive >= 0)
		snprintf(share, sizeof(share), "%.0f %%", alive * 100);
	format_tenths(rate, machine_rate_tenths((int64_t)stack_net_bytes(s), seconds));
	buf_addf(out, "%11s %8s %6s  ", units_format_size(live, s->live_bytes), seconds < LEAST_RATE_S ? "?" : rate, share);
	report_add_where(out, &alone, s, 29, o->columns, o->all_frames ? 8 : 1);
}

/* The tree's own story: a worker, a history. */
static void add_story(struct buf *out, const struct machine *m, const struct machine_row *r)
{
	double rate = m->window_s > 0 ? (double)r->growth_bytes / m->window_s : 0, since;
	char size[16], age[24];

	if (r->n_procs > 1 && r->worker_pid && r->growth_bytes > 0 && r->worker_growth > 0) {
		buf_addf(out, "   pid %d of its %u processes makes %.0f %% of it; ", r->worker_pid, r->n_procs,
			 fmin(100, 100 * (double)r->worker_growth / (double)r->growth_bytes));
		buf_addf(out, "ending that one frees %s\n", units_format_size(size, r->worker_private));
	}
	since = r->age_s > m->window_s ? (double)r->bytes / r->age_s : 0;
	if (r->n_procs == 1 && r->age_s > 4 * m->window_s && rate > 0 && since > rate * 0.67 && since < rate * 1.5) {
		units_format_duration(age, (uint64_t)(fmin(r->age_s, 1e9) * (double)NS_PER_S));
		buf_addf(out, "   history: %s in %s is %.1f MiB/min: it may have grown like this since its start\n",
			 units_format_size(size, (uint64_t)r->bytes), age, since * 60 / (double)MIB);
	}
}

static void add_detail(struct buf *out, const struct profile *p, const struct machine_row *r, size_t number,
		       bool is_first, const struct render_opts *o)
{
	uint32_t proc = proc_of(p, r->probed_pid);
	const struct profile_stack **s;
	uint64_t rest = 0, n_rest = 0;
	size_t n, i, shown = 0;
	double seconds;
	char live[16];

	if (proc == UINT32_MAX)
		return;
	seconds = watched_s(p, &p->procs[proc]);
	s = stacks_by_size(p, o, &n);
	add_title(out, p, r, number, proc);
	if (is_first)
		buf_addf(out, "%11s %8s %6s  %s\n", "LIVE", "MiB/min", "ALIVE", "WHERE");
	for (i = 0; i < n; i++) {
		if (s[i]->proc != proc)
			continue;
		if (shown++ < STACKS_OF_ONE) {
			add_stack_row(out, p, s[i], seconds, o);
			continue;
		}
		rest += s[i]->live_bytes;
		n_rest++;
	}
	if (n_rest)
		buf_addf(out, "%11s %8s %6s  %llu smaller stack%s\n", units_format_size(live, rest), "", "",
			 (unsigned long long)n_rest, n_rest == 1 ? "" : "s");
	add_story(out, &p->machine, r);
	free(s);
}

/* ---- the end of it ---- */

static void add_limits(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;
	char used[16], limit[16];
	size_t i, n = 0;

	for (i = 0; i < m->n_groups && n < 3; i++) {
		const struct machine_group *g = &m->groups[i];
		const char *name = profile_str(p, g->name);

		if (g->limit_bytes == UINT64_MAX ||
		    (g->full_s < 0 && !g->oom_kills && (double)g->used_bytes < NEAR_LIMIT * (double)g->limit_bytes))
			continue;
		buf_adds(out, n++ ? "        " : "limits  ");
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " %s of %s", units_format_size(used, g->used_bytes), units_format_size(limit, g->limit_bytes));
		if (g->oom_kills)
			buf_addf(out, ", killed %llu time%s", (unsigned long long)g->oom_kills, g->oom_kills == 1 ? "" : "s");
		if (g->new_kills)
			buf_addf(out, ", %llu of it now", (unsigned long long)g->new_kills);
		buf_adds(out, g->kills_group ? ", all of it together\n" : "\n");
	}
}

/* The three that grew most, when it is not one alone. */
static void add_groups(struct buf *out, const struct profile *p)
{
	const struct machine_group *best[MACHINE_MOST_GROUPS], *g;
	char used[16], grown[16];
	size_t i, k, n = 0;

	for (i = 0; i < p->machine.n_groups; i++) {
		g = &p->machine.groups[i];
		if (g->growth_bytes <= 0)
			continue;
		for (k = n++; k && best[k - 1]->growth_bytes < g->growth_bytes; k--)
			best[k] = best[k - 1];
		best[k] = g;
	}
	for (i = 0; i < n && n > 1 && i < MOST_GROUPS_TOLD; i++) {
		const char *name = profile_str(p, best[i]->name);

		buf_adds(out, i ? "        " : "groups  ");
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " +%s, now %s\n", units_format_size(grown, (uint64_t)best[i]->growth_bytes),
			 units_format_size(used, best[i]->used_bytes));
	}
}

static void add_trust(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;

	add_groups(out, p);
	add_limits(out, p);
	if (m->n_probed)
		buf_addf(out, "trust   heap probes in %u of %llu processes: the fastest grower%s, within 2 %% of all CPUs\n",
			 m->n_probed, (unsigned long long)m->n_processes, m->n_probed == 1 ? "" : "s");
	else
		buf_addf(out, "trust   %llu processes by /proc alone: no heap probes\n",
			 (unsigned long long)m->n_processes);
	if (m->n_probed) {
		buf_adds(out, "        there ");
		watch_add_how(out, p);
		buf_addc(out, '\n');
	}
	buf_addf(out, "        lost %llu; %llu processes came and %llu went\n",
		 (unsigned long long)profile_lost_events(p), (unsigned long long)m->n_came,
		 (unsigned long long)m->n_went);
	report_add_losses(out, p, "        ");
	buf_addf(out, "cost    looking: %.1f %% of one CPU", m->cpu_share * 100);
	if (m->n_probed && p->watch.share > 0) {
		buf_adds(out, "; probes: ");
		watch_add_cost(out, p);
	}
	buf_addc(out, '\n');
	report_add_call_cost(out, p);
}

/* Details of the first rows that had heap probes; they take the lines that are left. */
static void add_details(struct buf *out, const struct report *r, size_t n_trees)
{
	const struct machine *m = &r->p->machine;
	size_t i, n = 0;

	for (i = 0; i < m->n_rows && i < n_trees && m->rows[i].kind == MACHINE_TREE && n < DETAILS; i++)
		if (m->rows[i].probed_pid)
			add_detail(out, r->p, &m->rows[i], i + 1, !n++, r->o);
}

void report_machine(struct buf *out, const struct report *r)
{
	size_t n_trees = r->o->all_frames ? SHOWN_TREES_VERBOSE : SHOWN_TREES;
	struct buf b = BUF_INIT, details = BUF_INIT, end = BUF_INIT;
	unsigned int used;

	machine_add_head(&b, r->p);
	text_fit(out, b.data, r->columns, 11);
	buf_reset(&b);
	report_machine_rows(out, r->p, n_trees, r->columns);
	buf_addc(&b, '\n');
	add_trust(&b, r->p);
	text_fit(&end, b.data, r->columns, 8);
	buf_reset(&b);
	add_details(&b, r, n_trees);
	text_fit(&details, b.data, r->columns, 3);
	used = text_lines(out->data) + text_lines(end.data);
	if (!r->o->all_frames)
		text_keep_lines(&details, used < REPORT_LINES ? REPORT_LINES - used : 0);
	buf_add(out, details.data, details.len);
	buf_add(out, end.data, end.len);
	buf_release(&b);
	buf_release(&details);
	buf_release(&end);
}
