/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * CPython's objects by type: the lists of the cyclic collector, walked from outside. Containers and instances are
 * there; strings, numbers and bytes are not tracked and not counted. The lists change meanwhile: each link is checked
 * in both directions, a torn one is read again, a generation that was cut is walked again; of several tries the one
 * that came farthest counts, and then the census is partial. The end of a full collection is waited for.
 *
 *	generation {next, prev} <-> {next|flag, prev|flags, object: {refcount, type, size, ...}} <-> ...
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "runtime/cpython.h"

#define GENERATIONS 4
#define NODE_BYTES 72 /* links, and the first 56 bytes of an object */
#define LINK (~3ULL) /* flags are in the low bits */
#define PAGE 4096u
#define PAGES 1024u
#define TRIES 4
#define QUICK_TRIES 40 /* of lists that are short */
#define QUICK_OBJECTS 100000u
#define MOST_OBJECTS 50000000u
#define MOST_INTERPRETERS 1000
#define MOST_WAIT_NS NS_PER_S

/*
 * struct _gc_runtime_state: three of 24 bytes, a pointer to the first, the frozen one. Debian's 3.13 aligns the links
 * to four bytes (for m68k), and so the three begin four bytes before the place where they would be.
 */
static const uint64_t generation_at[GENERATIONS] = { 0, 24, 48, 80 };
#define YOUNGEST_AT 72
#define MOST_SHIFT 4
#define OLDEST 2 /* has what a full collection has left, and what came since */

struct py_type {
	uint64_t addr, basic, item, flags;
	char *name;
};

struct py_count {
	uint64_t objects, bytes;
	uint64_t old, old_bytes; /* in the oldest generation; of sums only */
};

struct py_walk {
	struct runtime *r;
	const struct cpython *c;
	struct table by_addr; /* type -> index */
	struct py_type *types;
	size_t n_types, types_cap;
	struct py_count *counts, *best; /* of a try, of the best one; by type */
	size_t counts_cap;
	uint64_t n; /* objects in this try */
	uint64_t wait_until_ns; /* for collections to end */
	uint64_t *page_at; /* which page lies in which slot */
	uint8_t *pages;
};

struct py_node {
	uint64_t next, prev;
	uint8_t object[NODE_BYTES - 16];
};

enum { FLAG_LIST = 1 << 25, FLAG_DICT = 1 << 29 };

static bool cached(struct py_walk *w, uint64_t addr, void *out, size_t len, bool fresh)
{
	uint64_t page = addr & ~(uint64_t)(PAGE - 1), slot = (addr / PAGE) % PAGES;

	if (addr + len > page + PAGE)
		return runtime_read(&w->r->process, addr, out, len);
	if (fresh || w->page_at[slot] != page) {
		w->page_at[slot] = 0;
		if (!runtime_read(&w->r->process, page, w->pages + slot * PAGE, PAGE))
			return false;
		w->page_at[slot] = page;
	}
	memcpy(out, w->pages + slot * PAGE + (addr - page), len);
	return true;
}

static uint64_t field(const struct py_node *n, size_t at)
{
	uint64_t v;

	memcpy(&v, n->object + at, sizeof(v));
	return v;
}

/* ---- types ---- */

static bool type_read(struct py_walk *w, uint64_t addr, struct py_type *t)
{
	struct buf name = BUF_INIT;
	uint64_t v[22], of_type;

	if (!addr || addr & 7 || !runtime_read(&w->r->process, addr, v, sizeof(v)))
		return false;
	*t = (struct py_type){ .addr = addr, .basic = v[4], .item = v[5], .flags = v[21] };
	of_type = cpython_type(&w->r->process, v[1]); /* a type's type is a type, and so is that */
	if (!of_type || t->basic < 16 || t->basic > PAGE || t->item > PAGE ||
	    !runtime_text(&w->r->process, v[3], 200, &name)) {
		buf_release(&name);
		return false;
	}
	t->name = buf_detach(&name);
	return true;
}

/* Its index; SIZE_MAX: it is no type. */
static size_t type_of(struct py_walk *w, uint64_t addr)
{
	const uint64_t *known = table_get(&w->by_addr, addr);
	struct py_type t;

	if (known)
		return (size_t)*known;
	if (!type_read(w, addr, &t))
		return SIZE_MAX;
	XGROW(w->types, w->n_types, w->types_cap);
	w->types[w->n_types] = t;
	if (w->n_types >= w->counts_cap) {
		size_t old = w->counts_cap;

		w->counts_cap = w->types_cap;
		w->counts = xreallocarray(w->counts, w->counts_cap, sizeof(*w->counts));
		w->best = xreallocarray(w->best, w->counts_cap, sizeof(*w->best));
		memset(w->counts + old, 0, (w->counts_cap - old) * sizeof(*w->counts));
		memset(w->best + old, 0, (w->counts_cap - old) * sizeof(*w->best));
	}
	*table_put(&w->by_addr, addr, 0) = w->n_types;
	return w->n_types++;
}

/* ---- bytes ---- */

/* Of a dictionary's own table: struct _dictkeysobject, 3.11 to 3.13. */
static uint64_t keys_bytes(struct py_walk *w, uint64_t keys)
{
	uint64_t v[4]; /* refcount, logarithms and kind, usable, entries */
	unsigned int log_index;

	if (!keys || keys & 7 || !cached(w, keys, v, sizeof(v), false))
		return 0;
	log_index = v[1] >> 8 & 255;
	if (log_index < 3 || log_index > 40 || v[2] > 1ULL << 40 || v[3] > 1ULL << 40)
		return 0; /* the one of all empty dictionaries */
	return 32 + (1ULL << log_index) + (v[2] + v[3]) * ((v[1] >> 16 & 255) ? 16 : 24);
}

static uint64_t bytes_of(struct py_walk *w, const struct py_type *t, const struct py_node *n)
{
	uint64_t bytes = 16 + t->basic, size = field(n, 16);

	if (t->item) {
		if (size >> 63)
			size = -size;
		bytes += size < 1ULL << 40 ? size * t->item : 0;
	}
	if (t->flags & FLAG_LIST && field(n, 32) < 1ULL << 40)
		bytes += field(n, 32) * 8;
	else if (t->flags & FLAG_DICT && !field(n, 40))
		bytes += keys_bytes(w, field(n, 32));
	else if (t->addr == w->c->set_type && field(n, 32) > 7 && field(n, 32) < 1ULL << 40)
		bytes += (field(n, 32) + 1) * 16;
	return bytes;
}

/* ---- lists ---- */

/* The node after `at`, whose own link back agrees. */
static bool next_node(struct py_walk *w, uint64_t *at, struct py_node *node)
{
	uint64_t next = node->next & LINK;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct py_node found;

		if (next && !(next & 7) && cached(w, next, &found, sizeof(found), i) && (found.prev & LINK) == *at) {
			*at = next;
			*node = found;
			return true;
		}
		if (!runtime_read(&w->r->process, *at, &next, sizeof(next)))
			return false;
		next &= LINK;
	}
	return false;
}

/* True: the whole list. */
static bool walk_list(struct py_walk *w, uint64_t head)
{
	struct py_node node = { 0 };
	uint64_t at = head;

	memset(w->counts, 0, w->counts_cap * sizeof(*w->counts));
	memset(w->page_at, 0, PAGES * sizeof(*w->page_at));
	w->n = 0;
	if (!runtime_read(&w->r->process, head, &node, 16))
		return false;
	while (w->n < MOST_OBJECTS && (node.next & LINK) != head) {
		size_t type;

		if (!next_node(w, &at, &node))
			return at != head && (runtime_word(&w->r->process, at) & LINK) == head;
		if (at == head)
			return true;
		type = type_of(w, field(&node, 8));
		if (type == SIZE_MAX)
			return false;
		w->counts[type].objects++;
		w->counts[type].bytes += bytes_of(w, &w->types[type], &node);
		w->n++;
	}
	return w->n < MOST_OBJECTS;
}

/* Counts by type; a walk that was cut makes it partial. */
struct py_sum {
	struct py_count *v;
	size_t cap;
	bool is_partial;
	bool is_cut; /* the oldest generation's was, where most is */
};

static void sum_add(struct py_sum *sum, const struct py_count *v, size_t n, size_t cap, bool is_old)
{
	size_t i;

	if (sum->cap < cap) {
		sum->v = xreallocarray(sum->v, cap, sizeof(*sum->v));
		memset(sum->v + sum->cap, 0, (cap - sum->cap) * sizeof(*sum->v));
		sum->cap = cap;
	}
	for (i = 0; i < n; i++) {
		sum->v[i].objects += v[i].objects;
		sum->v[i].bytes += v[i].bytes;
		sum->v[i].old += is_old ? v[i].objects : v[i].old;
		sum->v[i].old_bytes += is_old ? v[i].bytes : v[i].old_bytes;
	}
}

/* The best of some tries, added to the sum. */
static void walk_generation(struct py_walk *w, uint64_t head, bool is_old, struct py_sum *sum)
{
	uint64_t best = 0, walked = 0;
	bool whole = false;
	int t;

	for (t = 0; !whole && (t < TRIES || (t < QUICK_TRIES && walked < QUICK_OBJECTS)); t++) {
		whole = walk_list(w, head);
		walked += w->n;
		if (!whole && w->n < best)
			continue;
		best = w->n;
		memcpy(w->best, w->counts, w->counts_cap * sizeof(*w->best));
	}
	sum_add(sum, w->best, best ? w->n_types : 0, w->counts_cap, is_old);
	sum->is_partial |= !whole;
	sum->is_cut |= !whole && is_old;
}

/* Is there a list's head? Its neighbours know it. */
static bool is_head(struct runtime *r, uint64_t head)
{
	uint64_t v[2];

	return runtime_read(&r->process, head, v, sizeof(v)) && v[0] && v[1] && !(v[0] & 3) && !(v[1] & 3) &&
	       (runtime_word(&r->process, v[0] + 8) & LINK) == head && (runtime_word(&r->process, v[1]) & LINK) == head;
}

/* Where the three begin, or 0. */
static uint64_t youngest(struct runtime *r, uint64_t lists)
{
	uint64_t at = runtime_word(&r->process, lists + YOUNGEST_AT);

	return at == lists || at == lists - MOST_SHIFT ? at : 0;
}

static bool find_heads(struct runtime *r, uint64_t lists, uint64_t heads[GENERATIONS])
{
	uint64_t first = youngest(r, lists);
	int i, t;

	for (i = 0; i < GENERATIONS && first; i++) {
		heads[i] = (i <= OLDEST ? first : lists) + generation_at[i];
		for (t = 0; t < 20 && !is_head(r, heads[i]); t++)
			;
		if (t == 20)
			return false;
	}
	return first;
}

/*
 * Behind the generations: a pointer to the youngest, the frozen one, for each generation {collections, collected,
 * uncollectable}, and whether it collects now, 3.11 to 3.13 (struct _gc_runtime_state).
 */
#define STATS_AT 104
#define STATS_BYTES 24
#define OLDEST_STATS_AT (STATS_AT + 2 * STATS_BYTES)
#define COLLECTING_AT (STATS_AT + 3 * STATS_BYTES)

int cpython_collections(struct runtime *r, uint64_t *full)
{
	const struct cpython *c = r->state;
	uint64_t interp = runtime_word(&r->process, c->runtime + c->layout.runtime_interpreters), n;
	int left = MOST_INTERPRETERS;

	*full = 0;
	if (!r->has_census)
		return -ESTALE;
	for (; interp && left; interp = runtime_word(&r->process, interp + c->layout.interp_next), left--) {
		uint64_t lists = interp + c->layout.interp_generations;

		if (!youngest(r, lists) || !runtime_read(&r->process, lists + OLDEST_STATS_AT, &n, sizeof(n)) || n >> 40)
			return -ESTALE;
		*full += n;
	}
	return left == MOST_INTERPRETERS ? -ESTALE : 0;
}

/* Collections so far, of all generations; 0: one goes on, or it cannot be told. */
static uint64_t moment(struct runtime *r, uint64_t lists)
{
	uint64_t n = 1, i;

	if (!youngest(r, lists) || (uint32_t)runtime_word(&r->process, lists + COLLECTING_AT))
		return 0;
	for (i = 0; i < 3; i++)
		n += runtime_word(&r->process, lists + STATS_AT + i * STATS_BYTES);
	return n;
}

/* While it marks, links back are counts: no list can be walked. */
static void wait_for_collection(const struct py_walk *w, uint64_t lists)
{
	const struct timespec pause = { .tv_nsec = NS_PER_MS };

	while (youngest(w->r, lists) && !moment(w->r, lists) && clock_monotonic_ns() < w->wait_until_ns)
		nanosleep(&pause, NULL);
}

/* A collection moves objects to an older generation: they would be counted twice, or not at all. */
static void walk_interpreter(struct py_walk *w, uint64_t lists, const uint64_t heads[GENERATIONS], struct py_sum *sum)
{
	struct py_sum part = { 0 };
	bool whole = false;
	int t, i;

	for (t = 0; t < TRIES && !whole; t++) {
		uint64_t begin;

		wait_for_collection(w, lists);
		begin = moment(w->r, lists);
		free(part.v);
		part = (struct py_sum){ 0 };
		for (i = 0; i < GENERATIONS; i++)
			walk_generation(w, heads[i], i == OLDEST, &part);
		whole = begin && moment(w->r, lists) == begin && !part.is_partial;
	}
	sum_add(sum, part.v, w->n_types < part.cap ? w->n_types : part.cap, w->counts_cap, false);
	sum->is_partial |= !whole;
	sum->is_cut |= part.is_cut;
	free(part.v);
}

static void walk_release(struct py_walk *w)
{
	size_t i;

	for (i = 0; i < w->n_types; i++)
		free(w->types[i].name);
	free(w->types);
	free(w->counts);
	free(w->best);
	free(w->page_at);
	free(w->pages);
	table_release(&w->by_addr);
}

int cpython_census(struct runtime *r, struct runtime_census *out)
{
	struct cpython *c = r->state;
	uint64_t interp = runtime_word(&r->process, c->runtime + c->layout.runtime_interpreters), lists, heads[GENERATIONS];
	struct py_walk w = { .r = r, .c = c, .wait_until_ns = clock_monotonic_ns() + MOST_WAIT_NS };
	struct py_sum sum = { 0 };
	int left = MOST_INTERPRETERS;
	size_t i;

	out->what = "objects that the collector tracks: no strings, numbers or bytes";
	w.page_at = xcalloc(PAGES, sizeof(*w.page_at));
	w.pages = xmalloc((size_t)PAGES * PAGE);
	for (; interp && left; interp = runtime_word(&r->process, interp + c->layout.interp_next), left--) {
		lists = interp + c->layout.interp_generations;
		wait_for_collection(&w, lists);
		if (!find_heads(r, lists, heads))
			break;
		type_of(&w, c->type_type); /* so that there are counts */
		walk_interpreter(&w, lists, heads, &sum);
	}
	out->is_partial = sum.is_partial;
	out->is_cut = sum.is_cut;
	out->has_old = !sum.is_partial;
	for (i = 0; i < w.n_types && i < sum.cap; i++) {
		if (!sum.v[i].objects)
			continue;
		runtime_census_add(out, w.types[i].name, sum.v[i].objects, sum.v[i].bytes);
		runtime_census_set_old(out, sum.v[i].old, sum.v[i].old_bytes, NULL);
	}
	free(sum.v);
	walk_release(&w);
	return out->n ? 0 : -ESTALE;
}
