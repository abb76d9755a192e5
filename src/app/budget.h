/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Holds what the probes cost the targets within --max-overhead (model/ladder.h has the arithmetic).
 *
 * What they cost is counted by the probes themselves, with the cost of a trap as calibrated at start; what the targets
 * use is read from their CPU clocks. One rung for the run: the process that is worst off decides.
 */
#ifndef MEMPROBE_APP_BUDGET_H
#define MEMPROBE_APP_BUDGET_H

#include <stdint.h>

#include "cli/options.h"
#include "kern/kern.h"
#include "model/profile.h"

struct budget;

/* profile: its running processes are the targets, its watch is filled. Calibrates (20 to 30 ms). */
struct budget *budget_new(struct kern *k, const struct options *o, struct profile *profile);
void budget_free(struct budget *b);
/*
 * Before arming, around a time in which calls were counted only: choose the rung. The text is for the armed line:
 * "; 38 k malloc+free/s, est. 9 % of its CPU (budget 10 %)"; empty where nothing was counted.
 */
void budget_count_begin(struct budget *b, uint64_t now_ns);
const char *budget_choose(struct budget *b, uint64_t now_ns);
/* The same by what was measured then, when some of the targets have been forgotten. */
const char *budget_choose_again(struct budget *b);
/* Calls per second of a target when it was last measured. */
double budget_calls(const struct budget *b, uint32_t gen);
/* A target is watched no more: its cost, and what it does, decide nothing. Before arming the rung is open again. */
void budget_forget(struct budget *b, uint32_t gen);
/* Armed: from here on steps are taken. */
void budget_start(struct budget *b, uint64_t now_ns);
/* Look at the cost and act; returns when to come again (CLOCK_MONOTONIC). */
uint64_t budget_tick(struct budget *b, uint64_t now_ns);
/* Bring profile->watch up to date. */
void budget_report(struct budget *b, uint64_t now_ns);

#endif
