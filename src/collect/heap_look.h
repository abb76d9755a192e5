/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One look at the heap of a running process: joins the readers of /proc to those of heap layouts.
 * Does not stop the process, nor make pages of it resident.
 */
#ifndef MEMPROBE_COLLECT_HEAP_LOOK_H
#define MEMPROBE_COLLECT_HEAP_LOOK_H

#include <stdbool.h>
#include <sys/types.h>

#include "alloc/glibc_heap.h"
#include "proc/maps.h"
#include "proc/memory.h"

struct heap_look_opts {
	const char *proc_root;
	pid_t pid;
	const struct proc_maps *maps;
	const struct address_set *since; /* blocks allocated since the attach; may be NULL */
	uint64_t budget_ns;              /* 0: as long as it takes */
	bool (*is_over)(void *ctx);      /* asked now and then; may be NULL; with a budget only */
	void *ctx;
};

/* 0 (see out->is_trusted), -ENOENT no heap of glibc's, -ESRCH, -EACCES, -errno. out is to be
 * released. */
int heap_look(struct glibc_heap *out, const struct heap_look_opts *o);

#endif
