/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a binary of V8's exports of its own layout for debuggers (v8dbg_*): offsets, masks, instance types. All are
 * looked up in one pass over its symbols. Nothing is assumed where one is missing: see v8_layout_read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/v8_pages.h"

struct constant {
	const char *name;
	size_t at;
};

#define CONSTANT(field, name) { "v8dbg_" name, offsetof(struct v8_layout, field) }

/*
 * For the frames and what they are called. What several rows in a row name is called differently by version: the types
 * in the names are Tagged<> from V8 12 on, and some have become unions.
 */
static const struct constant frames[] = {
	CONSTANT(fp_context, "off_fp_context_or_frame_type"),
	CONSTANT(fp_function, "off_fp_function"),
	CONSTANT(fp_bytecode, "off_fp_bytecode_array"),
	CONSTANT(fp_offset, "off_fp_bytecode_offset"),
	CONSTANT(map_type, "class_Map__instance_type__uint16_t"),
	CONSTANT(function_shared, "class_JSFunction__shared__SharedFunctionInfo"),
	CONSTANT(shared_name, "class_SharedFunctionInfo__name_or_scope_info__Object"),
	CONSTANT(shared_name, "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_"),
	CONSTANT(shared_name, "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_"),
	CONSTANT(shared_script, "class_SharedFunctionInfo__script_or_debug_info__HeapObject"),
	CONSTANT(shared_script, "class_SharedFunctionInfo__script__Tagged_HeapObject_"),
	CONSTANT(script_name, "class_Script__name__Object"),
	CONSTANT(script_source, "class_Script__source__Object"),
	CONSTANT(string_length, "class_String__length__int32_t"),
	CONSTANT(one_byte_chars, "class_SeqOneByteString__chars__char"),
	CONSTANT(two_byte_chars, "class_SeqTwoByteString__chars__char"),
	CONSTANT(cons_first, "class_ConsString__first__String"),
	CONSTANT(cons_second, "class_ConsString__second__String"),
	CONSTANT(sliced_parent, "class_SlicedString__parent__String"),
	CONSTANT(sliced_offset, "class_SlicedString__offset__SMI"),
	CONSTANT(thin_actual, "class_ThinString__actual__String"),
	CONSTANT(representation_mask, "StringRepresentationMask"),
	CONSTANT(encoding_mask, "StringEncodingMask"),
	CONSTANT(one_byte_tag, "OneByteStringTag"),
	CONSTANT(cons_tag, "ConsStringTag"),
	CONSTANT(external_tag, "ExternalStringTag"),
	CONSTANT(sliced_tag, "SlicedStringTag"),
	CONSTANT(thin_tag, "ThinStringTag"),
	CONSTANT(first_nonstring, "FirstNonstringType"),
	CONSTANT(type_shared, "type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE"),
	CONSTANT(type_script, "type_Script__SCRIPT_TYPE"),
	CONSTANT(type_scope_info, "type_ScopeInfo__SCOPE_INFO_TYPE"),
	CONSTANT(type_bytecode, "type_BytecodeArray__BYTECODE_ARRAY_TYPE"),
	CONSTANT(bytecode_data, "class_BytecodeArray__data__uintptr_t"),
	CONSTANT(uncompiled_start, "class_UncompiledData__start_position__int32_t"),
	CONSTANT(type_uncompiled, "type_UncompiledDataWithoutPreparseData__UNCOMPILED_DATA_WITHOUT_PREPARSE_DATA_TYPE"),
	CONSTANT(type_uncompiled_preparse, "type_UncompiledDataWithPreparseData__UNCOMPILED_DATA_WITH_PREPARSE_DATA_TYPE"),
	CONSTANT(fixed_array_data, "class_FixedArray__data__uintptr_t"),
	CONSTANT(scope_locals, "scopeinfo_idx_ncontextlocals"),
	CONSTANT(scope_names, "scopeinfo_idx_first_vars"),
	CONSTANT(type_byte_array, "type_ByteArray__BYTE_ARRAY_TYPE"),
	CONSTANT(type_oddball, "type_Oddball__ODDBALL_TYPE"),
	CONSTANT(type_debug_info, "type_DebugInfo__DEBUG_INFO_TYPE"),
};

/* For the census and the holders. */
static const struct constant objects[] = {
	CONSTANT(map_constructor, "class_Map__constructor_or_back_pointer__Object"),
	CONSTANT(map_constructor, "class_Map__constructor_or_back_pointer__Tagged_Object_"),
	CONSTANT(map_words, "class_Map__instance_size_in_words__char"),
	CONSTANT(map_first_property, "class_Map__inobject_properties_start_or_constructor_function_index__char"),
	CONSTANT(map_descriptors, "class_Map__instance_descriptors__DescriptorArray"),
	CONSTANT(map_descriptors, "class_Map__instance_descriptors__Tagged_DescriptorArray_"),
	CONSTANT(map_bits3, "class_Map__bit_field3__int"),
	CONSTANT(bits3_descriptors_mask, "bit_field3_number_of_own_descriptors_mask"),
	CONSTANT(bits3_descriptors_shift, "bit_field3_number_of_own_descriptors_shift"),
	CONSTANT(descriptors_header, "class_DescriptorArray__header_size__uintptr_t"),
	CONSTANT(descriptor_key, "prop_desc_key"),
	CONSTANT(descriptor_details, "prop_desc_details"),
	CONSTANT(descriptor_words, "prop_desc_size"),
	CONSTANT(property_index_mask, "prop_index_mask"),
	CONSTANT(property_index_shift, "prop_index_shift"),
	CONSTANT(property_location_mask, "prop_location_mask"),
	CONSTANT(property_location_shift, "prop_location_shift"),
	CONSTANT(property_is_field, "prop_location_Field"),
	CONSTANT(object_properties, "class_JSReceiver__raw_properties_or_hash__Object"),
	CONSTANT(object_properties, "class_JSReceiver__raw_properties_or_hash__Tagged_Object_"),
	CONSTANT(object_elements, "class_JSObject__elements__Object"),
	CONSTANT(function_context, "class_JSFunction__context__Context"),
	CONSTANT(context_first, "context_min_slots"),
	CONSTANT(type_map, "type_Map__MAP_TYPE"),
	CONSTANT(type_free_space, "type_FreeSpace__FREE_SPACE_TYPE"),
	CONSTANT(type_fixed_array, "type_FixedArray__FIXED_ARRAY_TYPE"),
	CONSTANT(type_double_array, "type_FixedDoubleArray__FIXED_DOUBLE_ARRAY_TYPE"),
	CONSTANT(type_property_array, "type_PropertyArray__PROPERTY_ARRAY_TYPE"),
	CONSTANT(type_property_cell, "type_PropertyCell__PROPERTY_CELL_TYPE"),
	CONSTANT(first_context, "FirstContextType"),
	CONSTANT(last_context, "LastContextType"),
	CONSTANT(type_js_object, "type_JSObject__JS_OBJECT_TYPE"),
	CONSTANT(type_js_function, "type_JSFunction__JS_FUNCTION_TYPE"),
	CONSTANT(type_js_map, "type_JSMap__JS_MAP_TYPE"),
	CONSTANT(type_js_set, "type_JSSet__JS_SET_TYPE"),
	CONSTANT(type_js_weak_map, "type_JSWeakMap__JS_WEAK_MAP_TYPE"),
	CONSTANT(type_js_weak_set, "type_JSWeakSet__JS_WEAK_SET_TYPE"),
};

/* For what was inlined into compiled code. */
static const struct constant code[] = {
	CONSTANT(stream_start, "class_InstructionStream__instruction_start__uintptr_t"),
	CONSTANT(data_inlined, "DeoptimizationDataInliningPositionsIndex"),
	CONSTANT(data_literals, "DeoptimizationDataLiteralArrayIndex"),
	CONSTANT(data_shared, "DeoptimizationDataSharedFunctionInfoIndex"),
	CONSTANT(data_shared, "DeoptimizationDataWrappedSharedFunctionInfoIndex"),
	CONSTANT(type_code, "type_Code__CODE_TYPE"),
	CONSTANT(type_stream, "type_InstructionStream__INSTRUCTION_STREAM_TYPE"),
};

/* And either these, in V8 11.3, */
static const struct constant code_tables[] = {
	CONSTANT(code_positions, "class_Code__source_position_table__ByteArray"),
	CONSTANT(code_data, "class_Code__deoptimization_data__FixedArray"),
};

/* or the field behind both, and what is in trusted space, from V8 12 on. */
static const struct constant code_trusted[] = {
	CONSTANT(code_wrapper, "class_Code__wrapper__Tagged_CodeWrapper_"),
	CONSTANT(type_trusted_bytes, "type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE"),
};

/* V8 13. */
static const struct constant wrapped[] = {
	CONSTANT(type_shared_wrapper, "type_SharedFunctionInfoWrapper__SHARED_FUNCTION_INFO_WRAPPER_TYPE"),
};

#undef CONSTANT

enum group { FRAMES, OBJECTS, CODE, CODE_TABLES, CODE_TRUSTED, WRAPPED, N_GROUPS };

#define GROUP(table) { table, sizeof(table) / sizeof((table)[0]) }

static const struct {
	const struct constant *c;
	size_t n;
} groups[N_GROUPS] = {
	[FRAMES] = GROUP(frames),	    [OBJECTS] = GROUP(objects),		  [CODE] = GROUP(code),
	[CODE_TABLES] = GROUP(code_tables), [CODE_TRUSTED] = GROUP(code_trusted), [WRAPPED] = GROUP(wrapped),
};

#undef GROUP

#define MOST_CONSTANTS 128

/*
 * Of a SharedFunctionInfo, the first field (shared-function-info.tq, V8 8 to 13); exported before V8 12 only. The
 * kernel side knows it so, too.
 */
#define SHARED_DATA 8

/* NULL: all are there; else the first that is not. Of those that follow each other for one field, one is enough. */
static const char *read_all(struct v8_layout *l, struct runtime_process *p, enum group group, const uint64_t *addrs)
{
	const struct constant *c = groups[group].c;
	size_t i, first;
	bool has;

	for (i = 0; i < groups[group].n;) {
		for (first = i, has = false; i < groups[group].n && c[i].at == c[first].at; i++)
			has = has || (addrs[i] && runtime_read(p, addrs[i], (char *)l + c[i].at, sizeof(int32_t)));
		if (!has)
			return c[first].name;
	}
	return NULL;
}

/*
 * Where a Code has its tables: data for giving it up, positions, wrapper are its first fields from V8 12 on
 * (objects/code.h). That they are of the right kind is checked when they are read.
 */
static bool read_code(struct v8_layout *l, struct runtime_process *p, const uint64_t *const *addrs)
{
	if (read_all(l, p, CODE, addrs[CODE]))
		return false;
	if (!read_all(l, p, CODE_TABLES, addrs[CODE_TABLES]))
		return true;
	l->code_positions = l->code_wrapper - 8;
	l->code_data = l->code_wrapper - 16;
	return l->code_wrapper == 24;
}

const char *v8_layout_read(struct v8_layout *l, struct runtime_process *p, struct runtime_object *o)
{
	const char *names[MOST_CONSTANTS], *missing;
	uint64_t addrs[MOST_CONSTANTS], *at[N_GROUPS];
	size_t i, g, n = 0;

	for (g = 0; g < N_GROUPS; g++)
		for (i = 0, at[g] = addrs + n; i < groups[g].n && n < MOST_CONSTANTS; i++)
			names[n++] = groups[g].c[i].name;
	runtime_symbols(p, o, names, n, addrs);
	l->shared_data = SHARED_DATA;
	l->type_trusted_bytes = l->type_shared_wrapper = V8_NO_TYPE;
	missing = read_all(l, p, FRAMES, at[FRAMES]);
	if (missing)
		return missing;
	read_all(l, p, CODE_TRUSTED, at[CODE_TRUSTED]);
	read_all(l, p, WRAPPED, at[WRAPPED]);
	l->has_objects = !read_all(l, p, OBJECTS, at[OBJECTS]);
	l->has_code = l->has_objects && read_code(l, p, (const uint64_t *const *)at);
	return NULL;
}

/* ---- the living process ---- */

#define MOST_READ_ONLY (4u << 20)

/* Property names that V8's own heap has, each an internalized string of one byte a character. */
static const char *const well_known[] = { "constructor", "prototype", "toString", "length", "Function", "undefined" };
#define N_KNOWN (sizeof(well_known) / sizeof(well_known[0]))
#define LEAST_KNOWN 4

/* The strings that begin at words of a page; which of the well-known ones, as bits. */
static unsigned int known_in(const struct v8_layout *l, struct runtime_process *p, const struct v8_page *page)
{
	uint64_t len = page->end - page->start, i;
	uint64_t *words = xmalloc(len);
	unsigned int found = 0;
	struct buf text = BUF_INIT;
	size_t k;

	for (i = proc_memory_read(&p->memory, page->start, words, len) / 8;
	     i > 2 && __builtin_popcount(found) < LEAST_KNOWN; i--) {
		uint64_t object = page->start + 8 * (i - 3) + 1;

		/* a map, and two words of hash, length and characters that are no pointers */
		if (!v8_is_object(words[i - 3]) || words[i - 3] < page->start || words[i - 3] >= page->end)
			continue;
		buf_reset(&text);
		if (v8_length(p, l, object) > 16 || !v8_text(p, l, object, 0, 17, &text))
			continue;
		for (k = 0; k < N_KNOWN; k++)
			if (!strcmp(text.data, well_known[k]))
				found |= 1u << k;
	}
	buf_release(&text);
	free(words);
	return found;
}

/*
 * Strings begin alike whatever their form (src/objects/string.tq), and fields of functions and scripts stand in one
 * order (shared-function-info.tq, script.tq; V8 8 to 13): an offset that is wrong by itself does not fit the others.
 * Between the function's data and its name V8 13 has a second word of data.
 */
static bool fits_together(const struct v8_layout *l)
{
	int32_t text = l->string_length + 4;

	return l->one_byte_chars == text && l->two_byte_chars == text && l->cons_first == text && l->cons_second == text + 8 &&
	       l->sliced_parent == text && l->sliced_offset == text + 8 && l->thin_actual == text &&
	       l->shared_data == SHARED_DATA && l->shared_script == l->shared_name + 16 &&
	       (l->shared_name == SHARED_DATA + 8 || l->shared_name == SHARED_DATA + 16) &&
	       l->script_name == l->script_source + 8 && (l->scope_names == l->scope_locals + 1 || l->scope_names == l->scope_locals + 3);
}

const char *v8_layout_check(const struct v8_layout *l, struct runtime_process *p)
{
	struct v8_pages pages;
	unsigned int found = 0;
	bool has_page = false;
	size_t i;

	if (!fits_together(l))
		return "its offsets do not fit together as known here";
	if (v8_pages_find(&pages, p))
		return "its mappings cannot be read";
	for (i = 0; i < pages.n; i++) {
		if (!pages.v[i].is_read_only || pages.v[i].end - pages.v[i].start > MOST_READ_ONLY)
			continue;
		has_page = true;
		found |= known_in(l, p, &pages.v[i]);
	}
	if (!pages.heap)
		has_page = false; /* it begins: what is there of the page is not yet filled, other pages come after it */
	v8_pages_release(&pages);
	if (!has_page)
		return NULL; /* nothing to check it with: each object's type is checked when it is read */
	return __builtin_popcount(found) >= LEAST_KNOWN ? NULL : "its strings are not laid out as its binary says";
}
