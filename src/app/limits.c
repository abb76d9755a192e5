/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Limits that follow from this machine's memory; see limits.h. */
#include "app/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"
#include "proc/room.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Half of what memprobe's own control groups leave for tables; UINT64_MAX: they limit nothing. */
static uint64_t group_limit(const char *proc_root, const char *cgroup_root)
{
	struct proc_rooms rooms = { 0 };
	const struct proc_room *least;
	uint64_t limit = UINT64_MAX;

	proc_rooms_add(&rooms, proc_root, cgroup_root, getpid());
	least = proc_rooms_least(&rooms);
	if (least)
		limit = least->left_bytes > LIMITS_BASE_BYTES ? (least->left_bytes - LIMITS_BASE_BYTES) / 2 : 0;
	proc_rooms_release(&rooms);
	return limit < LIMITS_LEAST_TABLES_BYTES ? LIMITS_LEAST_TABLES_BYTES : limit;
}

uint64_t limits_max_memory(const char *proc_root, const char *cgroup_root)
{
	uint64_t most = smaller(256 * MIB, group_limit(proc_root, cgroup_root));
	struct proc_meminfo m;

	return proc_meminfo_read(&m, proc_root) ? most : smaller(most, m.available_bytes / 10);
}

uint64_t limits_throwing_new(const char *proc_root)
{
	char *path = xasprintf("%s/sys/vm/overcommit_memory", proc_root);
	struct buf b = BUF_INIT;
	struct proc_meminfo m;
	bool strict;

	strict = buf_read_file(&b, path, 64) || b.data[0] == '2';
	buf_release(&b);
	free(path);
	return strict || proc_meminfo_read(&m, proc_root) ? 0 : m.available_bytes / 8;
}

void limits_raise_files(struct rlimit *before)
{
	struct rlimit most;

	getrlimit(RLIMIT_NOFILE, before);
	most = *before;
	most.rlim_cur = most.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &most))
		log_debug("limit of open files stays %llu: %s", (unsigned long long)before->rlim_cur, strerror(errno));
}
