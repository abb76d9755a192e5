/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What CPU time a target could have had beside what it used. None while it waits for a CPU. While it sleeps and others keep its
 * CPUs busy, it may be that its clients are among them, or that it has nothing to do: the former where it wants at least half a CPU
 * when it wants to work, and as far as it does not get that. One that wants less than a quarter is a light one.
 *
 *	works	waits	sleeps, CPUs busy	taken by others
 *	0.25	0.45	0.30			0.45 + 0.30 * 0.45 / 0.70 = 0.64	a server whose clients are starved, too
 *	0.05	0.15	0.80			0.15				a light one
 *
 * Reads /proc; the arithmetic of what follows is model/ladder.h's.
 */
#ifndef MEMPROBE_APP_SPARE_H
#define MEMPROBE_APP_SPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_thread_times;
struct spare;

/* Of one process: what was read last. Zero to begin with. */
struct spare_look {
	uint64_t at_ns, cpu_ns, idle_ns;
	struct proc_thread_times *threads;
	size_t n_threads;
};

/* What has passed since. */
struct spare_found {
	double dt; /* seconds */
	double waited; /* in queues for a CPU, of all threads together */
	double taken; /* by others */
	double busiest; /* of what all threads ran and waited, the part of the one that did so most; 1: no other thread did */
};

struct spare *spare_new(const char *proc_root); /* not copied */
void spare_free(struct spare *s);
/* False when there was no look yet, it was too recent, or the process has ended. cpu_ns: its CPU time until now. */
bool spare_look(struct spare *s, struct spare_look *l, pid_t pid, uint64_t now_ns, uint64_t cpu_ns, struct spare_found *f);
void spare_look_release(struct spare_look *l);

#endif
