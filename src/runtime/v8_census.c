/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * V8's objects by constructor, read from outside without a stop: approximate, growth is what counts.
 *
 * The map of all maps is the one object whose first word is its own address; maps are the objects whose first word is
 * that; each word that is a map's address is taken for the beginning of an object. Dead objects that were not
 * collected yet and stray words count too. Only pages in memory are read, twice, a piece at a time.
 */
#include "runtime/v8_census.h"

#include <errno.h>
#include <stdlib.h>

#include "base/table.h"
#include "base/xalloc.h"

#define PIECE_WORDS (64 << 10)
#define MOST_SCANNED ((uint64_t)16 << 30)
#define MOST_MAPS 200000
#define MOST_BACK 64 /* back pointers from a map to its constructor */
#define WORDS_OFFSET 8 /* Map: instance size in words, one byte (exported as class_Map__instance_size_in_words__char) */

struct scan {
	const struct runtime_process *p;
	const struct v8_layout *l;
	struct table selfs; /* candidates for the map of maps -> times seen */
	struct table maps;  /* tagged map -> objects */
	uint64_t meta;
};

/* Objects lie in private anonymous memory; all of it is looked at, page tables and stacks included. */
static bool may_hold_objects(const struct proc_map *m)
{
	return !m->ino && m->read && !m->shared && !m->exec && m->path[0] != '[';
}

typedef void (*piece_fn)(struct scan *s, uint64_t addr, const uint64_t *words, size_t n);

/* The pages that are in memory, in pieces. */
static void scan_map(struct scan *s, const struct proc_map *m, uint64_t *words, piece_fn fn)
{
	uint64_t page = s->p->memory.page_bytes, at, end, i, from;
	uint8_t state[PIECE_WORDS * 8 / 4096];
	uint64_t per_piece = PIECE_WORDS * 8 / page;

	for (at = m->start; at < m->end; at = end) {
		uint64_t n = (m->end - at) / page;

		n = n < per_piece ? n : per_piece;
		end = at + n * page;
		proc_memory_pages(&s->p->memory, at, n, state);
		for (i = 0; i < n; i++) {
			size_t got;

			if (state[i] != PROC_PAGE_RESIDENT)
				continue;
			for (from = i; i < n && state[i] == PROC_PAGE_RESIDENT; i++)
				;
			got = proc_memory_read(&s->p->memory, at + from * page, words, (i - from) * page);
			fn(s, at + from * page, words, got / 8);
		}
	}
}

static void scan_all(struct scan *s, piece_fn fn)
{
	uint64_t *words = xmalloc(PIECE_WORDS * 8), left = MOST_SCANNED;
	size_t i;

	for (i = 0; i < s->p->maps.n; i++) {
		const struct proc_map *m = &s->p->maps.v[i];

		if (!may_hold_objects(m) || m->end - m->start > left)
			continue;
		left -= m->end - m->start;
		scan_map(s, m, words, fn);
	}
	free(words);
}

static void find_selfs(struct scan *s, uint64_t addr, const uint64_t *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (words[i] == addr + 8 * i + 1)
			table_put(&s->selfs, words[i], 0);
}

static void find_maps(struct scan *s, uint64_t addr, const uint64_t *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (words[i] == s->meta && s->maps.n < MOST_MAPS)
			table_put(&s->maps, addr + 8 * i + 1, 0);
}

static void count_selfs(struct scan *s, uint64_t addr, const uint64_t *words, size_t n)
{
	uint64_t *seen;
	size_t i;

	(void)addr;
	for (i = 0; i < n; i++)
		if ((words[i] & 3) == 1 && (seen = table_get(&s->selfs, words[i])))
			++*seen;
}

static void count_objects(struct scan *s, uint64_t addr, const uint64_t *words, size_t n)
{
	uint64_t *seen;
	size_t i;

	(void)addr;
	for (i = 0; i < n; i++)
		if ((words[i] & 3) == 1 && !(words[i] >> 47) && (seen = table_get(&s->maps, words[i])))
			++*seen;
}

/* Of those that point at themselves, the one that most words point at. */
static bool find_meta(struct scan *s)
{
	uint64_t most = 0;
	size_t i;

	scan_all(s, find_selfs);
	if (!s->selfs.n)
		return false;
	scan_all(s, count_selfs);
	for (i = 0; i < s->selfs.cap; i++) {
		const struct table_slot *slot = &s->selfs.slots[i];

		if (slot->used != 1 || slot->value <= most)
			continue;
		most = slot->value;
		s->meta = slot->key;
	}
	return most > 1;
}

/* "RenderContext" for the map of its instances; "(string)", "(internal)" for what no constructor made. */
static void name_of_map(const struct scan *s, uint64_t map, struct buf *name)
{
	struct v8_function f = { .name = BUF_INIT, .script = BUF_INIT };
	uint64_t up = map;
	uint16_t type = 0;
	int i;

	runtime_read(s->p, map - 1 + (uint64_t)s->l->map_type, &type, sizeof(type));
	if (type < s->l->first_nonstring) {
		buf_adds(name, "(string)");
		return;
	}
	for (i = 0; i < MOST_BACK; i++) {
		up = runtime_word(s->p, up - 1 + (uint64_t)s->l->map_constructor);
		if ((up & 3) != 1 || runtime_word(s->p, up - 1) != s->meta)
			break;
	}
	if ((up & 3) == 1 && v8_function_read(s->p, s->l,
					      runtime_word(s->p, up - 1 + (uint64_t)s->l->function_shared), 0xffff, &f))
		buf_add_plain(name, f.name.len ? f.name.data : "(anonymous)");
	else
		buf_adds(name, "(internal)");
	buf_release(&f.name);
	buf_release(&f.script);
}

/* Maps of one constructor are one type. */
static void add_types(const struct scan *s, struct runtime_census *out)
{
	struct intern names = INTERN_INIT;
	struct table at = TABLE_INIT; /* name -> row */
	size_t i;

	for (i = 0; i < s->maps.cap; i++) {
		const struct table_slot *slot = &s->maps.slots[i];
		struct buf name = BUF_INIT;
		uint8_t words = 0;
		uint64_t *row;

		if (slot->used != 1 || !slot->value)
			continue;
		name_of_map(s, slot->key, &name);
		runtime_read(s->p, slot->key - 1 + WORDS_OFFSET, &words, 1);
		row = table_put(&at, intern_id(&names, name.data), out->n);
		if (*row == out->n)
			runtime_census_add(out, name.data, 0, 0);
		out->v[*row].objects += slot->value;
		out->v[*row].bytes += slot->value * words * 8;
		buf_release(&name);
	}
	table_release(&at);
	intern_release(&names);
}

int v8_census(struct runtime *r, const struct v8_layout *l, struct runtime_census *out)
{
	struct scan s = { .p = &r->process, .l = l };
	int err = runtime_process_refresh(&r->process);

	if (err)
		return err;
	out->what = "objects by constructor, dead ones that were not collected yet included";
	if (find_meta(&s)) {
		scan_all(&s, find_maps);
		scan_all(&s, count_objects);
		add_types(&s, out);
	} else {
		err = -ENOENT;
	}
	table_release(&s.selfs);
	table_release(&s.maps);
	return err;
}
