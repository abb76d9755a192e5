/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects in V8's heap, read from outside: strings, functions, scripts, positions. Part of the V8 runtime.
 *
 * Offsets and instance types come from the process's own binary, which exports them for debuggers (v8dbg_*), so
 * they fit its version; the few that are not exported stand in struct v8_layout with what they are checked by.
 * Objects move while collections run: everything that is read is checked by its instance type.
 */
#ifndef MEMPROBE_RUNTIME_V8_HEAP_H
#define MEMPROBE_RUNTIME_V8_HEAP_H

#include "runtime/runtime.h"

#define V8_NO_TYPE (-2) /* of a version that has no such objects */

struct v8_layout {
	/* exported, or derived from what is; their names by version are in v8_layout.c */
	int32_t fp_context, fp_function, fp_bytecode, fp_offset;
	int32_t map_type, function_shared;
	int32_t shared_data, shared_name, shared_script;
	int32_t script_name, script_source;
	int32_t string_length, one_byte_chars, two_byte_chars;
	int32_t cons_first, cons_second, sliced_parent, sliced_offset, thin_actual;
	int32_t representation_mask, encoding_mask, one_byte_tag;
	int32_t cons_tag, external_tag, sliced_tag, thin_tag;
	int32_t first_nonstring, type_shared, type_script, type_scope_info, type_bytecode;
	int32_t bytecode_data, uncompiled_start, type_uncompiled, type_uncompiled_preparse;
	int32_t fixed_array_data, type_oddball, type_debug_info;
	int32_t scope_locals, scope_names;	       /* words behind the header */
	int32_t type_trusted_bytes, type_shared_wrapper; /* or V8_NO_TYPE */
	/* if has_objects: */
	int32_t map_constructor, map_words, map_first_property, map_descriptors, map_bits3;
	int32_t bits3_descriptors_mask, bits3_descriptors_shift;
	int32_t descriptors_header, descriptor_key, descriptor_details, descriptor_words; /* bytes; then words */
	int32_t property_index_mask, property_index_shift, property_location_mask, property_location_shift;
	int32_t property_is_field;
	int32_t object_properties, object_elements, function_context;
	int32_t context_first;
	int32_t type_map, type_free_space, type_fixed_array, type_byte_array, type_double_array;
	int32_t type_property_array, type_property_cell, first_context, last_context;
	int32_t type_js_object, type_js_function, type_js_map, type_js_set, type_js_weak_map, type_js_weak_set;
	bool has_objects;
	/* if has_code: */
	int32_t code_positions, code_data, stream_start, data_inlined, data_literals, data_shared, type_code, type_stream;
	int32_t code_wrapper;
	bool has_code;
};

#define V8_MOST_INLINE_LOCALS 75 /* of a ScopeInfo, less one; more: their names are in a table (src/objects/scope-info.h) */

/* How a function is known. */
struct v8_function {
	struct buf name, script; /* "" if unknown */
	int64_t position;	 /* in the source; -1 unknown */
	uint64_t source;	 /* the script's source, a string */
};

/* Reads the constants. NULL; or the name of one that frames need and that is not there. */
const char *v8_layout_read(struct v8_layout *l, struct runtime_process *p, struct runtime_object *o);
/*
 * Does the living process look so? Strings that every V8 has are looked for in its read-only page. NULL; or what is
 * wrong.
 */
const char *v8_layout_check(const struct v8_layout *l, struct runtime_process *p);
/* Of a runtime that is V8. */
struct v8_layout *v8_layout_of(struct runtime *r);

static inline bool v8_is_object(uint64_t word)
{
	return (word & 3) == 1 && !(word >> 47);
}

/* Small integers are the upper half of a word on these builds (no pointer compression). */
static inline bool v8_is_smi(uint64_t word)
{
	return !(uint32_t)word;
}
/* A word of a tagged object; 0 when it cannot be read. */
uint64_t v8_field(const struct runtime_process *p, uint64_t object, int32_t offset);
/* Instance type of a tagged pointer; -1 when it is none. */
int v8_type(const struct runtime_process *p, const struct v8_layout *l, uint64_t object);
/* The bytes of a byte array of at most so many, appended; false: it is none. */
bool v8_bytes(const struct runtime_process *p, const struct v8_layout *l, uint64_t array, size_t most, struct buf *out);
/*
 * Up to max bytes of a string from character `from` on, appended; wide characters that are no Latin-1 become '?'.
 * False: no string.
 */
bool v8_text(const struct runtime_process *p, const struct v8_layout *l, uint64_t string, size_t from, size_t max,
	     struct buf *out);
/* Length in characters, -1: no string. */
int64_t v8_length(const struct runtime_process *p, const struct v8_layout *l, uint64_t string);
/*
 * The function of a SharedFunctionInfo; offset: the slot of an interpreted frame, 0xffff: none, then position is where
 * the function begins. False: it is no function (any more).
 */
bool v8_function_read(const struct runtime_process *p, const struct v8_layout *l, uint64_t shared, uint32_t offset,
		      struct v8_function *f);
/*
 * Position in the source for a bytecode offset, by a source position table as V8 encodes it; -1: none. Pure.
 */
int64_t v8_position(const uint8_t *table, size_t len, uint32_t offset);
/*
 * The row for it as it is, with all that one of compiled code says (v8_inlined.h), and the row's offset; false: none.
 * Pure.
 */
bool v8_position_raw(const uint8_t *table, size_t len, uint32_t offset, int64_t *raw, uint32_t *row_offset);

#endif
