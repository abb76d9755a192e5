/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the symbolizer knows of one process generation: its mappings, who it is, its perf map, and
 * the names already given. Used by symbolizer.c only.
 *
 * A snapshot is merged into the former one: code that was unmapped since keeps its mapping until
 * something else is mapped there, so that older stacks keep their names.
 */
#ifndef MEMPROBE_SYMBOL_SYM_PROCESS_H
#define MEMPROBE_SYMBOL_SYM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "proc/maps.h"
#include "symbol/perf_map.h"

struct sym_process {
	uint32_t gen, parent; /* parent: whose fork it is; 0: not known */
	uint64_t serial; /* how many were known before it */
	pid_t pid, ns_pid;
	bool is_identified;   /* the fields below were read from /proc */
	bool is_superseded;   /* a later generation has the PID (exec, reuse) */
	uint64_t start_ticks; /* tells a reused PID */
	struct perf_map_owner owner;
	struct proc_maps maps;
	struct perf_map perf_map;
	uint32_t n_perf_maps; /* that were read; 0: none yet */
	uint64_t perf_map_next_ns; /* CLOCK_MONOTONIC: not read again before */
	struct table cache; /* address -> the user's number of the result */
	struct table
		files; /* hash of device and inode -> the user's number + 1; 0: cannot be opened */
	/* Refreshes that did not help make the next ones rarer. */
	uint32_t fruitless, skip;
};

struct sym_process *sym_process_new(uint32_t gen, uint64_t serial, pid_t pid);
void sym_process_free(struct sym_process *p);

/* Read who the process is and its mappings. 0 or -errno; on error nothing changes. */
int sym_process_snapshot(struct sym_process *p, const char *proc_root);
/* The same when addr was in no mapping, unless the process is gone or it was in vain too often.
 * True when it was read. */
bool sym_process_refresh(struct sym_process *p, const char *proc_root, uint64_t addr);
/* A child's copy of its parent's mappings. */
void sym_process_copy(struct sym_process *p, const struct sym_process *parent);
void sym_process_add_map(struct sym_process *p, const struct proc_map *m);
/* Re-read the perf map when it changed, and count it. True when it did. */
bool sym_process_refresh_perf_map(struct sym_process *p, const char *proc_root);

#endif
