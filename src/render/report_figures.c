/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Figures of the report: units, names, sums, order. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

struct amount_unit unit_for(uint64_t largest)
{
	if (largest >= 10 * GIB)
		return (struct amount_unit){ "GiB", GIB };
	if (largest >= 10 * MIB / 10)
		return (struct amount_unit){ "MiB", MIB };
	return (struct amount_unit){ "KiB", KIB };
}

int64_t in_tenths(int64_t bytes, const struct amount_unit *u)
{
	int64_t half = (int64_t)(u->bytes / 2);

	return (bytes * 10 + (bytes < 0 ? -half : half)) / (int64_t)u->bytes;
}

static int64_t floor_tenths(int64_t bytes, const struct amount_unit *u, int64_t *rest)
{
	int64_t unit = (int64_t)u->bytes, left = bytes % unit * 10, t = bytes / unit * 10 + left / unit;

	*rest = left % unit;
	if (*rest < 0) {
		*rest += unit;
		t--;
	}
	return t;
}

/* Largest remainders: all are rounded down, and those that lost most by it get back what the sum lacks. */
int64_t round_to_sum(int64_t *tenths, const int64_t *bytes, size_t n, const struct amount_unit *u)
{
	int64_t *rest = xcalloc(n + 1, sizeof(*rest)), lacks, left, all;
	uint64_t sum = 0; /* a recording may say anything: it wraps */
	size_t i, most;

	for (i = 0; i < n; i++)
		sum += (uint64_t)bytes[i];
	all = lacks = floor_tenths((int64_t)sum + (int64_t)(u->bytes / 20), u, &left);
	for (i = 0; i < n; i++) {
		tenths[i] = floor_tenths(bytes[i], u, &rest[i]);
		lacks -= tenths[i];
	}
	for (; n && lacks > 0; lacks--) {
		for (most = i = 0; i < n; i++)
			if (rest[i] > rest[most])
				most = i;
		tenths[most]++;
		rest[most] = -1;
	}
	free(rest);
	return all;
}

char *format_tenths(char out[24], int64_t tenths)
{
	uint64_t a = (uint64_t)(tenths < 0 ? -tenths : tenths);

	snprintf(out, 24, "%s%llu.%llu", tenths < 0 ? "-" : "", (unsigned long long)(a / 10),
		 (unsigned long long)(a % 10));
	return out;
}

/* Position of the '(' that opens the parameter list which ends the name; len when there is none. */
static size_t parameters_at(const char *name, size_t len)
{
	const char *tail = strstr(name, " [clone");
	size_t end = tail ? (size_t)(tail - name) : len, i;
	int depth = 0;

	if (end > 6 && !strncmp(name + end - 6, " const", 6))
		end -= 6;
	if (!end || name[end - 1] != ')')
		return len;
	for (i = end; i-- > 0;) {
		if (name[i] == ')')
			depth++;
		else if (name[i] == '(' && --depth == 0)
			break;
	}
	/* operator() and (anonymous namespace) are parts of the name */
	if (i == 0 || (i >= 8 && !strncmp(name + i - 8, "operator", 8)))
		return len;
	return i;
}

void add_short_name(struct buf *b, const char *name)
{
	size_t len = strlen(name);

	buf_add_printable(b, name, parameters_at(name, len));
}

uint32_t first_own_frame(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i, runtime = 0; /* where all else is a runtime's: its own function */

	for (i = 0; i < s->n_frames; i++) {
		switch (p->frames[p->stack_frames[s->first_frame + i]].class) {
		case FRAME_RUNTIME:
			runtime = runtime ? runtime : i;
			continue;
		case FRAME_ALLOCATOR:
		case FRAME_LIBC:
		case FRAME_CXX:
			continue;
		case FRAME_NOTE:
			if (!i) /* what it is, as [mmap] */
				continue;
			return i;
		default:
			return i;
		}
	}
	return runtime;
}

const char *own_frame_name(const struct profile *p, const struct profile_stack *s)
{
	if (!s->n_frames)
		return "[unknown]";
	return profile_str(p, p->frames[p->stack_frames[s->first_frame + first_own_frame(p, s)]].name);
}

static bool shows_allocated(const struct render_opts *o)
{
	return o->metric == METRIC_ALLOC_BYTES || o->metric == METRIC_ALLOC_BLOCKS;
}

uint64_t shown_bytes(const struct profile_stack *s, const struct render_opts *o)
{
	return shows_allocated(o) ? s->t.alloc_bytes : s->live_bytes;
}

uint64_t shown_blocks(const struct profile_stack *s, const struct render_opts *o)
{
	return shows_allocated(o) ? s->t.alloc_blocks : s->live_blocks;
}

struct ranked {
	const struct profile_stack *s;
	uint64_t value;
	bool by_growth;
};

static int by_value(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->by_growth && stack_grew_more(x->s, y->s))
		return -1;
	if (x->by_growth && stack_grew_more(y->s, x->s))
		return 1;
	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->s->id < y->s->id ? -1 : x->s->id > y->s->id;
}

/* What the verdict calls #1 is the first row; a mapping may hold more. */
static void bring_to_front(const struct profile_stack **v, size_t n, const struct profile_stack *s)
{
	size_t i;

	for (i = 0; i < n && v[i] != s; i++)
		;
	if (i == n)
		return;
	memmove(v + 1, v, i * sizeof(*v));
	v[0] = s;
}

static const struct profile_stack *first_of_verdict(const struct profile *p)
{
	const struct profile_stack *sites[VERDICT_SITES];

	if (profile_verdict_sites(p, sites) && stack_is_heap(sites[0]))
		return sites[0];
	return p->verdict.by_heap ? profile_top_grower(p) : NULL;
}

const struct profile_stack **stacks_by_size(const struct profile *p, const struct render_opts *o, size_t *n)
{
	struct ranked *r = xcalloc(p->n_stacks, sizeof(*r));
	const struct profile_stack **out = xcalloc(p->n_stacks, sizeof(*out));
	size_t i, count = 0;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		if (!shown_blocks(s, o))
			continue;
		r[count++] = (struct ranked){ s, stack_metric(s, o->metric), o->metric == METRIC_LIVE_BYTES };
	}
	if (count)
		qsort(r, count, sizeof(*r), by_value);
	for (i = 0; i < count; i++)
		out[i] = r[i].s;
	if (o->metric == METRIC_LIVE_BYTES && p->has_verdict)
		bring_to_front(out, count, first_of_verdict(p));
	free(r);
	*n = count;
	return out;
}

/*
 * The end of a block that was left out of the table is a free of an unknown address. Where those are not counted, such
 * blocks would be growth for ever: 9 GiB/min of what lived for a moment.
 */
static bool are_old_frees_counted(const struct profile *p)
{
	return watch_is_exact(p);
}

#define OF_ALL UINT32_MAX
#define OF_RUNNING (UINT32_MAX - 1)

static bool is_of(const struct profile *p, uint32_t proc, uint32_t of)
{
	return of == OF_ALL || of == proc || (of == OF_RUNNING && !proc_is_over(&p->procs[proc]));
}

struct heap_net heap_growth_of(const struct profile *p)
{
	return heap_net_of(p, profile_any_runs(p) ? OF_RUNNING : OF_ALL);
}

struct heap_net heap_net_of(const struct profile *p, uint32_t proc)
{
	struct heap_net h = { 0 };
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_totals *t = &p->stacks[i].t;

		if (!stack_is_heap(&p->stacks[i]) || !is_of(p, p->stacks[i].proc, proc))
			continue;
		h.live_bytes += totals_live_bytes(t);
		h.live_blocks += totals_live_blocks(t);
		h.alloc_bytes += t->alloc_bytes;
		h.alloc_blocks += t->alloc_blocks;
		h.free_bytes += t->free_bytes;
		h.free_blocks += t->free_blocks;
	}
	for (i = 0; i < p->n_procs; i++) {
		const struct mp_proc_totals *old = &p->procs[i].old;

		if (!is_of(p, (uint32_t)i, proc))
			continue;
		h.old_bytes += old->old_free_bytes;
		h.old_blocks += old->old_free_blocks;
		h.old_unsized += old->old_free_unsized;
		h.lost_bytes += are_old_frees_counted(p) ? old->lost_bytes : 0;
		h.lost_blocks += are_old_frees_counted(p) ? old->lost_blocks : 0;
		h.failed_calls += old->failed_calls;
	}
	h.bytes = (int64_t)(h.live_bytes + h.lost_bytes) - (int64_t)h.old_bytes;
	h.blocks = (int64_t)(h.live_blocks + h.lost_blocks) - (int64_t)h.old_blocks;
	return h;
}

uint64_t blocks_by_end(const struct profile *p, uint64_t *by_end)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		by_end[p->stacks[i].end] += p->stacks[i].t.alloc_blocks;
		sum += p->stacks[i].t.alloc_blocks;
	}
	return sum;
}

int64_t per_minute(const struct profile *p, int64_t bytes)
{
	if (!p->window_ns)
		return 0;
	return (int64_t)((double)bytes * 60e9 / (double)p->window_ns);
}
