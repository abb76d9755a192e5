/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What changed between two profiles, A and B. Pure.
 *
 * Of one run (run_id) they are two moments: levels are subtracted. Of two runs levels mean nothing to each
 * other (blocks from before either attach are in none, and one may have run longer): what each did per second is
 * compared, and nothing else. Stacks are the same when their frames and their end read the same, and their process is
 * the same: the one of one run, one of the same name in two.
 *
 *	main < parse < malloc	A 10 s: 300 B live	B 30 s: 900 B live	one run:  +600 B
 *				A 10 s: 300 B live	B 60 s: 900 B live	two runs: 30 B/s, then 15 B/s
 */
#ifndef MEMPROBE_MODEL_DIFF_H
#define MEMPROBE_MODEL_DIFF_H

#include "model/profile.h"

enum diff_side { DIFF_A = 0, DIFF_B = 1 };

/* Figures of one stack on one side; 0 where it did not occur. */
struct diff_figures {
	struct profile_totals t;
	uint64_t live_bytes, live_blocks, touched_bytes;
};

/* Of one side; strings are those of the diff's profile. */
struct diff_facts {
	uint64_t window_ns, wall_time_ns, lost_events;
	uint32_t command_line, host;
	bool is_exact; /* nothing was sampled */
};

struct diff {
	bool is_one_run;
	struct diff_facts facts[2];
	struct profile profile; /* stacks of both, with B's figures and, apart from that, B's facts; of two runs tgid is 0 */
	struct diff_figures *figures[2]; /* by its stacks */
	struct diff_figures sum[2];
};

/* A and B may be released afterwards. */
void diff_make(struct diff *d, const struct profile *a, const struct profile *b);
void diff_release(struct diff *d);

/* A stack's value on one side: the level, in one run; of two runs per second, rounded. */
uint64_t diff_value(const struct diff *d, enum diff_side side, size_t stack, enum profile_metric m);
/* B - A, of those. */
int64_t diff_change(const struct diff *d, size_t stack, enum profile_metric m);
/* The level of any figures, whatever the runs are. */
uint64_t diff_level(const struct diff_figures *f, enum profile_metric m);
/* per second of that side's window: n as the level of something at its end */
double diff_rate(const struct diff *d, enum diff_side side, uint64_t n);

#endif
