/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How long blocks live: of the stacks that hold most, how old what lives is, how much of what was made last is gone
 * already, and what was made between marks and stayed. Pure: one pass over the live blocks in, a few rows out.
 *
 *	marks at 10 and 20 s of 30	to 10 s		to 20 s		to 30 s
 *	leak	made / stayed		100 / 100	100 / 100	100 / 100	three equal steps: a leak
 *	cache				 90 /  90	 10 /  10	  0 /   0	filled, and is full
 *	garbage				500 /   0	500 /   0	500 /   4	what was made last
 *
 * Blocks whose birth is not known (they grew out of older ones) are in none of the intervals but in one of their own,
 * behind the last. Times in ms of the window.
 */
#ifndef MEMPROBE_MODEL_LIFETIMES_H
#define MEMPROBE_MODEL_LIFETIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile;

#define LIFETIMES_STACKS 32
#define LIFETIMES_MOST_MARKS 32
#define LIFETIMES_MOST_SURVIVORS ((LIFETIMES_STACKS + 1) * (LIFETIMES_MOST_MARKS + 2))
#define LIFETIMES_REST UINT32_MAX

struct lifetime_row {
	uint32_t stack;			   /* index in the profile */
	uint32_t half_ms, nine_tenths_ms;  /* so much of what lives is not older, by blocks */
	uint64_t recent_blocks, recent_alive; /* made in the last recent_ms, and of them what lives; 0: not known */
};

struct survivor_row {
	uint32_t stack;	   /* or LIFETIMES_REST: all that have no row of their own */
	uint32_t interval; /* before mark `interval`; the number of marks: since the last; one more: not known when */
	uint64_t bytes, blocks;		  /* that live */
	uint64_t made_bytes, made_blocks; /* in that interval; 0 where that was not counted */
};

struct lifetimes {
	struct lifetime_row rows[LIFETIMES_STACKS];
	size_t n;
	uint32_t recent_ms;
	struct survivor_row survivors[LIFETIMES_MOST_SURVIVORS]; /* only with marks */
	size_t n_survivors;
};

/* While the pass goes on. */
struct lifetimes_pass;

/* Of the stacks of p that hold most. recent_ms: how far back what was made last begins; 0: not known. */
struct lifetimes_pass *lifetimes_begin(const struct profile *p, uint32_t recent_ms);
void lifetimes_block(struct lifetimes_pass *a, uint32_t stack, uint64_t size_bytes, uint64_t weight, uint32_t birth_ms,
		     bool age_unknown);
/* What a stack had made by mark `mark` (the number of marks: in all), and in the last recent_ms. */
void lifetimes_made(struct lifetimes_pass *a, uint32_t stack, size_t mark, uint64_t bytes, uint64_t blocks);
/* All stacks have told what they had made by that mark: those that did not had made nothing. */
void lifetimes_counted(struct lifetimes_pass *a, size_t mark);
void lifetimes_recent(struct lifetimes_pass *a, uint32_t stack, uint64_t blocks);
/* Frees the pass. */
void lifetimes_end(struct lifetimes_pass *a, struct lifetimes *out);

#endif
