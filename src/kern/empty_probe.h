/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Probes that do nothing, or count their hits: to time the bare trap, and to try whether a kind of link
 * works. Programs of a few instructions, on functions of memprobe's own in a scratch process. Not for
 * others than src/kern.
 */
#ifndef MEMPROBE_KERN_EMPTY_PROBE_H
#define MEMPROBE_KERN_EMPTY_PROBE_H

#include <stdbool.h>

#include "kern/kern_internal.h"

enum empty_half { EMPTY_ENTRY, EMPTY_RETURN, EMPTY_BOTH };

/*
 * Probe file offsets of /proc/self/exe in process pid. EMPTY_BOTH needs ATTACH_SESSION, the others one of
 * the other kinds. The links are closed with k, all of them at once: closing one waits for tens of
 * milliseconds. hits_map: -1, or an array map whose first value, a __u64, is increased at each hit. 0 or -errno.
 */
int empty_probe(struct kern *k, enum attach_kind kind, enum empty_half half,
		const unsigned long *offsets, uint32_t n, pid_t pid, int hits_map);

#endif
