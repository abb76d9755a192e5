/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Another process's memory; see memory.h. Bits of pagemap: Documentation/admin-guide/mm/pagemap.rst
 * (62 swapped, 63 present; they are shown without privileges, page frames are not asked for).
 */
#include "proc/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/xalloc.h"

#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_PRESENT (1ULL << 63)
#define ENTRIES_AT_ONCE 512u

int proc_memory_open(struct proc_memory *m, const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/pagemap", proc_root, (int)pid);
	uint8_t byte;
	struct iovec local = { &byte, 1 };

	*m = (struct proc_memory){ .pid = pid, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE) };
	m->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (m->pagemap_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	/* the right to read is checked before the address, which nobody has mapped */
	if (process_vm_readv(pid, &local, 1, &(struct iovec){ NULL, 1 }, 1, 0) < 0 &&
	    errno != EFAULT) {
		int err = errno == EPERM ? -EACCES : -errno;

		proc_memory_close(m);
		return err;
	}
	return 0;
}

void proc_memory_close(struct proc_memory *m)
{
	if (m->pagemap_fd >= 0)
		close(m->pagemap_fd);
	m->pagemap_fd = -1;
}

size_t proc_memory_read(const struct proc_memory *m, uint64_t addr, void *out, size_t len)
{
	struct iovec local = { out, len }, remote = { (void *)(uintptr_t)addr, len };
	ssize_t n = process_vm_readv(m->pid, &local, 1, &remote, 1, 0);

	return n > 0 ? (size_t)n : 0;
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
