/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What processes that are not profiled may pay for the watching of first touches. Pure arithmetic.
 *
 * The tracepoints of page faults run a program at everybody's fault. What that costs the others is a known price for
 * each of their faults, and how many they make is counted without a probe; together they may pay half a percent of one
 * CPU. The rest of that is kept, up to two seconds' worth, so that a program's start costs nobody the figures.
 *
 *	purse	10 ms at most, fills by 5 ms a second, pays for each fault of the others
 *	empty	the addresses go (who touched a block first), and the stacks too where they alone would cost too much
 *	calm	what would have been within half of that for 5 s (10, 20, 40 the next times), by a purse of its own, comes back
 *
 * After four times it stays as it is. Before anything is attached the same is asked of the time just before, with half
 * a purse: on a busy machine nobody ever pays.
 */
#ifndef MEMPROBE_MODEL_OTHERS_BUDGET_H
#define MEMPROBE_MODEL_OTHERS_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* What is watched of first touches, by what it costs. */
enum first_touches {
	TOUCHES_UNSEEN = 0,
	TOUCHES_BY_STACK, /* how much, by which stack */
	TOUCHES_BY_PAGE,  /* and which page: who touched a block first */
	TOUCHES_NR
};

/* Of one CPU; all others together. */
#define OTHERS_SHARE 0.005
#define OTHERS_MOST_CYCLES 4
/*
 * What each fault costs a process that is no target, ns: a program that leaves at once at one tracepoint (rss_stat), at
 * two (page_fault_user too). Measured by tools/bench/bench_faults.py on a virtual machine with mitigations (6.18); most
 * of it is the way to a program, whatever that does. Less on bare metal, so that this errs for the others.
 */
#define OTHERS_STACK_NS 100
#define OTHERS_PAGE_NS 200

struct others_budget {
	enum first_touches level;
	double purse_s; /* of the others' CPU time */
	struct others_trial {
		double purse_s, calm_s; /* calm: so long it has not been empty */
	} trials[TOUCHES_NR]; /* of the levels above, as if they were there */
	double rate;	 /* of the others' faults in the last step, per second */
	unsigned int n_cycles;
};

/* Before anything is attached: the others made so many faults in the dt seconds before. */
void others_budget_start(struct others_budget *b, double dt, double faults);
/* They made so many more; true when the level has changed. */
bool others_budget_step(struct others_budget *b, double dt, double faults);
/* What a fault costs them at a level. */
uint32_t others_fault_ns(enum first_touches level);
/* A rate as it is told: in thousands. */
static inline uint64_t others_rate(double rate)
{
	return (uint64_t)(rate / 1000 + 0.5) * 1000;
}

#endif
