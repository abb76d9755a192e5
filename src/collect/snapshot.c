/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Filling a profile with the figures of one moment; part of the collector. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "collect/births.h"
#include "collect/collector_internal.h"
#include "collect/holders_look.h"
#include "collect/managed.h"
#include "collect/workers_look.h"
#include "proc/process.h"

void facts_read(struct collector *c, struct profile_proc *p, struct profile_facts *f)
{
	struct proc_status st;
	struct proc_stat stat;

	/* gone, or on its way, when it is in the root control group: the last known facts stay */
	if (proc_status_read(&st, c->proc_root, p->tgid) || !st.has_memory)
		return;
	p->ns_tgid = st.ns_pid;
	f->rss_bytes = st.rss_bytes;
	f->rss_anon_bytes = st.rss_anon_bytes;
	f->rss_file_bytes = st.rss_file_bytes;
	f->rss_shmem_bytes = st.rss_shmem_bytes;
	f->swap_bytes = st.swap_bytes;
	f->n_threads = st.n_threads;
	if (!proc_stat_read(&stat, c->proc_root, p->tgid)) {
		f->start_age_ns = stat.start_age_ns;
		f->cpu_ns = stat.cpu_ns;
	}
	limit_facts_read(c, p->tgid, f);
}

static struct profile_totals totals_of(const struct mp_stack *s)
{
	return (struct profile_totals){
		.alloc_bytes = s->alloc_bytes,
		.alloc_blocks = s->alloc_blocks,
		.free_bytes = s->free_bytes,
		.free_blocks = s->free_blocks,
		.birth_sum_ms = s->birth_sum_ms,
		.alloc_var = s->alloc_var,
		.free_var = s->free_var,
	};
}

static void take_stack(void *ctx, uint64_t hash, const struct mp_stack *s)
{
	struct collector *c = ctx;
	uint32_t at = profile_find_stack(&c->profile, hash);

	if (at != UINT32_MAX) {
		c->profile.stacks[at].t = totals_of(s);
		if (s->met_blocks)
			*table_put(&c->met, at, 0) = s->met_blocks;
	} else if (s->alloc_blocks) {
		XGROW(c->unsent, c->n_unsent, c->unsent_cap);
		c->unsent[c->n_unsent++] = (struct unsent_stack){ hash, *s };
	}
}

int snapshot_read_stacks(struct collector *c)
{
	int err;

	if (c->look == LOOK_HAS_STACKS)
		return 0;
	c->n_unsent = 0;
	err = shelf_read_stacks(c, take_stack, c);
	if (!err && c->look == LOOK_BEGUN)
		c->look = LOOK_HAS_STACKS;
	return err;
}

static uint64_t unsent_id(uint32_t gen)
{
	return hash_u64(gen ^ 0x756e73656e74ULL);
}

/*
 * Stacks whose frames the kernel has not sent yet have figures, but no names. Until they have, they are
 * one stack of their process, which gives their figures back when the frames have come.
 */
uint32_t unsent_of(struct collector *c, uint32_t gen)
{
	uint64_t id = unsent_id(gen);
	uint32_t at = profile_find_stack(&c->profile, id), frame;

	if (at != UINT32_MAX)
		return at;
	frame = note_frame(c, "[stack not sent]");
	return profile_add_stack(&c->profile, id, profile_proc(&c->profile, gen), &frame, 1, MP_END_COMPLETE);
}

/* Most of them have only been met since the last look at the event buffer: another look. */
static void take_unsent(struct collector *c)
{
	size_t i;

	if (c->n_unsent && c->poll)
		c->poll(c->poll_ctx);
	collector_resolve(c, UINT64_MAX);
	table_release(&c->unsent_at);
	for (i = 0; i < c->n_unsent; i++) {
		const struct profile_totals t = totals_of(&c->unsent[i].s);
		uint32_t at = profile_find_stack(&c->profile, c->unsent[i].hash);

		if (at != UINT32_MAX) {
			c->profile.stacks[at].t = t;
			continue;
		}
		at = unsent_of(c, c->unsent[i].s.gen);
		table_put(&c->unsent_at, c->unsent[i].hash, at);
		totals_add(&c->profile.stacks[at].t, &t);
	}
}

static int read_stacks(struct collector *c)
{
	size_t i;
	int err;

	for (i = 0; i < c->profile.n_procs; i++) { /* those of the last time */
		uint32_t at = profile_find_stack(&c->profile, unsent_id(c->profile.procs[i].gen));

		if (at != UINT32_MAX)
			c->profile.stacks[at].t = (struct profile_totals){ 0 };
	}
	err = snapshot_read_stacks(c);
	take_unsent(c);
	return err;
}

/* What a runtime's own heap handed out. */
static void take_bump(void *ctx, uint64_t hash, const struct mp_bump *b)
{
	struct collector *c = ctx;
	uint32_t at = profile_find_stack(&c->profile, hash);
	struct profile_stack *s = &c->profile.stacks[at == UINT32_MAX ? unsent_of(c, b->gen) : at];

	s->bump_bytes += b->bytes;
	s->bump_draws += b->draws;
	s->bump_var += b->squares;
}

static int read_bumps(struct collector *c)
{
	size_t i;

	for (i = 0; i < c->profile.n_stacks; i++)
		c->profile.stacks[i].bump_bytes = c->profile.stacks[i].bump_draws = c->profile.stacks[i].bump_var = 0;
	return shelf_read_bumps(c, take_bump, c);
}

/* Blocks of the current burst stand for themselves alone: the others of their kind count as ended. */
static void take_young(void *ctx, uint64_t hash, uint64_t bytes, uint64_t blocks)
{
	struct collector *c = ctx;
	uint32_t at = profile_find_stack(&c->profile, hash);
	double weight = kern_burst_weight(c->kern);
	struct profile_totals *t;
	uint64_t live;

	if (at == UINT32_MAX || weight < 2)
		return;
	t = &c->profile.stacks[at].t;
	bytes -= (uint64_t)((double)bytes / weight);
	blocks -= (uint64_t)((double)blocks / weight);
	live = totals_live_blocks(t);
	if (bytes > totals_live_bytes(t) || blocks > live)
		return; /* frees came between the two reads */
	t->free_bytes += bytes;
	t->free_blocks += blocks;
	if (!live)
		return;
	t->birth_sum_ms -= (uint64_t)((double)t->birth_sum_ms * (double)blocks / (double)live);
	if (t->alloc_var > t->free_var)
		t->free_var += (uint64_t)((double)(t->alloc_var - t->free_var) * (double)blocks / (double)live);
}

static void take_proc(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	struct collector *c = ctx;
	const uint64_t *at = table_get(&c->profile.proc_ids, gen);

	if (at)
		c->profile.procs[*at].old = *t;
}

int snapshot_take_totals(struct collector *c)
{
	return kern_read_procs(c->kern, take_proc, c);
}

struct block_filter {
	struct collector *c;
	uint64_t now_ms;
};

bool snapshot_is_filtered(const struct options *o)
{
	return o->older_ns || o->min_size_bytes || o->max_size_bytes != UINT64_MAX;
}

bool snapshot_block_passes(const struct options *o, const struct mp_block *b, uint64_t now_ms)
{
	if (b->size_bytes < o->min_size_bytes || b->size_bytes > o->max_size_bytes)
		return false;
	return !o->older_ns || (now_ms >= b->birth_ms && (now_ms - b->birth_ms) * NS_PER_MS >= o->older_ns);
}

static void take_block(void *ctx, const struct mp_block_key *key, const struct mp_block *b)
{
	struct block_filter *f = ctx;
	uint32_t at = profile_find_stack(&f->c->profile, b->stack);
	const uint64_t *unsent = at == UINT32_MAX ? table_get(&f->c->unsent_at, b->stack) : NULL;

	(void)key;
	if (unsent)
		at = (uint32_t)*unsent;
	if (at == UINT32_MAX || !snapshot_block_passes(f->c->options, b, f->now_ms))
		return;
	f->c->profile.stacks[at].live_bytes += b->size_bytes * (b->weight ? b->weight : 1);
	f->c->profile.stacks[at].live_blocks += b->weight ? b->weight : 1;
}

/* Live bytes per stack: from the totals, or, with filters on blocks, from the blocks themselves. */
static int fill_live(struct collector *c)
{
	const struct options *o = c->options;
	struct profile *p = &c->profile;
	struct block_filter f = { .c = c, .now_ms = p->window_ns / NS_PER_MS };
	bool filtered = snapshot_is_filtered(o);
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		p->stacks[i].live_bytes = filtered ? 0 : totals_live_bytes(&p->stacks[i].t);
		p->stacks[i].live_blocks = filtered ? 0 : totals_live_blocks(&p->stacks[i].t);
	}
	return filtered ? kern_read_blocks(c->kern, take_block, &f) : 0;
}

/* Of what was counted, or of the calls that the probes saw: those come in parts, and see what was not drawn too. */
static void fill_hits(struct profile *p)
{
	uint64_t counted = 0, seen = 0, lost = 0;
	size_t i;

	for (i = 0; i < p->n_stacks && watch_is_exact(p); i++)
		if (stack_is_heap(&p->stacks[i]))
			counted += p->stacks[i].t.alloc_blocks + p->stacks[i].t.free_blocks;
	for (i = 0; i < p->n_procs; i++) {
		const struct mp_proc_totals *t = &p->procs[i].old;

		counted += t->old_free_blocks + t->failed_calls;
		lost += t->lost_blocks; /* each with an end that was no call */
		seen += t->alloc_calls + t->free_calls;
	}
	counted -= lost < counted ? lost : counted;
	p->cost.probe_hits = counted > seen ? counted : seen;
}

static void fill_cost(struct collector *c)
{
	struct profile_cost *cost = &c->profile.cost;
	struct proc_status st;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	cost->own_cpu_ns = ((uint64_t)ru.ru_utime.tv_sec + (uint64_t)ru.ru_stime.tv_sec) * NS_PER_S +
			   ((uint64_t)ru.ru_utime.tv_usec + (uint64_t)ru.ru_stime.tv_usec) * NS_PER_US;
	cost->kernel_memory_bytes = kern_memory_bytes(c->kern);
	if (!proc_status_read(&st, c->proc_root, getpid()))
		cost->user_memory_bytes = st.rss_bytes;
	fill_hits(&c->profile);
}

static int fill_losses(struct collector *c)
{
	struct mp_loss_count l[MP_LOSS_NR];
	struct kern_unwind_stats u;
	int err, i;

	err = kern_read_losses(c->kern, l);
	if (err)
		return err;
	kern_unwind_stats(c->kern, &u);
	l[MP_LOSS_TABLES_FULL].events += u.n_full;
	l[MP_LOSS_STACK_HASH].events += c->hash_mismatches;
	l[MP_LOSS_VM_MISSED].events += c->vm.n_missed;
	l[MP_LOSS_STOPPED].events += c->n_stops;
	l[MP_LOSS_MAPS_UNSEEN].events += c->n_lost_maps;
	for (i = 0; i < MP_LOSS_NR; i++)
		c->profile.losses[i] = (struct profile_loss){ l[i].events, l[i].bytes };
	return 0;
}

void collector_note_stop(struct collector *c)
{
	c->n_stops++;
}

void collector_note_lost_maps(struct collector *c, uint64_t n)
{
	c->n_lost_maps += n;
}

void snapshot_fill_times(struct collector *c)
{
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
	c->profile.window_ns = now - kern_armed_ns(c->kern);
	clock_gettime(CLOCK_REALTIME, &t);
	c->profile.wall_time_ns = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static bool has_ended(void *ctx, uint32_t gen)
{
	struct collector *c = ctx;
	const uint64_t *at = table_get(&c->profile.proc_ids, gen);

	return at && c->profile.procs[*at].state != PROC_RUNNING;
}

/* Their totals stay; with filters on blocks the blocks must stay too. */
void collector_sweep(struct collector *c)
{
	const struct options *o = c->options;

	collector_forget_recent(c);
	if (!snapshot_is_filtered(o) && c->n_ended != c->n_swept) {
		c->n_swept = c->n_ended;
		kern_sweep_blocks(c->kern, has_ended, c);
		kern_sweep_rss(c->kern, has_ended, c);
	}
	ended_drop(c);
}

int collector_snapshot(struct collector *c, bool final)
{
	struct profile *p = &c->profile;
	size_t i;
	int err;

	c->has_bridges = false;
	for (i = 0; i < p->n_bridges; i++)
		if (!(c->bridges_kept >> i & 1))
			p->bridges[i].has_now = false; /* of an earlier moment; collector_bridge is for this one */
	snapshot_fill_times(c);
	p->final = final;
	collector_resolve(c, UINT64_MAX);
	err = read_stacks(c);
	if (!err)
		err = kern_read_young(c->kern, take_young, c);
	if (!err)
		err = survival_correct(c);
	if (!err)
		err = snapshot_take_totals(c);
	vm_plane_correct(c);
	if (!err)
		err = resident_fill(c);
	if (!err)
		err = read_bumps(c);
	if (!err)
		err = fill_losses(c);
	if (!err)
		err = fill_live(c);
	vm_plane_fill(c);
	generated_name(c);
	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING)
			facts_read(c, &p->procs[i], &p->procs[i].now);
	managed_count_collections(c);
	if (!err && p->objects.is_there)
		err = births_fill(c);
	fill_cost(c);
	if (final) {
		workers_end(c);
		managed_find_growth(c);
	}
	if (!err && final)
		err = holders_now(c); /* the verdict asks for it */
	return err || !final ? err : evidence_collect(c);
}
