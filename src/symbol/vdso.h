/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kernel's vDSO as an ELF image. memprobe's own is the target's, byte for byte: same kernel,
 * same word size; if the sizes of the two mappings differ nevertheless, it is read from the
 * target's memory.
 */
#ifndef MEMPROBE_SYMBOL_VDSO_H
#define MEMPROBE_SYMBOL_VDSO_H

#include <stddef.h>
#include <sys/types.h>

#include "proc/maps.h"

/* The image behind mapping m ("[vdso]") of process pid: malloc'ed, or NULL. */
void *vdso_read(const char *proc_root, pid_t pid, const struct proc_map *m, size_t *len);

#endif
