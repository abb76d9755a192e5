/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Another process's memory; see memory.h. Bits of pagemap: Documentation/admin-guide/mm/pagemap.rst
 * (62 swapped, 63 present; they are shown without privileges, page frames are not asked for).
 *
 * Not by process_vm_readv: it pins pages, for which the kernel first copies each one that a fork shares (since 5.19,
 * gup_must_unshare): to look at a worker's heap took as much memory as the heap. /proc/PID/mem does not pin.
 */
#include "proc/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_PRESENT (1ULL << 63)
#define ENTRIES_AT_ONCE 512u

static int open_file(const char *proc_root, pid_t pid, const char *name)
{
	char *path = xasprintf("%s/%d/%s", proc_root, (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = -errno;

	free(path);
	if (fd >= 0)
		return fd;
	return err == -ENOENT ? -ESRCH : err == -EPERM ? -EACCES : err;
}

int proc_memory_open(struct proc_memory *m, const char *proc_root, pid_t pid)
{
	int err = 0;

	*m = (struct proc_memory){ .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), .mem_fd = -1 };
	m->pagemap_fd = open_file(proc_root, pid, "pagemap");
	if (m->pagemap_fd < 0)
		return m->pagemap_fd;
	m->mem_fd = open_file(proc_root, pid, "mem");
	if (m->mem_fd < 0)
		err = m->mem_fd;
	if (err)
		proc_memory_close(m);
	return err;
}

void proc_memory_close(struct proc_memory *m)
{
	if (m->pagemap_fd >= 0)
		close(m->pagemap_fd);
	if (m->mem_fd >= 0)
		close(m->mem_fd);
	m->pagemap_fd = m->mem_fd = -1;
}

size_t proc_memory_read(const struct proc_memory *m, uint64_t addr, void *out, size_t len)
{
	size_t done = 0;
	ssize_t n;

	if (addr >> 63)
		return 0;
	while (done < len) {
		n = pread(m->mem_fd, (char *)out + done, len - done, (off_t)(addr + done));
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static uint8_t state_of(uint64_t entry)
{
	if (entry & PAGEMAP_PRESENT)
		return PROC_PAGE_RESIDENT;
	return entry & PAGEMAP_SWAPPED ? PROC_PAGE_SWAPPED : PROC_PAGE_ABSENT;
}

void proc_memory_pages(const struct proc_memory *m, uint64_t addr, size_t n, uint8_t *state)
{
	uint64_t entries[ENTRIES_AT_ONCE], page = addr / m->page_bytes;
	size_t i, batch;
	ssize_t got;

	for (; n; n -= batch, state += batch, page += batch) {
		batch = n < ENTRIES_AT_ONCE ? n : ENTRIES_AT_ONCE;
		got = pread(m->pagemap_fd, entries, batch * sizeof(entries[0]), (off_t)(page * 8));
		memset(state, PROC_PAGE_ABSENT, batch);
		for (i = 0; got > 0 && i < (size_t)got / sizeof(entries[0]); i++)
			state[i] = state_of(entries[i]);
	}
}
