/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's table of stacks. Columns add up as printed: amounts are rounded once, to tenths of the
 * column's unit, and the row of smaller stacks takes what rounding left.
 *
 *	 #   LIVE MiB   MiB/min  ALIVE   BLOCKS     AGE  KIND     WHERE (your code first; all frames: -v)
 *	 1       41.6     +83.2  100 %   21 816    15 s  leak     SessionCache::insert < Gateway::on_accept
 *	          0.2      +0.4           3 204                   212 smaller stacks
 *	         -0.3      -0.6             -12                   frees of blocks from before attach
 *	         41.5     +83.0          25 008                   net
 *
 * First comes what grew most, less what only replaced older blocks of its sizes. ALIVE: of the blocks that lived early
 * in the window. It and KIND are there with a verdict only. Where blocks were sampled, a column +/- (standard
 * deviation) stands behind the amounts.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

#define WHERE_COLUMN 42
#define VERDICT_COLUMNS 15 /* ALIVE and KIND */
#define ERROR_COLUMNS 9

struct column_sums {
	int64_t amount, rate, blocks;
};

struct stack_table {
	struct buf *out;
	const struct profile *p;
	const struct render_opts *o;
	struct amount_unit unit, rate_unit;
	struct column_sums left; /* total minus rows printed so far */
	bool has_error;		 /* amounts are estimates with a deviation */
	bool has_verdict;	 /* ALIVE and KIND are shown */
	double variance, left_variance; /* of the total, and of what is not printed yet */
};

/* What a row says beside its amounts; "" for nothing. */
struct row_texts {
	const char *number, *age, *alive, *kind;
};

static const struct row_texts no_texts = { "", "", "", "" };

/* variance: of the amount, in bytes squared; 0: exact, or not known */
static void print_row(struct stack_table *t, const struct row_texts *x, struct column_sums v, double variance)
{
	char amount[24], rate[24], plus_rate[32], blocks[32], signed_blocks[40], error[40] = "";

	format_tenths(amount, v.amount);
	format_tenths(rate, v.rate);
	snprintf(plus_rate, sizeof(plus_rate), "%s%s", v.rate > 0 ? "+" : "", rate);
	units_format_count(blocks, (uint64_t)(v.blocks < 0 ? -v.blocks : v.blocks));
	snprintf(signed_blocks, sizeof(signed_blocks), "%s%s", v.blocks < 0 ? "-" : "", blocks);
	if (t->has_error && variance > 0) {
		format_tenths(rate, in_tenths((int64_t)sqrt(variance), &t->unit));
		snprintf(error, sizeof(error), "+/- %s", rate);
	}
	buf_addf(t->out, "%2s %9s", x->number, amount);
	if (t->has_error)
		buf_addf(t->out, " %-*s", ERROR_COLUMNS - 1, error);
	buf_addf(t->out, " %9s", plus_rate);
	if (t->has_verdict)
		buf_addf(t->out, " %6s", x->alive);
	buf_addf(t->out, " %10s %6s", signed_blocks, x->age);
	if (t->has_verdict)
		buf_addf(t->out, "  %-7s", x->kind);
	buf_adds(t->out, t->has_verdict ? " " : "  ");
	t->left.amount -= v.amount;
	t->left.rate -= v.rate;
	t->left.blocks -= v.blocks;
}

/* Of the amount shown, in bytes squared. */
static double variance_of(const struct stack_table *t, const struct profile_stack *s)
{
	double d = totals_deviation(&s->t, t->o->metric);

	return d * d;
}

static struct column_sums sums_of(const struct stack_table *t, int64_t bytes, int64_t blocks)
{
	return (struct column_sums){
		.amount = in_tenths(bytes, &t->unit),
		.rate = in_tenths(per_minute(t->p, bytes), &t->rate_unit),
		.blocks = blocks,
	};
}

static void mean_age(const struct stack_table *t, const struct profile_stack *s, char out[24])
{
	uint64_t blocks = totals_live_blocks(&s->t), now_ms = t->p->window_ns / NS_PER_MS, birth;

	out[0] = '\0';
	if (!blocks)
		return;
	birth = s->t.birth_sum_ms / blocks;
	units_format_duration(out, (now_ms > birth ? now_ms - birth : 0) * NS_PER_MS);
}

static void stack_row(struct stack_table *t, const struct profile_stack *s, size_t number)
{
	double alive = verdict_alive(t->p, s);
	char age[24], n[24], alive_text[16] = "?";

	mean_age(t, s, age);
	snprintf(n, sizeof(n), "%zu", number);
	if (alive >= 0)
		snprintf(alive_text, sizeof(alive_text), alive > 0 && alive < 0.01 ? "<1 %%" : "%.0f %%", alive * 100);
	print_row(t, &(struct row_texts){ n, age, alive_text, verdict_kind(t->p, s) },
		  sums_of(t, (int64_t)shown_bytes(s, t->o), (int64_t)shown_blocks(s, t->o)), variance_of(t, s));
	t->left_variance -= variance_of(t, s);
	report_add_where(t->out, t->p, s,
			 WHERE_COLUMN + (t->has_error ? ERROR_COLUMNS : 0) + (t->has_verdict ? VERDICT_COLUMNS : 0),
			 t->o->columns);
	if (t->o->all_frames)
		report_add_frames(t->out, t->p, s);
}

/* ---- the rows below the stacks ---- */

static bool shows_live(const struct render_opts *o)
{
	return o->metric == METRIC_LIVE_BYTES || o->metric == METRIC_LIVE_BLOCKS;
}

static void rows_below(struct stack_table *t, const struct heap_net *h, size_t n_smaller, struct column_sums total)
{
	struct column_sums old = sums_of(t, -(int64_t)h->old_bytes, -(int64_t)h->old_blocks);
	struct column_sums lost = sums_of(t, (int64_t)h->lost_bytes, (int64_t)h->lost_blocks);
	struct column_sums rest = t->left;
	bool has_old = shows_live(t->o) && h->old_blocks, has_lost = shows_live(t->o) && h->lost_blocks;

	if (has_old) {
		rest.amount -= old.amount;
		rest.rate -= old.rate;
		rest.blocks -= old.blocks;
	}
	if (has_lost) {
		rest.amount -= lost.amount;
		rest.rate -= lost.rate;
		rest.blocks -= lost.blocks;
	}
	total.amount -= n_smaller ? 0 : rest.amount; /* then what rounding left goes into the sum */
	total.rate -= n_smaller ? 0 : rest.rate;
	if (n_smaller) {
		print_row(t, &no_texts, rest, t->left_variance);
		buf_addf(t->out, "%zu smaller stack%s\n", n_smaller, n_smaller == 1 ? "" : "s");
	}
	if (has_old) {
		print_row(t, &no_texts, old, 0);
		buf_adds(t->out, "frees of blocks from before attach\n");
	}
	if (has_lost) {
		print_row(t, &no_texts, lost, 0);
		buf_adds(t->out, "allocated, but not in the table (see trust)\n");
	}
	print_row(t, &no_texts, total, t->variance);
	buf_addf(t->out, "%s\n", shows_live(t->o) ? "net" : "allocated in the window");
}

/* Sum of all columns: live with its corrections, or allocated. Filters leave out part of live. */
static struct column_sums total_of(const struct stack_table *t, const struct heap_net *h)
{
	int64_t bytes = 0, blocks = 0;
	size_t i;

	for (i = 0; i < t->p->n_stacks; i++) {
		bytes += (int64_t)shown_bytes(&t->p->stacks[i], t->o);
		blocks += (int64_t)shown_blocks(&t->p->stacks[i], t->o);
	}
	if (shows_live(t->o)) {
		bytes += (int64_t)h->lost_bytes - (int64_t)h->old_bytes;
		blocks += (int64_t)h->lost_blocks - (int64_t)h->old_blocks;
	}
	return sums_of(t, bytes, blocks);
}

static void print_heading(struct stack_table *t)
{
	char amount[32], rate[32];

	snprintf(amount, sizeof(amount), "%s %s", shows_live(t->o) ? "LIVE" : "ALLOC", t->unit.name);
	snprintf(rate, sizeof(rate), "%s/min", t->rate_unit.name);
	buf_addf(t->out, "\n%2s %9s%*s %9s", "#", amount, t->has_error ? ERROR_COLUMNS : 0, "", rate);
	if (t->has_verdict)
		buf_addf(t->out, " %6s", "ALIVE");
	buf_addf(t->out, " %10s %6s  ", "BLOCKS", "AGE");
	if (t->has_verdict)
		buf_addf(t->out, "%-7s ", "KIND");
	buf_addf(t->out, "%s\n", t->o->all_frames || (t->has_verdict && t->has_error) ?
				 "WHERE" : "WHERE (your code first; all frames: -v)");
}

void report_table(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	struct stack_table t = { .out = out, .p = p, .o = o };
	size_t n, i, shown = 0, max = o->max_stacks ? o->max_stacks : 10;
	const struct profile_stack **s = stacks_by_size(p, o, &n);
	uint64_t largest = h.old_bytes;
	struct column_sums total;

	for (i = 0; i < n; i++) {
		if (shown_bytes(s[i], o) > largest)
			largest = shown_bytes(s[i], o);
		t.variance += variance_of(&t, s[i]);
	}
	t.left_variance = t.variance;
	t.has_error = t.variance > 0;
	t.has_verdict = p->has_verdict && shows_live(o);
	t.unit = unit_for(largest);
	t.rate_unit = unit_for((uint64_t)per_minute(p, (int64_t)largest));
	total = t.left = total_of(&t, &h);
	print_heading(&t);
	for (i = 0; i < n && shown < max; i++)
		if (shown_bytes(s[i], o) >= o->min_bytes)
			stack_row(&t, s[i], ++shown);
	rows_below(&t, &h, n - shown, total);
	free(s);
}
