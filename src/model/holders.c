/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Holders of memory at two looks; see holders.h. */
#include "model/holders.h"

#include <stdlib.h>

#include "base/table.h"
#include "base/xalloc.h"

/* Advice is for what matters: so many bytes at one place, of blocks of such a size on average. */
#define ADVICE_BYTES (1 << 20)
#define ADVICE_BLOCK_BYTES 4096
#define ADVICE_HOLDERS 4
#define IDLE_MS 1000
/* Of the holders, those that were there at the first look: nearly all. */
#define LONG_LIVED 0.9

struct joined {
	struct holder_row *v;
	size_t n, cap;
	struct table at;
};

static struct holder_row *row_of(struct joined *j, uint64_t key, uint64_t id, uint32_t name)
{
	uint64_t *at = table_get(&j->at, key);

	if (at)
		return &j->v[*at];
	table_put(&j->at, key, j->n);
	XGROW(j->v, j->n, j->cap);
	j->v[j->n] = (struct holder_row){ .id = id, .name = name };
	return &j->v[j->n++];
}

static void add(struct holder_row *r, const struct holder *h, int look)
{
	r->holders[look]++;
	r->heap_bytes[look] += h->heap_bytes;
	r->old_heap_bytes[look] += h->old_heap_bytes;
	r->binaries[look] += h->binaries;
	r->binary_bytes[look] += h->binary_bytes;
}

uint64_t holder_row_bytes(const struct holder_row *r, int look)
{
	return r->heap_bytes[look] + r->old_heap_bytes[look] + r->binary_bytes[look];
}

static int by_bytes(const void *a, const void *b)
{
	const struct holder_row *x = a, *y = b;
	uint64_t n = holder_row_bytes(x, 1), m = holder_row_bytes(y, 1);

	if (n != m)
		return n > m ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* The first `most` that still hold something. */
static size_t take(struct holder_row *out, size_t most, struct joined *j)
{
	size_t n = 0, i;

	if (j->n)
		qsort(j->v, j->n, sizeof(*j->v), by_bytes);
	for (i = 0; i < j->n && n < most; i++)
		if (j->v[i].holders[1])
			out[n++] = j->v[i];
	free(j->v);
	table_release(&j->at);
	return n;
}

static void add_look(struct holders *h, struct joined *rows, struct joined *names, const struct holder *v, size_t n, int look)
{
	size_t i;

	for (i = 0; i < n; i++) {
		add(&h->all, &v[i], look);
		add(row_of(rows, v[i].id, v[i].id, v[i].name), &v[i], look);
		add(row_of(names, v[i].name, 0, v[i].name), &v[i], look);
	}
}

void holders_join(struct holders *h, const struct holder *before, size_t n_before, const struct holder *now, size_t n_now)
{
	struct joined rows = { 0 }, names = { 0 };

	h->is_there = true;
	h->has_first = before != NULL;
	h->all = (struct holder_row){ 0 };
	add_look(h, &rows, &names, before, n_before, 0);
	add_look(h, &rows, &names, now, n_now, 1);
	h->n_rows = take(h->rows, HOLDERS_ROWS, &rows);
	h->n_names = take(h->names, HOLDERS_NAMES, &names);
}

/* The block that it collects for comes on top; a block may be twice as long as what is used of it. */
static bool keeps(uint64_t bytes, uint64_t blocks, uint64_t holders)
{
	return bytes / holders > 2 * HOLDER_GATHERS_BYTES + bytes / blocks;
}

/* About as many of them as before. */
static bool is_flat(const struct holder_row *r)
{
	return (double)r->holders[0] > LONG_LIVED * (double)r->holders[1] && (double)r->holders[1] > LONG_LIVED * (double)r->holders[0];
}

/* Of one name: by the census alone, which sees all. */
static enum holder_advice of_name(const struct holders *h, const struct holder_row *r)
{
	if (r->holders[1] < ADVICE_HOLDERS || !is_flat(r) || r->binary_bytes[1] < r->binary_bytes[0] + ADVICE_BYTES ||
	    r->binary_bytes[1] < r->binaries[1] * ADVICE_BLOCK_BYTES)
		return HOLDER_ADVICE_NONE;
	if (keeps(r->binary_bytes[1], r->binaries[1], r->holders[1]))
		return HOLDER_KEEPS;
	return h->n_sites && h->sites[0].half_age_ms >= IDLE_MS ? HOLDER_UNCOLLECTED : HOLDER_ADVICE_NONE;
}

/* Processes of many names. */
static enum holder_advice of_site(const struct holder_site *s)
{
	if (s->holders < ADVICE_HOLDERS || s->held_bytes < ADVICE_BYTES ||
	    (double)s->old_holders < LONG_LIVED * (double)s->holders || s->held_bytes < s->held_blocks * ADVICE_BLOCK_BYTES)
		return HOLDER_ADVICE_NONE;
	if (keeps(s->held_bytes, s->held_blocks, s->holders))
		return HOLDER_KEEPS;
	return s->half_age_ms >= IDLE_MS ? HOLDER_UNCOLLECTED : HOLDER_ADVICE_NONE;
}

enum holder_advice holder_advice_of(const struct holders *h, uint64_t *grown_bytes)
{
	enum holder_advice a = HOLDER_ADVICE_NONE;
	size_t i;

	*grown_bytes = 0;
	if (!h->is_there || !h->has_first)
		return a;
	for (i = 0; i < h->n_names && !a; i++) {
		a = of_name(h, &h->names[i]);
		*grown_bytes = h->names[i].binary_bytes[1] - h->names[i].binary_bytes[0];
	}
	for (i = 0; i < h->n_sites && !a; i++) {
		a = of_site(&h->sites[i]);
		*grown_bytes = h->sites[i].held_bytes;
	}
	return a;
}
