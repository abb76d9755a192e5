/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What lives of each stack by size class, and what of it is new: by the frees of older blocks, which were counted, or by
 * what the heap itself has more in use (model/heap_rise.h). Part of the collector.
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

/* A live block; weight: as many as it stands for. */
void class_parts_add(struct class_parts *a, uint32_t stack, const struct mp_block *b, uint64_t weight);
/* Sets old_bytes and old_blocks of the stacks from the frees of older blocks. 0 or -errno. */
int class_parts_give_old(struct class_parts *a);
/*
 * Where not all calls were seen: what is told to live of each class, against what the heap itself has more in use. What is
 * told beyond that took the place of older blocks: old_bytes and old_blocks. In brief bursts it may have ended unseen,
 * too: there it is taken from those that had so many blocks end (model/ghosts.h), and of what is left up to a half of all is taken as
 * never made, as the scale of bursts is an estimate; more than that only widens the doubt of the stacks. Where too little is told
 * of what is kept, all of that process is scaled up. And in brief bursts the blocks of a size that one stack alone makes
 * are as many as the heap has more. False: the heap does not tell, and nothing was set.
 */
bool class_parts_meet_heap(struct class_parts *a);
/*
 * After that, in brief bursts, where no stack is watched throughout: for those that keep what they make, what the heap has more
 * for them, by the second. Whether it came straight is not known.
 */
void class_parts_confirm(const struct class_parts *a, struct site_trend *alone);
void class_parts_release(struct class_parts *a);

#endif
