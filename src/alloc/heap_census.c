/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Blocks of a heap by size and by type; see heap_census.h. */
#include "alloc/heap_census.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* User addresses end below 2^48 on x86-64 and arm64: the size goes above. */
#define TYPE_ADDRESS_BITS 48
#define TYPE_ADDRESS_MASK ((1ULL << TYPE_ADDRESS_BITS) - 1)

void census_init(struct heap_census *c)
{
	memset(c, 0, sizeof(*c));
}

void census_release(struct heap_census *c)
{
	table_release(&c->large);
	table_release(&c->types);
	free(c->large_classes);
	memset(c, 0, sizeof(*c));
}

static struct heap_class *class_of(struct heap_census *c, uint64_t chunk_bytes)
{
	uint64_t *at;

	if (chunk_bytes < CENSUS_SMALL_BYTES)
		return &c->small[chunk_bytes / 16];
	at = table_put(&c->large, chunk_bytes, UINT64_MAX);
	if (*at == UINT64_MAX) {
		XGROW(c->large_classes, c->n_large, c->large_cap);
		*at = c->n_large;
		c->large_classes[c->n_large++] = (struct heap_class){ 0 };
	}
	return &c->large_classes[*at];
}

static void add_clamped(uint64_t *sum, int64_t n)
{
	*sum = n < 0 && *sum < (uint64_t)-n ? 0 : *sum + (uint64_t)n;
}

static void add_type(struct heap_census *c, uint64_t chunk_bytes, int64_t blocks, uint64_t word)
{
	uint64_t size16 = chunk_bytes / 16 < 65536 ? chunk_bytes / 16 : 0;
	uint64_t key = (word & TYPE_ADDRESS_MASK) | size16 << TYPE_ADDRESS_BITS;
	uint64_t *n = c->types.n < CENSUS_MAX_TYPES ? table_put(&c->types, key, 0)
						    : table_get(&c->types, key);

	add_clamped(n ? n : &c->types_left_out, blocks);
}

void census_add(struct heap_census *c, uint64_t chunk_bytes, int64_t blocks, bool is_since,
		uint64_t first_word)
{
	struct heap_class *k = class_of(c, chunk_bytes);

	k->chunk_bytes = chunk_bytes;
	add_clamped(&k->blocks, blocks);
	if (is_since)
		add_clamped(&k->since_blocks, blocks);
	if (first_word)
		add_type(c, chunk_bytes, blocks, first_word);
}

static int by_class_bytes(const void *a, const void *b)
{
	const struct heap_class *x = a, *y = b;
	uint64_t n = x->chunk_bytes * x->blocks, m = y->chunk_bytes * y->blocks;

	if (n != m)
		return n > m ? -1 : 1;
	return x->chunk_bytes < y->chunk_bytes ? -1 : x->chunk_bytes > y->chunk_bytes;
}

struct heap_class *census_classes(const struct heap_census *c, size_t *n)
{
	size_t n_small = CENSUS_SMALL_BYTES / 16, i;
	struct heap_class *out = xcalloc(n_small + c->n_large, sizeof(*out));

	*n = 0;
	for (i = 0; i < n_small; i++)
		if (c->small[i].blocks)
			out[(*n)++] = c->small[i];
	for (i = 0; i < c->n_large; i++)
		if (c->large_classes[i].blocks)
			out[(*n)++] = c->large_classes[i];
	qsort(out, *n, sizeof(*out), by_class_bytes);
	return out;
}

static int by_type_bytes(const void *a, const void *b)
{
	const struct heap_type *x = a, *y = b;
	uint64_t n = x->chunk_bytes * x->blocks, m = y->chunk_bytes * y->blocks;

	if (n != m)
		return n > m ? -1 : 1;
	return x->word < y->word ? -1 : x->word > y->word;
}

struct heap_type *census_types(const struct heap_census *c, size_t *n)
{
	struct heap_type *out = xcalloc(c->types.n + 1, sizeof(*out));
	size_t i;

	*n = 0;
	for (i = 0; i < c->types.cap; i++) {
		const struct table_slot *s = &c->types.slots[i];

		if (s->used != 1 || !s->value)
			continue;
		out[(*n)++] = (struct heap_type){
			.word = s->key & TYPE_ADDRESS_MASK,
			.chunk_bytes = (s->key >> TYPE_ADDRESS_BITS) * 16,
			.blocks = s->value,
		};
	}
	qsort(out, *n, sizeof(*out), by_type_bytes);
	return out;
}
