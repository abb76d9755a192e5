/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* V8's objects by constructor. Part of the V8 runtime. */
#ifndef MEMPROBE_RUNTIME_V8_CENSUS_H
#define MEMPROBE_RUNTIME_V8_CENSUS_H

#include "runtime/v8_walk.h"

/* 0, -ENOENT (no heap of V8's was found), -errno. */
int v8_census(struct runtime *r, const struct v8_layout *l, struct runtime_census *out);
/* "RenderContext" for the map of its instances; "(string)", "(internal)" for what no constructor made. Appended. */
void v8_name_of_map(const struct v8_walk *w, const struct v8_map *m, struct buf *name);

#endif
