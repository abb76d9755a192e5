/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What CPU time a target could have had beside what it used. None while it waits for a CPU. While it sleeps and others keep its
 * CPUs busy, it may be that its clients are among them, or that it has nothing to do: the more it waits when it wants to work, the
 * more of its sleep is taken for the former.
 *
 *	works	waits	sleeps, CPUs busy	taken by others
 *	0.25	0.45	0.30			0.45 + 0.30 * 0.45 / 0.70 = 0.64	a server whose clients are starved, too
 *	0.05	0.01	0.94			0.01 + 0.94 * 0.01 / 0.06 = 0.17	a light one
 *
 * Reads /proc; the arithmetic of what follows is model/ladder.h's.
 */
#ifndef MEMPROBE_APP_SPARE_H
#define MEMPROBE_APP_SPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct spare;

/* Of one process: what was read last. Zero to begin with. */
struct spare_look {
	uint64_t at_ns, waited_ns, cpu_ns, idle_ns;
};

struct spare *spare_new(const char *proc_root); /* not copied */
void spare_free(struct spare *s);
/*
 * Since the last look, in seconds: the time, that in queues for a CPU (of all threads), and that taken by others. False
 * when there was no look yet, it was too recent, or the process has ended. cpu_ns: its CPU time until now.
 */
bool spare_look(struct spare *s, struct spare_look *l, pid_t pid, uint64_t now_ns, uint64_t cpu_ns, double *dt,
		double *waited, double *taken);

#endif
