/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Finds the allocators in a process and puts probes on them.
 *
 * Every executable mapping is looked at, by its own file (also in other mount namespaces, also
 * deleted): each function of the allocator table that the object defines becomes a probe site,
 * once per file offset. An object is attached once, however many mounts show it: two overlay mounts
 * of one file do not count twice (proc/same_file.h).
 */
#ifndef MEMPROBE_APP_ATTACHER_H
#define MEMPROBE_APP_ATTACHER_H

#include <stdbool.h>
#include <sys/types.h>

#include "kern/kern.h"
#include "proc/maps.h"

struct attacher;

struct attacher_opts {
	struct kern *kern;
	const char *proc_root;
	bool at_entry;	 /* no shifted probes */
	bool pid_scoped; /* links see one process only */
	bool objects;	 /* births of objects too (births.h) */
	unsigned int planes; /* without PLANE_HEAP no allocator is probed; none: nothing is done at all */
};

struct attacher *attacher_new(const struct attacher_opts *o);
void attacher_free(struct attacher *a);
/*
 * Look at all objects of a process and attach what is new. 0, -ESRCH (gone), -errno. A single object
 * that cannot be read is skipped with a message, not an error.
 */
int attacher_add_process(struct attacher *a, pid_t pid);
/* Its own links are gone (kern_detach_process): it may be added again. Of one that has ended, too. */
void attacher_forget_process(struct attacher *a, pid_t pid);
/* The same for one mapping that appeared. */
int attacher_add_map(struct attacher *a, pid_t pid, const struct proc_map *m);
/*
 * From now on attach for every process that maps an object: links that are bound to a process do not fire in
 * its children, nor when its main thread has ended, nor when another thread execs. What is attached is
 * attached anew at once, without a gap and without counting twice. 0 or -errno, which has been logged.
 */
int attacher_widen(struct attacher *a);
/*
 * Others' probes on the same files: where there are some, we widen, so that nobody's returns are taken in processes
 * that are not his (kern.h says why). Looks when a file is probed, and here, for those that came since: 1 us.
 */
void attacher_watch_others(struct attacher *a);
bool attacher_is_wide(const struct attacher *a);
/* Files with a probe for births of objects. */
unsigned int attacher_n_births(const struct attacher *a);
unsigned int attacher_n_probes(const struct attacher *a);
/* What was looked at in vain, for the message of a run that found no allocator. */
unsigned int attacher_n_objects(const struct attacher *a);
/* Objects that we may not read, so that nobody knows what is in them; *first: the path of one, or NULL. */
unsigned int attacher_n_denied(const struct attacher *a, const char **first);
/* What the first object that could not be probed came to (it has been logged), 0: none. */
int attacher_error(const struct attacher *a);

/* A link may be made and nothing be probed: is there another code than in the file? */
struct attacher_check {
	unsigned int n_checked, n_there; /* sites */
	unsigned int n_unreadable;
	char path[256]; /* an object whose code is as in the file, "" if there is none */
};

/* Look into the memory of a process. 0 or -errno (-EACCES: that needs CAP_SYS_PTRACE). */
int attacher_check_process(const struct attacher *a, pid_t pid, struct attacher_check *c);

#endif
