/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Limits that follow from this machine's memory, and those of memprobe itself. Rooted at a path argument. Depends on proc. */
#ifndef MEMPROBE_APP_LIMITS_H
#define MEMPROBE_APP_LIMITS_H

#include <stdint.h>
#include <sys/resource.h>

#include "base/units.h"

/* What memprobe takes beside its tables, and the least that these work with (18.4 MiB in all with 4 MiB, on 6.18). */
#define LIMITS_BASE_BYTES (20 * MIB)
#define LIMITS_LEAST_TABLES_BYTES (4 * MIB)

/*
 * Without --max-memory: 256 MiB, or a tenth of available memory, or half of what is left to memprobe's own control
 * group beside the base, where that is less.
 */
uint64_t limits_max_memory(const char *proc_root, const char *cgroup_root);
/* Sizes that operator new cannot fail for: an eighth of available memory, 0 under strict overcommit. */
uint64_t limits_throwing_new(const char *proc_root);
/*
 * RLIMIT_NOFILE: as many descriptors as we may have, as perf links take two for each probe. *before: what the limit was, for
 * programs that memprobe starts.
 */
void limits_raise_files(struct rlimit *before);

#endif
