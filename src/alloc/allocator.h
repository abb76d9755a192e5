/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The allocator table: which symbols are allocator entry points, and how they are called.
 *
 * A new allocator function is one row in allocator.c: {symbol, flags, call shape}.
 * The row's number is the attach cookie; the BPF side reads the shape from it.
 * Pure: knows names only, no files, no processes.
 */
#ifndef MEMPROBE_ALLOC_ALLOCATOR_H
#define MEMPROBE_ALLOC_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/memprobe.h"

enum alloc_flags {
	/*
	 * operator new and delete: probed only in an object whose new does not call malloc
	 * (jemalloc, tcmalloc, mimalloc). In libstdc++ the stack of malloc shows operator new and
	 * its caller.
	 */
	ALLOC_ONLY_IF_BYPASS = 1,
};

struct alloc_function {
	const char *symbol;
	unsigned int flags; /* enum alloc_flags */
	struct mp_shape shape;
};

/* The table; n = number of rows (<= MP_MAX_SHAPES, checked at compile time). */
const struct alloc_function *alloc_functions(size_t *n);
/* Row of a symbol name, or -1. */
int alloc_find(const char *symbol);
/* A known allocator function that has no row: the reason, for messages. NULL: it has one, or is not
 * known. */
const char *alloc_why_not_probed(const char *symbol);
/* The few that programs call most: malloc, free, operator new and delete, realloc, calloc. */
bool alloc_is_hot(const char *symbol);
/* Bit i set: argument i must be intact where the probe sits. */
unsigned int alloc_argument_mask(const struct mp_shape *shape);

/* Base names of objects: libc.so.6, ld-linux-x86-64.so.2, ld-musl-x86_64.so.1, libpthread.so.0...
 */
bool alloc_is_libc(const char *module);
/* libjemalloc.so.2, libtcmalloc_minimal.so.4, libmimalloc.so.2... */
bool alloc_is_allocator_library(const char *module);
/* libstdc++.so.6, libc++.so.1, libgcc_s.so.1 */
bool alloc_is_cxx_library(const char *module);
/* A frame's name that is an allocator entry point: "malloc", "operator new(unsigned long)". */
bool alloc_is_entry_name(const char *name);

#endif
