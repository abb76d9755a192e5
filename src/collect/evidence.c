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
#include "collect/class_parts.h"
#include "collect/collector_internal.h"
#include "collect/managed.h"
#include "proc/process.h"

/*
 * Looks come no faster than this, and take no more than a fiftieth of a CPU: by what they ran, not by how long they
 * waited for it. Else a busy machine would leave a window of half a minute with too few of them to tell anything.
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

/* Of all targets that run, and of those that were killed for want of memory. */
struct heap_now {
	const struct profile *p;
	double bytes;	     /* more than at the attach: less older blocks that were freed */
	uint64_t live_bytes; /* of blocks that were seen to begin */
	bool counts_lost;    /* what was left out of the table, as its frees are counted, too */
};

static bool is_over(const struct profile *p, uint32_t gen)
{
	const uint64_t *at = table_get(&p->proc_ids, gen);

	return at && proc_is_over(&p->procs[*at]);
}

static void add_stack(void *ctx, uint64_t hash, const struct mp_stack *s)
{
	struct heap_now *h = ctx;

	(void)hash;
	if (is_over(h->p, s->gen))
		return;
	h->bytes += (double)(int64_t)(s->alloc_bytes - s->free_bytes);
	if (s->alloc_bytes > s->free_bytes)
		h->live_bytes += s->alloc_bytes - s->free_bytes;
}

static void add_proc(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	struct heap_now *h = ctx;

	if (is_over(h->p, gen))
		return;
	h->bytes -= (double)(int64_t)t->old_free_bytes;
	if (h->counts_lost)
		h->bytes += (double)(int64_t)t->lost_bytes;
}

/* After brief bursts what lives is known at the end only (survival.c): blocks whose end was not seen stay for long. */
static void look_at_heap(struct collector *c, double t_s)
{
	struct heap_now now = { .p = &c->profile, .counts_lost = watch_is_exact(&c->profile) };

	if (c->brief_weight) {
		c->profile.heap.n = 0;
		return;
	}
	if (!profile_any_runs(&c->profile) || shelf_read_stacks(c, add_stack, &now))
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
	if (!managed_is_starting(c)) { /* they wait for the names of all stacks */
		checkpoint(c);
		keep_windows(c, t_s);
		lifetimes_look(c);
	}
	blackbox_look(c);
	c->look = NO_LOOK;
	if (c->profile.n_procs > MANY_PROCS)
		least = NS_PER_S;
	ran = (clock_thread_ns() - ran) * LOOK_SHARE;
	c->next_look_ns = begin + (ran > least ? ran : least);
	managed_look_at_classes(c, t_s);
	generated_look(c);
}

const struct checkpoint *collector_early(const struct collector *c)
{
	return 2 * c->newer.window_ns <= c->profile.window_ns ? &c->newer : &c->older;
}

/* ---- the pass over the blocks ---- */

struct pass {
	struct collector *c;
	const struct checkpoint *early;
	struct lifetimes_pass *lifetimes;
	uint64_t early_ms;
	bool by_class;
	struct class_parts parts;
};

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
		class_parts_add(&a->parts, at, b, weight);
	lifetimes_block(a->lifetimes, at, b->size_bytes, weight, b->birth_ms, b->flags & MP_BLOCK_AGE_UNKNOWN);
}

static void note_old(void *ctx, const struct mp_old_key *key, const struct mp_old_free *o)
{
	(void)key;
	*(bool *)ctx |= o->blocks > 0;
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
	struct pass a = { .c = c, .parts = { .c = c } };
	struct site_trend *alone;
	bool by_heap = p->final && c->heap_looks && !watch_is_exact(p), knows_replaced = false; /* the look takes long */
	int err = 0;

	begin_pass(&a);
	a.lifetimes = lifetimes_look_begin(c);
	if (by_heap)
		err = collector_bridge(c);
	if (!err)
		err = kern_read_old_frees(c->kern, note_old, &a.by_class);
	a.by_class |= by_heap;
	if (!err)
		err = kern_read_blocks(c->kern, look_at_block, &a);
	vm_plane_fill_early(c, a.early_ms);
	alone = end_pass(c); /* before anything is scaled: by what there was at earlier moments */
	if (!err && by_heap && class_parts_meet_heap(&a.parts)) {
		knows_replaced = !c->brief_weight;
		if (c->brief_weight)
			class_parts_confirm(&a.parts, alone);
	}
	if (!err && a.by_class && !knows_replaced)
		err = class_parts_give_old(&a.parts);
	lifetimes_look_end(c, a.lifetimes);
	if (!err) {
		profile_judge(p, alone, knows_replaced);
		profile_blind(p);
	}
	free(alone);
	class_parts_release(&a.parts);
	return err;
}

int collector_judge(struct collector *c)
{
	return evidence_collect(c);
}
