/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How often Erlang processes have collected all of their garbage; see beam_layout.h. Each has a heap of its own, and
 * ERTS counts for each the minor collections since the last full one. Read again and again from outside, that tells:
 *
 *	minor collections   heap        since the last look
 *	3 -> 5              another     none that is full (as far as can be seen)
 *	5 -> 1              another     a full one
 *	5 -> 5              another     a full one, and as many minor ones as before
 *
 * Full ones between two looks count as one: it is a lower bound, but for a look in the midst of a minor one, which
 * lasts microseconds. One figure for a node: so many full collections, or more,
 * had those processes which hold half of the memory of all.
 *
 * Minor ones cannot be told so: of a process that ends between two looks nothing is seen. But each scheduler counts
 * those of any kind that it made. What dirty schedulers made (of large heaps) stands in a variable that has no symbol,
 * and is not counted.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "runtime/beam_layout.h"

#define MOST_PROCESSES 20000 /* of a node with more each look takes too long: not told */
#define LOOK_NS (250 * NS_PER_MS) /* a look at fifty processes takes a millisecond */
#define MOST_SCHEDULERS 1024
#define MOST_FULL 16	     /* more are not told apart */

struct seen {
	uint64_t id, heap, old_heap;
	uint32_t full;
	uint16_t gen_gcs;
	bool was_missed; /* at this look: it has ended, or was collecting at that moment */
};

/* Of the living processes, as of the last look. */
struct beam_collected {
	struct table by_id; /* index in v */
	struct seen *v;
	size_t n, cap;
	uint64_t look_ns, full; /* when it was, and what it told */
};

struct look {
	const struct beam_collected *before; /* NULL: this is the first */
	struct beam_collected *now;
	uint64_t bytes[MOST_FULL + 1]; /* held by processes with so many full collections */
	bool is_odd;
};

static bool was_full(const struct seen *then, const struct beam_process *p)
{
	return p->gen_gcs < then->gen_gcs || (p->gen_gcs == then->gen_gcs && p->heap != then->heap) ||
	       (then->old_heap && p->old_heap != then->old_heap);
}

static void remember(struct beam_collected *c, const struct seen *s)
{
	table_put(&c->by_id, s->id, c->n);
	XGROW(c->v, c->n, c->cap);
	c->v[c->n++] = *s;
}

static void look_at(void *ctx, const struct beam_process *p)
{
	struct look *l = ctx;
	const uint64_t *at = l->before ? table_get(&l->before->by_id, p->id) : NULL;
	const struct seen *then = at ? &l->before->v[*at] : NULL;
	struct seen s = { .id = p->id, .heap = p->heap, .old_heap = p->old_heap, .gen_gcs = p->gen_gcs };

	l->is_odd |= p->gen_gcs > p->most_gcs;
	if (then)
		s.full = then->full + (then->full < MOST_FULL && was_full(then, p));
	l->bytes[s.full] += p->hend - p->heap + (p->old_heap ? p->old_hend - p->old_heap : 0) + 8 * p->referred_words;
	remember(l->now, &s);
}

/* One that was collecting is there again at the next look. */
static void keep_missed(struct look *l)
{
	size_t i;

	for (i = 0; l->before && i < l->before->n; i++) {
		struct seen s = l->before->v[i];

		if (s.was_missed || table_get(&l->now->by_id, s.id))
			continue;
		s.was_missed = true;
		remember(l->now, &s);
	}
}

static void collected_free(struct beam_collected *c)
{
	if (!c)
		return;
	table_release(&c->by_id);
	free(c->v);
	free(c);
}

void beam_collections_end(struct beam *b)
{
	collected_free(b->collected);
	b->collected = NULL;
}

/* The most that half of the memory has had, or more. */
static uint64_t of_half(const uint64_t bytes[MOST_FULL + 1])
{
	uint64_t all = 0, above = 0;
	unsigned int i;

	for (i = 0; i <= MOST_FULL; i++)
		all += bytes[i];
	for (i = MOST_FULL; i; i--) {
		above += bytes[i];
		if (above * 2 >= all)
			break;
	}
	return i;
}

int beam_collections(struct runtime *r, uint64_t *full)
{
	struct beam *b = r->state;
	struct look l = { .before = b->collected };
	uint64_t now = clock_monotonic_ns();

	if (!r->has_census)
		return -ENOTSUP;
	beam_follow_code(r);
	if (b->collected && b->collected->n > MOST_PROCESSES)
		return -ENOTSUP;
	if (b->collected && now - b->collected->look_ns < LOOK_NS) {
		*full = b->collected->full;
		return 0;
	}
	l.now = xcalloc(1, sizeof(*l.now));
	if (!beam_each_process(r, look_at, &l) || l.is_odd) {
		collected_free(l.now);
		return -ENOTSUP;
	}
	keep_missed(&l);
	collected_free(b->collected);
	b->collected = l.now;
	b->collected->look_ns = now;
	*full = b->collected->full = of_half(l.bytes);
	return 0;
}

/* ErtsGCInfo of a scheduler, erl_gc.h */
struct gc_info {
	uint64_t reclaimed_words, collections;
};

static bool read_gc_info(const struct runtime *r, uint64_t scheduler, struct gc_info *out)
{
	const struct beam *b = r->state;

	return b->layout->gc_info + sizeof(*out) <= b->stride &&
	       runtime_read(&r->process, scheduler + b->layout->gc_info, out, sizeof(*out));
}

/*
 * A dirty scheduler's is never written, and a collection reclaims a word on average, or many: else it is something
 * else.
 */
int beam_all_collections(struct runtime *r, uint64_t *n)
{
	const struct beam *b = r->state;
	struct gc_info sum = { 0 }, one;
	uint64_t i;

	if (!r->has_census || !b->n_schedulers || b->n_schedulers > MOST_SCHEDULERS ||
	    (b->dirty_io && (!read_gc_info(r, b->dirty_io, &one) || one.collections || one.reclaimed_words)))
		return -ENOTSUP;
	for (i = 0; i < b->n_schedulers; i++) {
		if (!read_gc_info(r, b->schedulers + i * b->stride, &one))
			return -ENOTSUP;
		sum.collections += one.collections;
		sum.reclaimed_words += one.reclaimed_words;
	}
	*n = sum.collections;
	return sum.collections && sum.collections <= sum.reclaimed_words ? 0 : -ENOTSUP;
}
