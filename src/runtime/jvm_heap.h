/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Where a JVM has reserved its heap, from its own description for debuggers; the ops are in jvm.c. */
#ifndef MEMPROBE_RUNTIME_JVM_HEAP_H
#define MEMPROBE_RUNTIME_JVM_HEAP_H

#include "runtime/runtime.h"

/* 0; -ENOTSUP: it has no such description; -EAGAIN: there is no heap yet; -ESTALE: not what it should be. */
int jvm_heap_range(struct runtime *r, struct runtime_object *o, uint64_t *start, uint64_t *end);

#endif
