/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What is left below the memory limits of some processes' control groups: what the kernel would still give them
 * before it kills. Page cache is left too, as it is dropped first; swap is not, as nobody knows how much of it others
 * will take; memory.high does not kill and is no limit here. The kernel charges groups in batches, up to 64 pages per
 * CPU ahead: what is left may be more than this, not less.
 */
#ifndef MEMPROBE_PROC_ROOM_H
#define MEMPROBE_PROC_ROOM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One group that has a limit. */
struct proc_room {
	uint64_t id;
	char name[128]; /* last component */
	uint64_t limit_bytes, left_bytes;
	size_t n_processes; /* of those that were added, in it and below it */
};

struct proc_rooms {
	struct proc_room *v;
	size_t n, cap;
};

/* The groups of a process, its own and those above. 0, -ESRCH or -errno. */
int proc_rooms_add(struct proc_rooms *r, const char *proc_root, const char *cgroup_root, pid_t pid);
/* Of the group with the least left, NULL: nothing limits. */
const struct proc_room *proc_rooms_least(const struct proc_rooms *r);
void proc_rooms_release(struct proc_rooms *r);

#endif
