/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The tables of `memprobe top`: a row of data per column. Pure; uses the report's names of functions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/top_internal.h"

/* What a sparkline in a table spans. */
#define SPARK_S 600.0
/* A growth slower than this is no trend to be warned of. */
#define NOTABLE_RATE ((double)MIB / 60)

/* ---- figures ---- */

void top_add_rate(struct buf *out, double bytes_per_s)
{
	double mib = bytes_per_s * 60 / (double)MIB;

	buf_addf(out, fabs(mib) < 0.05 ? "0.0" : "%+.1f", mib);
}

void top_add_size(struct buf *out, double bytes, bool with_sign)
{
	char size[16];

	if (bytes < 0)
		buf_addc(out, '-');
	else if (with_sign && bytes > 0)
		buf_addc(out, '+');
	buf_adds(out, units_format_size(size, (uint64_t)fabs(bytes)));
}

void top_add_time(struct buf *out, double seconds)
{
	if (seconds < 9.95)
		buf_addf(out, "%.1f s", seconds);
	else if (seconds < 100)
		buf_addf(out, "%.0f s", seconds);
	else if (seconds < 100 * 60)
		buf_addf(out, "%.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		buf_addf(out, "%.0f h", seconds / 3600);
	else if (seconds < 999 * 86400.0)
		buf_addf(out, "%.0f d", seconds / 86400);
	else
		buf_adds(out, "> 999 d");
}

static struct growth growth_now(const struct history *h, const struct series *s)
{
	struct growth g;

	growth_of(s, (double)h->now.time_ns * 1e-9, &g);
	return g;
}

double top_full_in(const struct history *h, uint32_t proc)
{
	const struct profile_facts *f = &h->procs[proc].facts;
	struct growth g = growth_now(h, &h->procs[proc].memory);
	double room = (double)f->limit_bytes - (double)f->limit_used_bytes + (double)f->limit_swap_bytes;

	if (h->procs[proc].state != PROC_RUNNING || !f->limit_bytes || f->limit_bytes == UINT64_MAX ||
	    g.word != TREND_GROWING || g.rate <= 0)
		return -1;
	return room > 0 ? room / g.rate : 0;
}

static void add_place(struct buf *out, const struct profile *p, const struct profile_frame *f)
{
	const char *file = profile_str(p, f->file), *slash = strrchr(file, '/');

	if (!*file || !f->line)
		return;
	buf_addc(out, ' ');
	buf_add_printable(out, slash ? slash + 1 : file, strlen(slash ? slash + 1 : file));
	buf_addf(out, ":%u", f->line);
}

uint32_t top_own_frame(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i;

	for (i = stack_is_heap(s) ? 0 : 1; i < s->n_frames; i++) {
		enum frame_class class = p->frames[p->stack_frames[s->first_frame + i]].class;

		if (class != FRAME_ALLOCATOR && class != FRAME_LIBC && class != FRAME_CXX)
			return i;
	}
	return 0;
}

/* "SessionCache::insert session_cache.cc:118 < Gateway::on_accept": the caller's code first. */
static void add_callers(struct buf *out, const struct profile *p, const struct profile_stack *s)
{
	struct buf mark = BUF_INIT;
	uint32_t i = top_own_frame(p, s);
	bool is_first = true;

	if (!stack_is_heap(s) && s->n_frames) /* what kind of mapping */
		buf_addf(out, "%s ", profile_str(p, p->frames[p->stack_frames[s->first_frame]].name));
	for (; i < s->n_frames && out->len < 1000; i++, is_first = false) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		if (!is_first)
			buf_adds(out, " < ");
		add_short_name(out, profile_str(p, f->name));
		add_place(out, p, f);
	}
	if (!s->n_frames)
		buf_adds(out, "[unknown]");
	if (*stack_mark(p, s, &mark))
		buf_addf(out, " < %s", mark.data);
	buf_release(&mark);
}

/* ---- columns of both ---- */

void top_column_rate(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	(void)st;
	top_add_rate(out, r->rate);
}

void top_column_bytes(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	top_add_size(out, st->since_start ? r->change : r->bytes, st->since_start);
}

static void add_alive(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (r->alive < 0 || d->h->watch.rung >= RUNG_BRIEF) /* what lived early is not known there */
		buf_addc(out, '?');
	else
		buf_addf(out, r->alive > 0 && r->alive < 0.01 ? "<1 %%" : "%.0f %%", r->alive * 100);
}

static void add_made(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	double seconds = history_seconds(d->h, st->since_start ? HISTORY_START : HISTORY_RECENT);
	char text[32];

	if (seconds > 0)
		buf_adds(out, units_format_count(text, (uint64_t)llround(r->made / seconds)));
}

/* ---- stacks ---- */

static void add_blocks(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	char text[32];

	(void)d;
	if (st->since_start && r->blocks)
		buf_addc(out, r->blocks < 0 ? '-' : '+');
	buf_adds(out, units_format_count(text, (uint64_t)fabs(r->blocks)));
}

static void add_age(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	(void)st;
	if (r->age_s >= 0)
		top_add_time(out, r->age_s);
}

static void add_where(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	const struct profile_stack *s = &d->p->stacks[r->id];

	if (st->depth == TOP_STACKS && st->proc == TOP_NONE && d->h->n_procs > 1) {
		buf_addf(out, "%s %d: ", profile_str(d->p, d->p->procs[s->proc].comm), d->p->procs[s->proc].tgid);
		if (s->n_frames)
			add_short_name(out, profile_str(d->p, d->p->frames[d->p->stack_frames[s->first_frame + top_own_frame(d->p, s)]].name));
		return;
	}
	add_callers(out, d->p, s);
}

const struct top_column top_stack_columns[] = {
	{ "LIVE", 10, 0, false, top_column_bytes, false, false },
	{ "MiB/min", 9, 0, false, top_column_rate, false, false },
	{ "ALIVE", 7, 50, false, add_alive, false, false },
	{ "BLOCKS", 10, 72, false, add_blocks, false, false },
	{ "AGE", 7, 90, false, add_age, false, false },
	{ "MADE/s", 8, 80, false, add_made, false, false },
	{ "WHERE", 0, 0, true, add_where, false, false },
	{ NULL, 0, 0, false, NULL, false, false },
};

/* ---- processes ---- */

static void add_pid(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	buf_addf(out, "%d", d->p->procs[r->id].tgid);
}

static void add_name(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	buf_adds(out, profile_str(d->p, d->p->procs[r->id].comm));
}

static void add_heap_rate(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)d;
	(void)st;
	top_add_rate(out, r->heap_rate);
}

static void add_full_in(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	double seconds = top_full_in(d->h, r->id);

	(void)st;
	if (seconds < 0)
		buf_addc(out, '-');
	else
		top_add_time(out, seconds);
}

static void add_site(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (r->site != TOP_NONE)
		add_short_name(out, own_frame_name(d->p, &d->p->stacks[r->site]));
}

static void add_trend(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r)
{
	(void)st;
	if (d->h->procs[r->id].state != PROC_RUNNING)
		buf_adds(out, "ended");
	else
		buf_adds(out, trend_name(growth_now(d->h, &d->h->procs[r->id].memory).word));
}

const struct top_column top_process_columns[] = {
	{ "PID", 8, 0, false, add_pid, false, false },
	{ "PROCESS", 17, 0, true, add_name, false, false },
	{ "MEMORY", 10, 48, false, top_column_bytes, false, false },
	{ "MiB/min", 9, 0, false, top_column_rate, false, false },
	{ "HEAP/min", 9, 110, false, add_heap_rate, false, false },
	{ "MADE/s", 9, 120, false, add_made, false, false },
	{ "TIME", 10, 88, true, NULL, true, false },
	{ "TREND", 12, 58, true, add_trend, false, true },
	{ "FULL IN", 9, 90, false, add_full_in, false, false },
	{ "TOP GROWING SITE", 0, 76, true, add_site, false, false },
	{ NULL, 0, 0, false, NULL, false, false },
};

/* ---- drawing ---- */

static enum top_style trend_style(const char *word)
{
	if (!strcmp(word, trend_name(TREND_GROWING)))
		return TOP_BAD;
	return !strcmp(word, trend_name(TREND_LEVELS_OFF)) ? TOP_WARN : TOP_PLAIN;
}

static void draw_spark(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
		       const struct history *h, const struct top_row *r)
{
	double now_s = (double)h->now.time_ns * 1e-9;
	const struct series *s = r->tree ? &r->tree->bytes : &h->procs[r->id].memory;

	if (!r->member)
		top_spark(c, row, column, width, s, now_s > SPARK_S ? now_s - SPARK_S : 0, now_s);
}

/* r NULL: the heading. */
static void draw_row(struct top_canvas *c, unsigned int row, const struct top_data *d, const struct top_state *st,
		     const struct top_column *columns, const struct top_row *r)
{
	enum top_style style = !r ? TOP_BAR : r->rate > NOTABLE_RATE ? TOP_BOLD : TOP_PLAIN;
	struct buf text = BUF_INIT;
	unsigned int at = 1, width;

	if (!r)
		top_style_row(c, row, TOP_BAR);
	for (; columns->title && at < c->width; columns++) {
		if (c->width < columns->least)
			continue;
		width = columns->width ? columns->width : c->width - at;
		if (r && columns->is_spark)
			draw_spark(c, row, at + 2, width - 2, d->h, r);
		buf_reset(&text);
		if (!r && columns->is_spark) /* so far back it goes */
			top_add_time(&text, fmin(SPARK_S, (double)d->h->now.time_ns * 1e-9));
		else if (!r)
			buf_adds(&text, st->since_start && columns->add == top_column_bytes ? "GROWN" : columns->title);
		else if (columns->add)
			columns->add(&text, d, st, r);
		if (columns->is_left)
			top_put(c, row, at + 2, width > 2 ? width - 2 : 0,
				r && columns->is_trend ? trend_style(text.data) : style, text.data);
		else
			top_put_right(c, row, at + 1, width - 1, style, text.data);
		at += width;
	}
	buf_release(&text);
}

void top_table_rows(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_state *st,
		    const struct top_column *columns, const struct top_rows *r, size_t first, size_t cursor)
{
	size_t i;

	for (i = first; i < r->n && i - first < a.height; i++) {
		unsigned int row = a.row + (unsigned int)(i - first);

		draw_row(c, row, d, st, columns, &r->v[i]);
		if (i == cursor) {
			top_style_row(c, row, TOP_CURSOR);
			top_put(c, row, 0, 1, TOP_CURSOR, ">");
		}
	}
}

void top_table(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_state *st,
	       const struct top_column *columns, const struct top_rows *r, size_t first, size_t cursor)
{
	if (!a.height)
		return;
	draw_row(c, a.row, d, st, columns, NULL);
	top_table_rows(c, (struct top_area){ a.row + 1, a.height - 1 }, d, st, columns, r, first, cursor);
}
