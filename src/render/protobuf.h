/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Writing protocol buffers: the two wire types that profile.proto needs, appended to a buffer.
 *
 *	08 96 01          field 1, varint 150: seven bits a byte, the lowest first, the high bit goes on
 *	12 02 68 69       field 2, two bytes "hi"; a message within a message and packed numbers are the same
 *
 * Fields that are 0 may be left out; a reader takes fields in any order. No schema, no reader.
 * Source: the encoding page of the protocol buffers documentation. Depends on base.
 */
#ifndef MEMPROBE_RENDER_PROTOBUF_H
#define MEMPROBE_RENDER_PROTOBUF_H

#include <stdint.h>

#include "base/buf.h"

void pb_add_varint(struct buf *out, uint64_t n);
/* Left out when 0. Negative int64: as uint64_t. */
void pb_add_uint(struct buf *out, unsigned int field, uint64_t n);
/* A string, a message, packed numbers; kept when empty. */
void pb_add_bytes(struct buf *out, unsigned int field, const void *data, size_t len);
static inline void pb_add_buf(struct buf *out, unsigned int field, const struct buf *b)
{
	pb_add_bytes(out, field, b->data, b->len);
}

#endif
