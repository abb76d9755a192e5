/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Who touched which page first; see touchers.h. */
#include "collect/touchers.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "proc/memory.h"

#define PAGE 4096ull

/*
 * 36 bits of a page's number and 28 of a generation: both the kernel's and ours (MP_GEN_USER) count up from their
 * first.
 */
static uint64_t place_of(uint32_t gen, uint64_t addr)
{
	return (addr / PAGE & 0xfffffffff) | (uint64_t)((gen & 0x7ffffff) | gen >> 31 << 27) << 36;
}

static void take_place(void *ctx, const struct mp_rss_place *at, const struct mp_rss_toucher *by)
{
	struct touchers *t = ctx;

	if (!by->pages || by->pages & (by->pages - 1))
		return;
	XGROW(t->v, t->n, t->cap);
	t->v[t->n++] = (struct toucher){ at->addr, by->stack, at->gen, by->pages };
	t->orders |= by->pages;
}

static int by_place(const void *a, const void *b)
{
	const struct toucher *x = a, *y = b;

	if (x->gen != y->gen)
		return x->gen < y->gen ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int touchers_read(struct touchers *t, struct collector *c)
{
	size_t i;
	int err;

	*t = (struct touchers){ 0 };
	err = kern_read_rss_places(c->kern, take_place, t);
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), by_place);
	for (i = 0; i < t->n; i++)
		*table_put(&t->at, place_of(t->v[i].gen, t->v[i].addr), i) = i;
	return err;
}

void touchers_release(struct touchers *t)
{
	free(t->v);
	table_release(&t->at);
	*t = (struct touchers){ 0 };
}

uint64_t touchers_find(const struct touchers *t, uint32_t gen, uint64_t addr)
{
	uint32_t pages;

	for (pages = 1; pages && pages <= t->orders; pages <<= 1) {
		const uint64_t *at = t->orders & pages ? table_get(&t->at, place_of(gen, addr & ~(pages * PAGE - 1))) : NULL;

		if (at && t->v[*at].pages >= pages && t->v[*at].gen == gen)
			return t->v[*at].stack;
	}
	return 0;
}

/* ---- what is still there ---- */

struct settling {
	struct collector *c;
	struct table kept; /* stack -> pages that are there */
	struct mp_rss_place *gone;
	size_t n_gone, gone_cap;
};

static uint32_t pages_there(const struct proc_memory *m, const struct toucher *e)
{
	uint8_t state[512];
	uint32_t i, n = e->pages < sizeof(state) ? e->pages : (uint32_t)sizeof(state), there = 0;

	proc_memory_pages(m, e->addr, n, state);
	for (i = 0; i < n; i++)
		there += state[i] != PROC_PAGE_ABSENT;
	return there;
}

/* A run of neighbours at a time: one read of the page tables for them. */
static size_t look_at_run(const struct touchers *t, size_t first, const struct proc_memory *m, struct settling *s)
{
	const struct toucher *e = &t->v[first];
	uint8_t state[512];
	size_t i, n = 1;

	if (e->pages > 1) {
		*table_put(&s->kept, e->stack, 0) += pages_there(m, e);
		return 1;
	}
	while (first + n < t->n && e[n].gen == e->gen && e[n].pages == 1 && (e[n].addr - e->addr) / PAGE < sizeof(state))
		n++;
	proc_memory_pages(m, e->addr, (size_t)((e[n - 1].addr - e->addr) / PAGE) + 1, state);
	for (i = 0; i < n; i++) {
		if (state[(e[i].addr - e->addr) / PAGE] != PROC_PAGE_ABSENT) {
			++*table_put(&s->kept, e[i].stack, 0);
			continue;
		}
		XGROW(s->gone, s->n_gone, s->gone_cap);
		s->gone[s->n_gone++] = (struct mp_rss_place){ .addr = e[i].addr, .gen = e[i].gen };
	}
	return n;
}

static void look_at_pages(const struct touchers *t, struct settling *s)
{
	struct profile *p = &s->c->profile;
	struct proc_memory m;
	size_t i = 0, end;

	while (i < t->n) {
		const uint64_t *at = table_get(&p->proc_ids, t->v[i].gen);

		for (end = i; end < t->n && t->v[end].gen == t->v[i].gen;)
			end++;
		if (at && p->procs[*at].state == PROC_RUNNING &&
		    !proc_memory_open(&m, s->c->proc_root, p->procs[*at].tgid)) {
			while (i < end)
				i += look_at_run(t, i, &m, s);
			proc_memory_close(&m);
		}
		i = end;
	}
}

static void take_stack(void *ctx, uint64_t hash, const struct mp_rss_stack *r)
{
	struct settling *s = ctx;
	uint32_t at = profile_find_stack(&s->c->profile, hash);
	const uint64_t *kept = table_get(&s->kept, hash);
	struct profile_stack *st;
	double there, back;

	if (at == UINT32_MAX || !r->noted)
		return;
	st = &s->c->profile.stacks[at];
	if (s->c->profile.procs[st->proc].state != PROC_RUNNING)
		return;
	there = kept ? (double)*kept / (double)r->noted : 0;
	back = there < 1 ? (double)(r->placed * PAGE) * (1 - there) : 0;
	st->given_back_bytes = back < (double)st->touched_bytes ? (uint64_t)(back + 0.5) : st->touched_bytes;
}

int touchers_settle(struct touchers *t, struct collector *c)
{
	struct settling s = { .c = c };
	int err;

	look_at_pages(t, &s);
	err = shelf_read_rss_stacks(c, take_stack, &s);
	if (t->n > kern_most_rss_places(c->kern) / 2)
		kern_drop_rss_places(c->kern, s.gone, s.n_gone);
	log_debug("first touches: %zu places known, %zu of them given back", t->n, s.n_gone);
	free(s.gone);
	table_release(&s.kept);
	return err;
}
