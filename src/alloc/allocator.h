/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The allocator table: which symbols are allocator entry points, and how they are called.
 *
 * A new allocator function is one row in allocator.c: {symbol, family, call shape}.
 * The row's number is the attach cookie; the BPF side reads the shape from it.
 * Pure: knows names only, no files, no processes.
 */
#ifndef MEMPROBE_ALLOC_ALLOCATOR_H
#define MEMPROBE_ALLOC_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/memprobe.h"

struct alloc_function {
	const char *symbol;
	const char *family; /* "glibc", "jemalloc", ... as doctor prints it */
	struct mp_shape shape;
};

/* The table; n = number of rows (<= MP_MAX_SHAPES, checked at compile time). */
const struct alloc_function *alloc_functions(size_t *n);
/* Row of a symbol name, or -1. */
int alloc_find(const char *symbol);
/* True for base names that hold an allocator's own or C++ runtime code: libc.so.6, libjemalloc.so.2... */
bool alloc_is_libc(const char *module);
bool alloc_is_allocator_library(const char *module);
bool alloc_is_cxx_library(const char *module);
/* True for a function name that is an allocator entry point (malloc, operator new(unsigned long), ...). */
bool alloc_is_entry_name(const char *name);

#endif
