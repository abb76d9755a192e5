/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What CPU time a target could have had beside what it used: reads /proc for ladder_taken() of model/ladder.h.
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
