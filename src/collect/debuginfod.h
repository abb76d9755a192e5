/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Debug files from a debuginfod server, by its client program: only with --debuginfod, and from the servers
 * in $DEBUGINFOD_URLS. The client runs as a child, so that no network code is part of memprobe, with a limit of
 * time for each file and for all. What it says is checked by the caller: a file counts by its build id only.
 *
 * Depends on base. Not thread safe; one at a time.
 */
#ifndef MEMPROBE_COLLECT_DEBUGINFOD_H
#define MEMPROBE_COLLECT_DEBUGINFOD_H

#include <stdbool.h>

struct debuginfod;

/* NULL, after an error message, when there is no server to ask or no client to ask it. */
struct debuginfod *debuginfod_new(void);
void debuginfod_free(struct debuginfod *d);
/* ctx: struct debuginfod. Path of the debug file, malloc'ed, or NULL. */
char *debuginfod_fetch(void *ctx, const char *build_id);

#endif
