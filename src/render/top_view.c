/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The screen of `memprobe top`, from its heading to the keys; see top_view.h. Tables are in top_table.c. Pure. */
#include "render/top_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"
#include "render/top_internal.h"
#include "render/watch_text.h"

/* A small screen has fewer lines around its table. */
#define TALL 20
#define MIDDLE 14
#define SHORT 12
/* Stacks of the process under the cursor are shown from this many rows of the middle on. */
#define LEAST_PANE 5
/* Other kinds of memory than processes are shown when so many rows are left above them. */
#define LEAST_LIST 5
#define SPARK_S 600.0

static uint64_t ns_of(double seconds)
{
	return (uint64_t)(seconds > 0 ? seconds * (double)NS_PER_S : 0);
}

/* ---- the heading ---- */

static bool has_heap(const struct profile *p)
{
	return p->planes & PLANE_HEAP;
}

static const char *how(const struct profile *p, const struct profile_watch *w, char text[32])
{
	if (!has_heap(p))
		return "no heap probes";
	switch (w->rung) {
	case RUNG_EXACT:
		return w->n_steps ? "exact now" : "exact";
	case RUNG_SAMPLED:
		snprintf(text, 32, "sampled 1:%uKi (+/-)", w->interval_bytes / 1024);
		return text;
	case RUNG_AWAY:
		return "NO PROBES: too dear";
	default:
		return "in bursts (about)";
	}
}

static void draw_title(struct top_canvas *c, unsigned int row, const struct top_data *d, const struct top_state *st)
{
	time_t t = (time_t)(d->h->wall_time_ns / NS_PER_S);
	char clock[16], armed[24], text[32];
	unsigned int at, end = c->width > 8 ? c->width - 8 : 0;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%SZ", &tm);
	top_style_row(c, row, TOP_BOLD);
	at = top_putf(c, row, 0, TOP_BOLD, "memprobe top  ");
	at = top_put(c, row, at, c->width > 70 ? 40 : 24, TOP_BOLD, d->who);
	if (c->width >= 60)
		at = top_putf(c, row, at, TOP_BOLD, "  %s", clock);
	if (c->width >= 76)
		at = top_putf(c, row, at, TOP_BOLD, "  armed %s", units_format_duration(armed, d->h->now.time_ns));
	if (d->h->machine.is_there && c->width >= 90) {
		struct buf b = BUF_INIT;

		top_machine_title(&b, d->h);
		at = top_putf(c, row, at, TOP_BOLD, "  %s", b.data);
		buf_release(&b);
	}
	at = top_putf(c, row, at, d->h->watch.rung == RUNG_EXACT ? TOP_BOLD : TOP_WARN, "  %s",
		      how(d->p, &d->h->watch, text));
	snprintf(text, sizeof(text), "  lost %llu", (unsigned long long)d->h->lost_events);
	if (at + strlen(text) <= c->width || d->h->lost_events)
		at = top_put(c, row, at, c->width, d->h->lost_events ? TOP_BAD : TOP_BOLD, text);
	if (st->is_paused)
		at = top_putf(c, row, at, TOP_WARN, "  PAUSED");
	if (at + 1 < end + 2)
		top_putf(c, row, end + 2, TOP_BOLD, "? help");
}

static void add_sums(struct buf *b, const struct history *h)
{
	double rss = 0, swap = 0;
	size_t i;

	for (i = 0; i < h->n_procs; i++) {
		if (h->procs[i].state != PROC_RUNNING)
			continue;
		rss += (double)h->procs[i].facts.rss_bytes;
		swap += (double)h->procs[i].facts.swap_bytes;
	}
	buf_adds(b, "RSS ");
	top_add_size(b, rss, false);
	if (swap > 0) {
		buf_adds(b, ", swap ");
		top_add_size(b, swap, false);
	}
}

/* The running process that meets its limit first; TOP_NONE: none does. */
static uint32_t first_full(const struct history *h, double *seconds)
{
	uint32_t best = TOP_NONE, i;

	*seconds = INFINITY;
	for (i = 0; i < h->n_procs; i++) {
		double s = h->procs[i].state == PROC_RUNNING ? top_full_in(h, i) : -1;

		if (s < 0 || s >= *seconds)
			continue;
		*seconds = s;
		best = i;
	}
	return best;
}

static void add_limit(struct buf *b, const struct top_data *d, bool with_limit)
{
	double seconds;
	uint32_t full = first_full(d->h, &seconds);
	const struct profile_facts *f;
	char size[16];

	if (full == TOP_NONE || seconds > 86400.0 * 365)
		return;
	f = &d->h->procs[full].facts;
	buf_adds(b, "   full in ");
	top_add_time(b, seconds);
	if (with_limit)
		buf_addf(b, " (%s, %s)", units_format_size(size, f->limit_bytes), profile_str(d->p, f->limit_name));
}

/* As the report has it: of its CPU, or of one where it has little work. */
static void add_cost(struct buf *b, const struct profile_watch *w)
{
	double counted = watch_counted_work(w);
	bool is_light = w->work < 0.8 * counted;
	double share = is_light ? w->share * w->work : w->share;

	if (w->share > 0)
		buf_addf(b, "   cost %.*f %% of %s", share < 0.095 ? 1 : 0, share * 100, is_light ? "a CPU" : "its CPU");
}

static void draw_summary(struct top_canvas *c, unsigned int row, const struct top_data *d, const struct top_state *st)
{
	enum history_base base = st->since_start ? HISTORY_START : HISTORY_RECENT;
	double memory = history_rate(d->h, &d->h->memory, base), heap = history_rate(d->h, &d->h->heap, base);
	struct buf b = BUF_INIT;

	if (d->h->machine.is_there) {
		top_machine_summary(&b, d->h, base, c->width);
		top_put(c, row, 0, c->width, TOP_PLAIN, b.data);
		buf_release(&b);
		return;
	}
	add_sums(&b, d->h);
	buf_adds(&b, "   memory ");
	top_add_rate(&b, memory);
	buf_adds(&b, " MiB/min");
	if (c->width >= 60 && has_heap(d->p)) {
		buf_adds(&b, "   heap ");
		top_add_rate(&b, heap);
		buf_adds(&b, c->width >= 76 ? " MiB/min" : "");
	}
	if (c->width >= 72)
		add_limit(&b, d, c->width >= 126);
	if (c->width >= 96)
		add_cost(&b, &d->h->watch);
	top_put(c, row, 0, c->width, TOP_PLAIN, b.data);
	buf_release(&b);
}

static const char *const sort_words[][2] = {
	[TOP_BY_GROWTH] = { "growth", "growth" },
	[TOP_BY_BYTES] = { "bytes", "bytes grown" },
	[TOP_BY_ALIVE] = { "share alive", "share alive" },
	[TOP_BY_COUNT] = { "blocks made", "blocks made" },
};

static void add_order(struct buf *b, const struct history *h, const struct top_state *st)
{
	enum history_base base = st->since_start ? HISTORY_START : HISTORY_RECENT;
	char time[24];

	buf_addf(b, "by %s, ", sort_words[st->sort][st->since_start]);
	units_format_duration(time, ns_of(history_seconds(h, base)));
	if (!st->since_start)
		buf_addf(b, "last %s", time);
	else if (h->n_marks)
		buf_addf(b, "since mark %zu, %s", h->n_marks, time);
	else
		buf_addf(b, "since start, %s", time);
	if (*st->filter && !st->is_typing)
		buf_addf(b, ", only /%s", st->filter);
}

static unsigned int draw_series(struct top_canvas *c, unsigned int row, unsigned int at, unsigned int width,
				const char *name, const struct series *s, const struct history *h)
{
	double now_s = (double)h->now.time_ns * 1e-9;

	at = top_putf(c, row, at, TOP_PLAIN, "%s ", name);
	top_spark(c, row, at, width, s, now_s > SPARK_S ? now_s - SPARK_S : 0, now_s);
	return at + width;
}

/* Memory and heap over time, and what the table is sorted by at the right. */
static void draw_over_time(struct top_canvas *c, unsigned int row, const struct top_data *d, const struct top_state *st)
{
	struct buf b = BUF_INIT;
	unsigned int width, at;

	add_order(&b, d->h, st);
	width = c->width > b.len + 26 ? (unsigned int)(c->width - b.len - 20) / 2 : 0;
	width = width > 24 ? 24 : width;
	if (width >= 6) {
		at = draw_series(c, row, 0, width, d->h->machine.is_there ? "RAM" : "memory", &d->h->memory, d->h);
		if (has_heap(d->p))
			draw_series(c, row, at + 2, width, "heap", &d->h->heap, d->h);
	}
	if (b.len < c->width)
		top_put(c, row, c->width - (unsigned int)b.len, c->width, TOP_DIM, b.data);
	else
		top_put(c, row, 0, c->width, TOP_DIM, b.data);
	buf_release(&b);
}

static void draw_verdict(struct top_canvas *c, unsigned int row, const char *verdict)
{
	bool is_bad = !strncmp(verdict, "LEAK", 4) || !strncmp(verdict, "GROWING", 7);

	top_put(c, row, 0, c->width, is_bad ? TOP_BAD : TOP_BOLD, verdict);
}

/* ---- the middle ---- */

static uint32_t *ids_of(const struct top_rows *r)
{
	uint32_t *ids = xcalloc(r->n + 1, sizeof(*ids));
	size_t i;

	for (i = 0; i < r->n; i++)
		ids[i] = r->v[i].id;
	return ids;
}

/* The cursor's row; NULL without one. */
static const struct top_row *place(struct top_list *l, const struct top_rows *r, struct top_area a)
{
	uint32_t *ids = ids_of(r);
	const struct top_row *row;

	top_list_place(l, ids, r->n, a.height > 1 ? a.height - 1 : 0);
	free(ids);
	row = r->n ? &r->v[l->at] : NULL;
	l->pid = row ? row->pid : 0;
	l->tree = row && row->tree && row->tree->row.n_procs > 1 ? row->tree->row.pid : 0;
	return row;
}

static void draw_separator(struct top_canvas *c, unsigned int row, const char *text)
{
	unsigned int at = top_putf(c, row, 0, TOP_DIM, "--- ");

	at = top_put(c, row, at, c->width, TOP_BOLD, text);
	top_put(c, row, at, 1, TOP_DIM, " ");
	for (at++; at < c->width; at++)
		top_put(c, row, at, 1, TOP_DIM, "-");
}

static void add_limit_of(struct buf *b, const struct top_data *d, uint32_t proc)
{
	const struct profile_facts *f = &d->h->procs[proc].facts;
	struct amount_unit unit = unit_for(f->limit_bytes);

	if (f->limit_bytes && f->limit_bytes != UINT64_MAX)
		buf_addf(b, " --- %s %.1f of %.1f %s", profile_str(d->p, f->limit_name),
			 (double)f->limit_used_bytes / (double)unit.bytes, (double)f->limit_bytes / (double)unit.bytes,
			 unit.name);
}

/* "4242 gatewayd --- 391 stacks, 173.2 MiB live, older -0.3 MiB --- gateway.service 6.0 of 8.0 GiB" */
static void add_heap(struct buf *b, const struct top_data *d, uint32_t proc, const struct top_rows *r)
{
	int64_t old = 0;
	size_t i;

	for (i = 0; i < d->h->n_procs; i++)
		if (proc == TOP_NONE || proc == i)
			old += d->h->procs[i].old_bytes;
	if (proc == TOP_NONE)
		buf_adds(b, "all processes");
	else
		buf_addf(b, "%d %s%s", d->p->procs[proc].tgid, profile_str(d->p, d->p->procs[proc].comm),
			 d->h->procs[proc].state == PROC_RUNNING ? "" :
			 d->h->procs[proc].state == PROC_DROPPED ? " (no probes now)" : " (ended)");
	buf_addf(b, " --- %zu stack%s, ", r->n, r->n == 1 ? "" : "s");
	top_add_size(b, r->sum.bytes, false);
	buf_adds(b, " live");
	if (old) {
		buf_adds(b, ", older ");
		top_add_size(b, (double)old, true);
	}
	if (proc != TOP_NONE)
		add_limit_of(b, d, proc);
}

/* Of a process that nobody has probed there is this to be said. */
static void draw_unprobed(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_row *row)
{
	struct buf b = BUF_INIT;

	if (row->pid)
		buf_addf(&b, "%d ", row->pid);
	top_add_row_name(&b, d->p, row);
	if (row->tree && *profile_str(d->p, row->tree->row.group))
		buf_addf(&b, " --- %s", profile_str(d->p, row->tree->row.group));
	draw_separator(c, a.row + 1, b.data);
	if (row->pid)
		top_putf(c, a.row + 2, 2, TOP_DIM, "seen by /proc alone: h puts heap probes there, and its stacks show here");
	buf_release(&b);
}

static void draw_pane(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_state *st,
		      const struct top_row *row)
{
	uint32_t proc = row ? row->proc : TOP_NONE;
	struct top_rows r;
	struct buf b = BUF_INIT;

	if (!row || a.height < LEAST_PANE)
		return;
	if (proc == TOP_NONE) {
		draw_unprobed(c, a, d, row);
		return;
	}
	top_rows_stacks(&r, d->p, d->h, st, proc);
	add_heap(&b, d, proc, &r);
	draw_separator(c, a.row + 1, b.data);
	top_table(c, (struct top_area){ a.row + 2, a.height - 2 }, d, st, top_stack_columns, &r, 0, SIZE_MAX);
	top_rows_release(&r);
	buf_release(&b);
}

/* Trees that are not on the screen are among the others, so that the column adds up. */
static void add_unseen(struct top_rows *fixed, struct history_tree *others, const struct top_rows *trees, size_t first, size_t n)
{
	struct top_row *to = NULL;
	size_t i;

	for (i = 0; i < fixed->n && !to; i++)
		if (fixed->v[i].tree->row.kind == MACHINE_OTHERS)
			to = &fixed->v[i];
	if (!to)
		return;
	*others = *to->tree;
	to->tree = others;
	for (i = 0; i < trees->n; i++) {
		if ((i >= first && i < first + n) || trees->v[i].member)
			continue;
		others->row.n_procs += trees->v[i].tree->row.n_procs;
		to->bytes += trees->v[i].bytes;
		to->rate += trees->v[i].rate;
		to->change += trees->v[i].change;
	}
}

/* Processes, and below them what is none, which stays there. The row under the cursor. */
static const struct top_row *draw_list(struct top_canvas *c, struct top_area a, const struct top_data *d,
				       struct top_list *l, const struct top_state *st, struct top_rows *r)
{
	const struct top_column *columns = d->h->machine.is_there ? top_machine_columns : top_process_columns;
	size_t n_fixed = a.height > r->n || a.height > r->n_fixed + LEAST_LIST ? r->n_fixed : 0;
	struct top_rows fixed = { .v = r->v + r->n - r->n_fixed, .n = n_fixed };
	struct top_area trees = { a.row, a.height - (unsigned int)n_fixed };
	struct history_tree others;
	const struct top_row *row;

	r->n -= r->n_fixed;
	row = place(l, r, trees);
	l->opens = row ? row->proc : TOP_NONE;
	trees.height = r->n + 1 < trees.height ? (unsigned int)r->n + 1 : trees.height;
	add_unseen(&fixed, &others, r, l->first, trees.height ? trees.height - 1 : 0);
	top_table(c, trees, d, st, columns, r, l->first, l->at);
	top_table_rows(c, (struct top_area){ trees.row + trees.height, (unsigned int)n_fixed }, d, st, columns, &fixed, 0,
		       SIZE_MAX);
	return row;
}

static void draw_processes(struct top_canvas *c, struct top_area a, const struct top_data *d, struct top_state *st)
{
	const struct top_row *row;
	struct top_area list = a;
	struct top_rows r;

	top_rows_procs(&r, d->p, d->h, st);
	if (a.height >= 2 + LEAST_PANE) {
		unsigned int most = a.height - LEAST_PANE > a.height / 2 ? a.height / 2 : a.height - LEAST_PANE;

		list.height = r.n + 1 < most ? (unsigned int)r.n + 1 : most;
	}
	row = draw_list(c, list, d, &st->lists[TOP_PROCESSES], st, &r);
	if (!r.n && a.height > 1)
		top_put(c, a.row + 1, 2, c->width, TOP_DIM, *st->filter ? "nothing matches" : "no process yet");
	else
		draw_pane(c, (struct top_area){ a.row + list.height, a.height - list.height }, d, st, row);
	top_rows_release(&r);
}

static void draw_stacks(struct top_canvas *c, struct top_area a, const struct top_data *d, struct top_state *st)
{
	struct top_list *l = &st->lists[TOP_STACKS];
	uint32_t proc = st->all_stacks ? TOP_NONE : st->proc;
	struct buf b = BUF_INIT;
	struct top_rows r;

	top_rows_stacks(&r, d->p, d->h, st, proc);
	if (proc == TOP_NONE)
		buf_adds(&b, "all processes");
	else
		add_heap(&b, d, proc, &r);
	draw_separator(c, a.row, b.data);
	a = (struct top_area){ a.row + 1, a.height - 1 };
	place(l, &r, a);
	l->opens = l->id;
	top_table(c, a, d, st, top_stack_columns, &r, l->first, l->at);
	if (!r.n && a.height > 1)
		top_put(c, a.row + 1, 2, c->width, TOP_DIM,
			*st->filter ? "nothing matches" : "nothing allocated yet");
	top_rows_release(&r);
	buf_release(&b);
}

/* ---- the end ---- */

static const char *const long_keys[] = {
	"enter open  esc back  tab all stacks  g b a c sort (twice: since start or mark)  / filter  p pause",
	"m mark  s save recording  f flame graph to a file  ? help  q quit and print the report",
};
static const char *const machine_keys[] = {
	"enter open  esc back  + tree  h heap probes  g b a c sort (twice: since start)  / filter  p pause",
	"tab all stacks  m mark  s save recording  f flame graph to a file  ? help  q quit with the report",
};
static const char *const middle_keys[] = {
	"enter open  esc back  tab all  g b a c sort (twice: since start)  / filter",
	"p pause  m mark  s save  f flame graph  ? help  q quit with the report",
};
static const char *const short_keys[] = { "enter open  esc back  g b a c sort  ? help  q quit", "? help  q quit" };

static void draw_end(struct top_canvas *c, unsigned int row, const struct top_data *d, const struct top_state *st)
{
	const char *const *keys = c->width < 100 ? middle_keys : d->h->machine.is_there ? machine_keys : long_keys;

	if (st->is_typing)
		top_putf(c, row, 0, TOP_BOLD, "filter: %s_   (enter keeps it, esc leaves it)", st->filter);
	else
		top_put(c, row, 0, c->width, TOP_WARN, d->message);
	if (c->height - row > 2 && c->width >= 76) {
		top_put(c, row + 1, 0, c->width, TOP_DIM, keys[0]);
		top_put(c, row + 2, 0, c->width, TOP_DIM, keys[1]);
	} else {
		top_put(c, row + 1, 0, c->width, TOP_DIM, short_keys[c->width < 52]);
	}
}

/* ---- too small ---- */

static void draw_tiny(struct top_canvas *c, const struct top_data *d, struct top_state *st)
{
	struct top_rows r;
	struct buf b = BUF_INIT;

	top_putf(c, 0, 0, TOP_BOLD, "memprobe top");
	top_putf(c, 1, 0, TOP_PLAIN, "%ux%u is too small", c->width, c->height);
	top_putf(c, 2, 0, TOP_PLAIN, "%ux%u shows more", TOP_LEAST_WIDTH, TOP_LEAST_HEIGHT);
	top_rows_procs(&r, d->p, d->h, st);
	top_add_rate(&b, r.sum.rate);
	buf_adds(&b, " MiB/min");
	top_put(c, 3, 0, c->width, TOP_BOLD, b.data);
	top_putf(c, 4, 0, TOP_DIM, "q quit");
	top_rows_release(&r);
	buf_release(&b);
}

void top_view_draw(struct top_canvas *c, const struct top_data *d, struct top_state *st)
{
	unsigned int n_keys = c->height >= TALL && c->width >= 76 ? 2 : 1, end = 0;
	struct top_area a = { .row = 2 };

	top_canvas_clear(c, c->width, c->height);
	if (c->width < TOP_LEAST_WIDTH || c->height < TOP_LEAST_HEIGHT) {
		draw_tiny(c, d, st);
		return;
	}
	end = c->height - 1 - n_keys;
	draw_title(c, 0, d, st);
	draw_summary(c, 1, d, st);
	if (c->height >= SHORT)
		draw_over_time(c, a.row++, d, st);
	if (c->height >= MIDDLE && *d->verdict)
		draw_verdict(c, a.row++, d->verdict);
	if (c->height >= TALL)
		a.row++;
	a.height = end - a.row;
	if (st->shows_help)
		top_help(c, a);
	else if (st->depth == TOP_PROCESSES)
		draw_processes(c, a, d, st);
	else if (st->depth == TOP_STACKS)
		draw_stacks(c, a, d, st);
	else
		top_frames(c, a, d, st);
	draw_end(c, end, d, st);
}
