/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * C++ classes by the address of their vtable, as the first word of an object holds it.
 *
 * The name comes from the file's `_ZTV` symbols (its .symtab, .dynsym, debug file or
 * minidebuginfo): a stripped program names none of its own classes. One file is searched once.
 */
#ifndef MEMPROBE_SYMBOL_VTABLE_H
#define MEMPROBE_SYMBOL_VTABLE_H

#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

struct vtables;

/* The arguments are the caller's and stay valid until vtables_free. */
struct vtables *vtables_new(const char *proc_root, const char *debug_root, pid_t pid,
			    const struct proc_maps *maps);
void vtables_free(struct vtables *v);
/* "shop::Order", or NULL when the word points into no vtable. Valid until vtables_free. */
const char *vtables_name(struct vtables *v, uint64_t word);

#endif
