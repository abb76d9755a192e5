/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The render functions behind the table in renderer.c; each in the file of its name. */
#ifndef MEMPROBE_RENDER_FORMATS_H
#define MEMPROBE_RENDER_FORMATS_H

#include "render/renderer.h"

void render_diff_flamegraph(struct buf *out, const struct diff *d, const struct render_opts *o);
void render_flamegraph(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_folded(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_heapprofile(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_json_lines(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_pprof(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_diff_folded(struct buf *out, const struct diff *d, const struct render_opts *o);
void render_diff_report(struct buf *out, const struct diff *d, const struct render_opts *o);
void render_recording(struct buf *out, const struct profile *p, const struct render_opts *o);
void render_report(struct buf *out, const struct profile *p, const struct render_opts *o);

#endif
