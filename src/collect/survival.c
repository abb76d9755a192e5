/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What is never freed, told apart from what is freed unseen; part of the collector, for runs with brief bursts only.
 *
 * In brief bursts a block that ends between two of them counts as live until another one is seen where it was: at
 * its address (bpf/ledger.bpf.h), or anywhere on it (model/overlap.h); or until the heap itself shows something else
 * there (survival_heap.c). That takes a while, so the younger blocks of a
 * stack overstate what will stay. The older ones tell: of those that were born in the first part of the
 * window, the part that is still not met again is taken for all.
 *
 *	stack		born before 16 s	of these live at 60 s	allocated	live
 *	cache, renewed		 40 000		      80 (0.2 %)	 150 000	   300
 *	leak			    400		     400 (100 %)	   1 500	 1 500
 *
 * Of those, some have ended nevertheless: soon after the probes were gone (model/watched.h), or in a place that
 * another block has taken for good (model/ghosts.h). How many these are is an estimate: what is taken away for them is
 * told as two standard deviations of the rest, so that garbage, of which much is taken away, does not rank above what
 * is sure to stay. Still too high where memory is seldom used again. That younger blocks end older ones holds for
 * allocators that take their memory from the kernel, not from one another.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "model/ghosts.h"
#include "model/overlap.h"
#include "model/watched.h"
#include "proc/process.h"

/*
 * Looking for what has ended takes one part in so many of a CPU; and no more often than this. The sooner after a burst
 * the fewer of its blocks have been replaced by one that stays (model/ghosts.h).
 */
#define SWEEP_SHARE 20
#define LEAST_SWEEP_NS (50 * NS_PER_MS)
/* Nothing else is done meanwhile: of many blocks, or of few that lie far apart, a part is looked at each time. */
#define MOST_SWEEP_NS (200 * NS_PER_MS)
#define FIRST_SWEEP 16384
#define LEAST_SWEEP 256
#define MOST_SWEEP (1u << 22)
/* With fewer blocks born before the checkpoint their part says little. */
#define LEAST_BLOCKS 50
/* What is left of the window after a checkpoint, at least: one part in so many. */
#define LEAST_PART 4

/* All blocks of the table, those that must have ended marked. */
struct block_list {
	struct collector *c;
	struct overlap_block *v;
	size_t n, cap;
};

static void take_block(void *ctx, const struct mp_block_key *key, const struct mp_block *b)
{
	struct block_list *l = ctx;

	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = (struct overlap_block){
		.addr = key->addr,
		.size_bytes = b->size_bytes,
		.gen = key->gen,
		.birth_ms = b->birth_ms,
		.stack = profile_find_stack(&l->c->profile, b->stack),
		.weight = b->weight ? b->weight : 1,
	};
}

static int read_blocks(struct block_list *l)
{
	int err = kern_read_blocks(l->c->kern, take_block, l);

	if (!err)
		overlap_find(l->v, l->n);
	return err;
}

/* Which have ended is marked. Born in the last burst: young. */
static int look_at_blocks(struct block_list *l, size_t most)
{
	int err = read_blocks(l);

	if (!err)
		survival_look_at_heap(l->c, l->v, l->n, kern_watched(l->c->kern)->begin_ms, most);
	return err;
}

static void note_looked(struct collector *c, const struct block_list *l, size_t n_ended)
{
	size_t i;

	for (i = 0; i < l->n && n_ended; i++) {
		n_ended -= l->v[i].has_ended;
		if (l->v[i].has_ended && l->v[i].by_look && l->v[i].stack != UINT32_MAX)
			*table_put(&c->looked, l->v[i].stack, 0) += l->v[i].weight;
	}
}

/* Those that have ended unseen leave the table. */
static void sweep(struct collector *c)
{
	struct block_list l = { .c = c };
	struct mp_block_key *keys;
	size_t i, n = 0;
	int err = look_at_blocks(&l, c->sweep_most);

	keys = xcalloc(l.n + 1, sizeof(*keys));
	for (i = 0; i < l.n; i++)
		if (l.v[i].has_ended)
			keys[n++] = (struct mp_block_key){ .addr = l.v[i].addr, .gen = l.v[i].gen };
	if (!err)
		note_looked(c, &l, kern_end_blocks(c->kern, keys, n));
	free(keys);
	free(l.v);
}

/* While the gate is shut nothing is written to the table. */
void survival_look(struct collector *c)
{
	uint64_t begin = clock_monotonic_ns(), ran = clock_thread_ns();

	if (c->profile.watch.rung < RUNG_BRIEF || begin < c->next_sweep_ns || !kern_gate_is_still(c->kern))
		return;
	if (!c->sweep_most)
		c->sweep_most = FIRST_SWEEP;
	sweep(c);
	ran = clock_thread_ns() - ran;
	if (ran > MOST_SWEEP_NS && c->sweep_most > LEAST_SWEEP)
		c->sweep_most /= 2;
	else if (ran < MOST_SWEEP_NS / 4 && c->sweep_most < MOST_SWEEP)
		c->sweep_most *= 2;
	ran *= SWEEP_SHARE;
	c->next_sweep_ns = begin + (ran > LEAST_SWEEP_NS ? ran : LEAST_SWEEP_NS);
}

static uint64_t part_of(uint64_t all, uint64_t part, uint64_t of)
{
	return part < of ? (uint64_t)((double)all * (double)part / (double)of) : all;
}

/* No more of a stack lives than is said. */
static void limit_live(struct profile_totals *t, uint64_t bytes, uint64_t blocks)
{
	uint64_t before = totals_live_blocks(t);

	if (bytes >= totals_live_bytes(t) || blocks >= before)
		return;
	t->free_bytes = t->alloc_bytes - bytes;
	t->free_blocks = t->alloc_blocks - blocks;
	t->birth_sum_ms = part_of(t->birth_sum_ms, blocks, before);
	if (t->alloc_var > t->free_var)
		t->free_var = t->alloc_var - part_of(t->alloc_var - t->free_var, blocks, before);
}

/* What blocks tell of their stacks. */
struct stack_tale {
	const struct checkpoint_stack *early; /* NULL: too few blocks were born before any checkpoint */
	uint64_t early_ms;		    /* when that was */
	uint64_t ended_bytes, ended_blocks; /* still in the table, and known to have ended */
	uint64_t looked_blocks;		    /* of these, by a look at the heap */
	uint64_t old_bytes, old_blocks;	    /* born before the checkpoint and not known to have ended */
	uint64_t old_long;		    /* of these, without weight: watched for long */
	double unsure_bytes;		    /* of what is said to live, so much may not */
};

static bool has_enough(const struct collector *c, const struct checkpoint *at, size_t i)
{
	return i < at->n && (double)at->v[i].blocks >= LEAST_BLOCKS * c->brief_weight;
}

/* A stack that came later, as compiled code does, is judged by a later checkpoint. */
static void choose_early(const struct collector *c, struct stack_tale *v)
{
	const struct checkpoint *at = collector_early(c), *later = &c->newer;
	uint64_t window_ns = c->profile.window_ns;
	size_t i;

	for (i = 0; i < c->profile.n_stacks; i++) {
		const struct checkpoint *of = has_enough(c, at, i) ? at : later;

		if (!has_enough(c, of, i) || of->window_ns > window_ns - window_ns / LEAST_PART)
			continue;
		v[i].early = &of->v[i];
		v[i].early_ms = of->window_ns / NS_PER_MS;
	}
}

static void read_tales(struct stack_tale *v, size_t n, const struct block_list *l)
{
	const struct watched_spans *watched = kern_watched(l->c->kern);
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct overlap_block *b = &l->v[i];

		if (b->stack >= n)
			continue;
		if (b->has_ended) {
			v[b->stack].ended_bytes += b->size_bytes * b->weight;
			v[b->stack].ended_blocks += b->weight;
			v[b->stack].looked_blocks += b->by_look ? b->weight : 0;
		} else if (b->birth_ms < v[b->stack].early_ms) {
			v[b->stack].old_bytes += b->size_bytes * b->weight;
			v[b->stack].old_blocks += b->weight;
			v[b->stack].old_long += watched_long(watched, b->birth_ms);
		}
	}
}

static void limit_to_unmet(struct profile *p, const struct stack_tale *v)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		uint64_t bytes = totals_live_bytes(&p->stacks[i].t), blocks = totals_live_blocks(&p->stacks[i].t);

		limit_live(&p->stacks[i].t, bytes > v[i].ended_bytes ? bytes - v[i].ended_bytes : 0,
			   blocks > v[i].ended_blocks ? blocks - v[i].ended_blocks : 0);
	}
}

/* Blocks of a stack that ended unseen, and of these those that a look at the heap found. */
static double met_blocks(const struct collector *c, size_t at, const struct stack_tale *tale, double *looked)
{
	const uint64_t *met = table_get(&c->met, at), *by_look = table_get(&c->looked, at);
	double blocks = (double)(met ? *met : 0) + (double)tale->ended_blocks;

	*looked = (double)(by_look ? *by_look : 0) + (double)tale->looked_blocks;
	*looked = *looked < blocks ? *looked : blocks;
	return blocks;
}

/* The early blocks of a stack; how those of them ended that have, is not kept by when they were born: as all that have. */
static struct ghosts_stack ghosts_of(struct collector *c, size_t at, const struct stack_tale *tale)
{
	const struct checkpoint_stack *early = tale->early;
	const struct profile_totals *t = &c->profile.stacks[at].t;
	double born = (double)early->bytes, unmet = (double)tale->old_bytes, seen = (double)early->blocks / c->brief_weight;
	double ended = (double)(t->alloc_blocks - totals_live_blocks(t)), looked, met = met_blocks(c, at, tale, &looked);
	double part = ended > 0 && unmet < born ? (born - unmet) / (ended > met ? ended : met) : 0;
	double most = seen > 0 ? watched_may_stay(seen, (double)tale->old_long) / seen * born : 0;

	return (struct ghosts_stack){
		.born = born, .met = met * part, .looked = looked * part, .unmet = unmet < most ? unmet : most,
	};
}

/* Stacks whose blocks take the same places: allocators keep sizes apart. */
struct likely {
	size_t stack;
	unsigned int size_class;
	struct ghosts_stack g;
};

/* Four to each doubling. */
static unsigned int size_class_of(double bytes)
{
	return bytes > 1 ? (unsigned int)(4 * log2(bytes)) : 0;
}

static int by_size_class(const void *a, const void *b)
{
	const struct likely *x = a, *y = b;

	if (x->size_class != y->size_class)
		return x->size_class < y->size_class ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static struct likely *read_likely(struct collector *c, const struct stack_tale *tales, size_t *n)
{
	const struct profile *p = &c->profile;
	struct likely *v = xcalloc(p->n_stacks + 1, sizeof(*v));
	size_t i;

	*n = 0;
	for (i = 0; i < p->n_stacks; i++) {
		const struct checkpoint_stack *early = tales[i].early;

		if (early && stack_is_heap(&p->stacks[i]) && early->bytes)
			v[(*n)++] = (struct likely){ i, size_class_of((double)early->bytes / (double)early->blocks),
						     ghosts_of(c, i, &tales[i]) };
	}
	qsort(v, *n, sizeof(*v), by_size_class);
	return v;
}

/*
 * Of its early bytes so many stay. How many have ended beside the met ones is an estimate: none or twice as many may
 * have.
 */
static void limit_one(struct profile_totals *t, struct stack_tale *tale, const struct ghosts_stack *g, double stay)
{
	double part = tale->old_bytes ? stay / (double)tale->old_bytes : 1;

	limit_live(t, part_of(t->alloc_bytes, (uint64_t)((double)tale->old_bytes * part), tale->early->bytes),
		   part_of(t->alloc_blocks, (uint64_t)((double)tale->old_blocks * part), tale->early->blocks));
	tale->unsure_bytes = (g->unmet - stay) / g->born * (double)t->alloc_bytes;
}

/* No more than the older blocks of each stack make likely. */
static void limit_to_likely(struct collector *c, struct stack_tale *tales)
{
	size_t n, n_of = 0, i, end;
	struct likely *v = read_likely(c, tales, &n);
	struct ghosts_stack *of = xcalloc(n + 1, sizeof(*of));
	double ratio;

	for (i = 0; i < n; i = end, n_of = 0) {
		for (end = i; end < n && v[end].size_class == v[i].size_class; end++)
			of[n_of++] = v[end].g;
		ratio = ghosts_ratio(of, n_of, 1 / c->brief_weight);
		for (; i < end; i++)
			limit_one(&c->profile.stacks[v[i].stack].t, &tales[v[i].stack], &v[i].g, ghosts_stay(&v[i].g, ratio));
	}
	free(of);
	free(v);
}

/* Of a stack without older blocks, as many may have ended as were met: they had less time for it. */
static void doubt_the_young(struct collector *c, struct stack_tale *tales)
{
	size_t i;

	for (i = 0; i < c->profile.n_stacks; i++) {
		const struct profile_totals *t = &c->profile.stacks[i].t;
		double looked, met = met_blocks(c, i, &tales[i], &looked), live = (double)totals_live_blocks(t);

		if (!tales[i].early && live > 0)
			tales[i].unsure_bytes = (double)totals_live_bytes(t) * (met < live ? met / live : 1);
	}
}

static void lessen(struct profile_totals *t, struct stack_tale *tale, double less)
{
	double live = (double)totals_live_bytes(t), part = live > less ? (live - less) / live : 0;

	limit_live(t, (uint64_t)(live * part), (uint64_t)((double)totals_live_blocks(t) * part));
	tale->unsure_bytes = tale->unsure_bytes > less ? tale->unsure_bytes - less : 0;
}

/*
 * The scale of bursts is an estimate: more than the processes have mapped for data cannot live. What is not sure goes
 * first. Where that is not enough only the stacks' proportions are known.
 */
static void limit_to_mapped(struct collector *c, struct stack_tale *tales)
{
	struct profile *p = &c->profile;
	double live = 0, unsure = 0, mapped = 0, less, scale;
	struct proc_rlimits l;
	size_t i;

	p->watch.too_much = 0;
	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING && !proc_rlimits_read(&l, c->proc_root, p->procs[i].tgid))
			mapped += (double)l.vm_data_bytes;
	for (i = 0; i < p->n_stacks; i++) {
		double bytes = (double)totals_live_bytes(&p->stacks[i].t);

		if (!stack_is_heap(&p->stacks[i]) || p->procs[p->stacks[i].proc].state != PROC_RUNNING)
			continue;
		live += bytes;
		unsure += bytes < tales[i].unsure_bytes ? bytes : tales[i].unsure_bytes;
	}
	for (i = 0; i < p->n_stacks && mapped > 0; i++)
		tales[i].unsure_bytes = tales[i].unsure_bytes < mapped ? tales[i].unsure_bytes : mapped;
	if (live <= mapped || mapped <= 0)
		return;
	less = live - mapped < unsure ? (live - mapped) / unsure : 1;
	scale = live - unsure > mapped ? mapped / (live - unsure) : 1;
	p->watch.too_much = scale < 1 ? 1 / scale : 0;
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_totals *t = &p->stacks[i].t;
		double bytes = (double)totals_live_bytes(t);

		if (!stack_is_heap(&p->stacks[i]))
			continue;
		lessen(t, &tales[i], less * (bytes < tales[i].unsure_bytes ? bytes : tales[i].unsure_bytes));
		lessen(t, &tales[i], (1 - scale) * (double)totals_live_bytes(t));
	}
}

/* Two deviations of what lives. */
static void add_unsure(struct profile *p, const struct stack_tale *tales)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		totals_doubt(&p->stacks[i].t, tales[i].unsure_bytes / 2);
}

int survival_correct(struct collector *c)
{
	struct profile *p = &c->profile;
	struct block_list l = { .c = c };
	struct stack_tale *tales;
	int err;

	collector_note_weight(c);
	if (!c->brief_weight)
		return 0;
	err = look_at_blocks(&l, 0);
	tales = xcalloc(p->n_stacks + 1, sizeof(*tales));
	if (!err) {
		choose_early(c, tales);
		read_tales(tales, p->n_stacks, &l);
		limit_to_unmet(p, tales);
		limit_to_likely(c, tales);
		doubt_the_young(c, tales);
		limit_to_mapped(c, tales);
		add_unsure(p, tales);
	}
	free(tales);
	free(l.v);
	return err;
}
