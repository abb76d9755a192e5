/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Shared by the files of src/proc only: text lookups in "Key: value" files and threads
 * that outlive their leader. Depends on base.
 */
#ifndef MEMPROBE_PROC_INTERNAL_H
#define MEMPROBE_PROC_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Read PROC_ROOT/PID/NAME (pid 0: PROC_ROOT/NAME) into text, which is reset first.
 * 0, -ESRCH when the process or the file is not there, or -errno.
 */
int proc_read_text(struct buf *text, const char *proc_root, pid_t pid, const char *name);

/* The decimal number after key; false when the key is absent or no number follows. */
bool text_number(const char *text, const char *key, uint64_t *out);

/* Where the unified hierarchy is mounted: CGROUP_ROOT, or unified/ below it. The caller frees. */
char *proc_unified_mount(const char *cgroup_root);

/* A thread of pid, other than its ended leader, that still has memory; 0 when there is none. */
pid_t proc_living_thread(const char *proc_root, pid_t pid);

#endif
