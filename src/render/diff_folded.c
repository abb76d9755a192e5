/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A comparison for flame graph tools that draw differences: two columns, A and B (flamegraph.pl takes widths from B and
 * colours from the difference). Stacks with the same value on both sides are in it, too.
 *
 *	gatewayd-4242;main;EventLoop::run;SessionCache::insert;malloc 14544000 43632000
 *
 * Of two runs the values are per second, and processes have no number.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/folded_text.h"
#include "render/formats.h"

struct line {
	char *text;
	uint64_t a, b;
};

static int by_text(const void *x, const void *y)
{
	return strcmp(((const struct line *)x)->text, ((const struct line *)y)->text);
}

static uint64_t distance(const struct line *l)
{
	return l->a > l->b ? l->a - l->b : l->b - l->a;
}

static int by_change(const void *x, const void *y)
{
	uint64_t a = distance(x), b = distance(y);

	return a != b ? (a > b ? -1 : 1) : by_text(x, y);
}

static size_t merge_equal(struct line *v, size_t n)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (o && !strcmp(v[o - 1].text, v[i].text)) {
			v[o - 1].a += v[i].a;
			v[o - 1].b += v[i].b;
			free(v[i].text);
		} else {
			v[o++] = v[i];
		}
	}
	return o;
}

void render_diff_folded(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	struct line *v = xcalloc(d->profile.n_stacks + 1, sizeof(*v));
	size_t n = 0, i;

	for (i = 0; i < d->profile.n_stacks; i++) {
		struct line l = { .a = diff_value(d, DIFF_A, i, o->metric), .b = diff_value(d, DIFF_B, i, o->metric) };

		if ((!l.a && !l.b) || distance(&l) < o->min_bytes)
			continue;
		l.text = folded_text(&d->profile, &d->profile.stacks[i]);
		v[n++] = l;
	}
	qsort(v, n, sizeof(*v), by_text);
	n = merge_equal(v, n);
	qsort(v, n, sizeof(*v), by_change);
	for (i = 0; i < n; i++) {
		buf_addf(out, "%s %llu %llu\n", v[i].text, (unsigned long long)v[i].a, (unsigned long long)v[i].b);
		free(v[i].text);
	}
	free(v);
}
