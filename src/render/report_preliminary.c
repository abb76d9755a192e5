/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the report's table knows while the run goes on; see app/preliminary.h.
 *
 *	PRELIMINARY, 7.0 s of 30 s   gatewayd grows 84.1 MiB/min; #1 SessionCache::insert 96 %   ^C ends
 *
 * No verdict: that is the end's. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"

static void add_who(struct buf *out, const struct profile *p)
{
	if (p->n_procs != 1) {
		buf_addf(out, "%zu processes", p->n_procs);
		return;
	}
	buf_add_printable(out, profile_str(p, p->procs[0].comm), strlen(profile_str(p, p->procs[0].comm)));
}

static void add_head(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o)
{
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	int64_t rate = per_minute(p, h.bytes);
	struct amount_unit u = unit_for((uint64_t)llabs(rate));
	struct render_opts live = o->render;
	const struct profile_stack **s;
	char now[24], end[24], tenths[24];
	size_t n;

	buf_addf(out, "PRELIMINARY, %s", units_format_duration(now, p->window_ns));
	if (o->end_ns)
		buf_addf(out, " of %s", units_format_duration(end, o->end_ns));
	buf_adds(out, "   ");
	add_who(out, p);
	buf_addf(out, " %s %s %s/min", rate < 0 ? "shrinks" : "grows", format_tenths(tenths, in_tenths(llabs(rate), &u)),
		 u.name);
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
	add_head(&b, p, o);
	report_table(&b, &r);
	text_fit(&all, b.data, r.columns, 0);
	text_keep_lines(&all, o->lines);
	report_finish(out, &all, &o->render);
	buf_release(&b);
	buf_release(&all);
}
