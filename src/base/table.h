/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Hash tables of memprobe's user space.
 *
 * struct table: u64 key -> u64 value, open addressing, linear probing, load at
 * most 3/4. Any key is allowed, 0 too. Not thread safe. Iteration order depends
 * on the keys: renderers sort, they never print in table order.
 *
 * struct intern: strings to dense ids 0, 1, 2..., each stored once; the pointer
 * that intern_str returns stays valid until intern_release.
 */
#ifndef MEMPROBE_BASE_TABLE_H
#define MEMPROBE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t key;
	uint64_t value;
	uint8_t used; /* 0 free, 1 used, 2 deleted */
};

struct table {
	struct table_slot *slots;
	size_t cap; /* power of two or 0 */
	size_t n;   /* used */
	size_t filled; /* used or deleted */
};

#define TABLE_INIT { 0 }

void table_release(struct table *t);
/* Pointer to the value of key, or NULL. Valid until the next table_put. */
uint64_t *table_get(const struct table *t, uint64_t key);
/* Pointer to the value of key, inserted as `init` when absent. */
uint64_t *table_put(struct table *t, uint64_t key, uint64_t init);
bool table_remove(struct table *t, uint64_t key);

struct intern {
	struct table by_hash; /* hash (collisions: next hash) -> id */
	char **strings;
	size_t n, cap;
};

#define INTERN_INIT { 0 }

void intern_release(struct intern *in);
uint32_t intern_id(struct intern *in, const char *s);
const char *intern_str(const struct intern *in, uint32_t id);

/* 64-bit avalanche mixer, and a hash of bytes (FNV-1a, then mixed). */
uint64_t hash_u64(uint64_t x);
uint64_t hash_bytes(const void *data, size_t len);

#endif
