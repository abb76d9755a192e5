/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What managed.c (the processes) and managed_frames.c (their stacks) share. */
#ifndef MEMPROBE_COLLECT_MANAGED_INTERNAL_H
#define MEMPROBE_COLLECT_MANAGED_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "collect/collector_internal.h"
#include "runtime/runtime.h"

struct managed_process {
	uint32_t gen;
	pid_t pid;
	struct runtime *runtime; /* NULL: not known yet, or none */
	uint64_t look_ns;	 /* CLOCK_MONOTONIC; 0: not again */
	uint64_t awaited_ns;	 /* since then */
	uint64_t found_ns;	 /* when runtime was */
	bool begins;		 /* by an exec in the run: its collections are counted from 0 on */
	bool is_told;		 /* that it has not begun for long */
	bool is_starting;	 /* it is an interpreter, which is not ready yet */
	uint64_t ask_ns;	 /* CLOCK_MONOTONIC: what it could not tell is not asked before */
	bool has_collections, has_all; /* it has told them, first so: */
	uint64_t collections_then, all_then, young_then;
	uint64_t heap_then; /* resident of its heap */
	uint64_t kept_then;
	struct class_growth *growth; /* of its objects, or NULL */
	struct table names; /* hash of a frame -> when it was named, in ms, << 32 | index in profile.frames or NO_FRAME */
};

struct waiting_frames {
	uint64_t hash;
	uint32_t n;
	struct mp_rt_frame *v;
};

struct managed {
	struct managed_process *procs;
	size_t n_procs, procs_cap, n_waiting_looks;
	uint64_t next_ns; /* CLOCK_MONOTONIC: no look before */
	struct table by_gen; /* gen -> index in procs */
	struct waiting_frames *waiting; /* their stacks have not come yet */
	size_t n_waiting, waiting_cap;
	struct table waiting_at; /* hash -> index in waiting */
};

/* If what its runtime tells of its frames is another than it was, the kernel side gets to know. */
void managed_follow_moved(struct collector *c, const struct managed_process *p);
/* NULL: it is not there. */
struct managed_process *managed_find_process(struct managed *m, uint32_t gen);

#endif
