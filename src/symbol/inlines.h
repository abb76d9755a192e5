/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The functions of one compilation unit by address, and what was inlined into them; for lines.c alone.
 *
 * libdw's own search (dwarf_getscopes) walks the whole unit for every address; here the unit is walked once.
 * Holds offsets only, nothing of libdw's. Depends on base and libdw.
 */
#ifndef MEMPROBE_SYMBOL_INLINES_H
#define MEMPROBE_SYMBOL_INLINES_H

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

struct inlines;

/* unit: the entry of the compilation unit. Never NULL. */
struct inlines *inlines_new(Dwarf_Die *unit);
void inlines_free(struct inlines *in);
uint64_t inlines_bytes(const struct inlines *in);
/*
 * Entries of the inlined calls around vaddr, outermost first, at most max: of more, the outermost ones are dropped.
 */
size_t inlines_find(const struct inlines *in, Dwarf *dwarf, uint64_t vaddr, Dwarf_Die *out, size_t max);

#endif
