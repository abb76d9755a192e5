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
#include "base/xalloc.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

#define ERROR_COLUMNS 11
#define MAX_ROWS 10
/* A stack with less than this part of the first is not worth the room of another section; where there is hardly any. */
#define SMALL_PART 50
#define LARGE_PART 10
#define ROWS_BELOW 5 /* smaller stacks, older frees, lost, ended processes, net */
#define NARROWEST 60u /* below: no KIND either */
#define LEAST_WHERE 24u /* where it would be narrower, AGE goes, and then BLOCKS */

enum row_kind { ROW_STACK, ROW_SMALLER, ROW_OLD, ROW_LOST, ROW_ENDED, ROW_NET };

struct table_row {
	enum row_kind kind;
	const struct profile_stack *s; /* of ROW_STACK */
	int64_t bytes, blocks;
	int64_t amount, rate; /* tenths, rounded so that the column adds up */
	double variance;      /* of the amount, in bytes squared; 0: exact, or not known */
};

/* Of processes that have ended while others run on, with the frees of their older blocks: given back. */
struct ended_sum {
	size_t n_procs;
	int64_t bytes, blocks;
};

struct stack_table {
	struct buf *out;
	const struct report *r;
	const struct profile *p;
	const struct render_opts *o;
	struct amount_unit unit, rate_unit;
	bool has_error;		 /* amounts are estimates with a deviation */
	bool has_alive, has_kind, has_blocks, has_age;
	const struct profile_stack **stacks; /* largest first */
	size_t n_stacks;		     /* with anything to show */
	size_t n_large;			     /* of them, not below --min-bytes */
	struct heap_net h;
	struct ended_sum ended;
	uint64_t mapped_bytes; /* of stacks that map memory: no part of h */
	struct table_row *rows; /* net last */
	size_t n_rows;
};

/* What a row says beside its amounts; "" for nothing. */
struct row_texts {
	const char *number, *age, *alive, *kind;
};

static const struct row_texts no_texts = { "", "", "", "" };

/* The column at which its text goes on. */
static size_t print_row(const struct stack_table *t, const struct row_texts *x, const struct table_row *v)
{
	char amount[24], rate[24], plus_rate[32], blocks[32], signed_blocks[40], error[40] = "";
	size_t begin = t->out->len;

	format_tenths(amount, v->amount);
	format_tenths(rate, v->rate);
	snprintf(plus_rate, sizeof(plus_rate), "%s%s", v->rate > 0 ? "+" : "", rate);
	units_format_count(blocks, (uint64_t)(v->blocks < 0 ? -v->blocks : v->blocks));
	snprintf(signed_blocks, sizeof(signed_blocks), "%s%s", v->blocks < 0 ? "-" : "", blocks);
	if (t->has_error && v->variance > 0) {
		format_tenths(rate, in_tenths((int64_t)sqrt(v->variance), &t->unit));
		snprintf(error, sizeof(error), "+/- %s", rate);
	}
	buf_addf(t->out, "%2s %9s", x->number, amount);
	if (t->has_error)
		buf_addf(t->out, " %-*s", ERROR_COLUMNS - 1, error);
	buf_addf(t->out, " %9s", plus_rate);
	if (t->has_alive)
		buf_addf(t->out, " %5s", x->alive);
	if (t->has_blocks)
		buf_addf(t->out, " %9s", signed_blocks);
	if (t->has_age)
		buf_addf(t->out, " %6s", x->age);
	if (t->has_kind)
		buf_addf(t->out, "  %-7s", x->kind);
	buf_adds(t->out, t->has_kind ? " " : "  ");
	return t->out->len - begin;
}

/* Of the amount shown, in bytes squared. */
static double variance_of(const struct stack_table *t, const struct profile_stack *s)
{
	double d = totals_deviation(&s->t, t->o->metric);

	return d * d;
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

static void stack_row(const struct stack_table *t, const struct table_row *row, size_t number, unsigned int lines)
{
	const struct profile_stack *s = row->s;
	double alive = verdict_alive(t->p, s);
	char age[24], n[24], alive_text[16] = "?";
	size_t column;

	mean_age(t, s, age);
	snprintf(n, sizeof(n), "%zu", number);
	if (alive >= 0)
		snprintf(alive_text, sizeof(alive_text), alive > 0 && alive < 0.01 ? "<1 %%" : "%.0f %%", alive * 100);
	column = print_row(t, &(struct row_texts){ n, age, alive_text, verdict_kind(t->p, s) }, row);
	report_add_where(t->out, t->p, s, column, t->r->columns, lines);
	if (!t->o->all_frames)
		return;
	report_add_frames(t->out, t->p, s);
	report_add_lifetime(t->out, t->p, s);
}

/* ---- what is in it ---- */

static bool is_rss(const struct render_opts *o)
{
	return o->metric == METRIC_RSS_BYTES;
}

static bool shows_live(const struct render_opts *o)
{
	return o->metric == METRIC_LIVE_BYTES || o->metric == METRIC_LIVE_BLOCKS;
}

static void add(struct stack_table *t, enum row_kind kind, const struct profile_stack *s, int64_t bytes, int64_t blocks)
{
	struct table_row *net = &t->rows[t->n_rows];

	net[1] = net[0];
	net[1].bytes += bytes;
	net[1].blocks += blocks;
	net[0] = (struct table_row){ .kind = kind, .s = s, .bytes = bytes, .blocks = blocks };
	t->n_rows++;
}

/* The first `n` stacks, and the others in one row: filters leave out part of what is live. */
static void take_rows(struct stack_table *t, size_t n)
{
	int64_t bytes = 0, blocks = 0;
	double variance = 0;
	size_t i;

	t->rows = xcalloc(n + ROWS_BELOW + 1, sizeof(*t->rows));
	t->rows[0].kind = ROW_NET;
	for (i = 0; i < t->n_stacks; i++) {
		const struct profile_stack *s = t->stacks[i];

		variance += variance_of(t, s);
		if (i < n) {
			add(t, ROW_STACK, s, (int64_t)shown_bytes(s, t->o), (int64_t)shown_blocks(s, t->o));
			t->rows[i].variance = variance_of(t, s);
			continue;
		}
		bytes += (int64_t)shown_bytes(s, t->o);
		blocks += (int64_t)shown_blocks(s, t->o);
	}
	if (n < t->n_stacks)
		add(t, ROW_SMALLER, NULL, bytes, blocks);
	if (shows_live(t->o) && t->h.old_blocks)
		add(t, ROW_OLD, NULL, -(int64_t)t->h.old_bytes, -(int64_t)t->h.old_blocks);
	if (shows_live(t->o) && t->h.lost_blocks)
		add(t, ROW_LOST, NULL, (int64_t)t->h.lost_bytes, (int64_t)t->h.lost_blocks);
	if (t->ended.n_procs)
		add(t, ROW_ENDED, NULL, -t->ended.bytes, -t->ended.blocks);
	t->rows[t->n_rows++].variance = variance;
	t->has_error = variance > 0;
	for (i = n; n < t->n_stacks && i < t->n_stacks; i++)
		t->rows[n].variance += variance_of(t, t->stacks[i]);
}

static void round_rows(struct stack_table *t)
{
	int64_t *v = xcalloc(2 * t->n_rows, sizeof(*v)), *tenths = v + t->n_rows, most = 0, most_rate = 0;
	size_t i, n = t->n_rows - 1;

	for (i = 0; i < n; i++) {
		most = llabs(t->rows[i].bytes) > most ? llabs(t->rows[i].bytes) : most;
		v[i] = t->rows[i].bytes;
	}
	t->unit = unit_for((uint64_t)most);
	t->rows[n].amount = round_to_sum(tenths, v, n, &t->unit);
	for (i = 0; i < n; i++) {
		t->rows[i].amount = tenths[i];
		v[i] = per_minute(t->p, t->rows[i].bytes);
		most_rate = llabs(v[i]) > most_rate ? llabs(v[i]) : most_rate;
	}
	t->rate_unit = unit_for((uint64_t)most_rate);
	t->rows[n].rate = round_to_sum(tenths, v, n, &t->rate_unit);
	for (i = 0; i < n; i++)
		t->rows[i].rate = tenths[i];
	free(v);
}

static void add_net(struct buf *text, const struct stack_table *t, size_t room)
{
	char made[16], gone[16], mapped[16];

	if (!shows_live(t->o)) {
		buf_adds(text, is_rss(t->o)		   ? "first touched in the window and still there" :
				t->o->metric == METRIC_PEAK_BYTES ? "live when most lived" :
								    "allocated in the window");
		return;
	}
	units_format_size(made, t->h.alloc_bytes);
	units_format_size(gone, t->h.free_bytes);
	if (!t->mapped_bytes) {
		buf_addf(text, "net (%s made, %s freed again)", made, gone);
		return;
	}
	buf_addf(text, "net (%s made, %s freed again; %s mapped)", made, gone, units_format_size(mapped, t->mapped_bytes));
	if (text->len <= room)
		return;
	buf_reset(text);
	buf_addf(text, "net (heap: %s made, %s freed)", made, gone);
}

/* Where an allocator tells no sizes, as a static program's, these bytes are too few, and the net's too many. */
static void add_old(struct buf *text, const struct stack_table *t)
{
	char n[32];

	if (t->h.old_unsized)
		buf_addf(text, "older blocks freed, %s of unknown size", units_format_count(n, t->h.old_unsized));
	else
		buf_adds(text, "frees of blocks from before attach");
}

static void row_below(const struct stack_table *t, const struct table_row *row, size_t n_smaller)
{
	struct buf text = BUF_INIT;
	size_t column = print_row(t, &no_texts, row);
	const char *brief = "net";

	switch (row->kind) {
	case ROW_SMALLER:
		buf_addf(&text, "%zu smaller stack%s", n_smaller, n_smaller == 1 ? "" : "s");
		brief = "smaller";
		break;
	case ROW_OLD:
		add_old(&text, t);
		brief = "older freed";
		break;
	case ROW_LOST:
		buf_adds(&text, "allocated, but not in the table (see trust)");
		brief = "lost";
		break;
	case ROW_ENDED:
		buf_addf(&text, "given back by %zu process%s that ended", t->ended.n_procs, t->ended.n_procs == 1 ? "" : "es");
		brief = "ended";
		break;
	default:
		add_net(&text, t, column < t->r->columns ? t->r->columns - column : 0);
	}
	buf_addf(t->out, "%s\n", column + text.len <= t->r->columns ? text.data : brief);
	buf_release(&text);
}

/* A name that is cut to a few letters says less than an age. */
static void make_room_for_where(struct stack_table *t)
{
	size_t before = 2 + 10 + (t->has_error ? ERROR_COLUMNS : 0) + 10 + (t->has_alive ? 6 : 0) + (t->has_kind ? 10 : 2);

	t->has_age = t->has_age && before + 10 + 7 + LEAST_WHERE <= t->r->columns;
	t->has_blocks = t->has_blocks && before + 10 + (t->has_age ? 7 : 0) + LEAST_WHERE <= t->r->columns;
}

static void print_heading(const struct stack_table *t)
{
	static const char *const texts[] = { "WHERE (your code first; all frames: -v)", "WHERE (all frames: -v)", "WHERE" };
	char amount[32], rate[32];
	size_t begin = t->out->len + 1, i = 0;

	snprintf(amount, sizeof(amount), "%s %s", shows_live(t->o)		   ? "LIVE" :
		 is_rss(t->o)			   ? "RSS" :
		 t->o->metric == METRIC_PEAK_BYTES ? "PEAK" :
						     "ALLOC",
		 t->unit.name);
	snprintf(rate, sizeof(rate), "%s/min", t->rate_unit.name);
	buf_addf(t->out, "\n%2s %9s%*s %9s", "#", amount, t->has_error ? ERROR_COLUMNS : 0, "", rate);
	if (t->has_alive)
		buf_addf(t->out, " %5s", "ALIVE");
	if (t->has_blocks)
		buf_addf(t->out, " %9s", is_rss(t->o) ? "PAGES" : "BLOCKS");
	if (t->has_age)
		buf_addf(t->out, " %6s", "AGE");
	if (t->has_kind)
		buf_addf(t->out, "  %-7s", "KIND");
	buf_adds(t->out, t->has_kind ? " " : "  ");
	while (i < 2 && (t->o->all_frames || t->out->len - begin + strlen(texts[i]) > t->r->columns))
		i++;
	buf_addf(t->out, "%s\n", texts[i]);
}

/* ---- how much of it ---- */

static unsigned int lines_below(const struct stack_table *t)
{
	return 1 + (shows_live(t->o) && t->h.old_blocks) + (shows_live(t->o) && t->h.lost_blocks) + (t->ended.n_procs > 0);
}

static size_t most_stacks(const struct stack_table *t)
{
	size_t most = t->o->max_stacks ? t->o->max_stacks : MAX_ROWS;

	return t->n_large < most ? t->n_large : most;
}

/* Stacks for which there is room, a line each, beside heading, the rows below and the empty line. */
static size_t fitting_stacks(const struct stack_table *t)
{
	size_t most = most_stacks(t), room = t->r->lines, other = 3 + lines_below(t); /* one more for the first's callers */

	if (room >= other + most + (most < t->n_stacks))
		return most;
	return room > other + 2 ? room - other - 1 : 1; /* and a row for the rest */
}

/* --min-bytes: smaller ones come last, in their order. */
static void put_small_last(struct stack_table *t)
{
	const struct profile_stack **small = xcalloc(t->n_stacks + 1, sizeof(*small));
	size_t i, n_small = 0;

	for (i = 0; i < t->n_stacks; i++) {
		if (shown_bytes(t->stacks[i], t->o) >= t->o->min_bytes)
			t->stacks[t->n_large++] = t->stacks[i];
		else
			small[n_small++] = t->stacks[i];
	}
	for (i = 0; i < n_small; i++)
		t->stacks[t->n_large + i] = small[i];
	free(small);
}

static void sum_ended(struct stack_table *t)
{
	const struct profile *p = t->p;
	bool is_exact = watch_is_exact(p); /* as in heap_net_of */
	int64_t *bytes;
	size_t i;

	if (!shows_live(t->o) || !profile_any_runs(p))
		return;
	bytes = xcalloc(p->n_procs + 1, sizeof(*bytes));
	for (i = 0; i < t->n_stacks; i++) {
		bytes[t->stacks[i]->proc] += (int64_t)shown_bytes(t->stacks[i], t->o);
		if (proc_is_over(&p->procs[t->stacks[i]->proc]))
			t->ended.blocks += (int64_t)shown_blocks(t->stacks[i], t->o);
	}
	for (i = 0; i < p->n_procs; i++) {
		const struct mp_proc_totals *old = &p->procs[i].old;

		if (!proc_is_over(&p->procs[i]))
			continue;
		bytes[i] += (int64_t)(is_exact ? old->lost_bytes : 0) - (int64_t)old->old_free_bytes;
		t->ended.n_procs += bytes[i] != 0;
		t->ended.bytes += bytes[i];
		t->ended.blocks += (int64_t)(is_exact ? old->lost_blocks : 0) - (int64_t)old->old_free_blocks;
	}
	free(bytes);
}

static void sum_mapped(struct stack_table *t)
{
	size_t i;

	for (i = 0; shows_live(t->o) && i < t->n_stacks; i++)
		if (!stack_is_heap(t->stacks[i]))
			t->mapped_bytes += shown_bytes(t->stacks[i], t->o);
}

static void open_table(struct stack_table *t, struct buf *out, const struct report *r)
{
	*t = (struct stack_table){ .out = out, .r = r, .p = r->table_p, .o = r->o,
				   .h = heap_net_of(r->table_p, UINT32_MAX) };
	t->stacks = stacks_by_size(r->table_p, r->o, &t->n_stacks);
	put_small_last(t);
	sum_ended(t);
	sum_mapped(t);
	t->has_alive = r->p->has_verdict && shows_live(r->o);
	t->has_kind = t->has_alive && r->columns >= NARROWEST;
	t->has_blocks = t->has_age = r->columns >= REPORT_NARROW;
}

/* The first of them, as far as they are not small beside the first; where there is little room. */
static unsigned int stacks_that_matter(const struct stack_table *t)
{
	size_t most = most_stacks(t), n = most > 0;
	uint64_t part = t->r->terse == REPORT_TERSEST ? LARGE_PART : SMALL_PART;

	while (n < most && shown_bytes(t->stacks[n], t->o) * part >= shown_bytes(t->stacks[0], t->o))
		n++;
	return (unsigned int)n;
}

unsigned int report_table_wants(const struct report *r)
{
	static const unsigned int stacks[] = { 6, 5, 4, 3 }; /* by terseness; the first in two lines, all of them where they are narrow */
	unsigned int wants = stacks[r->terse <= REPORT_TERSEST ? r->terse : REPORT_TERSEST];
	struct stack_table t;

	open_table(&t, NULL, r);
	if (most_stacks(&t) < wants)
		wants = (unsigned int)most_stacks(&t);
	if (r->terse >= 2 && stacks_that_matter(&t) < wants)
		wants = stacks_that_matter(&t);
	wants += (r->columns < REPORT_NARROW ? wants : 1) + 2 + lines_below(&t) + (wants < t.n_stacks);
	free(t.stacks);
	return wants;
}

void report_table(struct buf *out, const struct report *r)
{
	struct stack_table t;
	size_t i, n, spare;

	open_table(&t, out, r);
	n = fitting_stacks(&t);
	n = n < t.n_stacks ? n : t.n_stacks;
	take_rows(&t, n);
	round_rows(&t);
	make_room_for_where(&t);
	print_heading(&t);
	spare = r->lines > 2 + t.n_rows ? r->lines - 2 - t.n_rows : 0;
	for (i = 0; i < t.n_rows; i++) {
		size_t begin = out->len;

		if (t.rows[i].kind == ROW_STACK)
			stack_row(&t, &t.rows[i], i + 1, spare ? 2 : 1);
		else
			row_below(&t, &t.rows[i], t.n_stacks - n);
		if (t.rows[i].kind == ROW_STACK && !r->o->all_frames && text_lines(out->data + begin) > 1)
			spare--;
	}
	free(t.rows);
	free(t.stacks);
}
