/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The ladder: how closely a process is watched, so that the probes stay within a budget. Pure arithmetic; the
 * caller measures and acts (app/budget.c).
 *
 *	exact     every call, with its stack
 *	sampled   every call traps, blocks are drawn by size (mean interval 8 to 64 KiB)
 *	bursts    allocations for a short while, then no probes on them until the budget has filled again; frees
 *	          always, so that the end of each block that was seen is seen too
 *	brief     frees in the same bursts only, where they alone would cost too much: what is freed between two
 *	          bursts is known when its address is met again
 *
 *	away	no heap probe any more: even bursts of 1 % of the time would break the budget
 *
 * Units: CPU time in seconds per second of wall clock, costs in seconds, calls per second. The budget is a
 * share of the target's own work, that is of its CPU time without the probes:
 *
 *	38 000 malloc+free/s at 2.4 us = 0.091 s/s; its own work 1.0 s/s -> 9.1 %
 */
#ifndef MEMPROBE_MODEL_LADDER_H
#define MEMPROBE_MODEL_LADDER_H

#include <stdbool.h>
#include <stdint.h>

enum rung { RUNG_EXACT = 0, RUNG_SAMPLED, RUNG_BURSTS, RUNG_BRIEF, RUNG_AWAY, RUNG_NR };

/* Are probes taken away for a while? */
static inline bool rung_is_gated(enum rung r)
{
	return r >= RUNG_BURSTS;
}

const char *rung_name(enum rung r); /* "exact" */

/* Costs of one call by kind: the trap and our work in it. */
struct ladder_costs {
	double exact_s, not_drawn_s, free_s;
};

struct ladder_load {
	double allocs, frees; /* calls per second */
	double capped_bytes;  /* per second: sum of min(size, MP_SAMPLE_LEAST) */
	double work;	      /* the process's own CPU time, without the probes */
	double waiting;	      /* for a CPU, of all threads */
	double taken;	      /* what it cannot have: that, or what others use of its CPUs */
};

/*
 * A process that works less than this is treated as one that works so much, as far as it has time to spare: a tenth of
 * next to nothing would pay for no probe at all. One that shares a CPU with others that leave nothing has none
 * (ladder_taken()):
 *
 *	work 0.15, taken 0.05	-> 0.5	(its CPU is idle 0.8)
 *	work 0.15, taken 0.85	-> 0.15
 */
#define LADDER_LEAST_WORK 0.5
double ladder_counted_work(double work, double taken);

/*
 * What a program could not have had of dt seconds of CPU time beside what it used; idle: its CPUs were so long. None
 * while it waits for a CPU. While it sleeps and others keep its CPUs busy, it may be that its clients are among them,
 * or that it has nothing to do: the former where its busiest thread wants half a CPU (busiest: its part of what all ran
 * and waited), and as far as it does not get that. One that wants less than a quarter is a light one.
 *
 *	works	waits	sleeps, CPUs busy	taken by others
 *	0.25	0.45	0.30			0.45 + 0.30 * 0.45 / 0.70 = 0.64	a server whose clients are starved, too
 *	0.05	0.15	0.80			0.15				a light one
 */
double ladder_taken(double dt, double used, double waited, double idle, double busiest);

/* Probe cost per second; interval_bytes for RUNG_SAMPLED. Bursts cost what they may, beside the frees. */
double ladder_cost(const struct ladder_load *l, const struct ladder_costs *c, enum rung r,
		   uint32_t interval_bytes);
/* The first rung, and the smallest interval, that keep within four fifths of the budget (0.1: 10 %). */
enum rung ladder_choose(const struct ladder_load *l, const struct ladder_costs *c, double budget,
			uint32_t *interval_bytes);

/*
 * What one process may spend: filled at the budget's rate, emptied by what the probes cost. Between the
 * bursts of a second the caller waits until it is full; while it is watched throughout, an empty one means
 * that the budget is broken.
 */
struct ladder_purse {
	double seconds;	/* in it; may be negative */
	double work;	/* running mean of the process's own CPU time per second; below 0 while its clock lags */
	double cost;	/* the same of the probes' cost */
	double waiting; /* the same of its time in a queue for a CPU */
	double taken;	/* the same of what it cannot have */
	double busiest; /* the part of its busiest thread in what all ran and waited, when last looked at; 0: as if it had one */
	double age;	/* seconds since the first step: until the mean's time has passed, it is a plain mean */
};

/* A step of dt seconds in which the process used cpu and the probes cost of it spent (seconds). */
void ladder_purse_step(struct ladder_purse *p, double budget, enum rung r, double dt, double cpu, double spent);
/* In the last dt seconds it waited so many for a CPU, and could not have so many; seldom looked at, so apart. */
void ladder_purse_waited(struct ladder_purse *p, double dt, double waited, double taken);
/* Bursts end when so much is left: what probes still cost until they are gone. */
double ladder_purse_rest(const struct ladder_purse *p, double budget, enum rung r);
/* Most that it holds. */
double ladder_purse_size(const struct ladder_purse *p, double budget, enum rung r);
void ladder_purse_fill(struct ladder_purse *p, double budget, enum rung r);

/*
 * What a block seen in a burst stands for: the program's work over its work in bursts. Not the time, since it
 * is slower in them:
 *
 *	10 ms in a burst, of which the probes took 9, then 89 ms alone: 90 ms of work / 1 ms = 90, not 99 / 10
 *
 * But one that sleeps in bursts, too, keeps its pace: what it does there is as much as in any other time. That is
 * better known than a small difference of two large estimates.
 *
 * Nor is that difference known where the probes take nearly all of a burst. But some runtimes tell what their own heap
 * hands out, in bursts and between them (bpf/bump.bpf.c): how far the program comes in either.
 *
 *	3 GiB, 30 MiB of them in bursts: 102, whatever the probes are said to cost
 *
 * A burst is expected to last as long as the one before: else the first blocks of a long one, by a share that
 * knows only its beginning, would stand for all the time since the last, and the later ones for it once more.
 */
struct ladder_share {
	double all, open; /* seconds, fading with time */
	double calls, spent; /* in bursts */
	double all_time, open_time;
	double waiting; /* for a CPU, at any time */
	double taken; /* what it could not have, at any time */
	double busy; /* in bursts: its busiest thread ran, or waited for a CPU */
	double burst, last_burst; /* seconds: of this one so far, of the one before */
	/*
	 * fading slower: bytes of runtimes' own heaps at any time and in bursts; calls in bursts, of all and of those
	 * that have one
	 */
	double own_all, own_open, own_calls, long_calls;
};

/* What a program did in a step, in seconds and calls. */
struct ladder_step {
	double dt, cpu, spent, calls;
	double waiting; /* for a CPU */
	double taken; /* what it could not have */
	double busy; /* its busiest thread ran, or waited */
	double own_bytes; /* that runtimes' own heaps handed out: their probes are never taken away */
	double own_calls; /* of the calls, those of processes that have such a heap */
};

/* Calls of one process in it, whose own heap had handed out so much before and has now. */
void ladder_step_add_calls(struct ladder_step *step, double calls, uint64_t own_before, uint64_t own_now);
void ladder_share_step(struct ladder_share *s, bool is_open, const struct ladder_step *step);
double ladder_share_weight(const struct ladder_share *s); /* at least 1 */
/*
 * The probes' cost by the program's work if it were watched 1 % of the time: less than that is not worth having. 0
 * while no burst was seen.
 */
#define LADDER_LEAST_OPEN 0.01
double ladder_share_least_cost(const struct ladder_share *s);
/* How many times slower the program is in a burst. From here on up its scale is hardly known. */
#define LADDER_ROUGH 8
/* Is the scale told by runtimes' own heaps? */
bool ladder_share_is_told(const struct ladder_share *s);
double ladder_share_slowdown(const struct ladder_share *s);

/*
 * A rung changes four times in a run at most. Down, when the budget is broken, at once; up only when the last change
 * is 10 s old, and never as the last change, since the load may come back.
 */
#define LADDER_MAX_CHANGES 4
#define LADDER_REST_NS 10000000000ULL

bool ladder_may_step_down(unsigned int n_changes);
bool ladder_may_step_up(unsigned int n_changes, uint64_t last_change_ns, uint64_t now_ns);

#endif
