/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Comparing what a renderer writes with the bytes of a file in tests/golden/, for the tests of all formats. With
 * GOLDEN_WRITE=1 the files are written instead: read the difference before committing it.
 */
#ifndef MEMPROBE_TESTS_GOLDEN_GOLDEN_H
#define MEMPROBE_TESTS_GOLDEN_GOLDEN_H

#include "base/buf.h"
#include "render/renderer.h"

/* As the renderer of that format writes it; pprof without its compression. Added to out. */
void golden_render(struct buf *out, const struct profile *p, const char *format, const struct render_opts *o);
/* What gzip packed, added to out. */
void golden_inflate(struct buf *out, const struct buf *packed);
/* The test fails when the file is not these bytes. */
void golden_check(const struct buf *got, const char *path);
void golden_write(const struct buf *b, const char *path);
/* That profile in that format, by live bytes, is tests/golden/NAME.SUFFIX. */
void golden_compare(const char *name, void (*make)(struct profile *p), const char *format, const char *suffix);

#endif
