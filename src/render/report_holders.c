/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's section on Erlang processes: what they hold, and the large binaries by the place that made them, so that
 * "every idle process holds one" and "each request leaks one" read differently. Pure.
 *
 *	erlang  241 Erlang processes: heaps 1.2 MiB, old heaps 33.0 MiB, binaries 60.4 MiB; +93.1 MiB in the window
 *	        => large binaries held by idle long-lived processes: answer from a short-lived process...
 *	      KiB    GROWTH      HEAP  OLD HEAP  BINARIES  COUNT  ERLANG PROCESS
 *	    308.5    +305.9       3.7       4.8     300.0      2  <0.80.0> feed:worker/2
 *	    OUTSTANDING  BINARIES   PROCS  BIN/PROC      AGE  WHERE
 *	       31.5 MiB       210     200      1.05     41 s  feed:encode/2 < feed:handle/2 < feed:worker/2
 *
 * AGE: half of them are older. PROCS and BIN/PROC are of those that a process was seen to hold.
 */
#include <stdio.h>

#include "base/units.h"
#include "render/holders_text.h"
#include "render/report_internal.h"

#define WHERE_COLUMN 54
#define MOST_ROWS 3
#define MOST_SITES 3
#define MOST_NAMES 2

static void add_site(struct buf *out, const struct report *r, const struct holder_site *s)
{
	char bytes[16], count[32], procs[32], age[24], each[24] = "-";

	if (s->holders)
		snprintf(each, sizeof(each), "%.2f", (double)s->held_blocks / (double)s->holders);
	buf_addf(out, "%15s %9s %7s %9s %8s  ", units_format_size(bytes, s->bytes), units_format_count(count, s->blocks),
		 units_format_count(procs, s->holders), each, units_format_duration(age, s->half_age_ms * NS_PER_MS));
	report_add_where(out, r->p, &r->p->stacks[s->stack], WHERE_COLUMN, r->columns, r->terse ? 1 : 2);
}

static void add_sites(struct buf *out, const struct report *r, size_t most)
{
	const struct holders *h = &r->p->holders;
	size_t i;

	if (!h->n_sites || !most)
		return;
	buf_addf(out, "%15s %9s %7s %9s %8s  WHERE\n", "OUTSTANDING", "BINARIES", "PROCS", "BIN/PROC", "AGE");
	for (i = 0; i < h->n_sites && i < most; i++)
		add_site(out, r, &h->sites[i]);
}

void report_holders(struct buf *out, const struct report *r)
{
	const struct holders *h = &r->p->holders;
	enum holder_advice advice;
	uint64_t grown;

	if (!h->is_there)
		return;
	buf_adds(out, "\nerlang  ");
	holders_add_sum(out, h);
	buf_addc(out, '\n');
	advice = holder_advice_of(h, &grown);
	if (advice)
		buf_addf(out, "        => %s\n", holder_advice_text(advice));
	if (r->terse < REPORT_TERSEST)
		holders_add_rows(out, h, &r->p->strings, r->o->all_frames ? HOLDERS_ROWS : MOST_ROWS - r->terse);
	holders_add_names(out, h, &r->p->strings, r->o->all_frames ? HOLDERS_NAMES : r->terse ? 1 : MOST_NAMES);
	add_sites(out, r, r->o->all_frames ? HOLDERS_SITES : MOST_SITES - (r->terse < 3 ? r->terse : 2));
}
