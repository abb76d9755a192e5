/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A figure over time, and what its floor does: rises straight, dies out, stands. Pure arithmetic.
 *
 * Memory of a program that collects garbage, or that works in rounds, is a saw-tooth; what stays is its floor. So all
 * tests are made on the lowest point of each of 24 parts of the window:
 *
 *	 /|  /| /|        the floor, not the teeth: 40 41 42 43 ... MiB
 *	/ |_/ |/ |_
 *
 * Slopes are Theil-Sen's (the median of the slopes between all pairs), with the 95 % interval of Sen (1968); tau is
 * Kendall's. Units: seconds of the window, bytes, bytes per second.
 */
#ifndef MEMPROBE_MODEL_SERIES_H
#define MEMPROBE_MODEL_SERIES_H

#include <stdbool.h>
#include <stddef.h>

struct series_point {
	double t_s, bytes;
};

/* Points in the order of their time. Bounded: when full, neighbours become the lower of the two. */
#define SERIES_MOST 4096

struct series {
	struct series_point *v;
	size_t n;
	unsigned int every; /* of the points that were offered, each so-manieth is begun anew */
	unsigned int skipped;
};

void series_add(struct series *s, double t_s, double bytes);
void series_release(struct series *s);
/* The value at or just before t; the first one when t is before it, 0 when there is none. */
double series_at(const struct series *s, double t_s);
double series_last(const struct series *s);
void series_range(const struct series *s, double from_s, double to_s, double *lowest,
		  double *highest);

#define FLOOR_POINTS 24

/* Lowest points of `n` (at most FLOOR_POINTS) equal parts of the time; empty parts are left out. How many there are. */
size_t series_floor(const struct series *s, double from_s, double to_s, struct series_point *out,
		    size_t n);

struct trend {
	size_t n;                /* points; below 4 nothing is known and all else is 0 */
	double tau;              /* -1: each point is below those before it, 1: above */
	double slope, low, high; /* with its 95 % interval */
};

/* Of at most FLOOR_POINTS points. */
void trend_of(const struct series_point *v, size_t n, struct trend *t);
/* Least squares; 0 of less than two points. */
double slope_of(const struct series_point *v, size_t n);

/* How often the series fell by more than `least` bytes after having risen by so much. */
unsigned int series_falls(const struct series *s, double from_s, double to_s, double least);

#endif
