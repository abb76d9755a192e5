/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How closely the run watched, in words, for every output that a person reads:
 *
 *	every malloc and free counted, nothing sampled
 *	sampled every 8 KiB (so: +/-)
 *	exact until 3.2 s, then in bursts, 7 % of the time (so: about)
 *	est. 9 % of its CPU (budget 10 %)
 *	its CPU 1.92 before, 2.09 while armed; waiting for a CPU 0.02 and 0.03	(seconds per second)
 */
#ifndef MEMPROBE_RENDER_WATCH_TEXT_H
#define MEMPROBE_RENDER_WATCH_TEXT_H

#include "base/buf.h"
#include "model/profile.h"

void watch_add_how(struct buf *out, const struct profile *p);
/* Nothing where the cost was not measured. */
void watch_add_cost(struct buf *out, const struct profile *p);
/* CPU seconds per second that the budget is a share of: ladder_counted_work(). */
double watch_counted_work(const struct profile_watch *w);
void watch_add_outside(struct buf *out, const struct profile *p);

#endif
