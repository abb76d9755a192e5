/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The whole machine in `memprobe top`: its heading, and the table of trees of processes and of the other kinds of
 * memory.
 *
 *	RAM  59.7 of 62.8 GiB   +171.0 MiB/min   full in 19 min   swap off   stall 11 %
 *
 *	      PID  PROCESS (TREE)    PSS+SWAP  MiB/min  10 min    TREND       FULL IN  TOP GROWING SITE
 *	>    8114  checkout         21.2 GiB    +143.4  .,-=+*##  GROWING      76 min  PriceTable::load
 *	+     311  puma (1 + 8)      7.9 GiB      +6.8  =+*#####  LEVELS OFF        -  no heap probes (h)
 *	           184 others        9.8 GiB      +1.3
 *
 * A + marks a tree of several processes, of which one is opened at a time. Pure.
 */
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/top_internal.h"

#define NAME_COLUMNS 16

static const char *const kind_names[MACHINE_KIND_NR] = {
	[MACHINE_OTHERS] = "others",
	[MACHINE_KERNEL] = "kernel",
	[MACHINE_SHMEM] = "tmpfs, shm",
	[MACHINE_HUGETLB] = "huge pages",
	[MACHINE_KEPT] = "kept free",
	[MACHINE_UNEXPLAINED] = "unexplained",
};

void top_add_row_name(struct buf *out, const struct profile *p, const struct top_row *r)
{
	if (r->member) {
		buf_addf(out, "  %s", r->member->name);
		return;
	}
	if (r->tree->row.kind == MACHINE_OTHERS)
		buf_addf(out, "%u ", r->tree->row.n_procs);
	if (r->tree->row.kind != MACHINE_TREE) {
		buf_adds(out, r->tree->row.kind == MACHINE_OTHERS && r->tree->row.n_procs == 1 ? "other" :
												 kind_names[r->tree->row.kind]);
		return;
	}
	buf_adds(out, profile_str(p, r->tree->row.name));
	if (r->tree->row.n_procs > 1)
		buf_addf(out, " (1 + %u)", r->tree->row.n_procs - 1);
}

/* ---- columns ---- */

static void add_pid(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	(void)st;
	if (r->member)
		buf_addf(out, "%d", r->member->pid);
	else if (r->tree->row.kind == MACHINE_TREE)
		buf_addf(out, "%s%d", r->tree->row.n_procs > 1 ? "+ " : "", r->tree->row.pid);
}

/* How many processes a tree has stays there, and its name is cut; letters of other scripts, as they come. */
static void add_name(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	size_t more;

	(void)st;
	top_add_row_name(out, d->p, r);
	more = out->len;
	while (more && out->data[more - 1] != '(')
		more--;
	if (r->member || r->tree->row.kind != MACHINE_TREE || r->tree->row.n_procs < 2 || out->len <= NAME_COLUMNS || !more)
		return;
	more = out->len - (more - 2); /* " (1 + 8)" */
	if (more < NAME_COLUMNS) {
		memmove(out->data + NAME_COLUMNS - more, out->data + out->len - more, more + 1);
		out->len = NAME_COLUMNS;
	}
}

static void add_trend(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (r->member || r->tree->row.kind != MACHINE_TREE)
		return;
	buf_adds(out, machine_row_word(&d->h->machine, &r->tree->row));
}

static void add_full_in(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	(void)st;
	if (r->member || r->tree->row.kind != MACHINE_TREE)
		return;
	if (r->tree->row.full_s >= 0)
		top_add_time(out, r->tree->row.full_s);
	else
		buf_addc(out, '-');
}

static void add_site(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (r->site != TOP_NONE)
		add_short_name(out, own_frame_name(d->p, &d->p->stacks[r->site]));
	else if (r->proc != TOP_NONE)
		buf_adds(out, "heap does not grow");
	else if (r->pid)
		buf_adds(out, "no heap probes (h)");
}

static void add_group(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (!r->member)
		buf_adds(out, profile_str(d->p, r->tree->row.group));
}

const struct top_column top_machine_columns[] = {
	{ "PID", 9, 0, false, add_pid, false, false },
	{ "PROCESS (TREE)", NAME_COLUMNS + 2, 0, true, add_name, false, false },
	{ "PSS+SWAP", 10, 48, false, top_column_bytes, false, false },
	{ "MiB/min", 9, 0, false, top_column_rate, false, false },
	{ "TIME", 10, 90, true, NULL, true, false },
	{ "TREND", 12, 60, true, add_trend, false, true },
	{ "FULL IN", 8, 70, false, add_full_in, false, false },
	{ "CGROUP", 18, 120, true, add_group, false, false },
	{ "TOP GROWING SITE", 0, 80, true, add_site, false, false },
	{ NULL, 0, 0, false, NULL, false, false },
};

/* ---- heading ---- */

void top_machine_title(struct buf *b, const struct history *h)
{
	buf_addf(b, "heap probes in %u of %llu", h->machine.n_probed, (unsigned long long)h->machine.n_processes);
}

void top_machine_summary(struct buf *b, const struct history *h, enum history_base base, unsigned int width)
{
	const struct machine_memory *m = &h->machine.now;
	double total = (double)m->total_bytes, used = total - (double)m->available_bytes;
	struct amount_unit unit = unit_for(m->total_bytes);
	double rate = history_rate(h, &h->memory, base);

	buf_addf(b, "RAM  %.1f of %.1f %s   ", used / (double)unit.bytes, total / (double)unit.bytes, unit.name);
	top_add_rate(b, rate);
	buf_adds(b, " MiB/min");
	if (rate > 0 && h->machine.full_s >= 0 && h->machine.full_s < 30 * 86400.0) {
		buf_adds(b, "   full in ");
		top_add_time(b, h->machine.full_s);
	}
	if (width < 76)
		return;
	if (m->swap_total_bytes) {
		buf_adds(b, "   swap ");
		top_add_size(b, (double)(m->swap_total_bytes - m->swap_free_bytes), false);
	} else {
		buf_adds(b, "   swap off");
	}
	if (m->stall_10s >= 0)
		buf_addf(b, "   stall %.0f %%", m->stall_10s * 100);
	if (m->oom_kills && width >= 90)
		buf_addf(b, "   OOM kills %llu", (unsigned long long)m->oom_kills);
}
