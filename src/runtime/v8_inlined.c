/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What was inlined where in compiled code; see v8_inlined.h.
 *
 * Instructions lie in an InstructionStream, whose header is found by going back from the address to a word that is the
 * map of one; it points at its Code, which has a table of source positions and the data for giving the code up: the
 * function, a list of what was inlined at which position, and the functions. V8 exports where most of these are, from
 * 11.3 on (v8_layout.c). That the function is the one of the frame is the check: all of it must have been right.
 * (objects/code.h, code/source-position.h, objects/deoptimization-data.h)
 */
#include "runtime/v8_inlined.h"

#include <string.h>

#include "base/buf.h"

#define MOST_CODE (256u << 10) /* a page of code: none of V8's functions is larger there */
#define PIECE 4096
#define HEADER_WORDS 4 /* of an InstructionStream, in which its Code is pointed at */
#define CODE_WORDS 16
#define MOST_TABLE (256u << 10)
#define MOST_ITEMS 65536
#define LENGTH_AT 8
/*
 * A call's row is where its arguments begin to be put in place. A call that the compiler made itself, as to allocate,
 * may have none: then the row before it counts, as for V8's own profiler, unless that is farther away than this (seen:
 * 45 of a call, 65 to 82 of allocations).
 */
#define MOST_BEFORE_CALL 128
#define WRAPPED_AT 8	  /* SharedFunctionInfoWrapper (objects/shared-function-info.h) */
#define POSITION_BYTES 16 /* InliningPosition: the position, the function's index, padding */

/* ---- tables of positions ---- */

struct v8_place v8_place_of(uint64_t raw)
{
	return (struct v8_place){ .position = (int64_t)(raw >> 1 & 0x3fffffff) - 1, .inlined = (int)(raw >> 31 & 0xffff) - 1 };
}

bool v8_place_in(const uint8_t *table, size_t len, uint32_t offset, struct v8_place *out)
{
	uint32_t row;
	int64_t raw;

	if (!v8_position_raw(table, len, offset, &raw, &row))
		return false;
	*out = v8_place_of((uint64_t)raw);
	out->offset = row;
	return true;
}

/* ---- objects ---- */

/* The Code of these instructions; 0: none was found. */
static uint64_t code_at(const struct runtime_process *p, const struct v8_layout *l, uint64_t stream)
{
	size_t i;

	for (i = 1; i < HEADER_WORDS; i++) {
		uint64_t code = v8_field(p, stream, (int32_t)(8 * i));

		if (v8_type(p, l, code) == l->type_code)
			return code;
	}
	return 0;
}

/* Code says where its instructions begin, too. */
static bool begins_at(const struct runtime_process *p, uint64_t code, uint64_t start)
{
	uint64_t words[CODE_WORDS];
	size_t i;

	for (i = 1; runtime_read(p, code - 1, words, sizeof(words)) && i < CODE_WORDS; i++)
		if (words[i] == start)
			return true;
	return false;
}

/* The header before pc: tagged; 0: none. */
static uint64_t stream_before(const struct runtime_process *p, const struct v8_layout *l, uint64_t pc)
{
	uint64_t words[PIECE / 8], end = pc & ~7ull, least = (pc & ~(uint64_t)(MOST_CODE - 1)), start;
	size_t i;

	for (; end > least; end = start) {
		start = (end - 1) & ~(uint64_t)(PIECE - 1);
		if (!runtime_read(p, start, words, end - start))
			return 0;
		for (i = (end - start) / 8; i-- > 0;)
			if (v8_is_object(words[i]) && v8_type(p, l, start + 8 * i + 1) == l->type_stream)
				return start + 8 * i + 1;
	}
	return 0;
}

/* A small integer in a fixed array, or an object in it; 0: it is none, or it is outside. */
static uint64_t item(const struct runtime_process *p, const struct v8_layout *l, uint64_t array, int64_t i)
{
	uint64_t n = v8_field(p, array, LENGTH_AT);

	if (!v8_is_smi(n) || n >> 32 > MOST_ITEMS || i < 0 || (uint64_t)i >= n >> 32)
		return 0;
	return v8_field(p, array, l->fixed_array_data + (int32_t)i * 8);
}

/* A function in a fixed array; V8 13 has it wrapped: {map, function}. 0: none is there. */
static uint64_t function_at(const struct runtime_process *p, const struct v8_layout *l, uint64_t array, int64_t i)
{
	uint64_t object = item(p, l, array, i) & ~2ull; /* a weak one */

	if (v8_type(p, l, object) == l->type_shared_wrapper)
		object = v8_field(p, object, WRAPPED_AT);
	return v8_type(p, l, object) == l->type_shared ? object : 0;
}

/* ---- calls ---- */

struct code {
	const struct runtime_process *p;
	const struct v8_layout *l;
	uint64_t data, literals; /* tagged arrays */
	struct buf inlined;	 /* InliningPositions */
};

/* From the place of a call outwards. */
static size_t calls_from(const struct code *c, struct v8_place place, uint64_t shared, struct v8_call *calls)
{
	size_t n = 0;

	while (place.inlined >= 0) {
		const char *at = c->inlined.data + (size_t)place.inlined * POSITION_BYTES;
		uint64_t raw, function;
		int32_t index;

		if (n == V8_MOST_INLINED - 1 || ((size_t)place.inlined + 1) * POSITION_BYTES > c->inlined.len)
			return 0;
		memcpy(&raw, at, sizeof(raw));
		memcpy(&index, at + 8, sizeof(index));
		function = index < 0 ? shared : function_at(c->p, c->l, c->literals, index);
		if (!function)
			return 0;
		calls[n++] = (struct v8_call){ function, place.position };
		place = v8_place_of(raw);
	}
	calls[n++] = (struct v8_call){ shared, place.position };
	return n;
}

static bool place_at(const struct code *c, uint64_t code, uint32_t offset, struct v8_place *out)
{
	struct buf table = BUF_INIT;
	bool ok = v8_bytes(c->p, c->l, v8_field(c->p, code, c->l->code_positions), MOST_TABLE, &table) &&
		  v8_place_in((const uint8_t *)table.data, table.len, offset, out) && offset - out->offset <= MOST_BEFORE_CALL;

	buf_release(&table);
	return ok;
}

size_t v8_calls_at(const struct runtime_process *p, const struct v8_layout *l, uint64_t shared, uint64_t pc,
		   struct v8_call calls[V8_MOST_INLINED])
{
	struct code c = { .p = p, .l = l, .inlined = BUF_INIT };
	uint64_t stream = l->has_code ? stream_before(p, l, pc) : 0, code = stream ? code_at(p, l, stream) : 0, start;
	struct v8_place place;
	size_t n = 0;

	if (!code)
		return 0;
	start = stream - 1 + (uint64_t)l->stream_start;
	c.data = v8_field(p, code, l->code_data);
	if (pc <= start || !begins_at(p, code, start) || !v8_is_object(c.data) || function_at(p, l, c.data, l->data_shared) != shared)
		return 0;
	c.literals = item(p, l, c.data, l->data_literals);
	/* a return address is behind its call */
	if (v8_is_object(c.literals) && v8_bytes(p, l, item(p, l, c.data, l->data_inlined), MOST_TABLE, &c.inlined) &&
	    place_at(&c, code, (uint32_t)(pc - 1 - start), &place))
		n = calls_from(&c, place, shared, calls);
	buf_release(&c.inlined);
	return n;
}
