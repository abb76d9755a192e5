/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What lives of each stack by size class, and what of it is new: by the frees of older blocks, which were counted, or
 * by what the heap itself has more in use (model/heap_rise.h). Part of the collector.
 */
#ifndef MEMPROBE_COLLECT_CLASS_PARTS_H
#define MEMPROBE_COLLECT_CLASS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "bpf/memprobe.h"

struct collector;
struct site_trend;

/* Live blocks of one stack in one size class. */
struct class_part {
	double variance; /* of the blocks, where they are estimates */
	uint32_t stack, size_class;
	uint64_t bytes, blocks;
};

struct class_parts {
	struct collector *c;
	struct class_part *v;
	size_t n, cap;
	struct table part_of; /* stack and class -> index in v */
	struct table live_of; /* process and class -> bytes in v */
	struct table old_of;  /* ... -> bytes of older blocks that were freed */
	struct heap_rise *rises;
	size_t n_rises, rises_cap;
	bool has_corrected; /* what lives of each class is what the heap has more of it, where nothing was replaced */
};

/* The size class of a request. Of glibc: chunks of 16 bytes, with 8 of its own in each. */
uint32_t class_parts_class_of(uint64_t size);
/* The order of rises, for qsort and bsearch. */
int class_parts_by_class(const void *a, const void *b);
/* What the heap tells of the class of a part; NULL before it was asked. */
struct heap_rise *class_parts_rise(const struct class_parts *a, const struct class_part *part);
/* A live block; weight: as many as it stands for. */
void class_parts_add(struct class_parts *a, uint32_t stack, const struct mp_block *b, uint64_t weight);
/* Sets old_bytes and old_blocks of the stacks from the frees of older blocks. 0 or -errno. */
int class_parts_give_old(struct class_parts *a);

/* class_heap.c */

/*
 * Where not all calls were seen: what is told to live of each class, against what the heap itself has more in use.
 * False: the heap does not tell, and nothing was set.
 *
 *	sampled		what is told beyond it took the place of older blocks: old_bytes, old_blocks
 *	any bursts	the scale of bursts is an estimate: where too little is told of what is kept, all of the process is
 *			scaled up
 *	brief bursts	the blocks of a size that one stack alone makes are as many as the heap has more. What is told beyond
 *			that is taken from stacks that had so many blocks end that it is likely to have missed them
 *			(model/ghosts.h), then up to a half from all, as never made; more only widens the doubt
 */
bool class_parts_meet_heap(struct class_parts *a);
/*
 * After that, in brief bursts, where no stack is watched throughout: for those that keep what they make, what the heap
 * has more for them, by the second. Whether it came straight is not known.
 */
void class_parts_confirm(const struct class_parts *a, struct site_trend *alone);
void class_parts_release(struct class_parts *a);

#endif
