/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * See gzip.h. zlib can fail here only for want of memory, which ends memprobe as in xalloc.h.
 * Depends on base and zlib.
 */
#include "render/gzip.h"

#include <limits.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define GZIP_WINDOW 31 /* 15 bits of window, 16: with gzip's header (zlib.h, deflateInit2) */
#define ROOM 65536

static void *allocate(void *opaque, unsigned int n, unsigned int size)
{
	(void)opaque;
	return xcalloc(n, size);
}

static void release(void *opaque, void *p)
{
	(void)opaque;
	free(p);
}

/* Until zlib has taken all of its input, or, with Z_FINISH, given all of its output. */
static void turn(struct gzip *g, int flush)
{
	size_t room;

	do {
		buf_reserve(g->out, ROOM);
		room = g->out->cap - g->out->len - 1;
		g->z.next_out = (unsigned char *)g->out->data + g->out->len;
		g->z.avail_out = room > UINT_MAX ? UINT_MAX : (unsigned int)room;
		room = g->z.avail_out;
		deflate(&g->z, flush);
		g->out->len += room - g->z.avail_out;
		g->out->data[g->out->len] = '\0';
	} while (!g->z.avail_out);
}

void gzip_begin(struct gzip *g, struct buf *out)
{
	*g = (struct gzip){ .out = out, .z = { .zalloc = allocate, .zfree = release } };
	deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
}

void gzip_add(struct gzip *g, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len) {
		unsigned int n = len > UINT_MAX ? UINT_MAX : (unsigned int)len;

		g->z.next_in = (unsigned char *)at; /* not written to: zlib.h has no const here */
		g->z.avail_in = n;
		turn(g, Z_NO_FLUSH);
		at += n;
		len -= n;
	}
}

void gzip_end(struct gzip *g)
{
	turn(g, Z_FINISH);
	deflateEnd(&g->z);
}
