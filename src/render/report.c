/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report, for a person on call: verdict first, then who, what, where, and how far to trust it.
 *
 *	GROWING   gatewayd (pid 4242): heap grows 85.8 MiB/min (83.0 to 89.2)
 *	          97 % of it at one call site: #1 SessionCache::insert
 *	...
 *	trust  lost 0; stacks complete 99.98 %
 *
 * What is called a leak, and why: model/verdict.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "render/formats.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"
#include "render/watch_text.h"

#define MAX_PROCESS_ROWS 8

static void add_signed_size(struct buf *out, int64_t bytes)
{
	char size[16];

	units_format_size(size, (uint64_t)(bytes < 0 ? -bytes : bytes));
	buf_addf(out, "%s%s", bytes < 0 ? "-" : bytes > 0 ? "+" : "", size);
}

static void add_process_name(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const char *comm = profile_str(p, proc->comm);

	buf_add_printable(out, comm, strlen(comm));
	buf_addf(out, " (pid %d", proc->tgid);
	if (proc->ns_tgid && proc->ns_tgid != proc->tgid)
		buf_addf(out, ", %d in its container", proc->ns_tgid);
	buf_addc(out, ')');
}

void report_add_losses(struct buf *out, const struct profile *p, const char *indent)
{
	char bytes[16];
	int i;

	for (i = 0; i < MP_LOSS_NR; i++) {
		const struct profile_loss *l = &p->losses[i];

		if (!l->events)
			continue;
		buf_addf(out, "%slost: %s %llu", indent, loss_name((enum mp_loss)i),
			 (unsigned long long)l->events);
		if (l->bytes)
			buf_addf(out, " (%s)", units_format_size(bytes, l->bytes));
		buf_addf(out, ": %s\n", loss_text((enum mp_loss)i));
	}
}

static void nothing_live(struct buf *out, const struct profile *p, const struct heap_net *h)
{
	char n[32];

	if (h->live_blocks)
		return;
	units_format_count(n, p->cost.probe_hits);
	if (p->cost.probe_hits)
		buf_addf(out, "          nothing allocated in the window was kept; %s calls were seen, so the probes work\n", n);
	else
		buf_adds(out, "          no allocator call was made in the window\n");
}

static const char *state_text(enum proc_state s)
{
	return s == PROC_EXITED ? "exited" : s == PROC_EXECED ? "exec'ed" : "";
}

static void add_target(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	char before[16], now[16], swap[16], age[24];

	units_format_size(before, proc->at_attach.rss_bytes);
	units_format_size(now, proc->now.rss_bytes);
	units_format_size(swap, proc->now.swap_bytes);
	units_format_duration(age, proc->now.start_age_ns);
	buf_adds(out, "\ntarget  ");
	add_process_name(out, p, proc);
	buf_addf(out, ", %u thread%s, up %s; RSS %s at attach, %s now, swap %s\n", proc->now.n_threads,
		 proc->now.n_threads == 1 ? "" : "s", age, before, now, swap);
	report_limit(out, p, &proc->now);
	if (proc->state != PROC_RUNNING)
		buf_addf(out, "        %s after %s of the window; what was live then is shown\n",
			 state_text(proc->state), units_format_duration(age, proc->end_ns));
}

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

static void add_process_row(struct buf *out, const struct profile *p, const struct process_row *r)
{
	const struct profile_proc *proc = &p->procs[r->index];
	char live[16];
	struct buf rate = BUF_INIT, comm = BUF_INIT;

	add_signed_size(&rate, per_minute(p, r->h.bytes));
	buf_add_printable(&comm, profile_str(p, proc->comm), strlen(profile_str(p, proc->comm)));
	buf_addf(out, "%8d  %-16.16s %10s %12s/min  %s\n", proc->tgid, comm.data,
		 units_format_size(live, r->h.live_bytes), rate.data, state_text(proc->state));
	buf_release(&rate);
	buf_release(&comm);
}

static void add_processes(struct buf *out, const struct profile *p)
{
	struct process_row *rows = calloc(p->n_procs, sizeof(*rows));
	int64_t rest_bytes = 0;
	uint64_t rest_live = 0;
	struct buf rate = BUF_INIT;
	char live[16];
	uint32_t i;

	for (i = 0; rows && i < p->n_procs; i++)
		rows[i] = (struct process_row){ i, heap_net_of(p, i) };
	if (rows)
		qsort(rows, p->n_procs, sizeof(*rows), by_growth);
	buf_addf(out, "\n%8s  %-16s %10s %16s\n", "PID", "PROCESS", "LIVE", "GROWTH");
	for (i = 0; rows && i < p->n_procs; i++) {
		if (i < MAX_PROCESS_ROWS) {
			add_process_row(out, p, &rows[i]);
			continue;
		}
		rest_bytes += rows[i].h.bytes;
		rest_live += rows[i].h.live_bytes;
	}
	if (p->n_procs > MAX_PROCESS_ROWS) {
		add_signed_size(&rate, per_minute(p, rest_bytes));
		buf_addf(out, "%8s  %-16s %10s %12s/min  %zu others\n", "", "", units_format_size(live, rest_live),
			 rate.data, p->n_procs - MAX_PROCESS_ROWS);
		buf_release(&rate);
	}
	free(rows);
}

static void add_window(struct buf *out, const struct profile *p)
{
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S);
	char length[24];
	struct tm tm;

	gmtime_r(&t, &tm);
	buf_addf(out, "window  %s to %02d:%02d:%02d UTC; ", units_format_duration(length, p->window_ns), tm.tm_hour,
		 tm.tm_min, tm.tm_sec);
	watch_add_how(out, p);
	buf_adds(out, profile_lost_events(p) ? ", but with losses (below)\n" : ", nothing lost\n");
}

static void add_marks(struct buf *out, const struct profile *p)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	char at[24], live[16];
	size_t i;

	for (i = 0; i < p->n_marks; i++) {
		const struct profile_mark *m = &p->marks[i];

		buf_addf(out, "mark %zu  at %s: %s live; since then ", i + 1, units_format_duration(at, m->time_ns),
			 units_format_size(live, m->live_bytes));
		add_signed_size(out, (int64_t)h.live_bytes - (int64_t)m->live_bytes);
		buf_addf(out, ", %+lld blocks\n", (long long)h.live_blocks - (long long)m->live_blocks);
	}
}

/* Hits on complete and on cut stacks. */
static void add_completeness(struct buf *out, const struct profile *p)
{
	uint64_t by_end[MP_END_NR] = { 0 }, whole;
	uint64_t sum = blocks_by_end(p, by_end);
	size_t i;

	if (!sum)
		return;
	if (by_end[MP_END_FRAME_POINTER]) {
		buf_adds(out, "; stacks by frame pointers: may be short or wrong in code built without");
		return;
	}
	whole = by_end[MP_END_COMPLETE];
	buf_addf(out, "; stacks complete %s%.2f %%", whole == sum ? "" : "", (double)(whole * 10000 / sum) / 100);
	for (i = 1; i < MP_END_NR; i++)
		if (by_end[i])
			buf_addf(out, "\n        %llu blocks below %s", (unsigned long long)by_end[i],
				 stack_end_text((enum mp_stack_end)i));
}

static void add_trust(struct buf *out, const struct profile *p)
{
	buf_addf(out, "\ntrust   lost %llu", (unsigned long long)profile_lost_events(p));
	add_completeness(out, p);
	buf_addc(out, '\n');
	report_add_losses(out, p, "        ");
}

static void add_cost(struct buf *out, const struct profile *p)
{
	const struct profile_cost *c = &p->cost;
	char rate[32], kernel[16], user[16], max[16], cpu[24];

	units_format_count(rate, p->window_ns ? (uint64_t)((double)c->probe_hits * 1e9 / (double)p->window_ns) : 0);
	if (p->watch.share > 0) {
		buf_adds(out, "cost    ");
		watch_add_cost(out, p);
		buf_adds(out, p->watch.cpu_armed >= 0 ? "\n        " : "");
		watch_add_outside(out, p);
		buf_addc(out, '\n');
	}
	buf_addf(out, "%s%s allocator calls/s; %u probes (%s, %s)\n",
		 p->watch.share > 0 ? "        " : "cost    ", rate,
		 c->n_probes, profile_str(p, c->attach_kind), profile_str(p, c->unwinder));
	buf_addf(out, "        memprobe used %s of CPU, %s in the kernel and %s itself (bound: %s)\n",
		 units_format_duration(cpu, c->own_cpu_ns),
		 units_format_size(kernel, c->kernel_memory_bytes),
		 units_format_size(user, c->user_memory_bytes), units_format_size(max, c->max_memory_bytes));
}

void report_add_blind(struct buf *out, const struct profile *p, const char *prefix)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	uint64_t rss = 0;
	char size[16], freed[16], n[32];
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (!p->procs[i].begin_ns) /* not those that began later */
			rss += p->procs[i].at_attach.rss_bytes;
	buf_addf(out, "%s%s was resident before the attach: which code allocated it was not seen", prefix,
		 units_format_size(size, rss));
	if (h.old_blocks) {
		buf_addf(out, ";\n%*s%s blocks of it were freed meanwhile", (int)strlen(prefix), "",
			 units_format_count(n, h.old_blocks));
		if (h.old_bytes)
			buf_addf(out, " (%s", units_format_size(freed, h.old_bytes));
		if (h.old_bytes && h.old_unsized)
			buf_addf(out, ", and %llu of unknown size", (unsigned long long)h.old_unsized);
		buf_adds(out, h.old_bytes ? ")" : ", sizes unknown");
	}
	buf_addc(out, '\n');
}

void render_report(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);

	verdict_add(out, p, o);
	report_add_losses(out, p, "          ");
	nothing_live(out, p, &h);
	verdict_add_why(out, p);
	if (p->n_procs == 1) {
		add_target(out, p, &p->procs[0]);
	} else if (p->n_procs) {
		add_processes(out, p);
		buf_addc(out, '\n');
	}
	add_window(out, p);
	add_marks(out, p);
	report_bridge(out, p, report_main_bridge(p));
	report_table(out, p, o);
	add_trust(out, p);
	add_cost(out, p);
	report_add_blind(out, p, "blind   ");
}

/* Every line begins with the program's name, as all of stderr does. */
void report_summary(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	struct buf b = BUF_INIT;
	const char *line, *end;

	verdict_add(&b, p, o);
	nothing_live(&b, p, &h);
	buf_addf(&b, "lost %llu\n", (unsigned long long)profile_lost_events(p));
	report_add_losses(&b, p, "");
	report_add_blind(&b, p, "");
	for (line = b.data; *line; line = end + 1) {
		end = strchr(line, '\n');
		buf_addf(out, "memprobe: %.*s\n", (int)(end - line), line);
	}
	buf_release(&b);
}
