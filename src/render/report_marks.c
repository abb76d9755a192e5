/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's section on marks: what was born between them and lives, of what was made then. And, with -v, how long
 * the blocks of a stack live.
 *
 *	BORN BETWEEN MARKS, ALIVE (MiB)                           to 10 s       to 20 s       to 30 s
 *	 1 SessionCache::insert                                13.9 100 %    13.9 100 %    13.8 100 %
 *	 2 Json::parse                                          0.0   0 %     0.0   0 %     1.1  <1 %
 *	   others                                               0.1  10 %     0.0   0 %     0.0   0 %
 *	   all                                                 14.0           13.9          14.9
 *
 * The last intervals are shown, earlier ones in one. Columns add up as printed. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define MAX_COLUMNS 4
#define MAX_ROWS 5
#define CELL 14u
#define LEAST_LABEL 20u
#define UNKNOWN MAX_COLUMNS /* cell of blocks whose birth is not known */

struct mark_cell {
	int64_t bytes, tenths;
	uint64_t made_bytes;
};

struct mark_row {
	const struct profile_stack *s; /* NULL: others */
	struct mark_cell v[MAX_COLUMNS + 1];
};

struct mark_table {
	struct buf *out;
	const struct report *r;
	struct mark_row *rows; /* all but the last are stacks, in the order of the table of stacks */
	size_t n;
	unsigned int columns, label;
	bool has_unknown;
	struct amount_unit unit;
	int64_t sums[MAX_COLUMNS + 1];
};

static unsigned int column_of(const struct mark_table *t, uint32_t interval)
{
	uint32_t n = (uint32_t)t->r->p->n_marks + 1, first = n > t->columns ? n - t->columns : 0;

	if (interval >= n)
		return UNKNOWN;
	return interval > first ? interval - first : 0;
}

static void take_survivors(struct mark_table *t)
{
	const struct lifetimes *l = &t->r->p->lifetimes;
	size_t i, k;

	for (i = 0; i < l->n_survivors; i++) {
		const struct survivor_row *v = &l->survivors[i];
		const struct profile_stack *s = v->stack == LIFETIMES_REST ? NULL : &t->r->p->stacks[v->stack];
		struct mark_cell *cell;

		for (k = 0; k + 1 < t->n && t->rows[k].s != s; k++)
			;
		cell = &t->rows[k].v[column_of(t, v->interval)];
		cell->bytes += (int64_t)v->bytes;
		cell->made_bytes += v->made_bytes;
		t->has_unknown |= v->interval > t->r->p->n_marks && v->blocks;
	}
}

static void round_columns(struct mark_table *t)
{
	int64_t *v = xcalloc(2 * t->n, sizeof(*v)), *tenths = v + t->n, most = 0;
	unsigned int c;
	size_t i;

	for (i = 0; i < t->n; i++)
		for (c = 0; c <= MAX_COLUMNS; c++)
			most = t->rows[i].v[c].bytes > most ? t->rows[i].v[c].bytes : most;
	t->unit = unit_for((uint64_t)most);
	for (c = 0; c <= MAX_COLUMNS; c++) {
		for (i = 0; i < t->n; i++)
			v[i] = t->rows[i].v[c].bytes;
		t->sums[c] = round_to_sum(tenths, v, t->n, &t->unit);
		for (i = 0; i < t->n; i++)
			t->rows[i].v[c].tenths = tenths[i];
	}
	free(v);
}

static void add_label(const struct mark_table *t, const char *number, const char *name)
{
	struct buf label = BUF_INIT;
	size_t len;

	buf_addf(&label, "%2s ", number);
	add_short_name(&label, name);
	len = text_cut(label.data, label.len, t->label - 1);
	buf_add(t->out, label.data, len);
	buf_pad(t->out, ' ', t->label - text_width(label.data, len));
	buf_release(&label);
}

static void add_cells(const struct mark_table *t, const struct mark_row *row)
{
	unsigned int c;
	char text[24], share[16];

	for (c = 0; c < t->columns; c++) {
		const struct mark_cell *v = row ? &row->v[c] : NULL;
		double part = v && v->made_bytes ? (double)v->bytes / (double)v->made_bytes : 0;

		share[0] = '\0';
		if (v && v->made_bytes)
			snprintf(share, sizeof(share), part > 0 && part < 0.01 ? "<1 %%" : "%.0f %%",
				 part < 1 ? part * 100 : 100);
		buf_addf(t->out, "%8s %5s", format_tenths(text, v ? v->tenths : t->sums[c]), share);
	}
	if (t->has_unknown)
		buf_addf(t->out, "%9s", format_tenths(text, row ? row->v[UNKNOWN].tenths : t->sums[UNKNOWN]));
	while (t->out->len && t->out->data[t->out->len - 1] == ' ')
		t->out->data[--t->out->len] = '\0';
	buf_addc(t->out, '\n');
}

static void add_heading(const struct mark_table *t)
{
	const struct profile *p = t->r->p;
	uint32_t n = (uint32_t)p->n_marks + 1, first = n > t->columns ? n - t->columns : 0, c;
	char at[24], title[80];

	snprintf(title, sizeof(title), "BORN BETWEEN MARKS, ALIVE (%s)", t->unit.name);
	if (strlen(title) >= t->label)
		snprintf(title, sizeof(title), "BORN, ALIVE (%s)", t->unit.name);
	buf_addf(t->out, "\n%-*s", (int)t->label, title);
	for (c = 0; c < t->columns; c++) {
		units_format_duration(at, first + c < p->n_marks ? p->marks[first + c].time_ns : p->window_ns);
		buf_addf(t->out, "%*s%s ", (int)(CELL - 4 - strlen(at)), "to ", at);
	}
	while (t->out->data[t->out->len - 1] == ' ')
		t->out->data[--t->out->len] = '\0';
	buf_adds(t->out, t->has_unknown ? "   ?\n" : "\n");
}

/* Before the run's end: live heap then. */
static void add_levels(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	char at[24], live[16], change[16];
	size_t i, first = r->o->all_frames || p->n_marks < MAX_ROWS ? 0 : p->n_marks - MAX_ROWS;

	for (i = first; i < p->n_marks; i++) {
		const struct profile_mark *m = &p->marks[i];
		bool is_less = h.live_bytes < m->live_bytes;

		buf_addf(out, "mark %zu  at %s: %s live; since then ", i + 1, units_format_duration(at, m->time_ns),
			 units_format_size(live, m->live_bytes));
		units_format_size(change, is_less ? m->live_bytes - h.live_bytes : h.live_bytes - m->live_bytes);
		buf_addf(out, "%s%s, %+lld blocks\n", is_less ? "-" : "+", change,
			 (long long)h.live_blocks - (long long)m->live_blocks);
	}
}

static bool has_bytes(const struct mark_row *row)
{
	unsigned int c;

	for (c = 0; c <= MAX_COLUMNS && !row->v[c].bytes; c++)
		;
	return c <= MAX_COLUMNS;
}

static void add_table(struct mark_table *t)
{
	const struct profile_stack **s;
	size_t n, i, most = t->r->o->all_frames ? 10 : MAX_ROWS - t->r->terse;
	char number[24];

	s = stacks_by_size(t->r->p, t->r->o, &n);
	t->n = (n < most ? n : most) + 1;
	t->rows = xcalloc(t->n, sizeof(*t->rows));
	for (i = 0; i + 1 < t->n; i++)
		t->rows[i].s = s[i];
	take_survivors(t);
	round_columns(t);
	add_heading(t);
	for (i = 0; i + 1 < t->n; i++) {
		snprintf(number, sizeof(number), "%zu", i + 1);
		add_label(t, number, own_frame_name(t->r->p, t->rows[i].s));
		add_cells(t, &t->rows[i]);
	}
	if (has_bytes(&t->rows[t->n - 1])) {
		add_label(t, "", "others");
		add_cells(t, &t->rows[t->n - 1]);
	}
	add_label(t, "", "all");
	add_cells(t, NULL);
	free(s);
	free(t->rows);
}

void report_marks(struct buf *out, const struct report *r)
{
	struct mark_table t = { .out = out, .r = r };
	unsigned int room = r->columns - LEAST_LABEL - 9;

	if (!r->p->n_marks)
		return;
	if (!r->p->lifetimes.n_survivors) {
		add_levels(out, r);
		return;
	}
	t.columns = room / CELL < MAX_COLUMNS ? room / CELL : MAX_COLUMNS;
	if (t.columns > r->p->n_marks + 1)
		t.columns = (unsigned int)r->p->n_marks + 1;
	t.label = r->columns - 9 - t.columns * CELL;
	t.label = t.label < 56 ? t.label : 56;
	add_table(&t);
}

void report_add_lifetime(struct buf *out, const struct profile *p, const struct profile_stack *s)
{
	const struct lifetimes *l = &p->lifetimes;
	char half[24], most[24], n[32], recent[24];
	size_t i;

	for (i = 0; i < l->n && &p->stacks[l->rows[i].stack] != s; i++)
		;
	if (i == l->n)
		return;
	buf_addf(out, "          of what lives half is not older than %s, nine tenths than %s\n",
		 units_format_duration(half, l->rows[i].half_ms * NS_PER_MS),
		 units_format_duration(most, l->rows[i].nine_tenths_ms * NS_PER_MS));
	if (!l->rows[i].recent_blocks)
		return;
	buf_addf(out, "          of %s blocks made in the last %s %.3g %% were freed at once\n",
		 units_format_count(n, l->rows[i].recent_blocks),
		 units_format_duration(recent, l->recent_ms * NS_PER_MS),
		 100 - 100 * (double)l->rows[i].recent_alive / (double)l->rows[i].recent_blocks);
}
