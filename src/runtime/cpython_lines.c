/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Line tables of CPython's code objects; see cpython.h. Pure: untrusted bytes in, a line out. */
#include "runtime/cpython.h"

enum { KIND_ONE_LINE = 10, KIND_NO_COLUMNS = 13, KIND_LONG = 14, KIND_NONE = 15 };

struct line_cursor {
	const uint8_t *at, *end;
	bool is_bad;
};

struct line_entry {
	int64_t delta;
	uint32_t bytes; /* of code */
	bool has_line;
};

static uint8_t next_byte(struct line_cursor *c)
{
	if (c->at < c->end)
		return *c->at++;
	c->is_bad = true;
	return 0;
}

/* Six bits a byte, the lowest first, bit 6 where more follow. */
static uint64_t next_varint(struct line_cursor *c)
{
	uint64_t v = 0;
	unsigned int shift = 0;
	uint8_t b;

	do {
		b = next_byte(c);
		v |= (uint64_t)(b & 63) << shift;
		shift += 6;
	} while (b & 64 && shift < 48);
	if (b & 64)
		c->is_bad = true;
	return v;
}

static int64_t next_signed(struct line_cursor *c)
{
	uint64_t v = next_varint(c);

	return v & 1 ? -(int64_t)(v >> 1) : (int64_t)(v >> 1);
}

static bool next_entry(struct line_cursor *c, struct line_entry *e)
{
	uint8_t head = next_byte(c);
	unsigned int kind = head >> 3 & 15, i;

	*e = (struct line_entry){ .bytes = 2 * ((head & 7u) + 1), .has_line = kind != KIND_NONE };
	if (!(head & 0x80))
		c->is_bad = true;
	if (kind < KIND_ONE_LINE) {
		next_byte(c);
	} else if (kind < KIND_NO_COLUMNS) {
		e->delta = kind - KIND_ONE_LINE;
		next_byte(c);
		next_byte(c);
	} else if (kind != KIND_NONE) {
		e->delta = next_signed(c);
		for (i = 0; kind == KIND_LONG && i < 3; i++)
			next_varint(c);
	}
	return !c->is_bad;
}

int64_t cpython_line(const uint8_t *table, size_t len, uint32_t first_line, int64_t offset)
{
	struct line_cursor c = { .at = table, .end = table + len };
	int64_t line = first_line, start = 0;
	struct line_entry e;

	if (offset < 0)
		return first_line;
	while (c.at < c.end) {
		if (!next_entry(&c, &e))
			return -1;
		line += e.delta;
		if (line < 0 || line > INT32_MAX)
			return -1;
		if (offset < start + e.bytes)
			return e.has_line ? line : 0;
		start += e.bytes;
	}
	return -1;
}

int64_t cpython_line_table_covers(const uint8_t *table, size_t len)
{
	struct line_cursor c = { .at = table, .end = table + len };
	struct line_entry e;
	int64_t bytes = 0;

	while (c.at < c.end) {
		if (!next_entry(&c, &e))
			return -1;
		bytes += e.bytes;
	}
	return bytes;
}
