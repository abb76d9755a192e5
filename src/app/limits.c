/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Limits that follow from this machine's memory; see limits.h. */
#include "app/limits.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"

uint64_t limits_max_memory(const char *proc_root)
{
	struct proc_meminfo m;
	uint64_t tenth;

	if (proc_meminfo_read(&m, proc_root))
		return 256 * MIB;
	tenth = m.available_bytes / 10;
	return tenth < 256 * MIB ? tenth : 256 * MIB;
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
