/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The detection limit: the slowest leak that a run could have seen. Pure arithmetic.
 *
 *	one site	what the verdict tells from nothing (verdict.c: LEAST_RATE), and three standard deviations of what is
 *			drawn: of L bytes, drawn one in S, the deviation is sqrt(L * S), so L = 9 * S in the window
 *	memory		the slope that Kendall's tau of the floor's last half (series.h) takes for a rise in four runs of
 *			five, given how far the floor's points lie from their line
 *
 * Both fall with the window: noise stays what it is while a leak adds up. Bytes per second; 0: not known.
 */
#ifndef MEMPROBE_MODEL_BLIND_H
#define MEMPROBE_MODEL_BLIND_H

#include "model/series.h"

struct profile;

struct blind {
	double site_rate, memory_rate;
};

/* step_bytes: one in so many bytes is drawn; 0: all. memory may be empty. */
void blind_of(const struct series *memory, double window_s, double step_bytes, struct blind *b);
/* A window, in seconds, in which a leak shows that is ten times slower; of those that a person would type. */
double blind_longer(double window_s);
/* Fills in p->blind. */
void profile_blind(struct profile *p);

#endif
