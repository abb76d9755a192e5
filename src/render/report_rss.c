/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's section on resident memory: what was touched and given back in the window, the stacks whose blocks
 * are in good part never touched, and those whose blocks somebody else touched first.
 *
 *	rss     first touched 17.7 MiB, given back 5.5 MiB (munmap 2.9 MiB, brk 1.6 MiB, madvise 1.0 MiB)
 *	        never touched: 7.0 MiB of the 8.0 MiB of Cache::reserve
 *	        allocated by Pool::grow, first touched by Reader::fill: 4.2 of 4.3 MiB resident
 *
 * Nothing where that is less than a MiB, but for what was not seen, so that other processes did not pay for it:
 *
 *	rss     first touches: not seen for 18 s of 30 s, from 12 s on (-P heap,vm,rss insists)
 *	        other processes make 480 000 page faults/s, and would pay 200 ns for each
 *
 * Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define WORTH_TELLING MIB
#define MOST_STACKS 3

/* The section's first line has its name before it. */
static const char *margin(const struct buf *out)
{
	return out->len && strstr(out->data, "rss  ") ? "        " : "rss     ";
}

struct released {
	enum mp_rss_release how;
	uint64_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
	const struct released *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (int)x->how - (int)y->how;
}

static void add_released(struct buf *out, const struct profile *p, uint64_t sum)
{
	struct released r[MP_RSS_RELEASES];
	char size[16];
	size_t i, k;

	for (k = 0; k < MP_RSS_RELEASES; k++) {
		r[k] = (struct released){ (enum mp_rss_release)k, 0 };
		for (i = 0; i < p->n_procs; i++)
			r[k].bytes += p->procs[i].rss.released_bytes[k];
	}
	qsort(r, MP_RSS_RELEASES, sizeof(r[0]), by_bytes);
	buf_addf(out, ", given back %s", units_format_size(size, sum));
	for (k = 0; k < MP_RSS_RELEASES && r[k].bytes * 100 > sum; k++)
		buf_addf(out, "%s%s %s", k ? ", " : " (", rss_release_name(r[k].how), units_format_size(size, r[k].bytes));
	buf_adds(out, sum ? ")" : "");
}

static void add_sums(struct buf *out, const struct profile *p)
{
	uint64_t touched = 0, released = 0, lazy = 0;
	char size[16];
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		touched += p->procs[i].rss.touched_bytes;
		released += rss_released_bytes(&p->procs[i].rss);
		lazy += p->procs[i].state == PROC_RUNNING ? p->procs[i].now.lazy_free_bytes : 0;
	}
	if (touched + released < WORTH_TELLING && lazy < WORTH_TELLING)
		return;
	buf_addf(out, "%sfirst touched %s%s", margin(out), units_format_size(size, touched),
		 p->gaps.unseen_ns ? " while it was watched" : "");
	add_released(out, p, released);
	if (p->rss_every > 1)
		buf_addf(out, "; stacks of one page in %llu where that was fast", (unsigned long long)p->rss_every);
	if (lazy >= WORTH_TELLING)
		buf_addf(out, "; %s may be taken by the kernel (MADV_FREE)", units_format_size(size, lazy));
	buf_addc(out, '\n');
}

static int by_untouched(const void *a, const void *b)
{
	const struct profile_stack *const *x = a, *const *y = b;

	if ((*x)->untouched_bytes != (*y)->untouched_bytes)
		return (*x)->untouched_bytes > (*y)->untouched_bytes ? -1 : 1;
	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Stacks of threads are never touched but for their ends. */
static bool is_thread_stack(const struct profile *p, const struct profile_stack *s)
{
	return s->n_frames && !strcmp(profile_str(p, p->frames[p->stack_frames[s->first_frame]].name),
				      PROFILE_THREAD_STACK_FRAME);
}

static void add_untouched(struct buf *out, const struct profile *p, const struct profile_stack *const *v, size_t n)
{
	char untouched[16], live[16];
	size_t i;

	for (i = 0; i < n && i < MOST_STACKS; i++) {
		const char *name = own_frame_name(p, v[i]);

		buf_addf(out, "%snever touched: %s%s of the %s of ", margin(out),
			 p->untouched_estimated ? "about " : "", units_format_size(untouched, v[i]->untouched_bytes),
			 units_format_size(live, totals_live_bytes(&v[i]->t)));
		add_short_name(out, name);
		buf_addc(out, '\n');
	}
}

static const struct profile_stack *toucher_of(const struct profile *p, const struct profile_stack *s)
{
	uint32_t at = s->toucher && s->toucher_bytes > WORTH_TELLING ? profile_find_stack(p, s->toucher) : UINT32_MAX;

	return at == UINT32_MAX || !strcmp(own_frame_name(p, s), own_frame_name(p, &p->stacks[at])) ? NULL :
													&p->stacks[at];
}

static int by_toucher(const void *a, const void *b)
{
	const struct profile_stack *const *x = a, *const *y = b;

	if ((*x)->toucher_bytes != (*y)->toucher_bytes)
		return (*x)->toucher_bytes > (*y)->toucher_bytes ? -1 : 1;
	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Who asked for it is not who uses it. */
static void add_touchers(struct buf *out, const struct profile *p, const struct profile_stack **v, size_t most)
{
	char touched[16], resident[16];
	size_t i, n = 0;

	for (i = 0; i < p->n_stacks; i++)
		if (toucher_of(p, &p->stacks[i]))
			v[n++] = &p->stacks[i];
	if (n)
		qsort(v, n, sizeof(*v), by_toucher);
	for (i = 0; i < n && i < most; i++) {
		buf_addf(out, "%sallocated by ", margin(out));
		add_short_name(out, own_frame_name(p, v[i]));
		buf_adds(out, ", first touched by ");
		add_short_name(out, own_frame_name(p, toucher_of(p, v[i])));
		buf_addf(out, ": %s%s of %s\n", p->gaps.unplaced_ns ? "at least " : "", units_format_size(touched, v[i]->toucher_bytes),
			 units_format_size(resident, v[i]->resident_bytes));
	}
}

/* Others pay for it too, and did more than they may be asked to pay for. */
static void add_gaps(struct buf *out, const struct profile *p)
{
	const struct profile_gaps *g = &p->gaps;
	uint64_t gap_ns = g->unseen_ns ? g->unseen_ns : g->unplaced_ns;
	char gap[24], window[24], begin[24], rate[32];

	if (!g->are_there)
		return;
	buf_addf(out, "%s%s not seen", margin(out), g->unseen_ns ? "first touches:" : "who touched which page first:");
	if (gap_ns < p->window_ns)
		buf_addf(out, " for %s of %s, from %s on", units_format_duration(gap, gap_ns),
			 units_format_duration(window, p->window_ns), units_format_duration(begin, g->begin_ns));
	buf_addf(out, " (-P heap,vm,rss insists)\n        as other processes make %s page faults/s, and would pay %u ns for each\n",
		 units_format_count(rate, others_rate(g->rate)), others_fault_ns(TOUCHES_BY_PAGE));
}

void report_rss(struct buf *out, const struct report *r)
{
	const struct profile *p = r->p;
	const struct profile_stack **v = xcalloc(p->n_stacks + 1, sizeof(*v));
	size_t i, n = 0;

	if (*profile_str(p, p->rss_missing))
		buf_addf(out, "rss     who touches memory first is not seen: %s\n", profile_str(p, p->rss_missing));
	add_gaps(out, p);
	if (r->terse < REPORT_TERSEST)
		add_sums(out, p);
	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].untouched_bytes > WORTH_TELLING && !is_thread_stack(p, &p->stacks[i]) &&
		    p->stacks[i].untouched_bytes * 10 > totals_live_bytes(&p->stacks[i].t))
			v[n++] = &p->stacks[i];
	if (n)
		qsort(v, n, sizeof(*v), by_untouched);
	add_untouched(out, p, v, r->terse ? n > 0 : n);
	add_touchers(out, p, v, r->terse > 1 ? 0 : r->terse ? 1 : MOST_STACKS);
	free(v);
}
