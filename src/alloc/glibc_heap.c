/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* glibc's heap read from outside: order of the steps, and the self-check; see glibc_heap.h. */
#include "alloc/glibc_heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc/glibc_internal.h"
#include "base/search.h"
#include "base/units.h"
#include "base/xalloc.h"

/* Sums may differ from the allocator's own by this, as both move: percent, and bytes. */
#define TOLERANCE_PERCENT 2
#define TOLERANCE_BYTES MIB
#define MAX_UNREAD_PERCENT 10

bool reader_read(struct heap_reader *r, uint64_t addr, void *out, size_t len)
{
	const struct target_memory *m = r->o->memory;
	uint64_t page = addr & ~(m->page_bytes - 1);
	size_t n = (addr + len - page + m->page_bytes - 1) / m->page_bytes, i;
	uint8_t state[4];

	if (n > sizeof(state))
		return false;
	m->pages(m->ctx, page, n, state);
	for (i = 0; i < n; i++)
		if (state[i] != PAGE_RESIDENT)
			return false;
	return m->read(m->ctx, addr, out, len) == len;
}

bool reader_is_late(struct heap_reader *r)
{
	if (!r->out_of_time && r->o->budget_ns)
		r->out_of_time =
			r->o->memory->now_ns(r->o->memory->ctx) - r->began_ns > r->o->budget_ns;
	return r->out_of_time;
}

void reader_add_extent(struct heap_reader *r, uint64_t start, uint64_t end, enum memory_kind kind)
{
	struct glibc_heap *h = r->h;

	XGROW(h->extents, h->n_extents, h->extents_cap);
	h->extents[h->n_extents++] = (struct memory_range){ start, end, kind };
}

const struct memory_range *reader_range(const struct heap_reader *r, uint64_t addr,
					enum memory_kind kind)
{
	size_t i = FIRST_ABOVE(r->o->ranges, r->o->n_ranges, start, addr);
	const struct memory_range *m = i ? &r->o->ranges[i - 1] : NULL;

	return m && addr < m->end && m->kind == kind ? m : NULL;
}

/* The ring of arenas, from the main one on. */
static int list_arenas(struct heap_reader *r)
{
	struct glibc_heap *h = r->h;
	uint64_t addr = r->main_arena;
	uint8_t arena[ARENA_BYTES];
	size_t cap = 0;

	do {
		uint64_t behind = addr & (HEAP_MAX_BYTES - 1);

		if (!reader_read(r, addr, arena, sizeof(arena)))
			return -ENOENT;
		XGROW(h->arenas, h->n_arenas, cap);
		h->arenas[h->n_arenas++] = (struct glibc_arena){
			.address = addr,
			.is_main = addr == r->main_arena,
			.top_address = read_word(arena + ARENA_TOP),
			.system_bytes = read_word(arena + ARENA_SYSTEM_MEM),
		};
		if (addr != r->main_arena && (behind == 32 || behind == 48))
			r->heap_info_bytes = behind;
		addr = read_word(arena + ARENA_NEXT);
		if (h->n_arenas > GLIBC_MAX_ARENAS)
			return -ENOMEM;
	} while (addr != r->main_arena);
	return 0;
}

static void add_part(struct heap_part *sum, const struct heap_part *p)
{
	part_add(sum, p->bytes, p->resident_bytes, p->blocks);
}

static void add_arena(struct glibc_arena *sum, const struct glibc_arena *a)
{
	sum->system_bytes += a->system_bytes;
	sum->n_heaps += a->n_heaps;
	sum->trim_bytes += a->trim_bytes;
	add_part(&sum->in_use, &a->in_use);
	add_part(&sum->since, &a->since);
	add_part(&sum->cached, &a->cached);
	add_part(&sum->free, &a->free);
	add_part(&sum->top, &a->top);
	add_part(&sum->unread, &a->unread);
	add_part(&sum->header, &a->header);
}

static uint64_t arena_bytes(const struct glibc_arena *a)
{
	return a->in_use.bytes + a->cached.bytes + a->free.bytes + a->top.bytes + a->unread.bytes +
	       a->header.bytes;
}

/* What the arena got and no heap shows was not found: parts of a main arena that brk could not
 * give. */
static void check_arena(struct glibc_heap *h, struct glibc_arena *a)
{
	uint64_t sum = arena_bytes(a), system = a->system_bytes;

	if (sum + TOLERANCE_BYTES < system)
		part_add(&a->unread, system - sum, 0, 1);
	if (sum > system + TOLERANCE_BYTES + system / 100 * TOLERANCE_PERCENT)
		snprintf(h->reason, sizeof(h->reason),
			 "an arena of %llu bytes shows chunks of %llu", (unsigned long long)system,
			 (unsigned long long)sum);
}

static void check(struct heap_reader *r)
{
	struct glibc_heap *h = r->h;
	uint64_t sum, unread, found = h->mmapped.bytes, claimed = h->mmapped_claimed;
	size_t i;

	for (i = 0; i < h->n_arenas; i++) {
		check_arena(h, &h->arenas[i]);
		add_arena(&h->sum, &h->arenas[i]);
	}
	unread = h->sum.unread.bytes;
	sum = arena_bytes(&h->sum) + found;
	if (claimed != UINT64_MAX && found < claimed)
		unread += claimed - found, sum += claimed - found;
	if (claimed != UINT64_MAX &&
	    found > claimed + TOLERANCE_BYTES + claimed / 100 * TOLERANCE_PERCENT)
		snprintf(h->reason, sizeof(h->reason),
			 "mapped chunks of %llu bytes where %llu are counted",
			 (unsigned long long)found, (unsigned long long)claimed);
	else if (r->out_of_time)
		snprintf(h->reason, sizeof(h->reason),
			 "not read in the time allowed: %llu %% of it",
			 (unsigned long long)(sum ? unread * 100 / sum : 0));
	else if (unread > sum / 100 * MAX_UNREAD_PERCENT)
		snprintf(h->reason, sizeof(h->reason), "%llu %% of it could not be read",
			 (unsigned long long)(sum ? unread * 100 / sum : 0));
	h->is_trusted = !*h->reason;
}

static int by_start(const void *a, const void *b)
{
	const struct memory_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static const char *layout_name(const struct heap_reader *r)
{
	size_t i;

	if (!r->heap_info_bytes && r->protects_links)
		return ""; /* one arena: nothing tells */
	for (i = 0; i < N_GLIBC_LAYOUTS; i++) {
		const struct glibc_layout *l = &glibc_layouts[i];

		if ((!r->heap_info_bytes || r->heap_info_bytes == l->heap_info_bytes) &&
		    (r->protects_links < 0 || r->protects_links == l->protects_links))
			return l->since;
	}
	return "";
}

static int read_heap(struct heap_reader *r)
{
	struct glibc_heap *h = r->h;
	size_t i;
	int err;

	if (!glibc_find(r))
		return -ENOENT;
	err = list_arenas(r);
	if (err)
		return err;
	glibc_walk_main(r, &h->arenas[0]);
	for (i = 1; i < h->n_arenas; i++)
		glibc_walk_heaps(r, &h->arenas[i]);
	glibc_take_cached(r);
	glibc_find_mmapped(r);
	h->layout = layout_name(r);
	check(r);
	qsort(h->extents, h->n_extents, sizeof(*h->extents), by_start);
	return 0;
}

int glibc_heap_read(struct glibc_heap *out, const struct glibc_heap_opts *o)
{
	struct heap_reader r = { .o = o, .h = out, .protects_links = -1 };
	int err;

	*out = (struct glibc_heap){ .mmapped_claimed = UINT64_MAX };
	out->census = xmalloc(sizeof(*out->census));
	census_init(out->census);
	window_init(&r.w, o->memory);
	r.began_ns = o->memory->now_ns(o->memory->ctx);
	err = read_heap(&r);
	out->took_ns = o->memory->now_ns(o->memory->ctx) - r.began_ns;
	window_release(&r.w);
	free(r.tcaches);
	return err;
}

void glibc_heap_release(struct glibc_heap *h)
{
	if (h->census)
		census_release(h->census);
	free(h->census);
	free(h->arenas);
	free(h->extents);
	*h = (struct glibc_heap){ 0 };
}
