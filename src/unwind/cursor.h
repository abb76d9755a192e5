/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A bounded cursor over untrusted bytes. A read past the end sets `bad`, gives 0 and leaves the
 * cursor at the end, so every loop `while (c.p < c.end)` ends; callers check `bad` once per
 * record. LEB128 values longer than 64 bits keep their low bits. Depends on nothing.
 */
#ifndef MEMPROBE_UNWIND_CURSOR_H
#define MEMPROBE_UNWIND_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* A little-endian number of n_bytes <= 8; all supported machines are little endian. */
static inline uint64_t cursor_uint(struct cursor *c, unsigned int n_bytes)
{
	uint64_t v = 0;

	if (cursor_left(c) < n_bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, n_bytes);
	c->p += n_bytes;
	return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	if (c->p >= c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

/* LEB128: seven bits in each byte, the lowest first; the eighth: more follow. */
static inline uint64_t cursor_leb(struct cursor *c, bool is_signed)
{
	unsigned int shift = 0;
	uint64_t v = 0;
	uint8_t b;

	do {
		b = cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (is_signed && shift < 64 && b & 0x40)
		v |= ~0ULL << shift;
	return v;
}

static inline uint64_t cursor_uleb(struct cursor *c)
{
	return cursor_leb(c, false);
}

static inline int64_t cursor_sleb(struct cursor *c)
{
	return (int64_t)cursor_leb(c, true);
}

static inline void cursor_skip(struct cursor *c, uint64_t n)
{
	if (n > cursor_left(c)) {
		c->bad = true;
		c->p = c->end;
		return;
	}
	c->p += n;
}

#endif
