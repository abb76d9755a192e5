/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which classes of a managed language have grown: the census of its runtime when it was found and at the end, by number of
 * objects; into the profile's process. Of few processes, and of heaps that are read in a moment.
 */
#ifndef MEMPROBE_APP_CLASS_GROWTH_H
#define MEMPROBE_APP_CLASS_GROWTH_H

#include "app/collector_internal.h"
#include "runtime/runtime.h"

/* The first look; NULL: this one is not looked at. */
struct runtime_census *class_growth_begin(const struct collector *c, struct runtime *r);
/* The last. */
void class_growth_end(struct collector *c, struct profile_proc *proc, struct runtime *r, const struct runtime_census *first);
void class_growth_free(struct runtime_census *first);

#endif
