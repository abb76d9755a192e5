/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * While a run goes on whose report comes to a terminal: what is known so far, from the fifth second on, drawn again in
 * its place each second.
 *
 *	PRELIMINARY, 7.0 s of 30 s   gatewayd grows 84.1 MiB/min; #1 SessionCache::insert 96 %   ^C ends
 *	 #  LIVE MiB   MiB/min ...
 *
 * With COMMAND, which writes to the same terminal, only the first line of it, on stderr: after 5 s, 15 s, 35 s...
 *
 * Between two drawings the cursor is at the upper left corner of what was drawn, and all below it is ours: whatever
 * comes next (a message, ^C, the report, the same at another width) clears it first. The terminal's settings are not
 * touched, so that nothing needs to be put back, however the run ends.
 */
#ifndef MEMPROBE_APP_PRELIMINARY_H
#define MEMPROBE_APP_PRELIMINARY_H

#include "cli/options.h"
#include "model/profile.h"

struct preliminary;

/* NULL: no terminal, or nothing would be drawn on it. */
struct preliminary *preliminary_new(const struct options *o);
/* Clears what is drawn. */
void preliminary_free(struct preliminary *p);
/* The terminal is somebody else's for a while. */
void preliminary_clear(struct preliminary *p);
/* CLOCK_MONOTONIC of the next drawing; UINT64_MAX for NULL. */
uint64_t preliminary_due_ns(const struct preliminary *p);
void preliminary_begin(struct preliminary *p, uint64_t armed_ns, uint64_t end_ns);
/* began_ns: when the figures were asked for; what they cost decides when the next are. */
void preliminary_draw(struct preliminary *p, const struct profile *profile, uint64_t began_ns, uint64_t now_ns);

#endif
