/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Resident memory; part of the collector. First touches by stack and what gave memory back, from the kernel side
 * (bpf/rss.bpf.h); the series of the targets' own memory; what of the live blocks and mappings is resident, by whom it
 * was touched first (touchers.h), and what was never touched, from the page tables when a report is made.
 *
 * The series is anonymous + shared + swapped - lazily freed, so that swapping hides no leak and what
 * MADV_FREE gave away is none. From the kernel's counters, exact, where the rss plane has them, else from
 * /proc/PID/status. Lazily freed memory is in smaps_rollup only, which costs by the size of the process.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "collect/touchers.h"
#include "proc/memory.h"
#include "proc/process.h"
#include "proc/smaps.h"

/* Of the time, at most so much goes into smaps_rollup. */
#define LAZY_SHARE 100
#define LAZY_NS NS_PER_S
/* More small blocks than this are sampled. Large ones never are. */
#define MOST_SMALL ((size_t)1 << 18)
#define LARGE_BYTES (64 * KIB)
#define UNTOUCHED_NS (2 * NS_PER_S)
/* A larger mapping is an address space set aside, with memory here and there: not looked through. */
#define MOST_RANGE (16 * GIB)

static uint64_t page_bytes(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- first touches and releases ---- */

/* What was read back from swap was touched before. */
static void take_stack(void *ctx, uint64_t hash, const struct mp_rss_stack *s)
{
	struct collector *c = ctx;
	uint32_t at = profile_find_stack(&c->profile, hash);
	uint64_t own = s->pages[MP_RSS_ANON] + s->pages[MP_RSS_SHMEM], back = s->pages[MP_RSS_SWAP];

	if (at == UINT32_MAX)
		at = unsent_of(c, s->gen);
	c->profile.stacks[at].touched_bytes += (own > back ? own - back : 0) * page_bytes();
	c->profile.stacks[at].touched_file_bytes += s->pages[MP_RSS_FILE] * page_bytes();
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void take_totals(void *ctx, uint32_t gen, const struct mp_rss_totals *t)
{
	struct collector *c = ctx;
	const uint64_t *at = table_get(&c->profile.proc_ids, gen);
	uint64_t released = 0, page = page_bytes(), back;
	struct profile_rss *r;
	int i;

	if (!at)
		return;
	r = &c->profile.procs[*at].rss;
	for (i = 0; i < MP_RSS_RELEASES; i++) {
		r->released_bytes[i] = t->released[i] * page;
		released += t->released[i];
	}
	back = t->shrunk[MP_RSS_ANON] + t->shrunk[MP_RSS_SHMEM] + t->shrunk[MP_RSS_SWAP];
	back = less(back, released);
	r->read_back_bytes = back * page;
	r->touched_bytes = less(t->grown[MP_RSS_ANON] + t->grown[MP_RSS_SHMEM], back) * page;
	r->touched_file_bytes = t->grown[MP_RSS_FILE] * page;
	r->released_file_bytes = t->shrunk[MP_RSS_FILE] * page;
}

int resident_fill(struct collector *c)
{
	struct profile *p = &c->profile;
	const char *missing = c->options->planes & PLANE_RSS ? kern_rss_missing(c->kern) : NULL;
	size_t i;
	int err;

	p->rss_missing = profile_string(p, missing ? missing : "");
	bystanders_fill(c);
	for (i = 0; i < p->n_stacks; i++)
		p->stacks[i].touched_bytes = p->stacks[i].touched_file_bytes = 0;
	for (i = 0; i < p->n_stacks; i++)
		if (p->procs[p->stacks[i].proc].state == PROC_RUNNING)
			p->stacks[i].given_back_bytes = 0; /* of an earlier moment; an ended one's stays as it was last */
	err = shelf_read_rss_stacks(c, take_stack, c);
	return err ? err : kern_read_rss(c->kern, take_totals, c);
}

static void take_last(void *ctx, uint32_t gen, const struct mp_rss_totals *t)
{
	struct collector *c = ctx;
	int i;

	take_totals(c, gen, t);
	for (i = 0; i < MP_RSS_MEMBERS && ended_goes(c, gen); i++)
		c->gone_pages += t->grown[i];
}

int resident_take_last(struct collector *c)
{
	return kern_read_rss(c->kern, take_last, c);
}

/* ---- the series ---- */

static void note_now(void *ctx, uint32_t gen, const __s64 pages[MP_RSS_MEMBERS])
{
	__s64 sum = pages[MP_RSS_ANON] + pages[MP_RSS_SHMEM] + pages[MP_RSS_SWAP];

	*table_put(ctx, gen, 0) = sum > 0 ? (uint64_t)sum : 0;
}

/* One process after the other, as often as is cheap. */
static void look_at_lazy(struct collector *c)
{
	struct profile *p = &c->profile;
	uint64_t begin = clock_monotonic_ns(), took;
	struct profile_proc *proc;

	if (begin < c->next_lazy_ns || !p->n_procs)
		return;
	proc = &p->procs[c->lazy_proc++ % p->n_procs];
	if (proc->state == PROC_RUNNING)
		proc_lazy_free_read(&proc->now.lazy_free_bytes, c->proc_root, proc->tgid);
	took = (clock_monotonic_ns() - begin) * LAZY_SHARE;
	c->next_lazy_ns = begin + (took > LAZY_NS ? took : LAZY_NS);
}

static uint64_t own_bytes(struct collector *c, const struct table *now, const struct profile_proc *p)
{
	const uint64_t *pages = table_get(now, p->gen);
	struct proc_status st;

	if (pages)
		return *pages * page_bytes();
	if (proc_status_read(&st, c->proc_root, p->tgid))
		return 0;
	return st.rss_anon_bytes + st.rss_shmem_bytes + st.swap_bytes;
}

/* ---- how often a stack is taken ---- */

/* A stack takes a microsecond. Faster than this they would be 5 % of a CPU, and are then taken so often. */
#define MOST_TOUCHES 50000
#define SAMPLED_TOUCHES 10000

static void add_touched(void *ctx, uint32_t gen, const struct mp_rss_totals *t)
{
	int i;

	(void)gen;
	for (i = 0; i < MP_RSS_MEMBERS; i++)
		*(uint64_t *)ctx += t->grown[i];
}

static void choose_every(struct collector *c)
{
	uint64_t now = clock_monotonic_ns(), pages = c->gone_pages, every = 1;
	double rate;

	if (!c->options->sample_auto || kern_read_rss(c->kern, add_touched, &pages))
		return;
	rate = (double)less(pages, c->touched_pages) * 1e9 / (double)(now - c->touched_ns + 1);
	if (c->touched_ns && rate > MOST_TOUCHES)
		every = (uint64_t)(rate / SAMPLED_TOUCHES);
	c->touched_pages = pages;
	c->touched_ns = now;
	kern_set_rss_every(c->kern, (uint32_t)every);
	if (every > c->profile.rss_every)
		c->profile.rss_every = every;
}

double resident_now(struct collector *c)
{
	const struct profile *p = &c->profile;
	struct table now = { 0 };
	double sum = 0;
	size_t i;

	kern_read_rss_now(c->kern, note_now, &now);
	look_at_lazy(c);
	choose_every(c);
	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING)
			sum += (double)less(own_bytes(c, &now, &p->procs[i]), p->procs[i].now.lazy_free_bytes);
	table_release(&now);
	return sum;
}

/* ---- which blocks' memory is there ---- */

struct looked_block {
	uint64_t addr, size_bytes, weight;
	uint32_t proc, stack;
	bool is_small;
};

struct look {
	struct collector *c;
	struct touchers touchers;
	struct table joined; /* index of the block's stack << 32 | of the one that touched its pages -> bytes */
	uint64_t mask; /* of small blocks one in mask + 1 is looked at, by address */
	struct looked_block *v;
	size_t n, cap, n_small;
	struct proc_memory memory;
	uint64_t window; /* first page of state[] */
	size_t n_window;
	uint8_t state[512];
};

static bool is_drawn(const struct look *l, const struct looked_block *b)
{
	return !b->is_small || !(hash_u64(b->addr) & l->mask);
}

/* Half of the small ones go. */
static void thin_out(struct look *l)
{
	size_t i, n = 0;

	l->mask = l->mask * 2 + 1;
	l->n_small = 0;
	for (i = 0; i < l->n; i++) {
		if (!is_drawn(l, &l->v[i]))
			continue;
		l->n_small += l->v[i].is_small;
		l->v[n++] = l->v[i];
	}
	l->n = n;
}

static void take_block(void *ctx, const struct mp_block_key *key, const struct mp_block *b)
{
	struct look *l = ctx;
	struct profile *p = &l->c->profile;
	uint32_t at = profile_find_stack(p, b->stack);
	struct looked_block x = { key->addr, b->size_bytes, b->weight ? b->weight : 1, 0, at, b->size_bytes < LARGE_BYTES };

	if (at == UINT32_MAX || !b->size_bytes)
		return;
	x.proc = p->stacks[at].proc;
	if (p->procs[x.proc].state != PROC_RUNNING || !profile_bridge(p, x.proc) || !is_drawn(l, &x))
		return;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = x;
	l->n_small += x.is_small;
	if (l->n_small > MOST_SMALL)
		thin_out(l);
}

static int by_place(const void *a, const void *b)
{
	const struct looked_block *x = a, *y = b;

	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Resident or swapped out: it has been touched. */
static bool is_touched(struct look *l, uint64_t page)
{
	if (page < l->window || page - l->window >= l->n_window) {
		l->window = page;
		l->n_window = sizeof(l->state);
		proc_memory_pages(&l->memory, page * l->memory.page_bytes, l->n_window, l->state);
	}
	return l->state[page - l->window] != PROC_PAGE_ABSENT;
}

/* Of pages that are there: who touched them. */
static void note_toucher(struct look *l, const struct looked_block *b, uint64_t addr, uint64_t bytes)
{
	const struct profile *p = &l->c->profile;
	uint64_t stack = touchers_find(&l->touchers, p->procs[b->proc].gen, addr);
	uint32_t at = stack ? profile_find_stack(p, stack) : UINT32_MAX;

	if (at != UINT32_MAX)
		*table_put(&l->joined, (uint64_t)b->stack << 32 | at, 0) += bytes;
}

static void look_at_block(struct look *l, const struct looked_block *b)
{
	uint64_t size = l->memory.page_bytes, page = b->addr / size, end = b->addr + b->size_bytes, from, to, bytes;
	uint64_t times = b->weight * (b->is_small ? l->mask + 1 : 1);
	struct profile_stack *s = &l->c->profile.stacks[b->stack];

	for (; page * size < end; page++) {
		from = page * size > b->addr ? page * size : b->addr;
		to = (page + 1) * size < end ? (page + 1) * size : end;
		bytes = (to - from) * times;
		if (!is_touched(l, page)) {
			s->untouched_bytes += bytes;
			continue;
		}
		s->resident_bytes += bytes;
		if (l->touchers.n)
			note_toucher(l, b, page * size, bytes);
	}
}

/* False: it took too long, and there are no figures. */
static bool look_at_blocks(struct look *l, uint64_t end_ns)
{
	struct profile *p = &l->c->profile;
	uint32_t proc = UINT32_MAX;
	bool is_open = false;
	size_t i;

	for (i = 0; i < l->n && clock_monotonic_ns() < end_ns && (i % 1024 || !collector_is_over(l->c)); i++) {
		struct looked_block *b = &l->v[i];

		if (b->proc != proc) {
			if (is_open)
				proc_memory_close(&l->memory);
			proc = b->proc;
			l->n_window = 0;
			is_open = !proc_memory_open(&l->memory, l->c->proc_root, p->procs[proc].tgid);
		}
		if (is_open)
			look_at_block(l, b);
	}
	if (is_open)
		proc_memory_close(&l->memory);
	return i == l->n;
}

static void take_range(void *ctx, uint32_t stack, uint64_t start, uint64_t end)
{
	struct look *l = ctx;
	struct profile *p = &l->c->profile;
	uint32_t proc = p->stacks[stack].proc;

	if (p->procs[proc].state != PROC_RUNNING || !profile_bridge(p, proc) || end - start > MOST_RANGE)
		return;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = (struct looked_block){ start, end - start, 1, proc, stack, false };
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

/* Sampled blocks may come to more than there is. Ended processes keep what was seen last. */
static void bound_stacks(struct profile *p, bool complete)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];
		uint64_t live = totals_live_bytes(&s->t);

		if (p->procs[s->proc].state != PROC_RUNNING)
			continue;
		s->untouched_bytes = complete ? at_most(s->untouched_bytes, live) : 0;
		s->resident_bytes = complete ? at_most(s->resident_bytes, live) : 0;
	}
}

static void choose_touchers(struct look *l)
{
	struct profile *p = &l->c->profile;
	size_t i;

	for (i = 0; i < l->joined.cap; i++) {
		const struct table_slot *t = &l->joined.slots[i];
		struct profile_stack *s = &p->stacks[t->key >> 32];
		uint64_t by = p->stacks[(uint32_t)t->key].id;

		if (t->used != 1 || t->value < s->toucher_bytes || (t->value == s->toucher_bytes && by > s->toucher))
			continue;
		s->toucher = by;
		s->toucher_bytes = t->value;
	}
	for (i = 0; i < p->n_stacks; i++)
		p->stacks[i].toucher_bytes = at_most(p->stacks[i].toucher_bytes, p->stacks[i].resident_bytes);
}

static void forget_look(struct profile *p)
{
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (p->procs[p->stacks[i].proc].state == PROC_RUNNING)
			p->stacks[i].untouched_bytes = p->stacks[i].resident_bytes = p->stacks[i].toucher =
				p->stacks[i].toucher_bytes = 0;
}

static int join_blocks(struct look *l, uint64_t end_ns)
{
	struct profile *p = &l->c->profile;
	bool complete = true;
	int err;

	err = kern_read_blocks(l->c->kern, take_block, l);
	vm_plane_each(l->c, take_range, l);
	forget_look(p);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_place);
	if (!err && l->n)
		complete = look_at_blocks(l, end_ns);
	bound_stacks(p, complete);
	if (complete)
		choose_touchers(l);
	p->untouched_estimated = l->mask > 0;
	return err;
}

int resident_join(struct collector *c)
{
	struct look l = { .c = c };
	uint64_t begin = clock_monotonic_ns();
	int err = touchers_read(&l.touchers, c);

	if (!err && c->profile.n_bridges)
		err = join_blocks(&l, begin + UNTOUCHED_NS);
	if (!err)
		err = touchers_settle(&l.touchers, c);
	log_debug("resident: %zu blocks and mappings looked at in %llu us, one small one in %llu", l.n,
		  (unsigned long long)(clock_monotonic_ns() - begin) / 1000, (unsigned long long)l.mask + 1);
	touchers_release(&l.touchers);
	table_release(&l.joined);
	free(l.v);
	return err;
}
