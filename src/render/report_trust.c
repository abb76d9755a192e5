/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's sections on how far to trust it, what it cost, and what it could not have seen.
 *
 *	trust   lost 0; stacks complete 99.98 %
 *	cost    est. 9 % of its CPU (budget 10 %), 38 000 allocator calls/s; its CPU 1.92 before, 2.09 while armed
 *	blind   5.60 GiB was resident before the attach: which code allocated it was not seen
 *
 * Pure.
 */
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/verdict_internal.h"
#include "render/watch_text.h"

/* Rows of what was seen in bursts, and the heap that is read from outside: as far apart as this they agree. */
#define AGREES_BYTES (256.0 * 1024)
#define AGREES_PART 0.2
/* Smaller corrections are not worth a line. */
#define LEAST_SCALE 1.01

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

/* Causes are told most frequent first; the tersest report tells one. */
static void add_cuts(struct buf *out, uint64_t *by_end, unsigned int most)
{
	while (most--) {
		size_t i, end = 0;

		for (i = 1; i < MP_END_NR; i++)
			if (by_end[i] && i != MP_END_COMPLETE && (!end || by_end[i] > by_end[end]))
				end = i;
		if (!end)
			return;
		buf_addf(out, "\n        %llu block%s below %s", (unsigned long long)by_end[end], by_end[end] == 1 ? "" : "s",
			 stack_end_text((enum mp_stack_end)end));
		by_end[end] = 0;
	}
}

/* Of the blocks, those on complete and on cut stacks. */
static void add_completeness(struct buf *out, const struct report *r)
{
	uint64_t by_end[MP_END_NR] = { 0 };
	uint64_t sum = blocks_by_end(r->p, by_end);

	if (!sum)
		return;
	if (by_end[MP_END_FRAME_POINTER]) {
		buf_adds(out, "; stacks by frame pointers: may be short or wrong in code built without");
		return;
	}
	buf_addf(out, "; stacks complete %.2f %%", (double)(by_end[MP_END_COMPLETE] * 10000 / sum) / 100);
	add_cuts(out, by_end, r->terse ? REPORT_TERSEST + 1 - r->terse : MP_END_NR);
}

/* Has a part of the run been seen in bursts? */
static bool is_gated(const struct profile_watch *w)
{
	bool gated = rung_is_gated(w->rung);
	size_t i;

	for (i = 0; i < w->n_steps; i++)
		gated |= rung_is_gated(w->steps[i].from);
	return gated;
}

static double net_deviation(const struct profile *p, uint32_t proc)
{
	double var = 0;
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		double d = totals_deviation(&p->stacks[i].t, METRIC_LIVE_BYTES);

		var += p->stacks[i].proc == proc && stack_is_heap(&p->stacks[i]) ? d * d : 0;
	}
	return sqrt(var);
}

void report_add_heap_check(struct buf *out, const struct profile *p)
{
	const struct bridge *b = report_main_bridge(p);
	double told, grew, least;
	char heap[16], rows[16];

	if (!b || !b->has_attach || b->heap != BRIDGE_HEAP_GLIBC || !is_gated(&p->watch) || p->n_bridges != 1)
		return;
	told = (double)heap_net_of(p, b->proc).bytes;
	grew = (double)(b->now[BRIDGE_HEAP_BEFORE] + b->now[BRIDGE_HEAP_SINCE] - b->at_attach[BRIDGE_HEAP_BEFORE] -
			b->at_attach[BRIDGE_HEAP_SINCE]);
	least = fmax(AGREES_BYTES, AGREES_PART * fmax(fabs(told), fabs(grew)));
	if (told <= 0 || fabs(told - grew) <= least + 2 * net_deviation(p, b->proc))
		return;
	units_format_size(rows, (uint64_t)told);
	units_format_size(heap, (uint64_t)fabs(grew));
	if (grew > told) {
		buf_addf(out, "        the heap itself has grown by %s, the rows by %s: they are too low by about ", heap, rows);
		verdict_add_brief(out, grew / told);
		buf_adds(out, " times\n");
	} else {
		buf_addf(out, "        the heap itself has %s by %s, not by the %s of the rows: the rest of these blocks "
			      "took the place of older ones, or has ended unseen\n",
			 grew < 0 ? "shrunk" : "grown", heap, rows);
	}
}

/* What bursts told, made to agree with what the heap itself has more. */
static void add_correction(struct buf *out, const struct profile *p)
{
	double scale = 1;
	uint64_t taken = 0;
	size_t n = 0;
	char size[16];
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		scale = fmax(scale, p->procs[i].correction.scale);
		n += p->procs[i].state == PROC_RUNNING;
		taken += p->procs[i].correction.taken_bytes;
	}
	if (scale < LEAST_SCALE && taken < MIB)
		return;
	buf_adds(out, "        after the heap itself: ");
	if (scale >= LEAST_SCALE)
		buf_addf(out, "rows times %s%.3g%s", n > 1 ? "up to " : "", scale, taken >= MIB ? ", and " : "");
	if (taken >= MIB)
		buf_addf(out, "%s taken off that it does not have", units_format_size(size, taken));
	buf_addc(out, '\n');
}

/* Where calls are sampled, the heap itself tells what only takes the place of older blocks. Not here. */
static void add_unread(struct buf *out, const struct profile *p)
{
	const struct bridge *b = report_main_bridge(p);
	double most = b ? fmax(b->unread, b->attach_unread) : 0;

	if (most > BRIDGE_MOST_UNREAD && !watch_is_exact(p))
		buf_addf(out, "        %.1f %% of the heap could not be read from outside (1 %% may be): what replaces older blocks is "
			      "told from growth by samples alone\n", most * 100);
}

void report_trust(struct buf *out, const struct report *r)
{
	buf_addf(out, "\ntrust   lost %llu", (unsigned long long)profile_lost_events(r->p));
	add_completeness(out, r);
	buf_addc(out, '\n');
	report_add_losses(out, r->p, "        ");
	if (r->terse < 2)
		add_correction(out, r->p);
	report_add_heap_check(out, r->p);
	add_unread(out, r->p);
}

static void add_own_cost(struct buf *out, const struct profile *p)
{
	const struct profile_cost *c = &p->cost;
	char kernel[16], user[16], max[16], cpu[24];

	buf_addf(out, "        %u probes (%s, %s)\n", c->n_probes, profile_str(p, c->attach_kind),
		 profile_str(p, c->unwinder));
	buf_addf(out, "        memprobe used %s of CPU, %s in the kernel and %s itself (bound: %s)\n",
		 units_format_duration(cpu, c->own_cpu_ns), units_format_size(kernel, c->kernel_memory_bytes),
		 units_format_size(user, c->user_memory_bytes), units_format_size(max, c->max_memory_bytes));
}

void report_add_call_cost(struct buf *out, const struct profile *p)
{
	if (p->cost.system_call_ns)
		buf_addf(out, "        mappings are seen by system calls here: each call of every process takes %llu ns more\n",
			 (unsigned long long)p->cost.system_call_ns);
}

static void add_cost(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	double hits = (double)p->cost.probe_hits;
	char rate[32];

	buf_adds(out, "cost    ");
	if (p->watch.share > 0) {
		watch_add_cost(out, p);
		buf_adds(out, r->terse < REPORT_TERSEST ? ", " : "\n");
	}
	if (r->terse == REPORT_TERSEST && p->watch.share > 0)
		return;
	units_format_count(rate, p->window_ns ? (uint64_t)(hits * 1e9 / (double)p->window_ns) : 0);
	buf_addf(out, "%s allocator calls/s", rate);
	if (p->watch.share > 0 && p->watch.cpu_before >= 0 && p->watch.cpu_armed >= 0 && r->terse < 2) {
		buf_adds(out, "; ");
		watch_add_outside(out, p);
	}
	buf_addc(out, '\n');
}

void report_cost(struct buf *out, const struct report *r)
{
	add_cost(out, r);
	report_add_call_cost(out, r->p);
	if (r->o->all_frames && (r->terse < REPORT_TERSEST || r->p->watch.share <= 0))
		add_own_cost(out, r->p);
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
		buf_addf(out, ";\n%*s%s block%s freed meanwhile", (int)strlen(prefix), "",
			 units_format_count(n, h.old_blocks), h.old_blocks == 1 ? " of it was" : "s of it were");
		if (h.old_bytes)
			buf_addf(out, " (%s", units_format_size(freed, h.old_bytes));
		if (h.old_bytes && h.old_unsized)
			buf_addf(out, ", and %llu of unknown size", (unsigned long long)h.old_unsized);
		buf_adds(out, h.old_bytes ? ")" : ", sizes unknown");
	}
	buf_addc(out, '\n');
}

static void add_rate(struct buf *out, double rate)
{
	if (rate * 60 < MIB / 10.0)
		buf_addf(out, "%.1f KiB/min", rate * 60 / KIB);
	else
		buf_addf(out, "%.1f MiB/min", rate * 60 / MIB);
}

/* The slowest leak that shows. */
static void add_limit(struct buf *out, const struct profile *p)
{
	char window[24];

	buf_addf(out, "blind   in %s, a leak below ", units_format_duration(window, p->window_ns));
	add_rate(out, p->blind.site_rate);
	buf_adds(out, " at one site");
	if (p->blind.memory_rate > 0) {
		buf_adds(out, ", or below ");
		add_rate(out, p->blind.memory_rate);
		buf_adds(out, " in RSS,");
	}
	buf_adds(out, " does not show; for slower ones: -d ");
	verdict_add_window(out, blind_longer((double)p->window_ns / NS_PER_S));
	buf_addc(out, '\n');
}

void report_blind(struct buf *out, const struct report *r)
{
	bool has_limit = r->p->blind.site_rate > 0;
	struct buf b = BUF_INIT;

	if (has_limit)
		add_limit(out, r->p);
	if (has_limit && r->terse >= 1 && report_main_bridge(r->p))
		return; /* which has what was there before */

	report_add_blind(&b, r->p, has_limit ? "        " : "blind   ");
	if (r->terse >= 2 && strchr(b.data, ';')) { /* what was freed of it is in the table */
		b.len = (size_t)(strchr(b.data, ';') - b.data);
		buf_add(out, b.data, b.len);
		buf_addc(out, '\n');
	} else {
		buf_add(out, b.data, b.len);
	}
	buf_release(&b);
}
