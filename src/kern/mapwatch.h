/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * New code in any process: executable mappings and execs, as they happen.
 *
 * One dummy perf event per CPU delivers a record for each executable mmap, with device, inode and
 * path. It names stacks of processes that ended before anybody could read their /proc/PID/maps, and
 * tells when a library with an allocator is loaded. Where perf events are refused, mapwatch_open
 * fails and memprobe goes on without (short-lived processes then show offsets, not names).
 */
#ifndef MEMPROBE_KERN_MAPWATCH_H
#define MEMPROBE_KERN_MAPWATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

struct mapwatch;

struct mapwatch_handlers {
	void *ctx;
	/* m is valid during the call */
	void (*map)(void *ctx, pid_t pid, const struct proc_map *m);
	/* pid execs: all its earlier mappings are gone */
	void (*exec)(void *ctx, pid_t pid);
	/* records that the kernel dropped because we were late */
	void (*lost)(void *ctx, uint64_t n);
};

int mapwatch_open(struct mapwatch **out);
void mapwatch_close(struct mapwatch *w);
/* File descriptors that become readable with each record: i from 0, -1 after the last. */
int mapwatch_fd(const struct mapwatch *w, unsigned int i);
/* Handle what waits, without blocking. */
void mapwatch_poll(struct mapwatch *w, const struct mapwatch_handlers *h);

#endif
