/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A gzip member, written piece by piece: what is added is compressed into `out` at once, so that the
 * plain text never lies in memory as a whole. No file name and no time in it: equal data make equal
 * bytes (of one version of zlib). Uses zlib.
 */
#ifndef MEMPROBE_RENDER_GZIP_H
#define MEMPROBE_RENDER_GZIP_H

#include <stddef.h>
#include <zlib.h>

#include "base/buf.h"

struct gzip {
	z_stream z;
	struct buf *out; /* the caller's */
};

void gzip_begin(struct gzip *g, struct buf *out);
void gzip_add(struct gzip *g, const void *data, size_t len);
/* The end of the member; g is released. */
void gzip_end(struct gzip *g);

#endif
