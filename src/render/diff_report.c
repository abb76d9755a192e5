/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A comparison for people. Columns add up as printed: amounts are rounded once, and the row of the other stacks takes
 * what rounding left. Two moments of one run:
 *
 *	GREW     by 28.6 MiB of live heap (+85.8 MiB/min); 97 % of it is #1 SessionCache::insert
 *	A  10 s  13.2 MiB live in 7 272 blocks
 *	B  30 s  41.8 MiB live in 21 816 blocks
 *
 *	 #    CHANGE   MiB/min         A         B      BLOCKS  WHERE (your code first; all frames: -v)
 *	 1     +27.7     +83.2      13.9      41.6     +14 544  SessionCache::insert < Gateway::on_accept
 *
 * Two runs: what each did per second, and how much more B kept:
 *
 *	             A, KiB/s                    B, KiB/s
 *	 #   ALLOC   FREED    KEPT      ALLOC   FREED    KEPT  CHANGE  WHERE
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/formats.h"
#include "render/report_internal.h"

#define MAX_ROWS 10
#define N_COLUMNS 7

/* What a row shows, in tenths of the table's unit; the blocks of one run as they are. */
struct cells {
	int64_t v[N_COLUMNS];
};

struct row {
	size_t stack;
	int64_t change;
};

struct table_text {
	struct buf *out;
	const struct diff *d;
	const struct render_opts *o;
	struct amount_unit unit;
	struct cells left; /* of the sum, not printed yet */
};

static int by_change(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int64_t p = llabs(a->change), q = llabs(b->change);

	return p != q ? (p > q ? -1 : 1) : a->stack < b->stack ? -1 : a->stack > b->stack;
}

static struct row *sorted_rows(const struct diff *d, const struct render_opts *o, size_t *n)
{
	struct row *v = xcalloc(d->profile.n_stacks + 1, sizeof(*v));
	size_t i;

	for (i = *n = 0; i < d->profile.n_stacks; i++) {
		int64_t change = diff_change(d, i, o->metric);

		if (change && (uint64_t)llabs(change) >= o->min_bytes)
			v[(*n)++] = (struct row){ i, change };
	}
	qsort(v, *n, sizeof(*v), by_change);
	return v;
}

/* ---- figures ---- */

static bool shows_allocated(const struct render_opts *o)
{
	return o->metric == METRIC_ALLOC_BYTES || o->metric == METRIC_ALLOC_BLOCKS;
}

static bool shows_resident(const struct render_opts *o)
{
	return o->metric == METRIC_RSS_BYTES;
}

static int64_t level(const struct diff_figures *f, const struct render_opts *o)
{
	return (int64_t)diff_level(f, shows_allocated(o) ? METRIC_ALLOC_BYTES :
				      shows_resident(o)	 ? METRIC_RSS_BYTES :
							   METRIC_LIVE_BYTES);
}

static int64_t blocks(const struct diff_figures *f, const struct render_opts *o)
{
	return (int64_t)diff_level(f, shows_allocated(o) ? METRIC_ALLOC_BLOCKS : METRIC_LIVE_BLOCKS);
}

/* Of the time between A and B. */
static int64_t per_minute_between(const struct diff *d, int64_t bytes)
{
	double ns = (double)d->facts[DIFF_B].window_ns - (double)d->facts[DIFF_A].window_ns;

	return ns != 0 ? (int64_t)((double)bytes * 60e9 / fabs(ns)) : 0;
}

static int64_t rate_tenths(const struct table_text *t, enum diff_side side, uint64_t n)
{
	return (int64_t)llround(diff_rate(t->d, side, n) * 10 / (double)t->unit.bytes);
}

static struct cells cells_of(const struct table_text *t, const struct diff_figures *a, const struct diff_figures *b)
{
	const struct diff_figures *const f[2] = { a, b };
	struct cells c = { 0 };
	int side, changed = shows_allocated(t->o) ? 0 : 2;

	if (t->d->is_one_run) {
		c.v[2] = in_tenths(level(a, t->o), &t->unit);
		c.v[3] = in_tenths(level(b, t->o), &t->unit);
		c.v[0] = c.v[3] - c.v[2];
		c.v[1] = in_tenths(per_minute_between(t->d, level(b, t->o) - level(a, t->o)), &t->unit);
		c.v[4] = blocks(b, t->o) - blocks(a, t->o);
		return c;
	}
	for (side = 0; side < 2; side++) {
		c.v[3 * side] = rate_tenths(t, (enum diff_side)side, f[side]->t.alloc_bytes);
		c.v[3 * side + 1] = rate_tenths(t, (enum diff_side)side, f[side]->t.free_bytes);
		c.v[3 * side + 2] = rate_tenths(t, (enum diff_side)side, f[side]->live_bytes);
	}
	c.v[6] = c.v[3 + changed] - c.v[changed];
	return c;
}

/* ---- rows ---- */

static void add_signed(struct buf *out, int width, int64_t tenths, bool plus)
{
	char text[24], sign[26];

	format_tenths(text, tenths);
	snprintf(sign, sizeof(sign), "%s%s", plus && tenths > 0 ? "+" : "", text);
	buf_addf(out, " %*s", width, sign);
}

static void add_blocks(struct buf *out, int64_t n)
{
	char text[32], sign[34];

	units_format_count(text, (uint64_t)llabs(n));
	snprintf(sign, sizeof(sign), "%s%s", n > 0 ? "+" : n < 0 ? "-" : "", text);
	buf_addf(out, " %11s", sign);
}

/* Number and figures; the text follows at the column that is returned. */
static size_t add_cells(struct table_text *t, const char *number, const struct cells *c)
{
	size_t begin = t->out->len;
	int i;

	buf_addf(t->out, "%2s", number);
	for (i = 0; i < N_COLUMNS; i++)
		t->left.v[i] -= c->v[i];
	if (t->d->is_one_run) {
		for (i = 0; i < 4; i++)
			add_signed(t->out, 9, c->v[i], i < 2);
		add_blocks(t->out, c->v[4]);
	} else {
		for (i = 0; i < N_COLUMNS; i++)
			add_signed(t->out, i == 3 ? 9 : 7, c->v[i], i == 6);
	}
	buf_adds(t->out, "  ");
	return t->out->len - begin;
}

static void add_heading(struct table_text *t)
{
	const char *where = t->o->all_frames ? "WHERE" : "WHERE (your code first; all frames: -v)";
	char rate[24];

	snprintf(rate, sizeof(rate), "%s/min", t->unit.name);
	if (t->d->is_one_run)
		buf_addf(t->out, "\n%2s %9s %9s %9s %9s %11s  %s\n", "#", "CHANGE", rate, "A", "B", "BLOCKS", where);
	else
		buf_addf(t->out, "\n%15sA, %s/s%19sB, %s/s\n%2s %7s %7s %7s %9s %7s %7s %7s  %s\n", "", t->unit.name, "",
			 t->unit.name, "#", "ALLOC", "FREED", "KEPT", "ALLOC", "FREED", "KEPT", "CHANGE", "WHERE");
}

/* Rates in KiB, as long as they fit their columns: what is kept is small beside what is allocated. */
static struct amount_unit table_unit(const struct diff *d, const struct render_opts *o)
{
	uint64_t a = (uint64_t)level(&d->sum[DIFF_A], o), b = (uint64_t)level(&d->sum[DIFF_B], o);

	if (d->is_one_run)
		return unit_for(a > b ? a : b);
	a = (uint64_t)diff_rate(d, DIFF_A, d->sum[DIFF_A].t.alloc_bytes);
	b = (uint64_t)diff_rate(d, DIFF_B, d->sum[DIFF_B].t.alloc_bytes);
	a = a > b ? a : b;
	return unit_for(a / KIB > 99999 ? a : KIB);
}

static void add_table(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	struct table_text t = { .out = out, .d = d, .o = o, .unit = table_unit(d, o) };
	size_t n, i, shown = 0, max = o->max_stacks ? o->max_stacks : MAX_ROWS;
	struct row *rows = sorted_rows(d, o, &n);
	struct cells sum = cells_of(&t, &d->sum[DIFF_A], &d->sum[DIFF_B]), rest;
	char number[24];

	t.left = sum;
	add_heading(&t);
	for (i = 0; i < n && shown < max; i++) {
		const struct profile_stack *s = &d->profile.stacks[rows[i].stack];
		struct cells c = cells_of(&t, &d->figures[DIFF_A][rows[i].stack], &d->figures[DIFF_B][rows[i].stack]);

		snprintf(number, sizeof(number), "%zu", ++shown);
		report_add_where(out, &d->profile, s, add_cells(&t, number, &c), o->columns, 2);
		if (o->all_frames)
			report_add_frames(out, &d->profile, s);
	}
	rest = t.left;
	if (d->profile.n_stacks > shown) {
		add_cells(&t, "", &rest);
		buf_addf(out, "%zu other stack%s\n", d->profile.n_stacks - shown, d->profile.n_stacks - shown == 1 ? "" : "s");
	} else {
		for (i = 0; i < N_COLUMNS; i++)
			sum.v[i] -= rest.v[i]; /* what rounding left */
	}
	add_cells(&t, "", &sum);
	buf_adds(out, "all\n");
	free(rows);
}

/* ---- above the table ---- */

static void add_side(struct buf *out, const struct diff *d, enum diff_side side, const struct render_opts *o)
{
	const struct diff_facts *f = &d->facts[side];
	const struct diff_figures *sum = &d->sum[side];
	time_t at = (time_t)(f->wall_time_ns / NS_PER_S);
	char window[24], live[16], n[32], when[40];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	buf_addf(out, "%c  %s to %s", side == DIFF_A ? 'A' : 'B', units_format_duration(window, f->window_ns), when);
	if (d->is_one_run)
		buf_addf(out, ": %s %s", units_format_size(live, (uint64_t)level(sum, o)),
			 shows_allocated(o) ? "allocated" : shows_resident(o) ? "first touched here, and resident" : "live");
	if (d->is_one_run && !shows_resident(o))
		buf_addf(out, " in %s blocks", units_format_count(n, (uint64_t)blocks(sum, o)));
	buf_addf(out, "; %s, lost %llu\n", f->is_exact ? "every block counted" : "estimated: blocks were sampled",
		 (unsigned long long)f->lost_events);
	if (!d->is_one_run && f->command_line) {
		const char *command = profile_str(&d->profile, f->command_line), *host = profile_str(&d->profile, f->host);

		buf_adds(out, "   ");
		buf_add_printable(out, command, strlen(command));
		buf_adds(out, *host ? ", on " : "");
		buf_add_printable(out, host, strlen(host));
		buf_addc(out, '\n');
	}
}

static void add_verdict_of_one_run(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	int64_t change = level(&d->sum[DIFF_B], o) - level(&d->sum[DIFF_A], o), top;
	char size[16], rate[16];
	struct row *rows;
	size_t n;

	if (!change)
		buf_adds(out, "UNCHANGED");
	else
		buf_addf(out, "%s by %s", change > 0 ? "GREW" : "SHRANK", units_format_size(size, (uint64_t)llabs(change)));
	buf_addf(out, " of %s (%s%s/min)",
		 shows_allocated(o) ? "allocations" : shows_resident(o) ? "resident memory" : "live heap",
		 change > 0 ? "+" : change < 0 ? "-" : "",
		 units_format_size(rate, (uint64_t)llabs(per_minute_between(d, change))));
	rows = sorted_rows(d, o, &n);
	top = n ? level(&d->figures[DIFF_B][rows[0].stack], o) - level(&d->figures[DIFF_A][rows[0].stack], o) : 0;
	if (change > 0 && top * 2 >= change) {
		if (top > change)
			buf_adds(out, "; all of it, and more, is #1 ");
		else
			buf_addf(out, "; %lld %% of it is #1 ", (long long)((double)top * 100 / (double)change));
		add_short_name(out, own_frame_name(&d->profile, &d->profile.stacks[rows[0].stack]));
	}
	buf_addc(out, '\n');
	free(rows);
}

static void add_rate(struct buf *out, double bytes_per_second)
{
	char size[16];

	buf_addf(out, "%s%s/s", bytes_per_second < 0 ? "-" : "", units_format_size(size, (uint64_t)fabs(bytes_per_second)));
}

static void add_verdict_of_two_runs(struct buf *out, const struct diff *d)
{
	double a = diff_rate(d, DIFF_A, d->sum[DIFF_A].live_bytes), b = diff_rate(d, DIFF_B, d->sum[DIFF_B].live_bytes);

	buf_adds(out, b > a ? "KEEPS MORE   " : b < a ? "KEEPS LESS   " : "KEEPS THE SAME   ");
	buf_adds(out, "B keeps ");
	add_rate(out, b);
	buf_adds(out, ", A kept ");
	add_rate(out, a);
	buf_adds(out, "\n   two runs: what they did per second is compared; their levels say nothing about each other\n");
}

/* The deviation of a difference is at most that of all that was born and ended between. */
static void add_deviation(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	const struct profile_totals *a = &d->sum[DIFF_A].t, *b = &d->sum[DIFF_B].t;
	double var = fabs((double)b->alloc_var - (double)a->alloc_var);
	char size[16];

	if (!shows_allocated(o))
		var += fabs((double)b->free_var - (double)a->free_var);
	if (d->is_one_run && var > 0)
		buf_addf(out, "   sampled: the change is known to +/- %s or better (one standard deviation)\n",
			 units_format_size(size, (uint64_t)sqrt(var * MP_VAR_UNIT)));
}

void render_diff_report(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	if (d->is_one_run)
		add_verdict_of_one_run(out, d, o);
	else
		add_verdict_of_two_runs(out, d);
	buf_addc(out, '\n');
	add_side(out, d, DIFF_A, o);
	add_side(out, d, DIFF_B, o);
	add_deviation(out, d, o);
	add_table(out, d, o);
}
