/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See protobuf.h. Pure. */
#include "render/protobuf.h"

#define TYPE_VARINT 0
#define TYPE_BYTES 2

void pb_add_varint(struct buf *out, uint64_t n)
{
	char bytes[10];
	size_t len = 0;

	for (; n >= 0x80; n >>= 7)
		bytes[len++] = (char)(n | 0x80);
	bytes[len++] = (char)n;
	buf_add(out, bytes, len);
}

void pb_add_uint(struct buf *out, unsigned int field, uint64_t n)
{
	if (!n)
		return;
	pb_add_varint(out, field << 3 | TYPE_VARINT);
	pb_add_varint(out, n);
}

void pb_add_bytes(struct buf *out, unsigned int field, const void *data, size_t len)
{
	pb_add_varint(out, field << 3 | TYPE_BYTES);
	pb_add_varint(out, len);
	buf_add(out, data, len);
}
