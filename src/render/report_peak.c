/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's line on the moment at which most heap lived, and whose it was then; with COMMAND only. Pure.
 *
 *	peak    61.0 MiB lived at 1.2 s: 98 % by load_table, 1 % by read_line (all: -m peak-bytes)
 */
#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define MOST_NAMED 3

static int by_peak(const void *a, const void *b)
{
	const struct profile_stack *const *x = a, *const *y = b;

	if ((*x)->peak_bytes != (*y)->peak_bytes)
		return (*x)->peak_bytes > (*y)->peak_bytes ? -1 : 1;
	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

void report_peak(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	const struct profile_stack **v;
	char size[16], when[24];
	size_t i, n = 0;

	if (!p->peak.live_bytes)
		return;
	v = xcalloc(p->n_stacks + 1, sizeof(*v));
	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].peak_bytes)
			v[n++] = &p->stacks[i];
	qsort(v, n, sizeof(*v), by_peak);
	buf_addf(out, "peak    %s lived at %s", units_format_size(size, p->peak.live_bytes),
		 units_format_duration(when, p->peak.time_ns));
	for (i = 0; i < n && i < MOST_NAMED && v[i]->peak_bytes * 100 >= p->peak.live_bytes; i++) {
		buf_addf(out, "%s%.0f %% by ", i ? ", " : ": ",
			 100.0 * (double)v[i]->peak_bytes / (double)p->peak.live_bytes);
		add_short_name(out, own_frame_name(p, v[i]));
	}
	buf_adds(out, " (all: -m peak-bytes)\n");
	free(v);
}
