/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One stack of `memprobe top`, frame by frame, with its figures; and the help. Pure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"
#include "render/top_internal.h"

/* ---- a stack ---- */

struct lines {
	char **v;
	size_t n, cap;
};

static void add_line(struct lines *l, struct buf *b)
{
	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = buf_detach(b);
	buf_init(b);
}

static void add_figures(struct lines *l, const struct top_data *d, uint32_t stack)
{
	struct history_stack s = history_stack(&d->h->now, stack);
	struct buf b = BUF_INIT;
	char count[32], size[16];

	top_add_size(&b, (double)s.live_bytes, false);
	if (s.deviation > 0) {
		buf_adds(&b, " +/- ");
		top_add_size(&b, s.deviation, false);
	}
	buf_addf(&b, " live in %s blocks", units_format_count(count, s.live_blocks));
	if (s.live_blocks)
		buf_addf(&b, ", %s on average", units_format_size(size, s.live_bytes / s.live_blocks));
	add_line(l, &b);
	buf_addf(&b, "%s allocated", units_format_size(size, s.alloc_bytes));
	buf_addf(&b, " in %s blocks since the start", units_format_count(count, s.alloc_blocks));
	add_line(l, &b);
}

static void add_change(struct lines *l, const struct top_data *d, uint32_t stack, enum history_base base, const char *since)
{
	struct history_stack then = history_stack(history_moment(d->h, base), stack);
	struct history_stack now = history_stack(&d->h->now, stack);
	double seconds = history_seconds(d->h, base);
	struct buf b = BUF_INIT;
	char time[24], count[32];

	if (seconds <= 0)
		return;
	top_add_rate(&b, ((double)now.live_bytes - (double)then.live_bytes) / seconds);
	buf_addf(&b, " MiB/min, %s blocks made", units_format_count(count, now.alloc_blocks - then.alloc_blocks));
	buf_addf(&b, " in %s (%s)", units_format_duration(time, (uint64_t)(seconds * (double)NS_PER_S)), since);
	add_line(l, &b);
}

/* Of the growth above. */
static void add_replaced(struct lines *l, const struct top_data *d, uint32_t stack)
{
	double share = history_replaced(d->h, stack) * 100;
	struct buf b = BUF_INIT;

	if (share < 1)
		return;
	buf_addf(&b, "%.0f %% of what lives took the place of older blocks of its sizes: it is no growth", share);
	add_line(l, &b);
}

static void add_frames(struct lines *l, const struct top_data *d, const struct profile_stack *s)
{
	const struct profile *p = d->p;
	struct buf b = BUF_INIT, mark = BUF_INIT;
	uint32_t i, own = top_own_frame(p, s);

	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		buf_addf(&b, "%c %3u  ", i == own ? '*' : ' ', i);
		add_short_name(&b, profile_str(p, f->name));
		if (*profile_str(p, f->file) && f->line)
			buf_addf(&b, "  %s:%u", profile_str(p, f->file), f->line);
		if (*profile_str(p, f->module) && *profile_str(p, f->name) != '[')
			buf_addf(&b, "  (%s)", profile_str(p, f->module));
		if (f->inlined)
			buf_adds(&b, "  inlined");
		add_line(l, &b);
	}
	if (*stack_mark(p, s, &mark)) {
		buf_addf(&b, "       %s", mark.data);
		add_line(l, &b);
	}
	buf_release(&mark);
	buf_release(&b);
}

void top_frames(struct top_canvas *c, struct top_area a, const struct top_data *d, struct top_state *st)
{
	const struct profile_stack *s = &d->p->stacks[st->stack];
	struct top_list *list = &st->lists[TOP_FRAMES];
	struct lines l = { 0 };
	size_t i, page = a.height > 1 ? a.height - 1 : 0;

	add_figures(&l, d, st->stack);
	add_change(&l, d, st->stack, HISTORY_RECENT, "the last");
	add_change(&l, d, st->stack, HISTORY_START, d->h->n_marks ? "since the mark" : "since the start");
	add_replaced(&l, d, st->stack);
	add_frames(&l, d, s);
	/* no cursor: keys scroll, and at the end there is nothing more to see */
	list->n = l.n > page ? l.n - page + 1 : 1;
	list->page = page;
	list->at = list->at < list->n ? list->at : list->n - 1;
	list->first = list->at;
	top_style_row(c, a.row, TOP_BAR);
	top_putf(c, a.row, 1, TOP_BAR, "%s %d, one stack: innermost frame first, * where your code begins",
		 profile_str(d->p, d->p->procs[s->proc].comm), d->p->procs[s->proc].tgid);
	for (i = list->first; i < l.n && i - list->first < page; i++)
		top_put(c, a.row + 1 + (unsigned int)(i - list->first), 1, c->width, l.v[i][0] == '*' ? TOP_BOLD : TOP_PLAIN,
			l.v[i]);
	for (i = 0; i < l.n; i++)
		free(l.v[i]);
	free(l.v);
}

/* ---- help ---- */

static const char *const help[] = {
	"enter  open: process, its stacks, one stack    esc, backspace  back",
	"tab    the stacks of all processes             up down k j pgup pgdn home end",
	"g  by growth    b  by bytes    a  by share alive    c  by blocks made",
	"   pressed once: rates of the last minute; twice: since the last mark, or the start",
	"/  filter: part of a name (process, function, object)  p  pause, the run goes on",
	"m  mark: growth is counted from here                   s  save a recording here",
	"f  flame graph into a file here        q, ctrl-c  quit and print the report",
	"h  whole machine: heap probes into the process under the cursor, out again   +  its tree",
	"",
	"MEMORY  anonymous, shared and swapped      TREND  of it, since memprobe is armed",
	"LIVE    allocated since memprobe is armed and not freed      AGE  mean, of those",
	"ALIVE   of the blocks that lived early in the run, the share that still does: 100 % of a leak",
	"MADE/s  blocks allocated per second: what the probes cost goes with it",
};

void top_help(struct top_canvas *c, struct top_area a)
{
	size_t i;

	for (i = 0; i < sizeof(help) / sizeof(help[0]) && i < a.height; i++)
		top_put(c, a.row + (unsigned int)i, 1, c->width, TOP_PLAIN, help[i]);
}
