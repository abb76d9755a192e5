/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Each thing that a kernel may or may not have, by trying it: programs are loaded, links are made to a
 * scratch process of memprobe's own and must fire. For `memprobe doctor`; a run tries only what it needs
 * (kern_open). Takes up to half a second, most of it closing links.
 */
#ifndef MEMPROBE_KERN_TRIAL_H
#define MEMPROBE_KERN_TRIAL_H

#include <stdbool.h>

struct kern_trial {
	const char *name;    /* "uprobe session" */
	const char *since;   /* the kernel that brought it, for messages */
	const char *without; /* what memprobe does where it is missing */
	int err;	     /* 0: works; -errno */
};

enum kern_trial_what {
	KERN_TRIAL_SESSION,
	KERN_TRIAL_MULTI,
	KERN_TRIAL_PERF,
	KERN_TRIAL_SANDBOX, /* return probes under a seccomp filter */
	KERN_TRIAL_THREADS, /* of one process */
	KERN_TRIAL_FIND_VMA,
	KERN_TRIAL_PREEMPT,
	KERN_TRIAL_PREEMPT_CALLS,
	KERN_TRIAL_TASK_STORAGE,
	KERN_TRIAL_RING_BUFFER,
	KERN_TRIAL_TRACEPOINT,
	KERN_TRIAL_MMAP_EVENTS,
	KERN_TRIAL_NR
};

/* All of them; nothing is logged but with -v. */
void kern_trials(struct kern_trial out[KERN_TRIAL_NR]);

#endif
