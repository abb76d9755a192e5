/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who within a process holds its memory (model/holders.h): the census of its runtime at the attach and now, joined with
 * the ledger, so that each place that allocated large binaries has its holders; part of the collector.
 *
 * Of the first process whose runtime knows such holders; of none on the whole machine.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/holders_look.h"
#include "collect/managed.h"

/* Frames that tell blocks apart: what they are, and who ran. */
#define OF_BINARIES "[binary]"
#define WHO_RAN "[process "
#define MOST_BLOCKS 2000000

struct holders_first {
	uint32_t gen; /* 0: not yet */
	struct holder *v;
	size_t n;
	struct table ids;
	bool is_cut, is_told; /* much of it may be missing; that was said, of this look or another */
};

struct site_block {
	uint32_t site, birth_ms, weight;
};

struct look {
	struct collector *c;
	const struct holders_first *first;
	struct runtime_census census;
	struct table holder_of; /* address -> index in census.holders + 1 */
	struct table site_of_stack, site_of_frames; /* + 1; 0: of no binaries */
	struct table met; /* site and holder */
	struct holder_site *sites;
	size_t n_sites, sites_cap;
	struct site_block *blocks;
	size_t n_blocks, blocks_cap;
};

/* Names of a look become the profile's. */
static void take_names(struct profile *p, struct runtime_census *census)
{
	size_t i;

	for (i = 0; i < census->n_holders; i++)
		census->holders[i].name = profile_string(p, intern_str(&census->holder_names, census->holders[i].name));
}

void holders_at_attach(struct collector *c, uint32_t gen, struct runtime *r)
{
	struct runtime_census census = { 0 };
	struct holders_first *f;
	size_t i;

	if (c->holders_first || options_whole_machine(c->options) || !r->ops->has_holders || !r->has_census ||
	    r->ops->census(r, &census))
		return;
	take_names(&c->profile, &census);
	f = c->holders_first = xcalloc(1, sizeof(*f));
	f->gen = gen;
	f->n = census.n_holders;
	f->is_cut = census.is_cut;
	f->v = census.holders;
	census.holders = NULL;
	for (i = 0; i < f->n; i++)
		table_put(&f->ids, f->v[i].id, 1);
	runtime_census_release(&census);
}

void holders_release(struct collector *c)
{
	if (!c->holders_first)
		return;
	free(c->holders_first->v);
	table_release(&c->holders_first->ids);
	free(c->holders_first);
}

/* ---- places that allocated ---- */

/* The language's own: what the runtime did there, as to collect, makes no other place. */
static uint64_t hash_frames(const struct profile *p, const struct profile_stack *s)
{
	uint64_t h = 0;
	uint32_t i;

	for (i = 0; i < s->n_frames; i++) {
		uint32_t frame = p->stack_frames[s->first_frame + i];

		if (p->frames[frame].is_managed &&
		    strncmp(profile_str(p, p->frames[frame].name), WHO_RAN, strlen(WHO_RAN)) != 0)
			h = hash_u64(h ^ frame);
	}
	return h;
}

/* NULL: its blocks are no binaries. */
static struct holder_site *site_of(struct look *l, uint64_t stack)
{
	const struct profile *p = &l->c->profile;
	uint64_t *known = table_get(&l->site_of_stack, stack), *same;
	uint32_t at;

	if (known)
		return *known ? &l->sites[*known - 1] : NULL;
	known = table_put(&l->site_of_stack, stack, 0);
	at = profile_find_stack(p, stack);
	if (at == UINT32_MAX || !p->stacks[at].n_frames ||
	    strcmp(profile_str(p, p->frames[p->stack_frames[p->stacks[at].first_frame]].name), OF_BINARIES) != 0)
		return NULL;
	same = table_put(&l->site_of_frames, hash_frames(p, &p->stacks[at]), 0);
	if (!*same) {
		XGROW(l->sites, l->n_sites, l->sites_cap);
		l->sites[l->n_sites++] = (struct holder_site){ .stack = at };
		*same = l->n_sites;
	} else if (totals_live_bytes(&p->stacks[at].t) > totals_live_bytes(&p->stacks[l->sites[*same - 1].stack].t)) {
		l->sites[*same - 1].stack = at;
	}
	*known = *same;
	return &l->sites[*same - 1];
}

static void add_holder(struct look *l, struct holder_site *s, uint32_t holder)
{
	uint64_t *met = table_put(&l->met, (uint64_t)(s - l->sites) << 32 | holder, 0);

	if ((*met)++)
		return;
	s->holders++;
	s->old_holders += table_get(&l->first->ids, l->census.holders[holder].id) != NULL;
}

static void take_block(void *ctx, const struct mp_block_key *key, const struct mp_block *b)
{
	struct look *l = ctx;
	uint32_t weight = b->weight ? b->weight : 1;
	const uint64_t *holder;
	struct holder_site *s;

	if (key->gen != l->first->gen)
		return;
	s = site_of(l, b->stack);
	if (!s)
		return;
	s->bytes += b->size_bytes * weight;
	s->blocks += weight;
	holder = table_get(&l->holder_of, key->addr);
	if (holder) {
		s->held_bytes += b->size_bytes * weight;
		s->held_blocks += weight;
		add_holder(l, s, (uint32_t)*holder);
	}
	if (l->n_blocks == MOST_BLOCKS)
		return;
	XGROW(l->blocks, l->n_blocks, l->blocks_cap);
	l->blocks[l->n_blocks++] = (struct site_block){ (uint32_t)(s - l->sites), b->birth_ms, weight };
}

static int by_site_and_birth(const void *a, const void *b)
{
	const struct site_block *x = a, *y = b;

	if (x->site != y->site)
		return x->site < y->site ? -1 : 1;
	return x->birth_ms < y->birth_ms ? -1 : x->birth_ms > y->birth_ms;
}

/* Half of a site's blocks are as old as that, or older. */
static void take_ages(struct look *l)
{
	uint64_t now_ms = l->c->profile.window_ns / NS_PER_MS, half = 0;
	size_t i;

	if (l->n_blocks)
		qsort(l->blocks, l->n_blocks, sizeof(*l->blocks), by_site_and_birth);
	for (i = 0; i < l->n_blocks; i++) {
		struct holder_site *s = &l->sites[l->blocks[i].site];

		if (!i || l->blocks[i].site != l->blocks[i - 1].site)
			half = 0;
		if (half <= s->blocks / 2 && now_ms > l->blocks[i].birth_ms)
			s->half_age_ms = now_ms - l->blocks[i].birth_ms;
		half += l->blocks[i].weight;
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct holder_site *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static int take_sites(struct look *l)
{
	struct holders *h = &l->c->profile.holders;
	size_t i;
	int err;

	for (i = 0; i < l->census.n_held; i++)
		*table_put(&l->holder_of, l->census.held[i].addr, 0) = l->census.held[i].holder;
	err = kern_read_blocks(l->c->kern, take_block, l);
	if (err)
		return err;
	take_ages(l);
	if (l->n_sites)
		qsort(l->sites, l->n_sites, sizeof(*l->sites), by_bytes);
	for (h->n_sites = 0; h->n_sites < l->n_sites && h->n_sites < HOLDERS_SITES; h->n_sites++)
		h->sites[h->n_sites] = l->sites[h->n_sites];
	return 0;
}

/* What one of the looks missed is neither new nor gone. */
static void leave_growth_out(struct holders *h, struct holders_first *f, const struct runtime *r)
{
	h->has_first = false;
	if (!f->is_told)
		log_warn("process %d: its Erlang processes were read in part: how they grew is not told", (int)r->process.pid);
	f->is_told = true;
}

int holders_now(struct collector *c)
{
	struct look l = { .c = c, .first = c->holders_first };
	struct profile *p = &c->profile;
	struct runtime *r;
	const uint64_t *proc;
	int err = 0;

	p->holders.is_there = false;
	if (!l.first)
		return 0;
	proc = table_get(&p->proc_ids, l.first->gen);
	r = managed_runtime(c, l.first->gen);
	if (!r || !proc || p->procs[*proc].state != PROC_RUNNING || r->ops->census(r, &l.census))
		goto out;
	take_names(p, &l.census);
	holders_join(&p->holders, l.first->v, l.first->n, l.census.holders, l.census.n_holders);
	if (l.first->is_cut || l.census.is_cut)
		leave_growth_out(&p->holders, c->holders_first, r);
	p->holders.proc = (uint32_t)*proc;
	err = take_sites(&l);
out:
	runtime_census_release(&l.census);
	table_release(&l.holder_of);
	table_release(&l.site_of_stack);
	table_release(&l.site_of_frames);
	table_release(&l.met);
	free(l.sites);
	free(l.blocks);
	return err;
}
