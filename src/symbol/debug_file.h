/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The separate debug file of a stripped object.
 *
 * Tried in this order, each below the target's root (PROC_ROOT/PID/root) and then on this host:
 *	DEBUG_ROOT/.build-id/ab/cdef....debug
 *	DIR/NAME, DIR/.debug/NAME, DEBUG_ROOT/DIR/NAME	(DIR: of the object, NAME: .gnu_debuglink)
 * A file is taken only when its build id is the object's or, where one has none, its CRC is the one
 * in .gnu_debuglink: symbols of another build would be wrong without a sign.
 */
#ifndef MEMPROBE_SYMBOL_DEBUG_FILE_H
#define MEMPROBE_SYMBOL_DEBUG_FILE_H

#include <sys/types.h>

#include "symbol/elf_file.h"

struct debug_search {
	const char *proc_root;  /* "/proc" */
	const char *debug_root; /* "/usr/lib/debug" */
	pid_t pid;
	const char *object_path; /* as the target sees it */
};

/* The debug file, to be closed by the caller, or NULL. */
struct elf_file *debug_file_find(struct elf_file *f, const struct debug_search *where);
/* The file at path if, by its build id, it is the debug file of f; else NULL. */
struct elf_file *debug_file_open(struct elf_file *f, const char *path);

#endif
