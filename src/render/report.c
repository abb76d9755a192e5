/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report, for a person on call: verdict first, then who, what, where, and how far to trust it.
 *
 *	GROWING   gatewayd (pid 4242): heap grows 85.8 MiB/min (83.0 to 89.2)
 *	          97 % of it at one call site: #1 SessionCache::insert
 *	...
 *	trust  lost 0; stacks complete 99.98 %
 *
 * What is called a leak, and why: model/verdict.h. At most REPORT_LINES lines without -v, none wider than the
 * screen; what comes from other files is a row in the table of sections below.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/formats.h"
#include "render/machine_text.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

static void nothing_live(struct buf *out, const struct profile *p, const struct heap_net *h)
{
	char n[32];

	if (h->live_blocks)
		return;
	units_format_count(n, p->cost.probe_hits);
	if (p->cost.probe_hits)
		buf_addf(out, "          nothing allocated in the window was kept; %s calls were seen, so the probes work\n", n);
	else
		buf_adds(out, "          no allocator call was made in the window\n");
}

/* ---- the sections, in their order ---- */

static void add_verdict(struct buf *out, const struct report *r)
{
	struct heap_net h = heap_net_of(r->p, UINT32_MAX);

	verdict_add(out, r->p, r->o);
	if (r->terse < 2)
		report_add_losses(out, r->p, "          ");
	nothing_live(out, r->p, &h);
}

static void add_why(struct buf *out, const struct report *r)
{
	static const unsigned int most[] = { UINT_MAX, 3, 1, 1 };

	/* "strong evidence" are three kinds of it */
	verdict_add_why(out, r->p, r->o, r->terse ? 3 : UINT_MAX,
			most[r->terse <= REPORT_TERSEST ? r->terse : REPORT_TERSEST]);
}

/*
 * One row each. hang: the column at which a line that is too long goes on; 0: it is cut. least: lines of it that
 * even the tersest report keeps; utmost: those where that is still too long. says_more: where lines are left after all,
 * these may have them. The table of stacks takes what the others leave.
 */
static const struct report_section {
	void (*add)(struct buf *out, const struct report *r);
	unsigned int hang, least, utmost;
	bool is_table, says_more;
} sections[] = {
	{ .add = report_deaths, .hang = 10, .least = 4, .utmost = 4 },
	{ .add = add_verdict, .hang = 10, .least = 7, .utmost = 7, .says_more = true },
	{ .add = add_why, .hang = 7, .least = 7, .utmost = 7, .says_more = true },
	{ .add = report_targets, .hang = 8, .least = 5, .utmost = 2 },
	{ .add = report_runtimes, .hang = 8, .least = 4, .utmost = 2 },
	{ .add = report_window, .hang = 8, .least = 2, .utmost = 1 },
	{ .add = report_peak, .hang = 8, .least = 1 },
	{ .add = report_rss, .hang = 8, .least = 1 },
	{ .add = report_marks, .hang = 0, .least = 6, .utmost = 6 },
	{ .add = report_holders, .hang = 8, .least = 8, .utmost = 6 },
	{ .add = report_objects, .hang = 0, .least = 4, .utmost = 4 },
	{ .add = report_libraries, .hang = 0, .least = 8, .utmost = 8 },
	{ .add = report_workers, .hang = 0, .least = 7, .utmost = 7 },
	{ .add = report_bridge, .hang = 0, .least = 14, .utmost = 14, .says_more = true },
	{ .add = report_bumps, .hang = 0, .least = 4, .utmost = 4 },
	{ .add = report_table, .hang = 0, .is_table = true },
	{ .add = report_trust, .hang = 8, .least = 3, .utmost = 2 },
	{ .add = report_cost, .hang = 8, .least = 2, .utmost = 1 },
	{ .add = report_blind, .hang = 8, .least = 2, .utmost = 2 },
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* One at its width. The lines that it takes. */
static unsigned int add_section(struct buf *text, const struct report *r, const struct report_section *s, unsigned int most)
{
	struct buf b = BUF_INIT;

	buf_reset(text);
	s->add(&b, r);
	text_fit_in(text, b.data, r->columns, s->hang, most == UINT_MAX ? most : most + (b.data[0] == '\n'));
	buf_release(&b);
	return text_lines(text->data);
}

/* All but the table. */
static unsigned int add_sections(struct buf *texts, const struct report *r)
{
	unsigned int lines = 0;
	size_t i;

	for (i = 0; i < N_SECTIONS; i++)
		if (!sections[i].is_table)
			lines += add_section(&texts[i], r, &sections[i], r->terse == REPORT_TERSEST ? sections[i].least : UINT_MAX);
	return lines;
}

/*
 * Even that may be too long: from the end of the report on each says as little as it can. Those that may say more give
 * way after all others.
 */
static unsigned int say_least(struct buf *texts, const struct report *r, unsigned int lines)
{
	struct report briefer = *r;
	unsigned int wants = report_table_wants(r);
	size_t n, i;

	briefer.room = REPORT_NO_ROOM;
	for (n = 2 * N_SECTIONS; n-- > 0 && lines + wants > REPORT_LINES;) {
		i = n % N_SECTIONS;
		if (sections[i].is_table || sections[i].says_more == (n >= N_SECTIONS))
			continue;
		lines -= text_lines(texts[i].data);
		lines += add_section(&texts[i], &briefer, &sections[i], sections[i].utmost);
	}
	return lines;
}

/* The memory from before the attach, and why it is called what it is, are worth more than small stacks. */
static unsigned int say_more(struct buf *texts, const struct report *r, unsigned int lines)
{
	unsigned int wants = report_table_wants(r), more;
	struct buf b = BUF_INIT;
	size_t i;

	for (i = N_SECTIONS; i-- > 0;) {
		struct report fuller = *r;

		fuller.room = REPORT_MORE_ROOM;
		for (fuller.terse = 0; sections[i].says_more && fuller.terse <= r->terse; fuller.terse++) {
			more = lines - text_lines(texts[i].data) + add_section(&b, &fuller, &sections[i], UINT_MAX);
			if (more + wants > REPORT_LINES)
				continue;
			buf_reset(&texts[i]);
			buf_add(&texts[i], b.data, b.len);
			lines = more;
			break;
		}
	}
	buf_release(&b);
	return lines;
}

/* As much as fits: sections say less until the table has room for the stacks that matter. */
static void fit_sections(struct buf *texts, struct report *r)
{
	unsigned int lines;
	struct buf b = BUF_INIT;
	size_t i;

	for (r->terse = 0;; r->terse++) {
		lines = add_sections(texts, r);
		if (r->o->all_frames || r->terse == REPORT_TERSEST || lines + report_table_wants(r) <= REPORT_LINES)
			break;
	}
	if (!r->o->all_frames)
		lines = say_more(texts, r, say_least(texts, r, lines));
	r->lines = r->o->all_frames ? UINT_MAX : lines < REPORT_LINES ? REPORT_LINES - lines : 0;
	for (i = 0; i < N_SECTIONS; i++) {
		if (!sections[i].is_table)
			continue;
		sections[i].add(&b, r);
		text_fit(&texts[i], b.data, r->columns, 0);
	}
	buf_release(&b);
}

static void add_all_sections(struct buf *all, struct report *r)
{
	struct buf texts[N_SECTIONS];
	size_t i;

	for (i = 0; i < N_SECTIONS; i++)
		buf_init(&texts[i]);
	fit_sections(texts, r);
	for (i = 0; i < N_SECTIONS; i++) {
		buf_add(all, texts[i].data, texts[i].len);
		buf_release(&texts[i]);
	}
}

void report_finish(struct buf *out, struct buf *text, const struct render_opts *o)
{
	if (o->ascii)
		text_to_ascii(text);
	if (o->color)
		text_paint(out, text->data);
	else
		buf_add(out, text->data, text->len);
}

void render_report(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct report r = { .p = p, .table_p = p, .o = o, .columns = o->columns ? o->columns : REPORT_COLUMNS };
	struct profile view = { 0 };
	struct buf all = BUF_INIT;

	if (r.columns < REPORT_LEAST_COLUMNS)
		r.columns = REPORT_LEAST_COLUMNS;
	if (metric_needs_view(o->metric)) {
		profile_metric_view(&view, p, o->metric);
		r.table_p = &view;
	}
	if (p->machine.is_there)
		report_machine(&all, &r);
	else
		add_all_sections(&all, &r);
	free(view.stacks);
	report_finish(out, &all, o);
	buf_release(&all);
}

/* Every line begins with the program's name, as all of stderr does. */
void report_summary(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	struct buf b = BUF_INIT;
	const char *line, *end;

	if (p->machine.is_there) {
		machine_add_head(&b, p);
	} else {
		report_add_deaths(&b, p);
		verdict_add(&b, p, o);
		nothing_live(&b, p, &h);
	}
	buf_addf(&b, "lost %llu\n", (unsigned long long)profile_lost_events(p));
	report_add_losses(&b, p, "");
	if (!p->machine.is_there)
		report_add_blind(&b, p, "");
	for (line = b.data; *line; line = end + 1) {
		end = strchr(line, '\n');
		buf_addf(out, "memprobe: %.*s\n", (int)(end - line), line);
	}
	buf_release(&b);
}
