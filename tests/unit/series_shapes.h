/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Series of known shapes for the tests of the verdict: drawn from their formulas, with made-up noise that is the same
 * in each run. No part of memprobe but the series.
 */
#ifndef MEMPROBE_TEST_SERIES_SHAPES_H
#define MEMPROBE_TEST_SERIES_SHAPES_H

#include <math.h>
#include <stdint.h>

#include "model/series.h"

#define MIB 1048576.0
#define SEEDS 20

/* Uniform in -1..1, the same in each run. */
static inline double noise(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(int64_t)(*seed) / 9.3e18;
}

/* bytes at t seconds of a window of w */
typedef double (*shape_fn)(double t, double w);

static inline double leak(double t, double w)
{
	(void)w;
	return 100 * MIB + t * MIB;
}
static inline double slow_leak(double t, double w)
{
	(void)w;
	return 100 * MIB + t * 20480;
}
static inline double leak_collected(double t, double w)
{
	(void)w;
	return 100 * MIB + t * 0.5 * MIB + 20 * MIB * fmod(t, 3) / 3;
}
static inline double steady(double t, double w)
{
	(void)t;
	(void)w;
	return 100 * MIB;
}
static inline double teeth(double t, double w)
{
	(void)w;
	return 100 * MIB + 30 * MIB * fmod(t, 4) / 4;
}
static inline double filling(double t, double w)
{
	return 100 * MIB + 80 * MIB * (1 - exp(-t / (w / 4)));
}
static inline double filled(double t, double w)
{
	return 100 * MIB + 80 * MIB * fmin(1, t / (w / 2.5));
}
static inline double shrinking(double t, double w)
{
	(void)w;
	return 200 * MIB - t * MIB;
}
static inline double speeding_up(double t, double w)
{
	return 100 * MIB + 60 * MIB * (t / w) * (t / w);
}
static inline double in_steps(double t, double w)
{
	return 20 * MIB + 5 * MIB * floor(t / (w / 2.5));
}
static inline double root_of_time(double t, double w)
{
	(void)w;
	return 100 * MIB + 2 * MIB * sqrt(t + 5);
}
static inline double doubling(double t, double w)
{
	(void)w;
	return 20 * MIB * pow(2, floor(t / 40));
}

static inline void draw(struct series *s, shape_fn f, double w, double sigma, uint64_t seed)
{
	double t;

	*s = (struct series){ 0 };
	seed = seed * 77 + 5;
	for (t = 0; t <= w; t += 0.1)
		series_add(s, t, f(t, w) + sigma * noise(&seed));
}

static inline void redraw(struct series *s, shape_fn f, double w, double sigma, uint64_t seed)
{
	series_release(s);
	draw(s, f, w, sigma, seed);
}

#endif
