/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who within a process holds its memory, at the attach and now: fills profile.holders; part of the collector. It may
 * depend on runtimes and the kernel side's tables; it does not print.
 */
#ifndef MEMPROBE_COLLECT_HOLDERS_LOOK_H
#define MEMPROBE_COLLECT_HOLDERS_LOOK_H

#include "collect/collector_internal.h"
#include "runtime/runtime.h"

/* The runtime of a generation has been found: the first look, where it knows holders. */
void holders_at_attach(struct collector *c, uint32_t gen, struct runtime *r);
/* After the stacks' figures have been read. 0 or -errno. */
int holders_now(struct collector *c);
void holders_release(struct collector *c);

#endif
