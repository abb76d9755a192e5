/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The parts of the Go runtime, each in a file of its name; the ops are in go.c. */
#ifndef MEMPROBE_RUNTIME_GO_H
#define MEMPROBE_RUNTIME_GO_H

#include "runtime/runtime.h"
#include "symbol/elf_symbols.h"

/*
 * Adds a row for each goroutine's function, bytes are their stacks'. False: their records are not laid out as known
 * here.
 */
bool go_goroutines(struct runtime *r, struct runtime_object *program, const struct elf_symbols *symbols,
		   struct runtime_census *out);
/* Collections so far; memstats: address of runtime.memstats. 0; -ENOTSUP, -ESTALE: not as known here. */
int go_count_collections(const struct runtime *r, uint64_t memstats, uint64_t *full);
/* Its heap's arenas; mheap: address of runtime.mheap_. 0; -ENOTSUP: not found. */
int go_find_arenas(struct runtime *r, uint64_t mheap, struct runtime_ranges *out);

#endif
