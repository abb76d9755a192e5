/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * All processes of a machine, looked at again and again at little cost.
 *
 * A look lists /proc and reads statm of each process (7 us); status only where statm has changed (25 us more), and what
 * does not change (name, program, control group, start) once, at its first look. Kernel threads are not processes
 * here. A process keeps its id while it lives; ids are never used twice, process numbers may be.
 *
 *	struct proc_scan s;
 *	proc_scan_init(&s, "/proc");
 *	proc_scan_look(&s);	s.v[0 .. s.n): those that live, and those that ended since the last look
 *	proc_scan_release(&s);
 *
 * Not here: PSS (machine_memory.h), limits (process.h), growth (model/machine.h). Not thread safe.
 */
#ifndef MEMPROBE_PROC_MACHINE_SCAN_H
#define MEMPROBE_PROC_MACHINE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/table.h"

struct proc_scanned {
	uint64_t id;
	pid_t pid, ppid;
	char name[48]; /* "checkout"; an interpreter's with its program: "node mailer.js" */
	char *cgroup;  /* path as in /proc/PID/cgroup, the memory controller's; "" when not known */
	uint64_t exe;  /* the same for processes of one program; 0: not known */
	uint64_t start_age_ns, page_faults; /* at its first look */
	uint64_t anon_bytes, shmem_bytes, swap_bytes, file_bytes; /* resident, but swap */
	bool is_new;	/* first seen by this look */
	bool has_ended; /* gone since the last look: is not in the next one */
	/* for the scan itself */
	uint64_t seen;
	uint64_t statm[2];
};

struct proc_scan {
	char *proc_root;
	struct proc_scanned *v; /* in no order */
	size_t n, cap;
	struct table by_pid;
	uint64_t n_looks, next_id;
	uint64_t n_came, n_went; /* since the first look */
	struct buf text;
	uint64_t page_bytes;
};

void proc_scan_init(struct proc_scan *s, const char *proc_root);
void proc_scan_release(struct proc_scan *s);
int proc_scan_look(struct proc_scan *s); /* 0 or -errno */
/* NULL: none such at the last look. */
const struct proc_scanned *proc_scan_find(const struct proc_scan *s, pid_t pid);

/*
 * A control group as people call it, of its path: "checkout.service", "docker 3f2a9c1b77d0", "pod 1b2c3d4e",
 * "session-3.scope"; "-" for the root. host: name of the container, where it is known, else "".
 */
void proc_cgroup_short(char *out, size_t cap, const char *path, const char *host);
/* What a process in a container calls that ($HOSTNAME: of a pod its name); "" when that is not told. */
void proc_container_name(char *out, size_t cap, const char *proc_root, pid_t pid);

#endif
