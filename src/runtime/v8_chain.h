/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Who holds V8's objects of one constructor, up to a variable. Part of the V8 runtime. */
#ifndef MEMPROBE_RUNTIME_V8_CHAIN_H
#define MEMPROBE_RUNTIME_V8_CHAIN_H

#include "runtime/v8_heap.h"

/* See runtime_ops.held_by. */
int v8_chain(struct runtime *r, const struct v8_layout *l, const char *type, uint64_t deadline_ns, struct buf *out);

#endif
