/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Goroutines by the function that they were begun with. Part of the Go runtime. */
#ifndef MEMPROBE_RUNTIME_GO_GOROUTINES_H
#define MEMPROBE_RUNTIME_GO_GOROUTINES_H

#include "runtime/runtime.h"
#include "symbol/elf_symbols.h"

/* Adds a row each, bytes are their stacks'. False: their records are not laid out as known here. */
bool go_goroutines(struct runtime *r, struct runtime_object *program, const struct elf_symbols *symbols,
		   struct runtime_census *out);
/* Collections so far; memstats: address of runtime.memstats. 0; -ENOTSUP, -ESTALE: not as known here. */
int go_count_collections(const struct runtime *r, uint64_t memstats, uint64_t *full);

#endif
