/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which of the blocks that were made in the window only took the place of older ones, where frees of older blocks are
 * not counted: while calls are sampled. By what the heap itself tells of its blocks in use, at the attach and at the
 * end.
 *
 *	blocks of 912 bytes	made since and live	more in use than at the attach	replaced
 *	leak			4 352 +/- 280		4 100				    0
 *	full cache		4 352 +/- 280		   12				4 340
 *
 * An estimate may be two deviations off: within them nothing was replaced. Beyond them all that differs was; with the
 * two granted, full caches that are sampled grew by them (12 kB/s for nothing, in four runs of five). A heap may give a
 * block that is 16 bytes larger, where the rest would be too small for one: what a class lacks may be in the next.
 */
#ifndef MEMPROBE_MODEL_HEAP_RISE_H
#define MEMPROBE_MODEL_HEAP_RISE_H

#include <stddef.h>
#include <stdint.h>

/* Blocks of one size class (mp_size_class) in one process. */
struct heap_rise {
	uint32_t proc, size_class;
	double claimed, variance; /* made since and live, and the variance of that estimate */
	double grown;		  /* more in use than at the attach */
	double seen;		  /* which part of the time between those two looks at the heap was watched, above 0 to 1 */
	double kept;		  /* of `claimed`, of stacks that keep what they make */
	double replaced;	  /* out */
};

/* v is sorted by process and class, and has the class after each that blocks were made in. */
void heap_rise_find_replaced(struct heap_rise *v, size_t n);
/*
 * Of one process that is watched in bursts: by how much too little is claimed of all, as the time that was watched
 * stands for more than it was taken for. By the classes of those that keep what they make: each block that the heap has
 * more there is one of theirs. 1: not for certain; or so much that it has another cause.
 */
double heap_rise_scale(const struct heap_rise *v, size_t n);

#endif
