/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the report's table knows while the run goes on; see app/preliminary.h.
 *
 *	PRELIMINARY, 7.0 s of 30 s   gatewayd grows 84.1 MiB/min; #1 SessionCache::insert 96 %   ^C ends
 *
 * Of a whole machine its table of process trees. No verdict: that is the end's. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/machine_text.h"
#include "render/report_internal.h"

static void add_who(struct buf *out, const struct profile *p)
{
	if (p->n_procs != 1) {
		buf_addf(out, "%zu processes", p->n_procs);
		return;
	}
	buf_add_printable(out, profile_str(p, p->procs[0].comm), strlen(profile_str(p, p->procs[0].comm)));
}

static void add_time(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o)
{
	char now[24], end[24];

	buf_addf(out, "PRELIMINARY, %s", units_format_duration(now, p->window_ns));
	if (o->end_ns)
		buf_addf(out, " of %s", units_format_duration(end, o->end_ns));
	buf_adds(out, "   ");
}

static void add_rate(struct buf *out, int64_t rate)
{
	struct amount_unit u = unit_for((uint64_t)llabs(rate));
	char tenths[24];

	buf_addf(out, " %s %s %s/min", rate < 0 ? "shrinks" : "grows", format_tenths(tenths, in_tenths(llabs(rate), &u)),
		 u.name);
}

/* Rows of the machine's table that are not trees, and its head. */
#define OTHER_LINES 11u
#define MOST_TREES 5u

static void add_machine(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o)
{
	const struct machine_row *used = machine_row_of(&p->machine, MACHINE_USED);
	struct machine_headline h;
	unsigned int n_trees;

	machine_headline(&p->machine, &h);
	add_time(out, p, o);
	buf_adds(out, "memory in use");
	add_rate(out, per_minute(p, used ? used->growth_bytes : 0));
	if (h.grower) {
		buf_adds(out, "; most ");
		machine_add_name(out, p, h.grower);
	}
	buf_adds(out, "   ^C ends\n");
	n_trees = o->lines > OTHER_LINES ? o->lines - OTHER_LINES : 1;
	report_machine_rows(out, p, n_trees < MOST_TREES ? n_trees : MOST_TREES, o->render.columns);
}

static void add_head(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o)
{
	struct heap_net h = heap_growth_of(p);
	struct render_opts live = o->render;
	const struct profile_stack **s;
	size_t n;

	add_time(out, p, o);
	add_who(out, p);
	add_rate(out, per_minute(p, h.bytes));
	live.metric = METRIC_LIVE_BYTES;
	s = stacks_by_size(p, &live, &n);
	if (n && h.bytes > 0 && stack_net_bytes(s[0]) <= (uint64_t)h.bytes) {
		buf_adds(out, "; #1 ");
		add_short_name(out, own_frame_name(p, s[0]));
		buf_addf(out, " %llu %%", (unsigned long long)(stack_net_bytes(s[0]) * 100 / (uint64_t)h.bytes));
	}
	buf_adds(out, "   ^C ends\n");
	free(s);
}

void report_preliminary(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o)
{
	struct buf b = BUF_INIT, all = BUF_INIT;
	struct render_opts plain = o->render;
	struct report r = { .p = p, .table_p = p, .o = &plain, .terse = 1, .columns = plain.columns, .lines = o->lines - 1 };

	plain.all_frames = false;
	if (plain.metric >= METRIC_NR) /* what is first touched is told at the end */
		plain.metric = METRIC_LIVE_BYTES;
	if (p->machine.is_there) {
		add_machine(&b, p, o);
	} else {
		add_head(&b, p, o);
		report_table(&b, &r);
	}
	text_fit(&all, b.data, r.columns, 0);
	text_keep_lines(&all, o->lines);
	report_finish(out, &all, &o->render);
	buf_release(&b);
	buf_release(&all);
}
