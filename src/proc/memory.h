/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Another process's memory, read while it runs: /proc/PID/mem and /proc/PID/pagemap. Of one image: after an exec it is
 * gone.
 *
 * A read of a page that is not resident would make it so; the caller asks for the pages' states
 * first. Needs the right to ptrace the process (CAP_SYS_PTRACE for those of others).
 */
#ifndef MEMPROBE_PROC_MEMORY_H
#define MEMPROBE_PROC_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_memory {
	int pagemap_fd, mem_fd;
	uint64_t page_bytes;
};

/* pid: a living thread when the leader has ended. 0, -ESRCH, -EACCES or -errno. */
int proc_memory_open(struct proc_memory *m, const char *proc_root, pid_t pid);
void proc_memory_close(struct proc_memory *m);
/* Copies from the start of the range until it cannot; bytes copied. */
size_t proc_memory_read(const struct proc_memory *m, uint64_t addr, void *out, size_t len);

enum { PROC_PAGE_ABSENT = 0, PROC_PAGE_RESIDENT, PROC_PAGE_SWAPPED };

/* PROC_PAGE_* of n pages from the one at addr; absent where it cannot be told. */
void proc_memory_pages(const struct proc_memory *m, uint64_t addr, size_t n, uint8_t *state);

#endif
