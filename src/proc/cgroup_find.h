/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Control groups as people name them: a directory, a path as in /proc/PID/cgroup, or the first digits of a
 * container's id. Version 2, version 1 or both mounted. Rooted at path arguments.
 */
#ifndef MEMPROBE_PROC_CGROUP_FIND_H
#define MEMPROBE_PROC_CGROUP_FIND_H

#include <stdbool.h>
#include <sys/types.h>

#include "bpf/memprobe.h"

struct proc_cgroup {
	struct mp_cgroup key;
	char *path; /* as /proc/PID/cgroup has it */
};

/*
 * 0; -ENOENT; -ENOTUNIQ: several containers begin so; -EOPNOTSUPP: a hierarchy without a controller. *out is
 * set on success, and then released by proc_cgroup_release.
 */
int proc_cgroup_find(struct proc_cgroup *out, const char *proc_root, const char *cgroup_root,
		     const char *text);
/* Is the process in the group, or in one below it? */
bool proc_cgroup_has(const struct proc_cgroup *c, const char *proc_root, pid_t pid);
void proc_cgroup_release(struct proc_cgroup *c);

#endif
