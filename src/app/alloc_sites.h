/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which functions of an object are probed, and where.
 *
 * Every function of the allocator table that the object defines, once per address, but:
 *	operator new and delete that always call another one, or malloc and free (libstdc++): the
 *	stack there shows them
 *	Go: no function that would need a return probe
 */
#ifndef MEMPROBE_APP_ALLOC_SITES_H
#define MEMPROBE_APP_ALLOC_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc/probe_point.h"
#include "kern/kern.h"
#include "symbol/elf_file.h"

/* A probe replaces so much code: int3, or an instruction. */
#if defined(__x86_64__)
#define PROBE_BYTES 1
#else
#define PROBE_BYTES 4
#endif

/* What is known of a site beyond what the kernel is told. */
struct alloc_site_info {
	char *symbol;
	size_t row;	      /* in the allocator table */
	uint64_t code_offset; /* the function's first byte in the file */
	struct probe_point point;
	uint8_t first_bytes[PROBE_BYTES]; /* of the file, where the probe goes */
};

/* A known function that gets no probe. */
struct alloc_left_out {
	char *symbol;
	const char *why; /* static text */
};

struct alloc_sites {
	struct probe_site *v;
	struct alloc_site_info *info; /* of each v */
	size_t n;
	struct alloc_left_out *left_out; /* each name once */
	size_t n_left_out, left_out_cap;
	bool is_go, is_glibc;
	uint64_t loader_hook; /* file offset of ld.so's _dl_debug_state, 0: none */
	uint64_t refused_alloc, refused_realloc; /* of ERTS's functions for when there is no memory; 0: none */
};

/* out is set. path: for messages. at_entry: no shifted probes. */
void alloc_sites_find(struct alloc_sites *out, struct elf_file *f, const char *path, bool at_entry);
void alloc_sites_release(struct alloc_sites *sites);

#endif
