/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What workers share with the process that forked them (model/workers.h); part of the collector. Of targets whose
 * parent is a target, and of that parent. The kernel walks the page tables for it: 20 ms per GiB.
 */
#ifndef MEMPROBE_COLLECT_WORKERS_LOOK_H
#define MEMPROBE_COLLECT_WORKERS_LOOK_H

#include "collect/collector_internal.h"

/* A process has become a target: whose child is it? A first look, if it is one's. */
void workers_begin(struct collector *c, uint32_t proc);
/* The last look, at those that had a first one. */
void workers_end(struct collector *c);

#endif
