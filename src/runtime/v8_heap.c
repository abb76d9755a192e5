/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Objects in V8's heap; see v8_heap.h. */
#include "runtime/v8_heap.h"

#include <string.h>

/* ---- objects ---- */

uint64_t v8_field(const struct runtime_process *p, uint64_t object, int32_t offset)
{
	return runtime_word(p, object - 1 + (uint64_t)(int64_t)offset);
}

int v8_type(const struct runtime_process *p, const struct v8_layout *l, uint64_t object)
{
	uint64_t map;
	uint16_t type;

	if (!v8_is_object(object))
		return -1;
	map = v8_field(p, object, 0);
	if (!v8_is_object(map) || !runtime_read(p, map - 1 + (uint64_t)l->map_type, &type, sizeof(type)))
		return -1;
	return type;
}

static int string_type(const struct runtime_process *p, const struct v8_layout *l, uint64_t string)
{
	int type = v8_type(p, l, string);

	return type >= 0 && type < l->first_nonstring ? type : -1;
}

int64_t v8_length(const struct runtime_process *p, const struct v8_layout *l, uint64_t string)
{
	int32_t length;

	if (string_type(p, l, string) < 0 ||
	    !runtime_read(p, string - 1 + (uint64_t)l->string_length, &length, sizeof(length)))
		return -1;
	return length;
}

/* Where the data of an external string lies is not exported: behind its resource (src/objects/string.h, V8 8 to 12). */
#define EXTERNAL_DATA 24

/* Characters at addr, of one byte or two. */
static bool add_chars(const struct runtime_process *p, uint64_t addr, bool is_wide, size_t n, struct buf *out)
{
	uint8_t part[4096];
	size_t i, len = is_wide ? 2 : 1, take;

	for (; n; n -= take, addr += take * len) {
		take = n < sizeof(part) / len ? n : sizeof(part) / len;
		if (!runtime_read(p, addr, part, take * len))
			return false;
		for (i = 0; i < take; i++) {
			uint32_t c = is_wide ? part[2 * i] | (uint32_t)part[2 * i + 1] << 8 : part[i];

			buf_addc(out, c && c < 0x80 ? (char)c : '?');
		}
	}
	return true;
}

#define MOST_PARTS 64 /* of a string that was put together */

static bool add_string(const struct runtime_process *p, const struct v8_layout *l, uint64_t string, size_t from,
		       size_t max, unsigned int parts, struct buf *out)
{
	int type = string_type(p, l, string), form;
	int64_t length = v8_length(p, l, string), first;
	size_t n, before = out->len;
	uint64_t left;
	bool wide;

	if (type < 0 || length < 0 || !parts)
		return false;
	n = (size_t)length > from ? (size_t)length - from : 0;
	n = n < max ? n : max;
	form = type & l->representation_mask;
	wide = (type & l->encoding_mask) != l->one_byte_tag;
	if (form == l->thin_tag)
		return add_string(p, l, v8_field(p, string, l->thin_actual), from, max, parts - 1, out);
	if (form == l->sliced_tag)
		return add_string(p, l, v8_field(p, string, l->sliced_parent),
				  from + (v8_field(p, string, l->sliced_offset) >> 32), n, parts - 1, out);
	if (form == l->external_tag)
		return add_chars(p, v8_field(p, string, EXTERNAL_DATA) + from * (wide ? 2 : 1), wide, n, out);
	if (form != l->cons_tag)
		return add_chars(p, string - 1 + (uint64_t)(wide ? l->two_byte_chars : l->one_byte_chars) +
					    from * (wide ? 2 : 1), wide, n, out);
	left = v8_field(p, string, l->cons_first);
	first = v8_length(p, l, left);
	if (first < 0 || left == v8_field(p, string, l->cons_second) || first + v8_length(p, l, v8_field(p, string, l->cons_second)) != length)
		return false;
	if ((int64_t)from < first && !add_string(p, l, left, from, n, parts - 1, out))
		return false;
	n -= out->len - before;
	from = (int64_t)from < first ? 0 : from - (size_t)first;
	return !n || add_string(p, l, v8_field(p, string, l->cons_second), from, n, parts - 1, out);
}

bool v8_text(const struct runtime_process *p, const struct v8_layout *l, uint64_t string, size_t from, size_t max,
	     struct buf *out)
{
	return add_string(p, l, string, from, max, MOST_PARTS, out);
}

/* ---- positions ---- */

/* Seven bits a byte, low ones first, then zigzag; false at the end of the table. */
static bool next_int(const uint8_t **at, const uint8_t *end, int64_t *value)
{
	uint64_t v = 0;
	unsigned int shift = 0;

	for (; *at < end && shift < 64; shift += 7) {
		uint8_t b = *(*at)++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		*value = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
		return true;
	}
	return false;
}

/*
 * Pairs of differences: of the bytecode offset (-1 - d for an expression's), of the position, which is kept as
 * (position + 1) << 1 with other fields above bit 31 (src/codegen/source-position-table.cc, source-position.h; V8 7 to
 * 12).
 */
bool v8_position_raw(const uint8_t *table, size_t len, uint32_t offset, int64_t *raw, uint32_t *row_offset)
{
	const uint8_t *at = table, *end = table + len;
	int64_t code = 0, d;
	bool found = false;

	for (*raw = 0; next_int(&at, end, &d); found = true) {
		code += d < 0 ? -(d + 1) : d;
		if (code > offset || !next_int(&at, end, &d))
			break;
		*raw += d;
		*row_offset = (uint32_t)code;
	}
	return found;
}

int64_t v8_position(const uint8_t *table, size_t len, uint32_t offset)
{
	uint32_t row;
	int64_t raw;

	return v8_position_raw(table, len, offset, &raw, &row) ? (raw >> 1 & 0x3fffffff) - 1 : -1;
}

/*
 * Not exported: the place of the position table in a bytecode array, by where its bytecodes begin (bytecode-array.tq,
 * bytecode-array.h).
 */
static const struct {
	int32_t data, positions;
} bytecode_arrays[] = {
	{ 54, 32 }, /* V8 10.2, 11.3 */
	{ 64, 24 }, /* V8 12.4, 13.6 */
};

#define N_BYTECODE_ARRAYS (sizeof(bytecode_arrays) / sizeof(bytecode_arrays[0]))
#define LENGTH_AT 8
#define MOST_POSITION_BYTES (256 << 10)

bool v8_bytes(const struct runtime_process *p, const struct v8_layout *l, uint64_t array, size_t most, struct buf *out)
{
	int type = v8_type(p, l, array);
	uint64_t n = v8_field(p, array, LENGTH_AT) >> 32;

	if ((type != l->type_byte_array && type != l->type_trusted_bytes) || n > most)
		return false;
	buf_reserve(out, n);
	if (!runtime_read(p, array - 1 + (uint64_t)l->fixed_array_data, out->data, n))
		return false;
	out->len = n;
	return true;
}

static int64_t position_of_offset(const struct runtime_process *p, const struct v8_layout *l, uint64_t bytecode,
				  uint32_t slot)
{
	uint32_t header = (uint32_t)l->bytecode_data - 1;
	struct buf b = BUF_INIT;
	int64_t position = -1;
	size_t i;

	for (i = 0; i < N_BYTECODE_ARRAYS && bytecode_arrays[i].data != l->bytecode_data; i++)
		;
	if (i == N_BYTECODE_ARRAYS || slot < header)
		return -1;
	if (v8_bytes(p, l, v8_field(p, bytecode, bytecode_arrays[i].positions), MOST_POSITION_BYTES, &b))
		position = v8_position((uint8_t *)b.data, b.len, slot - header);
	buf_release(&b);
	return position;
}

/* ---- functions ---- */

#define HEADER 8     /* of a ScopeInfo: its map; then flags, number of parameters, of context locals; then their names and infos */
#define SCOPE_TAIL 10 /* words after the locals that may hold the name and the position */

/* Words of a ScopeInfo from its locals on: their names and infos, or the table of their names and infos. */
static uint64_t local_words(const struct runtime_process *p, const struct v8_layout *l, uint64_t scope)
{
	uint64_t n = v8_field(p, scope, HEADER + 8 * l->scope_locals);

	if (!v8_is_smi(n) || n >> 32 >= 10000)
		return 0;
	return n >> 32 >= V8_MOST_INLINE_LOCALS ? (n >> 32) + 1 : 2 * (n >> 32);
}

/* Where the function begins stands before the locals (V8 13): the last two words. */
static void position_before_locals(const struct runtime_process *p, const struct v8_layout *l, uint64_t scope,
				   struct v8_function *f)
{
	uint64_t start = v8_field(p, scope, HEADER + 8 * (l->scope_names - 2)),
		 end = v8_field(p, scope, HEADER + 8 * (l->scope_names - 1));

	if (f->position < 0 && v8_is_smi(start) && v8_is_smi(end) && start < end)
		f->position = (int64_t)(start >> 32);
}

/*
 * A ScopeInfo's tail: which of its fields are there stands in flags that differ between versions, but their order does
 * not: a saved variable, the function's name and its slot, an inferred name, start and end (until V8 12). So the name
 * is the first string, and the position the last two small integers of the first run of two or more.
 */
static bool read_scope(const struct runtime_process *p, const struct v8_layout *l, uint64_t scope,
		       struct v8_function *f)
{
	uint64_t w[SCOPE_TAIL], tail = scope - 1 + HEADER + 8 * ((uint64_t)l->scope_names + local_words(p, l, scope));
	bool is_first = l->scope_names == l->scope_locals + 3;
	size_t i, run = 0;

	if (is_first)
		position_before_locals(p, l, scope, f);
	if (!runtime_read(p, tail, w, sizeof(w)))
		return true;
	for (i = 0; i < SCOPE_TAIL; i++) {
		if (v8_is_smi(w[i])) {
			run++;
			continue;
		}
		if (run >= 2)
			break;
		run = 0;
		if (!f->name.len && string_type(p, l, w[i]) >= 0 && !v8_text(p, l, w[i], 0, 120, &f->name))
			return false;
	}
	if (!is_first && run >= 2 && w[i - 2] < w[i - 1] && f->position < 0)
		f->position = (int64_t)(w[i - 2] >> 32);
	return true;
}

/* A script's name and source are strings, and two; functions of V8's own have none. False: not so. */
static bool read_script(const struct runtime_process *p, const struct v8_layout *l, uint64_t script,
			struct v8_function *f)
{
	int type = v8_type(p, l, script);
	uint64_t name;

	if (type != l->type_script)
		return type == l->type_oddball || type == l->type_debug_info;
	f->source = v8_field(p, script, l->script_source);
	name = v8_field(p, script, l->script_name);
	if (string_type(p, l, f->source) < 0 || name == f->source)
		return false;
	if (string_type(p, l, name) < 0)
		return v8_type(p, l, name) == l->type_oddball;
	return v8_text(p, l, name, 0, 512, &f->script);
}

bool v8_function_read(const struct runtime_process *p, const struct v8_layout *l, uint64_t shared, uint32_t offset,
		      struct v8_function *f)
{
	uint64_t name, data;
	int type;

	if (v8_type(p, l, shared) != l->type_shared)
		return false;
	f->position = -1;
	f->source = 0;
	data = v8_field(p, shared, l->shared_data);
	type = v8_type(p, l, data);
	if (type == l->type_bytecode && offset != 0xffff)
		f->position = position_of_offset(p, l, data, offset);
	name = v8_field(p, shared, l->shared_name);
	if (v8_type(p, l, name) == l->type_scope_info) {
		if (!read_scope(p, l, name, f))
			return false;
	} else if (!v8_is_smi(name) && !v8_text(p, l, name, 0, 120, &f->name)) {
		return false; /* a small integer: it has none */
	}
	if (f->position < 0 && (type == l->type_uncompiled || type == l->type_uncompiled_preparse)) {
		int32_t start;

		if (runtime_read(p, data - 1 + (uint64_t)l->uncompiled_start, &start, sizeof(start)))
			f->position = start;
	}
	return read_script(p, l, v8_field(p, shared, l->shared_script), f);
}
