/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which functions of an object are probed, and where.
 *
 * Every function of the allocator table that the object defines, once per address, but:
 *	operator new and delete in an object whose operator new always calls malloc (libstdc++):
 *	malloc's stack shows it
 *	Go: no function that would need a return probe
 */
#ifndef MEMPROBE_APP_ALLOC_SITES_H
#define MEMPROBE_APP_ALLOC_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kern/kern.h"
#include "symbol/elf_file.h"

struct alloc_sites {
	struct probe_site *v;
	size_t n;
	uint64_t loader_hook; /* file offset of ld.so's _dl_debug_state, 0: none */
};

/* out is set. path: for messages. at_entry: no shifted probes. */
void alloc_sites_find(struct alloc_sites *out, struct elf_file *f, const char *path, bool at_entry);
void alloc_sites_release(struct alloc_sites *sites);

#endif
