/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The bridge of a process (model/bridge.h): joins smaps, page tables, the walk of the heap, the ledger and the vm
 * plane; part of the collector. At the attach and when a report is made; of PROFILE_MAX_BRIDGES processes at most.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/allocator.h"
#include "base/log.h"
#include "base/search.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/bridge_internal.h"
#include "collect/holders_look.h"
#include "collect/managed.h"

/*
 * The walk of a heap takes 0.3 to 0.7 s per GiB. At the attach nobody waits for more than it can get: a larger
 * heap is not begun, and the report has no column for that moment.
 */
#define ATTACH_BUDGET_NS (2 * NS_PER_S)
#define ATTACH_MAX_BYTES (3 * GIB)
#define NOW_NS_PER_GIB NS_PER_S
#define NOW_LEAST_NS (2 * NS_PER_S)
#define NOW_MOST_NS (10 * NS_PER_S)
#define MOST_TRIES 3
#define MAX_SINCE_BLOCKS ((size_t)4 << 20)

/* ---- residency ---- */

static uint64_t resident_in(void *ctx, uint64_t start, uint64_t end)
{
	const struct proc_memory *m = &((struct bridge_look *)ctx)->memory;
	uint64_t page = start & ~(m->page_bytes - 1), sum = 0;
	uint8_t state[1024];

	while (page < end) {
		uint64_t left = (end - page + m->page_bytes - 1) / m->page_bytes;
		size_t n = left < sizeof(state) ? (size_t)left : sizeof(state), i;

		proc_memory_pages(m, page, n, state);
		for (i = 0; i < n; i++, page += m->page_bytes) {
			uint64_t from = page > start ? page : start, to = page + m->page_bytes;

			if (state[i] == PROC_PAGE_RESIDENT)
				sum += (to < end ? to : end) - from;
		}
	}
	return sum;
}

/* ---- mappings ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_shared_memory(const struct proc_map *m)
{
	static const char *const places[] = { "/dev/shm/", "/dev/zero", "/memfd:", "/SYSV", "[anon_shmem" };
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strncmp(m->path, places[i], strlen(places[i])))
			return m->shared;
	return m->shared && !m->ino;
}

enum bridge_row bridge_row_of(const struct bridge_look *l, const struct proc_map *m)
{
	if (is_shared_memory(m))
		return BRIDGE_SHARED;
	if (m->ino)
		return BRIDGE_FILES;
	if (!strcmp(m->path, "[stack]"))
		return BRIDGE_STACKS;
	if (!strcmp(m->path, "[heap]"))
		return heap_is_read(l) ? BRIDGE_DIRECT : BRIDGE_OTHER_HEAP;
	if (*m->path && strncmp(m->path, "[anon:", 6) != 0)
		return BRIDGE_FILES; /* [vdso] */
	if (m->exec)
		return BRIDGE_CODE;
	return l->is_foreign ? BRIDGE_OTHER_HEAP : BRIDGE_DIRECT;
}

int bridge_claims_by_start(const void *a, const void *b)
{
	const struct bridge_claim *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Where threads' stack pointers are, and mappings of a stack's size, may be a runtime's heap: goroutines run in theirs. */
static bool is_managed(const struct bridge_look *l, const struct proc_stack *s)
{
	size_t i;

	for (i = 0; i < l->managed.n; i++)
		if (l->managed.v[i].start < s->end && l->managed.v[i].end > s->start)
			return true;
	return false;
}

/* Heaps that were walked, stacks, and the runtime's heap; what overlaps is cut. */
static void make_claims(struct bridge_look *l)
{
	struct proc_stack *stacks;
	size_t n_stacks, i, n = 0, n_heap = heap_is_read(l) ? l->heap.n_extents : 0;

	proc_stacks_find(&stacks, &n_stacks, &l->smaps.maps, l->c->proc_root, l->proc->tgid);
	l->claims = xcalloc(n_heap + n_stacks + l->managed.n + 1, sizeof(*l->claims));
	for (i = 0; i < n_heap; i++)
		l->claims[n++] = (struct bridge_claim){ l->heap.extents[i].start, l->heap.extents[i].end, BRIDGE_RSS };
	for (i = 0; i < n_stacks; i++)
		if (!is_managed(l, &stacks[i]))
			l->claims[n++] = (struct bridge_claim){ stacks[i].start, stacks[i].end, BRIDGE_STACKS };
	for (i = 0; i < l->managed.n; i++)
		l->claims[n++] = (struct bridge_claim){ l->managed.v[i].start, l->managed.v[i].end, BRIDGE_MANAGED };
	if (n)
		qsort(l->claims, n, sizeof(*l->claims), bridge_claims_by_start);
	for (i = 1; i < n; i++)
		if (l->claims[i].start < l->claims[i - 1].end) {
			uint64_t end = l->claims[i - 1].end;

			l->claims[i].start = end;
			if (l->claims[i].end < end)
				l->claims[i].end = end;
		}
	l->n_claims = n;
	free(stacks);
}

static void add_mappings(struct bridge_look *l)
{
	const struct proc_maps *maps = &l->smaps.maps;
	struct bridge_map *v = xcalloc(maps->n + 1, sizeof(*v));
	size_t i;

	l->b->swap_bytes = 0;
	for (i = 0; i < maps->n; i++) {
		const struct proc_map *m = &maps->v[i];

		v[i] = (struct bridge_map){ m->start, m->end, l->smaps.rss_bytes[i], bridge_row_of(l, m) };
		l->b->swap_bytes += l->smaps.swap_bytes[i];
	}
	bridge_add_maps(l->rows, v, maps->n, l->claims, l->n_claims, resident_in, l);
	free(v);
}

/* ---- the heap ---- */

/* Without the size words; those are overhead. */
static int64_t payload(const struct heap_part *p, uint64_t header_bytes)
{
	uint64_t headers = p->blocks * header_bytes;

	return p->resident_bytes > headers ? (int64_t)(p->resident_bytes - headers) : 0;
}

/* Sampled: what the profile says is alive, at most what is in use. */
static int64_t estimated_live(const struct profile *p, uint32_t proc)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].proc == proc && stack_is_heap(&p->stacks[i]))
			sum += totals_live_bytes(&p->stacks[i].t);
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/*
 * In use and not seen: from before, or allocated between the look at the attach and the arming, or after the
 * ledger was read, or lost by it. What is more than there was at the attach is no memory from before.
 */
static int64_t born_meanwhile(const struct bridge_look *l, uint64_t seen_bytes)
{
	const struct glibc_heap *h = &l->heap;
	uint64_t in_use = h->sum.in_use.bytes + h->mmapped.bytes;
	uint64_t before = in_use > seen_bytes ? in_use - seen_bytes : 0;

	if (l->rows != l->b->now) {
		l->b->attach_bytes = in_use;
		return 0;
	}
	return l->b->attach_bytes && before > l->b->attach_bytes ? (int64_t)(before - l->b->attach_bytes) : 0;
}

static void add_heap(struct bridge_look *l)
{
	const struct glibc_heap *h = &l->heap;
	const struct glibc_arena *s = &h->sum;
	int64_t in_use = payload(&s->in_use, 8) + payload(&h->mmapped, 16);
	int64_t since = payload(&s->since, 8) + payload(&h->mmapped_since, 16);
	uint64_t since_bytes = s->since.bytes + h->mmapped_since.bytes;
	uint64_t since_resident = s->since.resident_bytes + h->mmapped_since.resident_bytes;
	bool is_estimate = l->b->is_estimate && l->rows == l->b->now;
	int64_t estimate = is_estimate ? estimated_live(&l->c->profile, l->b->proc) : 0;

	since = is_estimate ? estimate : since;
	since += born_meanwhile(l, is_estimate ? (uint64_t)estimate : since_bytes);
	since = since < in_use ? since : in_use;
	l->rows[BRIDGE_HEAP_SINCE] += since;
	l->rows[BRIDGE_HEAP_BEFORE] += in_use - since;
	l->rows[BRIDGE_HEAP_KEPT] += (int64_t)(s->in_use.resident_bytes + h->mmapped.resident_bytes) - in_use +
				     (int64_t)(s->cached.resident_bytes + s->free.resident_bytes +
					       s->top.resident_bytes + s->header.resident_bytes);
	l->b->untouched_bytes = since_bytes - since_resident;
	l->b->n_arenas = h->n_arenas;
	l->b->trim_bytes = s->trim_bytes;
	l->b->heap = BRIDGE_HEAP_GLIBC;
}

void bridge_divide_again(struct collector *c)
{
	size_t i;

	for (i = 0; i < c->profile.n_bridges; i++) {
		struct bridge *b = &c->profile.bridges[i];
		int64_t *now = b->now, in_use = now[BRIDGE_HEAP_BEFORE] + now[BRIDGE_HEAP_SINCE];
		int64_t since = estimated_live(&c->profile, b->proc);

		if (!b->is_estimate || !b->has_now || b->heap != BRIDGE_HEAP_GLIBC)
			continue;
		if (b->has_attach && in_use - since > b->at_attach[BRIDGE_HEAP_BEFORE])
			since = in_use - b->at_attach[BRIDGE_HEAP_BEFORE];
		now[BRIDGE_HEAP_SINCE] = since < in_use ? since : in_use;
		now[BRIDGE_HEAP_BEFORE] = in_use - now[BRIDGE_HEAP_SINCE];
	}
}

static bool is_claimed(const struct bridge_look *l, uint64_t addr)
{
	size_t i = FIRST_ABOVE(l->claims, l->n_claims, start, addr);

	return i && addr < l->claims[i - 1].end;
}

static int by_addr(const void *a, const void *b)
{
	const struct since_block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Blocks of an allocator that is not read: touched as far as their pages are resident. */
static void add_foreign(struct bridge_look *l)
{
	const struct since_blocks *s = l->since;
	int64_t touched = 0, mapped = l->rows[BRIDGE_OTHER_HEAP];
	uint64_t bytes = 0;
	size_t i;

	if (s && s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_addr);
	for (i = 0; s && i < s->n; i++) {
		if (is_claimed(l, s->v[i].addr))
			continue;
		bytes += s->v[i].size_bytes;
		touched += (int64_t)resident_in(l, s->v[i].addr, s->v[i].addr + s->v[i].size_bytes);
	}
	if (l->b->is_estimate && l->rows == l->b->now)
		touched = estimated_live(&l->c->profile, l->b->proc) - l->rows[BRIDGE_HEAP_SINCE];
	if (touched > mapped)
		touched = mapped;
	if (touched <= 0)
		return;
	l->rows[BRIDGE_HEAP_SINCE] += touched;
	l->rows[BRIDGE_OTHER_HEAP] -= touched;
	if (bytes > (uint64_t)touched)
		l->b->untouched_bytes += bytes - (uint64_t)touched;
}

/* "libjemalloc.so.2" -> "jemalloc"; "" when no allocator's library is mapped. */
static void name_allocator(struct bridge_look *l)
{
	const struct proc_maps *maps = &l->smaps.maps;
	char name[32] = "";
	size_t i;

	for (i = 0; i < maps->n && !*name; i++) {
		const char *base = base_name(maps->v[i].path);

		if (!alloc_is_allocator_library(base))
			continue;
		base += strncmp(base, "lib", 3) ? 0 : 3;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	}
	l->is_foreign = *name || !heap_is_read(l);
	l->b->allocator = profile_string(&l->c->profile, name);
}

static void read_heap(struct bridge_look *l, uint64_t budget_ns)
{
	struct heap_look_opts o = {
		.proc_root = l->c->proc_root,
		.pid = l->proc->tgid,
		.maps = &l->smaps.maps,
		.since = l->since ? &l->since->set : NULL,
		.budget_ns = budget_ns,
		.is_over = l->c->is_over,
		.ctx = l->c->poll_ctx,
	};
	const char *reason = "";

	log_debug("process %d: reading its heap", (int)l->proc->tgid);
	l->heap_err = heap_look(&l->heap, &o);
	l->b->heap = BRIDGE_HEAP_UNREAD;
	l->b->untouched_bytes = l->b->n_arenas = l->b->trim_bytes = 0;
	if (l->heap_err)
		reason = l->heap_err == -ENOENT ? "no heap of glibc's" : strerror(-l->heap_err);
	else
		reason = l->heap.reason;
	l->b->reason = profile_string(&l->c->profile, reason);
	log_debug("process %d: heap read in %llu us%s%s", (int)l->proc->tgid,
		  (unsigned long long)l->heap.took_ns / 1000, *reason ? ": " : "", reason);
}

/* The heap that its runtime has set aside: where it is, and its name. */
static void find_managed(struct bridge_look *l)
{
	struct runtime *r = managed_runtime(l->c, l->proc->gen);
	const char *name = "";

	if (r && r->ops->heap_ranges && !r->ops->heap_ranges(r, &l->managed))
		name = r->ops->heap_name;
	l->b->managed = profile_string(&l->c->profile, name);
}

/* No heap of glibc's was found, though it has glibc and no other allocator. */
static bool may_be_one(const struct bridge_look *l)
{
	const struct proc_maps *maps = &l->smaps.maps;
	bool has_libc = false;
	size_t i;

	for (i = 0; i < maps->n; i++) {
		const char *base = base_name(maps->v[i].path);

		if (alloc_is_allocator_library(base))
			return false;
		has_libc |= alloc_is_libc(base);
	}
	return has_libc && l->heap_err == -ENOENT;
}

/*
 * The mappings, and the heap in them. A heap that changes under the eyes of the reader may make no sense, or not look
 * like one (two of thirty looks at a busy node): then both once more, within the time allowed. 0 or -errno.
 */
static int read_memory(struct bridge_look *l, uint64_t budget_ns)
{
	unsigned int tries = MOST_TRIES;
	int err;

	for (;;) {
		err = proc_smaps_read(&l->smaps, l->c->proc_root, l->proc->tgid);
		if (err)
			return err;
		read_heap(l, budget_ns);
		if (!--tries || (l->heap_err && !may_be_one(l)) || heap_is_read(l) || l->heap.took_ns > budget_ns / 2 ||
		    collector_is_over(l->c))
			return 0;
		budget_ns -= l->heap.took_ns;
		glibc_heap_release(&l->heap);
		proc_smaps_release(&l->smaps);
	}
}

/* Fills rows. False: the process cannot be looked at. */
static bool look(struct bridge_look *l, uint64_t budget_ns)
{
	if (proc_memory_open(&l->memory, l->c->proc_root, l->proc->tgid))
		return false;
	if (read_memory(l, budget_ns)) {
		proc_memory_close(&l->memory);
		return false;
	}
	memset(l->rows, 0, BRIDGE_NR * sizeof(*l->rows));
	name_allocator(l);
	find_managed(l);
	make_claims(l);
	bridge_claim_direct(l);
	add_mappings(l);
	if (heap_is_read(l))
		add_heap(l);
	if (l->is_foreign)
		add_foreign(l);
	bridge_finish(l->rows);
	return true;
}

static void release(struct bridge_look *l)
{
	proc_memory_close(&l->memory);
	proc_smaps_release(&l->smaps);
	glibc_heap_release(&l->heap);
	runtime_ranges_release(&l->managed);
	free(l->claims);
}

static struct bridge *new_bridge(struct profile *p, uint32_t proc)
{
	struct bridge *b;

	if (p->n_bridges == PROFILE_MAX_BRIDGES)
		return NULL;
	b = &p->bridges[p->n_bridges++];
	*b = (struct bridge){ .proc = proc };
	b->reason = b->allocator = b->managed = profile_string(p, "");
	return b;
}

void bridge_at_attach(struct collector *c, uint32_t proc)
{
	struct bridge *b = new_bridge(&c->profile, proc);
	struct bridge_look l = { .c = c, .b = b };

	if (!b || c->profile.procs[proc].at_attach.rss_bytes > ATTACH_MAX_BYTES)
		return;
	l.proc = &c->profile.procs[proc];
	l.rows = b->at_attach;
	b->has_attach = look(&l, ATTACH_BUDGET_NS);
	if (!b->has_attach)
		return;
	heap_looks_note(&l);
	release(&l);
}

/* ---- now ---- */

struct since_read {
	struct since_blocks *v;
	size_t n;
	bool is_full;
};

static void take_block(void *ctx, const struct mp_block_key *key, const struct mp_block *block)
{
	struct since_read *r = ctx;
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct since_blocks *s = &r->v[i];

		if (s->gen != key->gen)
			continue;
		if (s->n == MAX_SINCE_BLOCKS) {
			r->is_full = true;
			return;
		}
		XGROW(s->v, s->n, s->cap);
		s->v[s->n++] = (struct since_block){ key->addr, block->size_bytes };
		address_set_add(&s->set, key->addr);
		r->is_full |= s->set.is_full;
	}
}

static uint64_t now_budget_ns(const struct profile_proc *proc)
{
	uint64_t ns = proc->now.rss_bytes / MIB * (NOW_NS_PER_GIB / 1024);

	return ns < NOW_LEAST_NS ? NOW_LEAST_NS : ns > NOW_MOST_NS ? NOW_MOST_NS : ns;
}

static void look_now(struct collector *c, struct bridge *b, struct since_blocks *since)
{
	struct bridge_look l = { .c = c, .b = b, .since = since };
	enum bridge_heap then = b->heap;
	uint32_t managed_then = b->managed;

	if (c->bridges_kept >> (b - c->profile.bridges) & 1)
		return;
	l.proc = &c->profile.procs[b->proc];
	l.rows = b->now;
	b->has_now = false;
	b->is_estimate = !since;
	if (l.proc->state != PROC_RUNNING || collector_is_over(c) || !look(&l, now_budget_ns(l.proc)))
		return;
	b->has_now = true;
	if (b->heap != then || b->managed != managed_then) /* the same rows in both columns, or one column */
		b->has_attach = false;
	if (heap_is_read(&l))
		bridge_fill_census(&l);
	heap_looks_note(&l);
	release(&l);
}

/* Processes that began later get what places are left, in their order. */
static void add_later_ones(struct profile *p)
{
	uint32_t i;

	for (i = 0; i < p->n_procs && p->n_bridges < PROFILE_MAX_BRIDGES; i++)
		if (p->procs[i].state == PROC_RUNNING && !profile_bridge(p, i))
			new_bridge(p, i);
}

int collector_bridge(struct collector *c)
{
	struct profile *p = &c->profile;
	struct since_blocks since[PROFILE_MAX_BRIDGES] = { 0 };
	struct since_read r = { .v = since };
	bool is_exact = watch_is_exact(p);
	size_t i;
	int err = 0;

	if (c->has_bridges)
		return 0; /* the verdict asked for it */
	c->has_bridges = true;
	if (options_whole_machine(c->options))
		return resident_join(c);
	add_later_ones(p);
	for (i = 0; i < p->n_bridges; i++)
		since[r.n++].gen = p->procs[p->bridges[i].proc].gen;
	if (is_exact && r.n)
		err = kern_read_blocks(c->kern, take_block, &r);
	for (i = 0; i < p->n_bridges; i++)
		look_now(c, &p->bridges[i], is_exact && !err && !r.is_full ? &since[i] : NULL);
	for (i = 0; i < PROFILE_MAX_BRIDGES; i++) {
		free(since[i].v);
		address_set_release(&since[i].set);
	}
	if (!err && !p->final)
		err = holders_now(c);
	return err ? err : resident_join(c);
}

int collector_bridge_last(struct collector *c, pid_t pid)
{
	struct profile *p = &c->profile;
	int err = collector_snapshot(c, false);
	size_t i;

	if (!err)
		err = collector_bridge(c);
	for (i = 0; i < p->n_bridges && !err; i++)
		if (p->bridges[i].has_now && p->procs[p->bridges[i].proc].tgid == pid)
			c->bridges_kept |= 1u << i;
	return err;
}
