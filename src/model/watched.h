/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * When frees were watched, and what follows for blocks of which no end was seen. Pure.
 *
 * A block that is born shortly before probes are taken away ends unseen, however short it lives; of those blocks a busy
 * site has many. One that is born in the first half of a burst was watched for the other half at least: had it been
 * garbage, its end would have been seen. So what stays of a stack is told by the first halves, where about half of
 * its blocks are born. A program's clock is its allocations, so those are halved, not the time: one that sleeps for
 * most of it makes the probes' purse last until its next request, and ends the burst with that. Not its frees: a
 * collector makes them all at once.
 *
 *	burst 0-90 ms, allocs at 70-90 ms: the middle is 80, not 45
 *
 *	bursts 0-60, 400-480 ms; seen blocks	born	unmet	of them in first halves	may stay
 *	garbage that lives 2 ms			30 000	   290	0			     6
 *	garbage that lives until a collection	30 000	16 000	9 000			18 392
 *	leak					   300	   300	149			   300
 *
 * That garbage lives longer than half a burst is nothing to be known here: see ghosts.h and overlap.h.
 */
#ifndef MEMPROBE_MODEL_WATCHED_H
#define MEMPROBE_MODEL_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watched_span {
	uint32_t begin_ms, middle_ms, end_ms; /* of the window */
};

/* Calls until then, since the span's begin. */
struct watched_pace {
	uint32_t at_ms;
	double allocs;
};

struct watched_spans {
	struct watched_span *v; /* in order, none overlaps */
	size_t n, cap;
	/* the span that goes on */
	uint32_t begin_ms;
	bool is_open;
	struct watched_pace *pace;
	size_t n_pace, pace_cap;
	uint32_t pace_ms; /* no two within this time */
};

/* A span begins; one that goes on ends without being told. */
void watched_begin(struct watched_spans *w, uint32_t begin_ms);
/* So many more allocs until now; ignored between spans. */
void watched_note(struct watched_spans *w, uint32_t at_ms, double allocs);
/* It ends. Ignored if none goes on, if it began before the last one had ended, or if it is empty. */
void watched_end(struct watched_spans *w, uint32_t end_ms);
/* Was a block of this birth watched for at least as many allocs as from the middle of a span to its end? */
bool watched_long(const struct watched_spans *w, uint32_t birth_ms);
void watched_release(struct watched_spans *w);

/*
 * Of born blocks, how many may have stayed at most, when so many were born in first halves and are unmet; with two
 * standard deviations of that count, and never more than born. Counts of blocks seen, without weight.
 */
double watched_may_stay(double born, double unmet_early);

#endif
