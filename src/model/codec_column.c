/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Numbers and columns of a recording; see codec_internal.h for their shape. Reading never passes the end of
 * its input, and allocates no more than that could hold: a number takes a byte at least. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/codec_internal.h"

#define MAX_PLANES 10 /* 64 bits, 7 in each */

uint32_t codec_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void codec_add_u32(struct buf *b, uint32_t v)
{
	const uint8_t bytes[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

	buf_add(b, bytes, sizeof(bytes));
}

void codec_add_number(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_addc(b, (char)(v | 0x80));
	buf_addc(b, (char)v);
}

/* True for what does not fit into 64 bits. */
static bool is_overlong(unsigned int plane, uint8_t byte)
{
	return plane == MAX_PLANES - 1 && byte > 1;
}

uint64_t codec_in_number(struct codec_in *in)
{
	uint64_t v = 0;
	unsigned int plane;

	for (plane = 0; plane < MAX_PLANES && in->p < in->end; plane++) {
		uint8_t byte = *in->p++;

		if (is_overlong(plane, byte))
			break;
		v |= (uint64_t)(byte & 0x7f) << 7 * plane;
		if (byte < 0x80)
			return v;
	}
	in->bad = true;
	in->p = in->end;
	return 0;
}

const char *codec_in_string(struct codec_in *in)
{
	const uint8_t *s = in->p, *nul = in->p < in->end ? memchr(s, 0, (size_t)(in->end - s)) : NULL;

	if (!nul) {
		in->bad = true;
		in->p = in->end;
		return "";
	}
	in->p = nul + 1;
	return (const char *)s;
}

uint64_t *codec_column_room(struct codec_column *c, size_t n)
{
	if (n > c->cap) {
		c->cap = n;
		c->v = xreallocarray(c->v, n, sizeof(*c->v));
		c->left = xreallocarray(c->left, n, sizeof(*c->left));
	}
	return c->v;
}

void codec_column_release(struct codec_column *c)
{
	free(c->v);
	free(c->left);
	*c = (struct codec_column){ 0 };
}

void codec_column_add(struct codec_column *c, struct buf *b, size_t n)
{
	size_t i, n_left = 0, n_next;
	char *out;

	buf_reserve(b, n);
	out = b->data + b->len;
	for (i = 0; i < n; i++) {
		out[i] = (char)(c->v[i] < 0x80 ? c->v[i] : c->v[i] | 0x80);
		c->v[i] >>= 7;
		if (c->v[i])
			c->left[n_left++] = (uint32_t)i;
	}
	for (b->len += n; n_left; n_left = n_next) {
		buf_reserve(b, n_left);
		out = b->data + b->len;
		for (i = n_next = 0; i < n_left; i++) {
			uint64_t *v = &c->v[c->left[i]];

			out[i] = (char)(*v < 0x80 ? *v : *v | 0x80);
			*v >>= 7;
			if (*v)
				c->left[n_next++] = c->left[i];
		}
		b->len += n_left;
	}
	b->data[b->len] = '\0';
}

void codec_column_read(struct codec_column *c, struct codec_in *in, size_t n)
{
	size_t i, n_left = n, n_next;
	unsigned int plane;

	if (in->bad || n > (size_t)(in->end - in->p)) {
		in->bad = true;
		return;
	}
	if (!n)
		return;
	codec_column_room(c, n);
	memset(c->v, 0, n * sizeof(*c->v));
	for (i = 0; i < n; i++)
		c->left[i] = (uint32_t)i;
	for (plane = 0; n_left; plane++, n_left = n_next) {
		if (plane == MAX_PLANES || n_left > (size_t)(in->end - in->p)) {
			in->bad = true;
			return;
		}
		for (i = n_next = 0; i < n_left; i++) {
			uint8_t byte = *in->p++;

			in->bad |= is_overlong(plane, byte);
			c->v[c->left[i]] |= (uint64_t)(byte & 0x7f) << 7 * plane;
			if (byte & 0x80)
				c->left[n_next++] = c->left[i];
		}
	}
}

void codec_records_add(struct codec_column *c, struct buf *b, const struct codec_table *t, const void *before,
		       const void *records, size_t n)
{
	size_t i, k;

	codec_add_number(b, t->n);
	codec_column_room(c, n);
	for (k = 0; k < t->n; k++) {
		const struct codec_field *f = &t->fields[k];

		for (i = 0; i < n; i++) {
			uint64_t v = codec_field_get((const char *)records + i * t->record_size, f);

			if (before)
				v -= codec_field_get((const char *)before + i * t->record_size, f);
			c->v[i] = codec_zigzag(v);
		}
		codec_column_add(c, b, n);
	}
}

void codec_records_read(struct codec_column *c, struct codec_in *in, const struct codec_table *t, void *records,
			size_t n, const struct codec_bounds *bounds)
{
	uint64_t n_columns = codec_in_number(in), k;
	size_t i;

	for (k = 0; k < n_columns && !in->bad; k++) {
		codec_column_read(c, in, n);
		for (i = 0; i < n && k < t->n && !in->bad; i++) {
			char *record = (char *)records + i * t->record_size;
			uint64_t v = codec_field_get(record, &t->fields[k]) + codec_unzigzag(c->v[i]);

			in->bad = !codec_field_set(record, &t->fields[k], v, bounds);
		}
		if (!n)
			break; /* columns of nothing: nothing follows, however many there are said to be */
	}
	for (; k < t->n && n && !in->bad; k++) /* what a column that is not there leaves must make sense, too */
		for (i = 0; i < n && !in->bad; i++) {
			char *record = (char *)records + i * t->record_size;

			in->bad = !codec_field_set(record, &t->fields[k], codec_field_get(record, &t->fields[k]), bounds);
		}
}
