/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's block on what was allocated in a runtime's own heap (V8's), by the functions of its language. Rows
 * of one function are one; the line is that with most. Allocated is not alive: of a program that grows, the census
 * tells what stayed. Pure.
 *
 *	ALLOCATED IN V8'S OWN HEAP: 364.1 MiB, garbage too (by function: estimated from 1 456 samples)
 *	 273.0 MiB +/- 8.2 MiB    75 %  growTable  /srv/app/objects.js:14
 */
#include <math.h>
#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define MOST_ROWS 5

struct bump_row {
	const struct profile_frame *frame; /* NULL: no frame of the language */
	uint64_t bytes, draws, var, line_bytes;
	uint32_t line;
};

/* The innermost function of the language that is not the runtime's own; else the innermost. */
static const struct profile_frame *frame_of(const struct profile *p, const struct profile_stack *s)
{
	const struct profile_frame *own = NULL;
	uint32_t i;

	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		if (f->is_managed && f->class != FRAME_RUNTIME)
			return f;
		if (f->is_managed && !own)
			own = f;
	}
	return own;
}

static int by_function(const void *a, const void *b)
{
	const struct bump_row *x = a, *y = b;

	if (!x->frame || !y->frame)
		return (x->frame != NULL) - (y->frame != NULL);
	if (x->frame->name != y->frame->name)
		return x->frame->name < y->frame->name ? -1 : 1;
	if (x->frame->file != y->frame->file)
		return x->frame->file < y->frame->file ? -1 : 1;
	return x->frame->line < y->frame->line ? -1 : x->frame->line > y->frame->line;
}

static int by_bytes(const void *a, const void *b)
{
	const struct bump_row *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return by_function(a, b);
}

static bool is_same_function(const struct bump_row *x, const struct bump_row *y)
{
	if (!x->frame || !y->frame)
		return x->frame == y->frame;
	return x->frame->name == y->frame->name && x->frame->file == y->frame->file;
}

/* Rows in order of functions and lines: those of a line first, then those of a function. */
static size_t merge(struct bump_row *v, size_t n, bool (*is_same)(const struct bump_row *x, const struct bump_row *y))
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		struct bump_row *last = kept ? &v[kept - 1] : NULL;

		if (!last || !is_same(last, &v[i])) {
			v[kept++] = v[i];
			continue;
		}
		last->bytes += v[i].bytes;
		last->draws += v[i].draws;
		last->var += v[i].var;
		if (v[i].line_bytes > last->line_bytes) {
			last->line_bytes = v[i].line_bytes;
			last->line = v[i].line;
		}
	}
	return kept;
}

static bool is_same_line(const struct bump_row *x, const struct bump_row *y)
{
	return !by_function(x, y);
}

static size_t rows_of(const struct profile *p, struct bump_row *v)
{
	size_t i, n = 0;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		if (!s->bump_bytes)
			continue;
		v[n] = (struct bump_row){ .frame = frame_of(p, s), .bytes = s->bump_bytes, .draws = s->bump_draws, .var = s->bump_var };
		v[n].line = v[n].frame ? v[n].frame->line : 0;
		n++;
	}
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), by_function);
	n = merge(v, n, is_same_line);
	for (i = 0; i < n; i++)
		v[i].line_bytes = v[i].bytes;
	n = merge(v, n, is_same_function);
	qsort(v, n, sizeof(*v), by_bytes);
	return n;
}

static void add_row(struct buf *out, const struct profile *p, const struct bump_row *row, uint64_t all)
{
	char bytes[16], doubt[16];
	double sd = sqrt((double)row->var * MP_VAR_UNIT);

	buf_addf(out, "%10s +/- %-9s %3.0f %%  ", units_format_size(bytes, row->bytes), units_format_size(doubt, (uint64_t)sd),
		 100.0 * (double)row->bytes / (double)all);
	if (!row->frame) {
		buf_adds(out, "(no function of the language: the runtime's own)\n");
		return;
	}
	add_short_name(out, profile_str(p, row->frame->name));
	if (*profile_str(p, row->frame->file)) {
		buf_adds(out, "  ");
		buf_add_plain(out, profile_str(p, row->frame->file));
	}
	if (row->line)
		buf_addf(out, ":%u", row->line);
	buf_addc(out, '\n');
}

void report_bumps(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	struct bump_row *v = xcalloc(p->n_stacks + 1, sizeof(*v));
	size_t n = rows_of(p, v), i, most = r->o->all_frames ? n : MOST_ROWS - r->terse;
	uint64_t all = 0, draws = 0;
	char sum[16], count[32];

	for (i = 0; i < n; i++) {
		all += v[i].bytes;
		draws += v[i].draws;
	}
	if (n)
		buf_addf(out, "\nALLOCATED IN V8'S OWN HEAP: %s, garbage too (by function: estimated from %s samples)\n",
			 units_format_size(sum, all), units_format_count(count, draws));
	for (i = 0; i < n && i < most; i++)
		add_row(out, p, &v[i], all);
	free(v);
}
