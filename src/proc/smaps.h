/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * /proc/PID/smaps: what of each mapping is resident, and which mappings are threads' stacks.
 *
 * The sum over smaps is what the page tables hold; VmRSS of /proc/PID/status is counted per CPU and
 * may be off by some hundred pages. The kernel walks all page tables for it: some 20 ms per GiB.
 */
#ifndef MEMPROBE_PROC_SMAPS_H
#define MEMPROBE_PROC_SMAPS_H

#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

struct proc_smaps {
	struct proc_maps maps;
	uint64_t *rss_bytes, *swap_bytes; /* of maps.v[i] */
	uint64_t rss_sum_bytes;
};

/* 0, -ESRCH, -EACCES, -errno. s is replaced. */
int proc_smaps_read(struct proc_smaps *s, const char *proc_root, pid_t pid);
void proc_smaps_parse(struct proc_smaps *s, const char *text, size_t len);
void proc_smaps_release(struct proc_smaps *s);

/* LazyFree of /proc/PID/smaps_rollup: as dear as smaps. 0 or -errno; then bytes is as it was. */
int proc_lazy_free_read(uint64_t *bytes, const char *proc_root, pid_t pid);

struct proc_stack {
	uint64_t start, end;
};

/*
 * Stacks of the threads but the first, by their stack pointers (PROC_ROOT/PID/task/TID/syscall, of those
 * that sleep) and, for those that run, by shape: anonymous, of the usual size, a guard below. The kernel
 * joins neighbouring mappings, so a stack may be a part of one. v is malloc'ed, sorted.
 */
int proc_stacks_find(struct proc_stack **v, size_t *n, const struct proc_maps *maps, const char *proc_root,
		     pid_t pid);

#endif
