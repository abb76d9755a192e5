/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the slots of V8's objects are called; see v8_names.h. */
#include "runtime/v8_names.h"

#include <string.h>

#define HEADER 8      /* of an object without more: its map */
#define ARRAY_DATA 16 /* map, length */
#define MOST_NAME 120

static uint64_t word_at(const struct v8_walk *w, uint64_t object, uint64_t offset)
{
	return runtime_word(w->p, object - 1 + offset);
}

/* The i-th descriptor's key when it is a field; its index to *field. 0: it is none. */
static uint64_t field_key(const struct v8_walk *w, uint64_t descriptors, uint64_t i, uint64_t *field)
{
	const struct v8_layout *l = w->l;
	uint64_t at = (uint64_t)l->descriptors_header + i * (uint64_t)l->descriptor_words * 8;
	uint64_t details = word_at(w, descriptors, at + (uint64_t)l->descriptor_details * 8);
	int32_t bits = (int32_t)(details >> 32);

	if (!v8_is_smi(details) ||
	    (bits & l->property_location_mask) >> l->property_location_shift != l->property_is_field)
		return 0;
	*field = (uint64_t)((bits & l->property_index_mask) >> l->property_index_shift);
	return word_at(w, descriptors, at + (uint64_t)l->descriptor_key * 8);
}

/* How many descriptors a map has, and where. */
static uint64_t descriptors_of(const struct v8_walk *w, const struct v8_map *m, uint64_t *at)
{
	int32_t bits;

	*at = word_at(w, m->map, (uint64_t)w->l->map_descriptors);
	if (!v8_is_object(*at) || !runtime_read(w->p, m->map - 1 + (uint64_t)w->l->map_bits3, &bits, sizeof(bits)))
		return 0;
	return (uint64_t)((bits & w->l->bits3_descriptors_mask) >> w->l->bits3_descriptors_shift);
}

bool v8_field_name(const struct v8_walk *w, const struct v8_map *m, uint64_t n, struct buf *out)
{
	uint64_t at, count = descriptors_of(w, m, &at), i, field, key;

	for (i = 0; i < count; i++) {
		key = field_key(w, at, i, &field);
		if (key && field == n)
			return v8_text(w->p, w->l, key, 0, MOST_NAME, out);
	}
	return false;
}

uint64_t v8_own_fields(const struct v8_walk *w, const struct v8_map *m)
{
	uint8_t first;

	if (!runtime_read(w->p, m->map - 1 + (uint64_t)w->l->map_first_property, &first, 1) || first > m->words)
		return 0;
	return m->words - (uint64_t)first;
}

uint64_t v8_own_property(const struct v8_walk *w, const struct v8_map *m, uint64_t object, const char *name)
{
	uint64_t at, count = descriptors_of(w, m, &at), own = v8_own_fields(w, m), i, field, found = 0;
	struct buf text = BUF_INIT;

	for (i = 0; i < count && !found; i++) {
		uint64_t key = field_key(w, at, i, &field);

		buf_reset(&text);
		if (key && field < own && v8_text(w->p, w->l, key, 0, MOST_NAME, &text) && !strcmp(text.data, name))
			found = word_at(w, object, (m->words - own + field) * 8);
	}
	buf_release(&text);
	return found;
}

/*
 * A context is {map, length, ScopeInfo, previous, variables in the order of the ScopeInfo's locals}. One whose length
 * says that there is more (an extension, or the function's own name) may have them one further: no name then.
 */
bool v8_variable_name(const struct v8_walk *w, uint64_t context, uint64_t offset, struct buf *out)
{
	const struct v8_layout *l = w->l;
	uint64_t length = word_at(w, context, HEADER), scope = word_at(w, context, ARRAY_DATA), locals, slot;

	if (offset < ARRAY_DATA || v8_type(w->p, l, scope) != l->type_scope_info)
		return false;
	slot = (offset - ARRAY_DATA) / 8;
	locals = word_at(w, scope, HEADER + (uint64_t)l->scope_locals * 8);
	if (!v8_is_smi(length) || !v8_is_smi(locals) || locals >> 32 > V8_MOST_INLINE_LOCALS ||
	    length >> 32 != (locals >> 32) + (uint64_t)l->context_first || slot < (uint64_t)l->context_first)
		return false;
	slot -= (uint64_t)l->context_first;
	return v8_text(w->p, l, word_at(w, scope, HEADER + ((uint64_t)l->scope_names + slot) * 8), 0, MOST_NAME, out);
}
