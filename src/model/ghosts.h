/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Of blocks that are watched in bursts and never seen to end: how many have ended all the same. Pure.
 *
 * Most blocks that end unseen are met again: a later block is seen where they were. Not where an unseen block that
 * stays has taken their place: then the last block that was seen there stands in the table for ever, a ghost. Where
 * one allocation in a hundred stays, of 18 in 100 that are seen:
 *
 *	who takes a place next, for good or seen	1 stays, unseen 0.82	100 pass, seen 18
 *	ghosts of 100 blocks that ended unseen		4.4 = 0.82 / (0.82 + 18)
 *
 * Nor of those that a look at the heap finds ended before (survival_heap.c): where three are found so for each that is
 * met, the ghosts are a quarter.
 *
 * That many of a busy site outweigh the leak itself. So from the unmet blocks of each stack are taken as many as its
 * met ones make likely. The ratio follows from what stays, and what stays from the ratio; and no more than three times
 * that of the stack that shows the least. Allocators keep sizes apart, so this is asked of the stacks of one size.
 *
 *	stack	born	met	unmet	- 0.046 met	stays
 *	busy	100 000	78 000	 3 700	3 600		0.1 %
 *	leak	  1 000	     0	 1 000	    0		100 %
 *
 * Where the heap itself tells that it has fewer blocks of a size than all stacks claim, each stack had ghosts in
 * proportion to what it had end: the chance to miss an end is the same for all.
 *
 *	stack	claims	ended		the heap has 100 000 less: ghosts
 *	busy	130 000	6 300 000	99 970
 *	leak	 60 000	    2 000	    30
 */
#ifndef MEMPROBE_MODEL_GHOSTS_H
#define MEMPROBE_MODEL_GHOSTS_H

#include <stddef.h>

/* Of one stack, the bytes of blocks that were seen to be born a while ago. */
struct ghosts_stack {
	double born;
	double met;   /* ended unseen, and another one was seen there, or nothing */
	double looked; /* of met, found so by a look at the heap */
	double unmet; /* neither */
};

/* Ghosts per met block. seen: which part of all blocks is seen, above 0 to 1. */
double ghosts_ratio(const struct ghosts_stack *v, size_t n, double seen);
/* Of the unmet bytes, what has stayed. */
double ghosts_stay(const struct ghosts_stack *s, double ratio);

/* Of one stack, in blocks of one size. */
struct ghosts_claim {
	double claimed; /* told to live */
	double ended;
	double ghosts; /* out: of `claimed` */
};

/*
 * Finds the ghosts of stacks that claim so many blocks beyond what the heap has. What is left is no ghost of theirs: as
 * many would not have been missed.
 */
double ghosts_beyond(struct ghosts_claim *v, size_t n, double beyond);

#endif
