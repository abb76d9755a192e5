/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Linker names to source names: C++ (Itanium), Rust (legacy without its hash, and v0).
 *
 *	_ZN4core3fmt9Formatter3pad17h0123456789abcdefE  ->  core::fmt::Formatter::pad
 *	_ZNSt6vectorIiSaIiEE9push_backEOi               ->  std::vector<int, std::allocator<int>
 *>::push_back(int&&) malloc                                          ->  malloc
 *
 * Names come from untrusted files: time and output are bounded.
 */
#ifndef MEMPROBE_SYMBOL_DEMANGLE_H
#define MEMPROBE_SYMBOL_DEMANGLE_H

#include "base/buf.h"

#define SYMBOL_MAX_NAME_BYTES 4096

/*
 * Append the source name of `name` (as it is when it has none), printable, at most
 * SYMBOL_MAX_NAME_BYTES: a longer one ends in "..." and is not cut inside a UTF-8 character.
 */
void demangle_add(struct buf *out, const char *name);
/* The same without demangling. */
void name_add(struct buf *out, const char *name);

#endif
