/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Hash table and string interning; see table.h. */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

enum { SLOT_FREE, SLOT_USED, SLOT_DELETED };

uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ x >> 32;
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325ULL;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return hash_u64(h);
}

void table_release(struct table *t)
{
	free(t->slots);
	*t = (struct table)TABLE_INIT;
}

static struct table_slot *find(const struct table *t, uint64_t key)
{
	size_t i;

	if (!t->cap)
		return NULL;
	for (i = hash_u64(key) & (t->cap - 1); t->slots[i].used != SLOT_FREE; i = (i + 1) & (t->cap - 1))
		if (t->slots[i].used == SLOT_USED && t->slots[i].key == key)
			return &t->slots[i];
	return NULL;
}

uint64_t *table_get(const struct table *t, uint64_t key)
{
	struct table_slot *s = find(t, key);

	return s ? &s->value : NULL;
}

static struct table_slot *insert_new(struct table *t, uint64_t key, uint64_t value)
{
	size_t i = hash_u64(key) & (t->cap - 1);

	while (t->slots[i].used == SLOT_USED)
		i = (i + 1) & (t->cap - 1);
	if (t->slots[i].used == SLOT_FREE)
		t->filled++;
	t->slots[i] = (struct table_slot){ .key = key, .value = value, .used = SLOT_USED };
	t->n++;
	return &t->slots[i];
}

static void rehash(struct table *t)
{
	struct table_slot *old = t->slots;
	size_t old_cap = t->cap, i;

	t->cap = 16;
	while (t->cap * 3 / 4 <= t->n + 1)
		t->cap *= 2;
	t->slots = xcalloc(t->cap, sizeof(*t->slots));
	t->n = t->filled = 0;
	for (i = 0; i < old_cap; i++)
		if (old[i].used == SLOT_USED)
			insert_new(t, old[i].key, old[i].value);
	free(old);
}

uint64_t *table_put(struct table *t, uint64_t key, uint64_t init)
{
	struct table_slot *s = find(t, key);

	if (s)
		return &s->value;
	if (t->filled + 1 >= t->cap * 3 / 4)
		rehash(t);
	return &insert_new(t, key, init)->value;
}

bool table_remove(struct table *t, uint64_t key)
{
	struct table_slot *s = find(t, key);

	if (!s)
		return false;
	s->used = SLOT_DELETED;
	t->n--;
	return true;
}

void intern_release(struct intern *in)
{
	size_t i;

	for (i = 0; i < in->n; i++)
		free(in->strings[i]);
	free(in->strings);
	table_release(&in->by_hash);
	*in = (struct intern)INTERN_INIT;
}

uint32_t intern_id(struct intern *in, const char *s)
{
	uint64_t h = hash_bytes(s, strlen(s)), *id;

	while ((id = table_get(&in->by_hash, h))) {
		if (!strcmp(in->strings[*id], s))
			return (uint32_t)*id;
		h++;
	}
	XGROW(in->strings, in->n, in->cap);
	in->strings[in->n] = xstrdup(s);
	table_put(&in->by_hash, h, in->n);
	return (uint32_t)in->n++;
}

const char *intern_str(const struct intern *in, uint32_t id)
{
	return id < in->n ? in->strings[id] : NULL;
}
