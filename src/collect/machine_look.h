/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Looking at a whole machine while a run goes on: all processes, the kernel's own memory, control groups; and which
 * processes grow fastest. Joins the readers of /proc to model/machine.h.
 *
 * A look takes 10 us per process, or 30 where memory has changed; looks come twice a second, or so seldom that they
 * take no more than 1 % of one CPU. Page tables (PSS) are read of workers when they are first seen, since what they
 * share must be known, and of all when figures are wanted (machine_look_fill).
 *
 * Depends on proc and model; knows nothing of probes but what it is told.
 */
#ifndef MEMPROBE_COLLECT_MACHINE_LOOK_H
#define MEMPROBE_COLLECT_MACHINE_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/machine.h"

struct machine_look;

/* Takes the first look. NULL: /proc cannot be read (logged). */
struct machine_look *machine_look_new(const char *proc_root, const char *cgroup_root);
void machine_look_free(struct machine_look *l);
/* Looks if it is time. True when it did. now_ns: CLOCK_MONOTONIC */
bool machine_look_tick(struct machine_look *l, uint64_t now_ns);
/* p->machine: the figures of this moment, with another look and PSS of all whose memory has changed; else of the last. */
void machine_look_fill(struct machine_look *l, struct profile *p, bool with_shares);
/*
 * The fastest growers that are not marked yet, fastest first, at most n: at least 2 s old, of a rate that matters, and
 * no slower than a tenth of the fastest of all. How many.
 */
size_t machine_look_growers(const struct machine_look *l, pid_t *pids, size_t n);
/* How a process is seen from now on. */
void machine_look_mark(struct machine_look *l, pid_t pid, enum machine_seen seen);
/* It is one of the growers again, as if it had never been marked. */
void machine_look_may_try(struct machine_look *l, pid_t pid);
/* Of those with heap probes the one that grew most; 0: there is none. */
pid_t machine_look_fastest_probed(const struct machine_look *l);
/* Living processes with heap probes. */
size_t machine_look_n_probed(const struct machine_look *l);
/* All with heap probes are seen so now. */
void machine_look_mark_all(struct machine_look *l, enum machine_seen seen);
/* For views of their own (top). */
const struct machine_watch *machine_look_watch(const struct machine_look *l);

#endif
