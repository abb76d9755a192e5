/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Names of generated code: /tmp/perf-PID.map as JIT compilers write it, one line per function
 *
 *	START SIZE NAME		(hexadecimal; the name may hold blanks)
 *
 * Code is moved and overwritten while the file only grows: the last line that covers an address
 * is the true one. Malformed lines are skipped. The file belongs to the target: it is not trusted.
 */
#ifndef MEMPROBE_SYMBOL_PERF_MAP_H
#define MEMPROBE_SYMBOL_PERF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/span.h"

struct perf_map {
	char *text; /* the file; line ends are NULs */
	size_t text_bytes;
	struct span *v; /* name: offset in text */
	size_t n;
	size_t n_bad;
	uint64_t file_bytes; /* as last seen; 0: none read */
	uint64_t mtime_ns, ino;
};

/* Replaces what map holds. Takes text (malloc'ed, text[len] is NUL). */
void perf_map_parse(struct perf_map *map, char *text, size_t len);
/* The name at addr, or NULL. */
const char *perf_map_find(const struct perf_map *map, uint64_t addr);
void perf_map_release(struct perf_map *map);

/* Whose file it must be, and not older than the process: a former process may have had the same
 * PID. */
struct perf_map_owner {
	uint32_t uid;
	uint64_t not_before_ns; /* since the epoch */
};

/*
 * Read PROC_ROOT/PID/root/tmp/perf-NS_PID.map if it changed since the last call. True when map
 * changed. A file that is not there, not regular, or not the owner's leaves map as it is.
 */
bool perf_map_refresh(struct perf_map *map, const char *proc_root, pid_t pid, pid_t ns_pid,
		      const struct perf_map_owner *owner);

#endif
