/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A walk over the objects in V8's heap; see v8_walk.h. */
#include "runtime/v8_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define PIECE_WORDS (64 << 10)
#define PIECE_BYTES (PIECE_WORDS * 8)
#define MOST_MAPS 200000

/* ---- pieces of memory ---- */

/* Words that lie together; false: enough. */
typedef bool (*words_fn)(void *ctx, uint64_t addr, const uint64_t *words, size_t n);

/* The pages of memory of one page of the heap that are there. */
static bool read_page(const struct v8_walk *w, const struct v8_page *page, uint64_t *words, words_fn fn, void *ctx)
{
	uint64_t size = w->p->memory.page_bytes, at, end, i, from, stop;
	uint8_t state[PIECE_BYTES / 4096];

	for (at = page->start & ~(size - 1); at < page->end; at = end) {
		uint64_t n = (page->end - at + size - 1) / size;

		n = n < PIECE_BYTES / size ? n : PIECE_BYTES / size;
		end = at + n * size;
		proc_memory_pages(&w->p->memory, at, n, state);
		for (i = 0; i < n; i++) {
			if (state[i] != PROC_PAGE_RESIDENT)
				continue;
			for (from = i; i < n && state[i] == PROC_PAGE_RESIDENT; i++)
				;
			stop = at + i * size < page->end ? at + i * size : page->end;
			from = at + from * size > page->start ? at + from * size : page->start;
			if (!fn(ctx, from, words, proc_memory_read(&w->p->memory, from, words, stop - from) / 8))
				return false;
		}
	}
	return true;
}

/* young: 1 only, 0 not, -1 both */
static bool read_pages(const struct v8_walk *w, int young, words_fn fn, void *ctx, uint64_t deadline_ns)
{
	uint64_t *words = xmalloc(PIECE_BYTES);
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < w->pages.n; i++) {
		const struct v8_page *page = &w->pages.v[i];

		if (young >= 0 && page->is_young != young)
			continue;
		ok = read_page(w, page, words, fn, ctx) && (!deadline_ns || clock_monotonic_ns() < deadline_ns);
	}
	free(words);
	return ok;
}

/* ---- maps ---- */

static size_t near_bit(uint64_t word)
{
	return (word >> V8_PAGE_SHIFT) & (sizeof(((struct v8_walk *)0)->near) * 8 - 1);
}

static void set_near(uint8_t *near, uint64_t word)
{
	near[near_bit(word) >> 3] |= (uint8_t)(1 << (near_bit(word) & 7));
}

static bool is_near(const uint8_t *near, uint64_t word)
{
	return near[near_bit(word) >> 3] >> (near_bit(word) & 7) & 1;
}

static bool find_metas(void *ctx, uint64_t addr, const uint64_t *words, size_t n)
{
	struct v8_walk *w = ctx;
	size_t i;

	for (i = 0; i < n; i++) {
		if (words[i] != addr + 8 * i + 1 || v8_type(w->p, w->l, words[i]) != w->l->type_map)
			continue;
		*table_put(&w->metas, words[i], 0) = 1;
		set_near(w->near_meta, words[i]);
		if (w->l->type_trusted_bytes == V8_NO_TYPE)
			return false; /* until V8 11 it is the only one */
	}
	return true;
}

bool v8_walk_is_meta(const struct v8_walk *w, uint64_t word)
{
	return is_near(w->near_meta, word) && table_get(&w->metas, word);
}

#define MAP_WORDS 2 /* all that is asked of a map here lies in them */

/* Of the map at `words`, or, where the piece ends before it does, of what is there in its place. */
static bool read_map(const struct v8_walk *w, struct v8_map *m, const uint64_t *words, size_t n)
{
	const struct v8_layout *l = w->l;
	uint64_t copy[MAP_WORDS];

	if (l->map_type + 2 > (int32_t)sizeof(copy) || l->map_words + 1 > (int32_t)sizeof(copy))
		return false;
	if (n < MAP_WORDS) {
		if (!runtime_read(w->p, m->map - 1, copy, sizeof(copy)))
			return false;
		words = copy;
	}
	memcpy(&m->type, (const char *)words + l->map_type, sizeof(m->type));
	memcpy(&m->words, (const char *)words + l->map_words, sizeof(m->words));
	return true;
}

static bool find_maps(void *ctx, uint64_t addr, const uint64_t *words, size_t n)
{
	struct v8_walk *w = ctx;
	size_t i;

	for (i = 0; i < n && w->n_maps < MOST_MAPS; i++) {
		struct v8_map m = { .map = addr + 8 * i + 1 };

		if (!v8_walk_is_meta(w, words[i]) || table_get(&w->by_map, m.map) || !read_map(w, &m, words + i, n - i))
			continue;
		*table_put(&w->by_map, m.map, 0) = w->n_maps;
		XGROW(w->maps, w->n_maps, w->maps_cap);
		w->maps[w->n_maps++] = m;
		set_near(w->near, m.map);
	}
	return true;
}

struct v8_map *v8_walk_map(const struct v8_walk *w, uint64_t word)
{
	const uint64_t *at;

	if (!v8_is_object(word) || !is_near(w->near, word))
		return NULL;
	at = table_get(&w->by_map, word);
	return at ? &w->maps[*at] : NULL;
}

static int find_pages(struct v8_walk *w)
{
	int err = v8_pages_find(&w->pages, w->p);
	size_t i;

	memset(w->near_young, 0, sizeof(w->near_young));
	for (i = 0; i < w->pages.n; i++)
		if (w->pages.v[i].is_young)
			set_near(w->near_young, w->pages.v[i].start);
	return err;
}

int v8_walk_open(struct v8_walk *w, struct runtime_process *p, const struct v8_layout *l)
{
	int err;

	*w = (struct v8_walk){ .p = p, .l = l };
	err = find_pages(w);
	if (!err)
		read_pages(w, 0, find_metas, w, 0);
	if (w->metas.n)
		read_pages(w, -1, find_maps, w, 0);
	if (!err && !w->n_maps)
		err = -ENOENT;
	if (err)
		v8_walk_close(w);
	return err;
}

int v8_walk_refresh(struct v8_walk *w)
{
	int err;

	v8_pages_release(&w->pages);
	err = find_pages(w);
	if (!err)
		read_pages(w, -1, find_maps, w, 0);
	return err;
}

void v8_walk_close(struct v8_walk *w)
{
	v8_pages_release(&w->pages);
	table_release(&w->by_map);
	table_release(&w->metas);
	free(w->maps);
	w->maps = NULL;
}

/* ---- objects ---- */

static uint64_t whole_words(uint64_t bytes)
{
	return (bytes + 7) & ~(uint64_t)7;
}

static uint64_t string_bytes(const struct v8_layout *l, const struct v8_map *m, uint64_t second)
{
	uint64_t length = second >> 32; /* hash, length: 4 bytes each */

	if (m->type & l->representation_mask || l->string_length != 12)
		return 0;
	if ((m->type & l->encoding_mask) == l->one_byte_tag)
		return whole_words((uint64_t)l->one_byte_chars + length);
	return whole_words((uint64_t)l->two_byte_chars + 2 * length);
}

/* Bytes of an object by its map and second word; 0: not known. */
static uint64_t size_of(const struct v8_layout *l, const struct v8_map *m, uint64_t second)
{
	uint64_t length = second >> 32;

	if (m->words)
		return (uint64_t)m->words * 8;
	if (m->type < l->first_nonstring)
		return string_bytes(l, m, second);
	if (!v8_is_smi(second))
		return 0;
	if (m->type == l->type_free_space)
		return length;
	if (m->type == l->type_byte_array)
		return whole_words(16 + length);
	if (m->type == l->type_bytecode)
		return whole_words((uint64_t)l->bytecode_data + length);
	if (m->type == l->type_double_array || (m->type >= l->type_fixed_array && m->type < l->type_byte_array) ||
	    (m->type >= l->first_context && m->type <= l->last_context))
		return 16 + 8 * length;
	return 0;
}

struct cursor {
	struct v8_walk *w;
	v8_part_fn fn;
	void *ctx;
	struct v8_part part; /* the object that the last words belong to; object 0: none */
	uint64_t next, end;  /* behind the last words; behind the object, 0: not known */
};

static void begin_object(struct cursor *c, struct v8_map *m, uint64_t addr, const uint64_t *words, size_t n)
{
	uint64_t size = size_of(c->w->l, m, n > 1 ? words[1] : runtime_word(c->w->p, addr + 8));
	const struct v8_page *page = size ? v8_page_at(&c->w->pages, addr) : NULL;

	c->part = (struct v8_part){ .object = addr, .map = m };
	c->end = page && size >= 16 && size <= page->end - addr ? addr + size : 0;
	if (m->words == 1)
		c->end = addr + 8;
}

/* Words of one object in a row. */
static size_t length_of(const struct cursor *c, uint64_t addr, const uint64_t *words, size_t n)
{
	size_t i = addr == c->part.object;

	if (c->end)
		return (c->end - addr) / 8 < n ? (c->end - addr) / 8 : n;
	while (i < n && !v8_walk_map(c->w, words[i]))
		i++;
	return i;
}

static bool walk_words(void *ctx, uint64_t addr, const uint64_t *words, size_t n)
{
	struct cursor *c = ctx;
	size_t i, len;

	if (addr != c->next)
		c->part.object = 0;
	for (i = 0; i < n; i += len) {
		struct v8_map *m = NULL;

		if (!c->part.object || !c->end || addr + 8 * i >= c->end)
			m = v8_walk_map(c->w, words[i]);
		if (m)
			begin_object(c, m, addr + 8 * i, words + i, n - i);
		else if (c->end && addr + 8 * i >= c->end)
			c->part.object = 0; /* padding, or what no map is known of */
		if (!c->part.object) {
			len = 1;
			continue;
		}
		len = length_of(c, addr + 8 * i, words + i, n - i);
		len = len ? len : 1;
		c->part.at = addr + 8 * i - c->part.object;
		c->part.words = words + i;
		c->part.n = len;
		if (c->part.map->type != c->w->l->type_free_space)
			c->fn(c->ctx, &c->part);
	}
	c->next = addr + 8 * n;
	return true;
}

/* ---- the new generation ---- */

struct young {
	struct v8_walk *w;
	v8_part_fn fn;
	void *ctx;
	uint64_t **copies; /* of the words of young pages, by index; NULL: none */
	struct table seen;
	uint64_t *stack; /* tagged, to be walked over */
	size_t n, cap;
};

static bool copy_words(void *ctx, uint64_t addr, const uint64_t *words, size_t n)
{
	struct young *y = ctx;
	size_t at = (size_t)(v8_page_at(&y->w->pages, addr) - y->w->pages.v);
	const struct v8_page *page = &y->w->pages.v[at];

	if (!y->copies[at])
		y->copies[at] = xcalloc((page->end - page->start) / 8 + 1, 8);
	if (n > (page->end - addr) / 8) /* it is read as one of two that overlap: one of them is none */
		n = (page->end - addr) / 8;
	memcpy(&y->copies[at][(addr - page->start) / 8], words, n * 8);
	return true;
}

/* Those of the words that lead into the new generation. */
static void push(struct young *y, const uint64_t *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t word = words[i];

		if (!v8_is_object(word) || !is_near(y->w->near_young, word) ||
		    table_get(&y->seen, word))
			continue;
		*table_put(&y->seen, word, 0) = 1;
		XGROW(y->stack, y->n, y->cap);
		y->stack[y->n++] = word;
	}
}

static void old_part(void *ctx, const struct v8_part *part)
{
	struct young *y = ctx;

	push(y, part->words, part->n);
	y->fn(y->ctx, part);
}

static void young_object(struct young *y, uint64_t object)
{
	const struct v8_page *page = v8_page_at(&y->w->pages, object - 1);
	const uint64_t *copy = page && page->is_young ? y->copies[page - y->w->pages.v] : NULL;
	struct v8_part part = { .object = object - 1, .is_young = true };
	struct cursor c = { .w = y->w };
	size_t left;

	if (!copy)
		return;
	part.words = copy + (object - 1 - page->start) / 8;
	left = (page->end - (object - 1)) / 8;
	part.map = left > 1 ? v8_walk_map(y->w, part.words[0]) : NULL;
	if (!part.map)
		return;
	begin_object(&c, part.map, part.object, part.words, left);
	part.n = length_of(&c, part.object, part.words, left);
	push(y, part.words, part.n);
	y->fn(y->ctx, &part);
}

bool v8_walk(struct v8_walk *w, v8_part_fn fn, void *ctx, uint64_t deadline_ns)
{
	struct young y = { .w = w, .fn = fn, .ctx = ctx };
	struct cursor c = { .w = w, .fn = old_part, .ctx = &y };
	bool ok;
	size_t i;

	y.copies = xcalloc(w->pages.n + 1, sizeof(*y.copies));
	ok = read_pages(w, 1, copy_words, &y, deadline_ns) && read_pages(w, 0, walk_words, &c, deadline_ns);
	while (ok && y.n)
		young_object(&y, y.stack[--y.n]);
	for (i = 0; i < w->pages.n; i++)
		free(y.copies[i]);
	free(y.copies);
	free(y.stack);
	table_release(&y.seen);
	return ok;
}
