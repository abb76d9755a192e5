/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the slots of V8's objects are called: properties, variables. Part of the V8 runtime; nothing is named unless it
 * is certain.
 */
#ifndef MEMPROBE_RUNTIME_V8_NAMES_H
#define MEMPROBE_RUNTIME_V8_NAMES_H

#include "runtime/v8_walk.h"

/* Appends the name of the property in the n-th field of objects of that map. False: it has none. */
bool v8_field_name(const struct v8_walk *w, const struct v8_map *m, uint64_t n, struct buf *out);
/* Value of an object's own property that lies in the object itself; 0: none of that name. */
uint64_t v8_own_property(const struct v8_walk *w, const struct v8_map *m, uint64_t object, const char *name);
/* How many fields lie in the object itself. */
uint64_t v8_own_fields(const struct v8_walk *w, const struct v8_map *m);
/* Appends the name of the variable at that offset of a context (tagged). False: which one it is is not certain. */
bool v8_variable_name(const struct v8_walk *w, uint64_t context, uint64_t offset, struct buf *out);

#endif
