/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * In how many separate parts of the window a stack grew: live bytes of all stacks, kept at up to 24 moments that lie
 * equally far apart, twice as far when there is no room for more. Pure: no clock, no I/O.
 *
 *	live at 6, 15, 24, 33, 42, 51, 60 s
 *	leak	 1  3  4  6  7  9 10 MiB	grew in 6 of 6
 *	cache	 1  6  8  8  8  8  8 MiB	grew in 1: later by less than a quarter of the mean
 *	queue	 3  5  2  4  6  3  4 MiB	grew in 4
 *
 * Straight growth of the whole may be made by many that come and go in turn; this is of one stack.
 */
#ifndef MEMPROBE_MODEL_WINDOWS_H
#define MEMPROBE_MODEL_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/verdict.h"

#define WINDOWS_MOMENTS 24
/* With more stacks than this nothing is kept: 24 moments of them are 19 MB. */
#define WINDOWS_MOST_STACKS 200000

struct windows_moment {
	double t_s;
	float *live; /* bytes by the stack's index; stacks that came later had none */
	size_t n;
};

/* Empty: all zeros. */
struct windows {
	struct windows_moment v[WINDOWS_MOMENTS];
	size_t n;
	double every_s;
};

/* Is it time for the next moment? */
bool windows_is_due(const struct windows *w, double t_s);
/* Takes live (malloc'ed). */
void windows_add(struct windows *w, double t_s, float *live, size_t n);
/* Of WINDOWS_NR, after the warm-up and until end_s, when the stack has end_live bytes. 0 with too few moments. */
unsigned int windows_grown(const struct windows *w, size_t stack, double end_s, double end_live);
/*
 * Its live bytes after the warm-up, by themselves: when they rise in nearly all pairs of moments, and do not die out.
 * False with too few moments.
 */
bool windows_rise(const struct windows *w, size_t stack, double end_s, double end_live, struct site_trend *out);
void windows_release(struct windows *w);

#endif
