/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's sections on who was watched, and for how long.
 *
 *	target  gatewayd (pid 4242), 34 threads, up 1 h 05 min; RSS 5.89 GiB at attach, 5.94 GiB now, swap 0 B
 *	window  30 s to 03:12:41 UTC; every malloc and free counted, nothing sampled, nothing lost
 *
 * and of several processes a table, whose columns add up as printed:
 *
 *	     PID  PROCESS           LIVE MiB   MiB/min
 *	    4242  gatewayd               4.3      +8.6
 *	          3 others               0.9      +1.8
 *	          all                    5.2     +10.4
 *
 * Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"
#include "render/watch_text.h"

#define MAX_PROCESS_ROWS 8

static void add_process_name(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const char *comm = profile_str(p, proc->comm);

	buf_add_printable(out, comm, strlen(comm));
	buf_addf(out, " (pid %d", proc->tgid);
	if (proc->ns_tgid && proc->ns_tgid != proc->tgid)
		buf_addf(out, ", %d in its container", proc->ns_tgid);
	buf_addc(out, ')');
}

static const char *state_text(enum proc_state s)
{
	return s == PROC_EXITED ? "exited" : s == PROC_EXECED ? "exec'ed" : s == PROC_DROPPED ? "lost its heap probes" : "";
}

static void add_target(struct buf *out, const struct report *r, const struct profile_proc *proc)
{
	const struct profile *p = r->p;
	char before[16], now[16], swap[16], age[24];

	units_format_size(before, proc->at_attach.rss_bytes);
	units_format_size(now, proc->now.rss_bytes);
	units_format_duration(age, proc->now.start_age_ns);
	buf_adds(out, "\ntarget  ");
	add_process_name(out, p, proc);
	buf_addf(out, ", %u thread%s, up %s", proc->now.n_threads, proc->now.n_threads == 1 ? "" : "s", age);
	if (!report_main_bridge(p)) /* which has them */
		buf_addf(out, "; RSS %s at attach, %s now", before, now);
	buf_addf(out, ", swap %s\n", proc->now.swap_bytes ? units_format_size(swap, proc->now.swap_bytes) : "0");
	report_limit(out, r, &proc->now);
	if (proc->state != PROC_RUNNING)
		buf_addf(out, "        %s after %s of the window; what was live then is shown\n",
			 state_text(proc->state), units_format_duration(age, proc->end_ns));
}

/* ---- several ---- */

struct process_row {
	uint32_t index;
	struct heap_net h;
};

static int by_growth(const void *a, const void *b)
{
	const struct process_row *x = a, *y = b;

	if (x->h.bytes != y->h.bytes)
		return x->h.bytes > y->h.bytes ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

struct process_table {
	struct buf *out;
	const struct profile *p;
	struct process_row *rows; /* largest growth first */
	size_t n_rows;		  /* printed, that of the others included */
	bool has_others;
	struct amount_unit live_unit, rate_unit;
	int64_t live[MAX_PROCESS_ROWS + 1], rate[MAX_PROCESS_ROWS + 1], all_live, all_rate; /* tenths */
};

static void add_cells(struct process_table *t, int64_t live, int64_t rate, const char *state)
{
	char a[24], b[24], plus[28];

	snprintf(plus, sizeof(plus), "%s%s", rate > 0 ? "+" : "", format_tenths(b, rate));
	buf_addf(t->out, " %9s %9s%s%s\n", format_tenths(a, live), plus, *state ? "  " : "", state);
}

static void add_name(struct buf *out, const char *name)
{
	struct buf b = BUF_INIT;
	size_t len;

	buf_add_printable(&b, name, strlen(name));
	len = text_cut(b.data, b.len, 16);
	buf_add(out, b.data, len);
	buf_pad(out, ' ', 16 - text_width(b.data, len));
	buf_release(&b);
}

/* Bytes of each row printed; what is not shown is one row. */
static void fill_process_table(struct process_table *t, size_t max)
{
	int64_t live[MAX_PROCESS_ROWS + 1] = { 0 }, rate[MAX_PROCESS_ROWS + 1] = { 0 };
	int64_t most_live = 0, most_rate = 0;
	size_t i, at;

	t->has_others = t->p->n_procs > max;
	t->n_rows = t->has_others ? max + 1 : t->p->n_procs;
	for (i = 0; i < t->p->n_procs; i++) {
		at = i < max ? i : max;
		live[at] += (int64_t)t->rows[i].h.live_bytes;
		rate[at] += per_minute(t->p, t->rows[i].h.bytes);
	}
	for (i = 0; i < t->n_rows; i++) {
		most_live = live[i] > most_live ? live[i] : most_live;
		most_rate = llabs(rate[i]) > most_rate ? llabs(rate[i]) : most_rate;
	}
	t->live_unit = unit_for((uint64_t)most_live);
	t->rate_unit = unit_for((uint64_t)most_rate);
	t->all_live = round_to_sum(t->live, live, t->n_rows, &t->live_unit);
	t->all_rate = round_to_sum(t->rate, rate, t->n_rows, &t->rate_unit);
}

static void print_process_table(struct process_table *t)
{
	char live[16], rate[16], others[32];
	size_t i;

	snprintf(live, sizeof(live), "LIVE %s", t->live_unit.name);
	snprintf(rate, sizeof(rate), "%s/min", t->rate_unit.name);
	buf_addf(t->out, "\n%8s  %-16s %9s %9s\n", "PID", "PROCESS", live, rate);
	for (i = 0; i < t->n_rows; i++) {
		const struct profile_proc *proc = &t->p->procs[t->rows[i].index];
		bool is_rest = t->has_others && i + 1 == t->n_rows;

		snprintf(others, sizeof(others), "%zu other%s", t->p->n_procs - i, t->p->n_procs - i == 1 ? "" : "s");
		if (is_rest)
			buf_adds(t->out, "          ");
		else
			buf_addf(t->out, "%8d  ", proc->tgid);
		add_name(t->out, is_rest ? others : profile_str(t->p, proc->comm));
		add_cells(t, t->live[i], t->rate[i], is_rest ? "" : state_text(proc->state));
	}
	buf_addf(t->out, "%8s  %-16s", "", "all");
	add_cells(t, t->all_live, t->all_rate, "");
}

static void add_processes(struct buf *out, const struct report *r)
{
	struct process_table t = { .out = out, .p = r->p };
	size_t i, max = MAX_PROCESS_ROWS - 2 * r->terse;

	t.rows = xcalloc(r->p->n_procs, sizeof(*t.rows));
	for (i = 0; i < r->p->n_procs; i++)
		t.rows[i] = (struct process_row){ (uint32_t)i, heap_net_of(r->p, (uint32_t)i) };
	qsort(t.rows, r->p->n_procs, sizeof(*t.rows), by_growth);
	fill_process_table(&t, max);
	print_process_table(&t);
	free(t.rows);
}

void report_targets(struct buf *out, const struct report *r)
{
	if (r->p->n_procs == 1)
		add_target(out, r, &r->p->procs[0]);
	else if (r->p->n_procs)
		add_processes(out, r);
}

void report_window(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S);
	char length[24];
	struct tm tm;

	gmtime_r(&t, &tm);
	if (p->n_procs != 1)
		buf_addc(out, '\n');
	buf_addf(out, "window  %s to %02d:%02d:%02d UTC; ", units_format_duration(length, p->window_ns), tm.tm_hour,
		 tm.tm_min, tm.tm_sec);
	watch_add_how(out, p);
	buf_adds(out, profile_lost_events(p) ? ", but with losses\n" : ", nothing lost\n");
}
