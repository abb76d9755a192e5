/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What blocks a heap holds: by size, and by the type that their first word names.
 *
 * Sizes are those of the allocator's chunks. A type is the address of a vtable, that is a first
 * word that points into a constant part of a mapped file; whoever reads the census knows the names.
 * Bounded: at most CENSUS_MAX_TYPES pairs of type and size; blocks beyond are not told apart by
 * type.
 */
#ifndef MEMPROBE_ALLOC_HEAP_CENSUS_H
#define MEMPROBE_ALLOC_HEAP_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

#define CENSUS_SMALL_BYTES 65536u /* below it sizes, multiples of 16, are an array */
#define CENSUS_MAX_TYPES 65536u

struct heap_class {
	uint64_t chunk_bytes;
	uint64_t blocks;
	uint64_t since_blocks; /* of them allocated since the attach */
};

struct heap_type {
	uint64_t word;        /* address in a vtable */
	uint64_t chunk_bytes; /* 0: 1 MiB and more, of several sizes */
	uint64_t blocks;
};

struct heap_census {
	struct heap_class small[CENSUS_SMALL_BYTES / 16];
	struct table large; /* chunk size -> index in large_classes */
	struct heap_class *large_classes;
	size_t n_large, large_cap;
	struct table types;      /* word | size / 16 << 48 -> blocks */
	uint64_t types_left_out; /* blocks */
};

void census_init(struct heap_census *c);
void census_release(struct heap_census *c);
/* blocks may be negative: taken back. first_word 0: no type. */
void census_add(struct heap_census *c, uint64_t chunk_bytes, int64_t blocks, bool is_since,
		uint64_t first_word);
/* By bytes, largest first; the caller frees. */
struct heap_class *census_classes(const struct heap_census *c, size_t *n);
struct heap_type *census_types(const struct heap_census *c, size_t *n);

#endif
