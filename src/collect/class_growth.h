/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which classes of a managed language have grown; into the profile's process. By number of objects, from the census of
 * its runtime when it was found and at the end; and which are more after each of several full collections
 * (model/class_looks.h), for which it is looked at again meanwhile. Of few processes, and of heaps that are read in a
 * moment; at a fiftieth of the time.
 */
#ifndef MEMPROBE_COLLECT_CLASS_GROWTH_H
#define MEMPROBE_COLLECT_CLASS_GROWTH_H

#include "collect/collector_internal.h"
#include "runtime/runtime.h"

struct class_growth;

/* The first look; NULL: this one is not looked at. */
struct class_growth *class_growth_begin(const struct collector *c, struct runtime *r);
/* To be called often: t_s seconds after the arming, when so many full collections have been seen. */
void class_growth_look(struct class_growth *g, struct runtime *r, double t_s, uint64_t full);
/* The last. */
void class_growth_end(struct collector *c, struct profile_proc *proc, struct runtime *r, const struct class_growth *g);
void class_growth_free(struct class_growth *g);

#endif
