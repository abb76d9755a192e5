/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a verdict needs beside the totals; part of the collector. While the run goes on: the heap and the memory of all
 * targets over time, looked at as often as 2 % of a CPU pays for. At its end one pass over the live
 * blocks: which of those that lived at an early moment still do, and which stacks only replace older blocks.
 *
 *	stack	live at 16 s	still at 60 s	live at 60 s	older blocks of its sizes freed
 *	cache	    4 000	     10 %	   16 MiB		15.8 MiB
 *	leak	      400	    100 %	    6 MiB		     0
 *
 * Not what was born early, but what lived then: a site may leak one block and free a thousand at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/blackbox.h"
#include "collect/collector_internal.h"
#include "collect/managed.h"
#include "model/heap_rise.h"
#include "proc/process.h"

/*
 * Looks come no faster than this, and take no more than a fiftieth of a CPU: by what they ran, not by how long they waited for it.
 * Else a busy machine would leave a window of half a minute with too few of them to tell anything.
 */
#define LOOK_NS (100 * NS_PER_MS)
#define LOOK_SHARE 50
/* More processes than this are not looked at one by one so often. */
#define MANY_PROCS 64

void evidence_release(struct collector *c)
{
	lifetimes_look_release(c);
	heap_looks_release(c);
	free(c->older.v);
	free(c->newer.v);
	table_release(&c->met);
	table_release(&c->looked);
	windows_release(&c->windows);
	c->older = c->newer = (struct checkpoint){ 0 };
}

/* ---- over time ---- */

static void look_at_memory(struct collector *c, double t_s)
{
	series_add(&c->profile.memory, t_s, resident_now(c));
}

/* Of all targets. */
struct heap_now {
	double bytes;	     /* more than at the attach: less older blocks that were freed */
	uint64_t live_bytes; /* of blocks that were seen to begin */
	bool counts_lost;    /* what was left out of the table, as its frees are counted, too */
};

static void add_stack(void *ctx, uint64_t hash, const struct mp_stack *s)
{
	struct heap_now *h = ctx;

	(void)hash;
	h->bytes += (double)(int64_t)(s->alloc_bytes - s->free_bytes);
	if (s->alloc_bytes > s->free_bytes)
		h->live_bytes += s->alloc_bytes - s->free_bytes;
}

static void add_proc(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	struct heap_now *h = ctx;

	(void)gen;
	h->bytes -= (double)(int64_t)t->old_free_bytes;
	if (h->counts_lost)
		h->bytes += (double)(int64_t)t->lost_bytes;
}

/* After brief bursts what lives is known at the end only (survival.c): blocks whose end was not seen stay for long. */
static void look_at_heap(struct collector *c, double t_s)
{
	struct heap_now now = { .counts_lost = watch_is_exact(&c->profile) };

	if (c->brief_weight) {
		c->profile.heap.n = 0;
		return;
	}
	if (kern_read_stacks(c->kern, add_stack, &now))
		return;
	peak_look(c, now.live_bytes);
	if (!kern_read_procs(c->kern, add_proc, &now))
		series_add(&c->profile.heap, t_s, now.bytes);
}

int checkpoint_take(struct collector *c, struct checkpoint *out)
{
	const struct profile *p = &c->profile;
	size_t i;
	int err = snapshot_read_stacks(c);

	if (err)
		return err;
	vm_plane_fill(c);
	*out = (struct checkpoint){ .window_ns = p->window_ns, .n = p->n_stacks };
	out->v = xcalloc(out->n + 1, sizeof(*out->v));
	for (i = 0; i < out->n; i++)
		out->v[i] = (struct checkpoint_stack){
			.bytes = p->stacks[i].t.alloc_bytes,
			.blocks = p->stacks[i].t.alloc_blocks,
			.live_blocks = totals_live_blocks(&p->stacks[i].t),
		};
	return 0;
}

/* At 1, 2, 4... s: what each stack had allocated, and what of it lived. */
static void checkpoint(struct collector *c)
{
	const struct profile *p = &c->profile;
	struct checkpoint now;

	snapshot_fill_times(c);
	if (p->window_ns < NS_PER_S || p->window_ns < 2 * c->newer.window_ns || checkpoint_take(c, &now))
		return;
	free(c->older.v);
	c->older = c->newer;
	c->newer = now;
}

static void keep_windows(struct collector *c, double t_s)
{
	struct profile *p = &c->profile;
	float *live;
	size_t i;

	if (c->brief_weight)
		windows_release(&c->windows);
	if (c->brief_weight || !windows_is_due(&c->windows, t_s) || snapshot_read_stacks(c))
		return;
	vm_plane_fill(c);
	live = xcalloc(p->n_stacks + 1, sizeof(*live));
	for (i = 0; i < p->n_stacks; i++)
		live[i] = (float)totals_live_bytes(&p->stacks[i].t);
	windows_add(&c->windows, t_s, live, p->n_stacks);
}

/* One is what it is before the first burst has ended. */
void collector_note_weight(struct collector *c)
{
	double weight = kern_burst_weight(c->kern);

	if (c->profile.watch.rung < RUNG_BRIEF)
		return;
	if (weight > 1) {
		c->weight_sum += weight;
		c->n_weights++;
	}
	c->brief_weight = c->n_weights ? c->weight_sum / c->n_weights : weight;
}

void collector_look(struct collector *c)
{
	uint64_t begin = clock_monotonic_ns(), ran = clock_thread_ns(), armed = kern_armed_ns(c->kern), least = LOOK_NS;
	double t_s = (double)(begin - armed) * 1e-9;

	if (!armed)
		return;
	survival_look(c);
	if (begin < c->next_look_ns)
		return;
	collector_note_weight(c);
	c->look = LOOK_BEGUN;
	bystanders_look(c);
	look_at_memory(c, t_s);
	look_at_heap(c, t_s);
	managed_count_collections(c);
	checkpoint(c);
	keep_windows(c, t_s);
	lifetimes_look(c);
	blackbox_look(c);
	c->look = NO_LOOK;
	if (c->profile.n_procs > MANY_PROCS)
		least = NS_PER_S;
	ran = (clock_thread_ns() - ran) * LOOK_SHARE;
	c->next_look_ns = begin + (ran > least ? ran : least);
	managed_look_at_classes(c, t_s);
}

const struct checkpoint *collector_early(const struct collector *c)
{
	return 2 * c->newer.window_ns <= c->profile.window_ns ? &c->newer : &c->older;
}

/* ---- the pass over the blocks ---- */

/* Live blocks of one stack in one size class. */
struct class_part {
	double variance; /* of the blocks, where they are estimates */
	uint32_t stack, size_class;
	uint64_t bytes, blocks;
};

struct pass {
	struct collector *c;
	const struct checkpoint *early;
	struct lifetimes_pass *lifetimes;
	uint64_t early_ms;
	bool by_class;
	struct class_part *parts;
	size_t n_parts, parts_cap;
	struct table part_of;  /* stack and class -> index in parts */
	struct table live_of;  /* process and class -> bytes in parts */
	struct table old_of;   /* ... -> bytes of older blocks that were freed */
	bool by_heap;	       /* ... as the heap tells, not by their frees */
	struct heap_rise *rises;
	size_t n_rises, rises_cap;
};

static uint64_t class_key(uint32_t of, uint32_t size_class)
{
	return (uint64_t)of << 32 | size_class;
}

/* Of glibc: chunks of 16 bytes, with 8 of its own in each. */
static uint32_t class_of_request(uint64_t size)
{
	uint64_t chunk = (size + 8 + 15) & ~15ULL;

	return mp_size_class((chunk < 32 ? 32 : chunk) - 8);
}

static void add_to_part(struct pass *a, uint32_t stack, const struct mp_block *b, uint64_t weight)
{
	uint32_t class = class_of_request(b->size_bytes), proc = a->c->profile.stacks[stack].proc;
	uint64_t key = class_key(stack, class), *at = table_get(&a->part_of, key);

	if (!at) {
		XGROW(a->parts, a->n_parts, a->parts_cap);
		a->parts[a->n_parts] = (struct class_part){ .stack = stack, .size_class = class };
		at = table_put(&a->part_of, key, a->n_parts++);
	}
	a->parts[*at].bytes += b->size_bytes * weight;
	a->parts[*at].blocks += weight;
	a->parts[*at].variance += (double)(weight * (weight - 1));
	*table_put(&a->live_of, class_key(proc, class), 0) += b->size_bytes * weight;
}

static void look_at_block(void *ctx, const struct mp_block_key *key, const struct mp_block *b)
{
	struct pass *a = ctx;
	uint32_t at = profile_find_stack(&a->c->profile, b->stack);
	uint64_t weight = b->weight ? b->weight : 1;

	(void)key;
	if (at == UINT32_MAX)
		return;
	if (at < a->early->n && b->birth_ms < a->early_ms)
		a->c->profile.stacks[at].early_alive += weight;
	if (a->by_class)
		add_to_part(a, at, b, weight);
	lifetimes_block(a->lifetimes, at, b->size_bytes, weight, b->birth_ms, b->flags & MP_BLOCK_AGE_UNKNOWN);
}

static void note_old(void *ctx, const struct mp_old_key *key, const struct mp_old_free *o)
{
	(void)key;
	*(bool *)ctx |= o->blocks > 0;
}

/* Frees of a class belong to those that make blocks of it, by what lives of each. Not more than lives. */
static void note_share(void *ctx, const struct mp_old_key *key, const struct mp_old_free *o)
{
	struct pass *a = ctx;
	const uint64_t *proc = table_get(&a->c->profile.proc_ids, key->gen);

	if (proc)
		*table_put(&a->old_of, class_key((uint32_t)*proc, key->size_class), 0) += o->bytes;
}

static void give_old(struct pass *a)
{
	size_t i;

	for (i = 0; i < a->n_parts; i++) {
		const struct class_part *part = &a->parts[i];
		struct profile_stack *s = &a->c->profile.stacks[part->stack];
		uint64_t key = class_key(s->proc, part->size_class);
		const uint64_t *old = table_get(&a->old_of, key), *live = table_get(&a->live_of, key);
		double share = old && live && *live ? (double)*old / (double)*live : 0;

		share = share < 1 ? share : 1;
		s->old_bytes += (uint64_t)((double)part->bytes * share);
		s->old_blocks += (uint64_t)((double)part->blocks * share);
	}
}

static int by_class(const void *a, const void *b)
{
	const struct heap_rise *x = a, *y = b;

	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return x->size_class < y->size_class ? -1 : x->size_class > y->size_class;
}

static void add_rise(struct pass *a, uint32_t proc, uint32_t size_class, const struct class_part *part)
{
	XGROW(a->rises, a->n_rises, a->rises_cap);
	a->rises[a->n_rises++] = (struct heap_rise){ .proc = proc, .size_class = size_class,
						     .claimed = part ? (double)part->blocks : 0,
						     .variance = part ? part->variance : 0 };
}

/* One row for each class, and what the heap tells of it. False: it does not, of one at least. */
static bool find_rises(struct pass *a)
{
	const struct profile *p = &a->c->profile;
	size_t i, n = 0;

	for (i = 0; i < a->n_parts; i++) {
		uint32_t proc = p->stacks[a->parts[i].stack].proc;

		add_rise(a, proc, a->parts[i].size_class, &a->parts[i]);
		add_rise(a, proc, a->parts[i].size_class + 1, NULL);
	}
	if (a->n_rises)
		qsort(a->rises, a->n_rises, sizeof(*a->rises), by_class);
	for (i = 0; i < a->n_rises; i++) {
		struct heap_rise *r = &a->rises[i], *last = &a->rises[n ? n - 1 : 0];

		if (n && !by_class(last, r)) {
			last->claimed += r->claimed;
			last->variance += r->variance;
			continue;
		}
		if (!heap_looks_rise(a->c, r->proc, r->size_class, &r->grown))
			return false;
		a->rises[n++] = *r;
	}
	a->n_rises = n;
	return true;
}

/* Where calls were sampled, frees of older blocks were not counted: what came in their place, the heap tells. */
static bool give_replaced(struct pass *a)
{
	struct profile *p = &a->c->profile;
	size_t i;

	if (!find_rises(a))
		return false;
	heap_rise_find_replaced(a->rises, a->n_rises);
	for (i = 0; i < a->n_parts; i++) {
		const struct class_part *part = &a->parts[i];
		struct profile_stack *s = &p->stacks[part->stack];
		struct heap_rise wanted = { .proc = s->proc, .size_class = part->size_class };
		const struct heap_rise *r = bsearch(&wanted, a->rises, a->n_rises, sizeof(*r), by_class);
		double share = r && r->claimed > 0 ? r->replaced / r->claimed : 0;

		s->old_bytes += (uint64_t)((double)part->bytes * share);
		s->old_blocks += (uint64_t)((double)part->blocks * share);
	}
	return true;
}

static void begin_pass(struct pass *a)
{
	struct profile *p = &a->c->profile;
	size_t i;

	a->early = collector_early(a->c);
	a->early_ms = a->early->window_ns / NS_PER_MS;
	for (i = 0; i < p->n_stacks; i++) {
		p->stacks[i].early_blocks = i < a->early->n ? a->early->v[i].live_blocks : 0;
		p->stacks[i].early_alive = p->stacks[i].old_bytes = p->stacks[i].old_blocks = 0;
	}
}

/*
 * In brief bursts the ends of early blocks are not all seen; what survival.c makes of it is the part of all blocks of a
 * stack that stayed. That is asked then, of the whole window.
 */
static void take_stayed(struct profile *p)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		if (!stack_is_heap(&p->stacks[i]))
			continue;
		p->stacks[i].early_blocks = p->stacks[i].t.alloc_blocks;
		p->stacks[i].early_alive = totals_live_blocks(&p->stacks[i].t);
	}
}

/* The trends of all stacks by themselves, where they rise straight; to be freed. */
static struct site_trend *end_pass(struct collector *c)
{
	struct profile *p = &c->profile;
	struct site_trend *alone = xcalloc(p->n_stacks + 1, sizeof(*alone));
	double end_s = (double)p->window_ns / NS_PER_S;
	size_t i;

	if (c->brief_weight)
		take_stayed(p);
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		if (s->early_alive > s->early_blocks)
			s->early_alive = s->early_blocks; /* born while it was read */
		s->grew_in = windows_grown(&c->windows, i, end_s, (double)totals_live_bytes(&s->t));
		if (s->grew_in == WINDOWS_NR)
			windows_rise(&c->windows, i, end_s, (double)totals_live_bytes(&s->t), &alone[i]);
	}
	return alone;
}

int evidence_collect(struct collector *c)
{
	struct profile *p = &c->profile;
	struct pass a = { .c = c };
	struct site_trend *alone;
	bool knows_replaced = false;
	int err = 0;

	begin_pass(&a);
	a.lifetimes = lifetimes_look_begin(c);
	a.by_heap = p->final && c->heap_looks && !watch_is_exact(p) && !c->brief_weight; /* the look takes long */
	if (a.by_heap)
		err = collector_bridge(c);
	if (!err)
		err = kern_read_old_frees(c->kern, note_old, &a.by_class);
	a.by_class |= a.by_heap;
	if (!err)
		err = kern_read_blocks(c->kern, look_at_block, &a);
	vm_plane_fill_early(c, a.early_ms);
	knows_replaced = !err && a.by_heap && give_replaced(&a);
	if (!err && a.by_class && !knows_replaced)
		err = kern_read_old_frees(c->kern, note_share, &a);
	if (!err && a.by_class && !knows_replaced)
		give_old(&a);
	alone = end_pass(c);
	lifetimes_look_end(c, a.lifetimes);
	if (!err) {
		profile_judge(p, alone, knows_replaced);
		profile_blind(p);
	}
	free(alone);
	free(a.parts);
	free(a.rises);
	table_release(&a.part_of);
	table_release(&a.live_of);
	table_release(&a.old_of);
	return err;
}

int collector_judge(struct collector *c)
{
	return evidence_collect(c);
}
