/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's table of stacks. Columns add up as printed: amounts are rounded once, to tenths of the
 * column's unit, and the row of smaller stacks takes what rounding left.
 *
 *	 #   LIVE MiB   MiB/min   BLOCKS     AGE  WHERE (your code first; all frames: -v)
 *	 1       41.6     +83.2   21 816    15 s  SessionCache::insert < Gateway::on_accept
 *	          0.2      +0.4    3 204          212 smaller stacks
 *	         -0.3      -0.6      -12          frees of blocks from before attach
 *	         41.5     +83.0   25 008          net
 *
 * Where blocks were sampled, a column +/- (standard deviation) stands behind the amounts.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"

#define WHERE_COLUMN 42
#define ERROR_COLUMNS 9
#define WHERE_LINES 2

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
	double variance, left_variance; /* of the total, and of what is not printed yet */
};

/* variance: of the amount, in bytes squared; 0: exact, or not known */
static void print_row(struct stack_table *t, const char *number, struct column_sums v, double variance,
		      const char *age)
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
	buf_addf(t->out, "%2s %9s", number, amount);
	if (t->has_error)
		buf_addf(t->out, " %-*s", ERROR_COLUMNS - 1, error);
	buf_addf(t->out, " %9s %10s %6s  ", plus_rate, signed_blocks, age);
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

/* ---- where ---- */

struct where {
	struct buf text; /* finished lines */
	size_t column; /* where it begins */
	size_t width, used;
	unsigned int line;
	bool full;
};

/* One more piece; begins the next line when it does not fit, cuts it when it is alone too long. */
static void where_add(struct where *w, const char *piece, size_t len)
{
	const char *separator = w->text.len ? " < " : "";
	size_t need = strlen(separator) + len;

	if (w->full)
		return;
	if (w->used + need > w->width && w->used) {
		if (++w->line >= WHERE_LINES) {
			w->full = true;
			return;
		}
		buf_addc(&w->text, '\n');
		buf_pad(&w->text, ' ', w->column);
		separator = "< ";
		w->used = 0;
		need = 2 + len;
	}
	buf_adds(&w->text, separator);
	if (w->used + need > w->width) {
		size_t room = w->width - w->used - strlen(separator) - 3;

		buf_add(&w->text, piece, room);
		buf_adds(&w->text, "...");
		w->used = w->width;
		return;
	}
	buf_add(&w->text, piece, len);
	w->used += need;
}

/* How often the frame at i stands there in a row, as in a recursion. */
static uint32_t equal_frames(const struct profile *p, const struct profile_stack *s, uint32_t i)
{
	const uint32_t *frames = &p->stack_frames[s->first_frame];
	uint32_t n = 1;

	while (i + n < s->n_frames && frames[i + n] == frames[i])
		n++;
	return n;
}

/* " session_cache.cc:118" */
static void add_place(struct buf *out, const struct profile *p, const struct profile_frame *f)
{
	const char *file = profile_str(p, f->file), *slash = strrchr(file, '/');

	if (!*file || !f->line)
		return;
	file = slash ? slash + 1 : file;
	buf_addc(out, ' ');
	buf_add_printable(out, file, strlen(file));
	buf_addf(out, ":%u", f->line);
}

static void add_where(struct stack_table *t, const struct profile_stack *s)
{
	struct where w = { .text = BUF_INIT };
	unsigned int columns = t->o->columns ? t->o->columns : 100;
	struct buf name = BUF_INIT, mark = BUF_INIT;
	uint32_t i;

	w.column = WHERE_COLUMN + (t->has_error ? ERROR_COLUMNS : 0);
	w.width = columns > w.column + 20 ? columns - w.column : 20;
	for (i = first_own_frame(t->p, s); i < s->n_frames && !w.full; i++) {
		const struct profile_frame *f = &t->p->frames[t->p->stack_frames[s->first_frame + i]];
		uint32_t again = equal_frames(t->p, s, i);

		buf_reset(&name);
		if (t->p->n_procs > 1 && !w.text.len) /* whose stack it is */
			buf_addf(&name, "%s: ", profile_str(t->p, t->p->procs[s->proc].comm));
		add_short_name(&name, profile_str(t->p, f->name));
		if (again > 1)
			buf_addf(&name, " x%u", again);
		i += again - 1;
		add_place(&name, t->p, f);
		where_add(&w, name.data, name.len);
	}
	buf_reset(&name);
	stack_mark(t->p, s, &mark);
	buf_add_printable(&name, mark.data, mark.len);
	if (name.len)
		where_add(&w, name.data, name.len);
	if (!s->n_frames)
		where_add(&w, "[unknown]", 9);
	buf_add(t->out, w.text.data, w.text.len);
	buf_addc(t->out, '\n');
	buf_release(&w.text);
	buf_release(&name);
	buf_release(&mark);
}

static void add_all_frames(struct stack_table *t, const struct profile_stack *s)
{
	const struct profile_proc *proc = &t->p->procs[s->proc];
	struct buf mark = BUF_INIT;
	uint32_t i;

	buf_addf(t->out, "          %s (pid %d)\n", profile_str(t->p, proc->comm), proc->tgid);
	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &t->p->frames[t->p->stack_frames[s->first_frame + i]];
		const char *name = profile_str(t->p, f->name), *module = profile_str(t->p, f->module);

		buf_adds(t->out, "          ");
		buf_add_printable(t->out, name, strlen(name));
		if (*module && name[0] != '[')
			buf_addf(t->out, "  (%s)", module);
		add_place(t->out, t->p, f);
		if (f->inlined)
			buf_adds(t->out, "  inlined");
		buf_addc(t->out, '\n');
	}
	if (*stack_mark(t->p, s, &mark)) {
		buf_adds(t->out, "          ");
		buf_add_printable(t->out, mark.data, mark.len);
		buf_addc(t->out, '\n');
	}
	buf_release(&mark);
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
	char age[24], n[24];

	mean_age(t, s, age);
	snprintf(n, sizeof(n), "%zu", number);
	print_row(t, n, sums_of(t, (int64_t)shown_bytes(s, t->o), (int64_t)shown_blocks(s, t->o)),
		  variance_of(t, s), age);
	t->left_variance -= variance_of(t, s);
	add_where(t, s);
	if (t->o->all_frames)
		add_all_frames(t, s);
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
		print_row(t, "", rest, t->left_variance, "");
		buf_addf(t->out, "%zu smaller stack%s\n", n_smaller, n_smaller == 1 ? "" : "s");
	}
	if (has_old) {
		print_row(t, "", old, 0, "");
		buf_adds(t->out, "frees of blocks from before attach\n");
	}
	if (has_lost) {
		print_row(t, "", lost, 0, "");
		buf_adds(t->out, "allocated, but not in the table (see trust)\n");
	}
	print_row(t, "", total, t->variance, "");
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

void report_table(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	struct stack_table t = { .out = out, .p = p, .o = o };
	size_t n, i, shown = 0, max = o->max_stacks ? o->max_stacks : 10;
	const struct profile_stack **s = stacks_by_size(p, o, &n);
	uint64_t largest = h.old_bytes;
	struct column_sums total;
	char heading[32], rate_heading[32];

	for (i = 0; i < n; i++) {
		if (shown_bytes(s[i], o) > largest)
			largest = shown_bytes(s[i], o);
		t.variance += variance_of(&t, s[i]);
	}
	t.left_variance = t.variance;
	t.has_error = t.variance > 0;
	t.unit = unit_for(largest);
	t.rate_unit = unit_for((uint64_t)per_minute(p, (int64_t)largest));
	total = t.left = total_of(&t, &h);
	snprintf(heading, sizeof(heading), "%s %s", shows_live(o) ? "LIVE" : "ALLOC", t.unit.name);
	snprintf(rate_heading, sizeof(rate_heading), "%s/min", t.rate_unit.name);
	buf_addf(out, "\n%2s %9s%*s %9s %10s %6s  %s\n", "#", heading, t.has_error ? ERROR_COLUMNS : 0, "",
		 rate_heading, "BLOCKS", "AGE", o->all_frames ? "WHERE" : "WHERE (your code first; all frames: -v)");
	for (i = 0; i < n && shown < max; i++)
		if (shown_bytes(s[i], o) >= o->min_bytes)
			stack_row(&t, s[i], ++shown);
	rows_below(&t, &h, n - shown, total);
	free(s);
}
