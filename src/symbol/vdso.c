/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Reading the vDSO; see vdso.h. Depends on base and proc. */
#include "symbol/vdso.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"

#define MAX_VDSO_BYTES ((uint64_t)1 << 20)

static bool read_memory(const char *proc_root, pid_t pid, const struct proc_map *m, void *out)
{
	size_t want = (size_t)(m->end - m->start);
	char *path = xasprintf("%s/%d/mem", proc_root, (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	free(path);
	if (fd < 0)
		return false;
	n = pread(fd, out, want, (off_t)m->start);
	close(fd);
	return n == (ssize_t)want;
}

/* Own mapping of the same size as m; start 0 when there is none. */
static struct proc_map own_vdso(const struct proc_map *m)
{
	struct proc_map found = { 0 };
	struct proc_maps maps = { 0 };
	size_t i;

	if (!proc_maps_read(&maps, "/proc", getpid()))
		for (i = 0; i < maps.n; i++)
			if (!strcmp(maps.v[i].path, "[vdso]") &&
			    maps.v[i].end - maps.v[i].start == m->end - m->start)
				found = maps.v[i];
	proc_maps_release(&maps);
	found.path = NULL;
	return found;
}

void *vdso_read(const char *proc_root, pid_t pid, const struct proc_map *m, size_t *len)
{
	struct proc_map own;
	void *image;

	if (m->end <= m->start || m->end - m->start > MAX_VDSO_BYTES)
		return NULL;
	*len = (size_t)(m->end - m->start);
	image = xmalloc(*len);
	own = own_vdso(m);
	if (own.start)
		memcpy(image, (const void *)(uintptr_t)own.start, *len);
	else if (!read_memory(proc_root, pid, m, image)) {
		free(image);
		image = NULL;
	}
	return image;
}
