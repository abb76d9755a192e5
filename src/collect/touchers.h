/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who touched which page first, joined with what the page tables hold now; part of the collector.
 *
 * The kernel side notes the page of each first touch with its stack (bpf/rss.bpf.h). When a report is made the page
 * tables tell which of those pages are still there, resident or swapped out: what was given back meanwhile, by
 * whichever call, leaves the stack that touched it. And a block's pages are looked up for who touched them.
 *
 *	stack 7 touched 1000 pages, 250 of them are gone	given_back_bytes 250 pages
 *	block of stack 3 on pages that stack 7 touched		stack 3: toucher 7
 *
 * A page that came back from swap counts as touched by who read it. Nothing where the kernel tells no addresses (not
 * x86).
 */
#ifndef MEMPROBE_COLLECT_TOUCHERS_H
#define MEMPROBE_COLLECT_TOUCHERS_H

#include "collect/collector_internal.h"

struct touchers {
	struct toucher {
		uint64_t addr, stack;
		uint32_t gen, pages;
	} *v;
	size_t n, cap;
	struct table at; /* place -> index in v */
	uint32_t orders; /* bit k: some entries are of 1 << k pages */
};

int touchers_read(struct touchers *t, struct collector *c);
void touchers_release(struct touchers *t);
/* given_back_bytes of the stacks of processes that run; entries that are no longer true leave the kernel's table. */
int touchers_settle(struct touchers *t, struct collector *c);
/* The id of the stack that touched the page at addr, or 0. */
uint64_t touchers_find(const struct touchers *t, uint32_t gen, uint64_t addr);

#endif
