/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which functions V8's optimizing compiler has put into another one's code, and where in their sources its calls are.
 * Part of the V8 runtime.
 *
 *	JSFunction serve, compiled, with keep in it       resolve(pc)  ->  keep, cache.js:14 < serve, cache.js:31
 */
#ifndef MEMPROBE_RUNTIME_V8_INLINED_H
#define MEMPROBE_RUNTIME_V8_INLINED_H

#include "runtime/v8_heap.h"

#define V8_MOST_INLINED 16

struct v8_call {
	uint64_t shared;  /* SharedFunctionInfo */
	int64_t position; /* in its source; -1: unknown */
};

/*
 * The calls in progress at a return address in compiled code of the function `shared`, innermost first, that function
 * last. Their number; 0: not known (another V8 than 11.3, or no code of that function is there any more).
 */
size_t v8_calls_at(const struct runtime_process *p, const struct v8_layout *l, uint64_t shared, uint64_t pc,
		   struct v8_call calls[V8_MOST_INLINED]);

/* A row of a table of positions of compiled code: the last that is at or before an offset. False: there is none. Pure. */
struct v8_place {
	int64_t position; /* -1: unknown */
	int inlined;	  /* index of what it was inlined as, -1: it was not */
	uint32_t offset;  /* of the row */
};
bool v8_place_in(const uint8_t *table, size_t len, uint32_t offset, struct v8_place *out);
struct v8_place v8_place_of(uint64_t raw);

#endif
