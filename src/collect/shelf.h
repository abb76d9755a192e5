/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Rows of the kernel's tables of stacks that nobody will change any more, as their generations have ended: kept here, so
 * that the tables have room for the stacks of those that live. Whoever reads a table reads these first, and sees no
 * difference.
 *
 *	stacks in the kernel: A1 A2 B1 C1    A ends    stacks: B1 C1    shelf: A1 A2    read: A1 A2 B1 C1
 */
#ifndef MEMPROBE_COLLECT_SHELF_H
#define MEMPROBE_COLLECT_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include "kern/kern.h"

struct collector;

/* Zero to begin with. */
struct shelf {
	struct shelf_stack {
		uint64_t hash;
		struct mp_stack s;
	} *stacks;
	size_t n_stacks, stacks_cap;
	struct shelf_rss {
		uint64_t hash;
		struct mp_rss_stack s;
	} *rss;
	size_t n_rss, rss_cap;
	struct shelf_bump {
		uint64_t hash;
		struct mp_bump b;
	} *bumps;
	size_t n_bumps, bumps_cap;
};

void shelf_release(struct shelf *s);
/* Take the rows of the generations that ended_goes() tells, out of the kernel's tables. 0 or -errno. */
int shelf_take(struct collector *c);
/* As kern_read_*, of the shelf and of the tables. */
int shelf_read_stacks(struct collector *c, kern_stack_fn fn, void *ctx);
int shelf_read_rss_stacks(struct collector *c, kern_rss_stack_fn fn, void *ctx);
int shelf_read_bumps(struct collector *c, kern_bump_fn fn, void *ctx);

#endif
