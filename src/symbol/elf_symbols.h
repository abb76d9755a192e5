/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The function symbols of one file, compact: 16 bytes per symbol and the names that are used.
 *
 * Built from .symtab and .dynsym of the file, and .symtab of its debug file or minidebuginfo. Of
 * aliases at one address one is chosen, always the same: global before local, a name
 * without leading underscores before one with ("malloc", not "__libc_malloc"), then the shortest,
 * then the first in the alphabet. An address outside every symbol's size has no name; a symbol of
 * size 0 reaches to the next one, to the end of its section, or 4 KiB.
 */
#ifndef MEMPROBE_SYMBOL_ELF_SYMBOLS_H
#define MEMPROBE_SYMBOL_ELF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_file.h"
#include "symbol/span.h"

struct elf_symbols {
	struct span *v; /* name: offset in names */
	size_t n;
	char *names; /* linker names, NUL-terminated */
	size_t names_bytes;
};

/* debug: the file's separate debug file, or NULL. symbols is replaced. */
void elf_symbols_load(struct elf_symbols *symbols, struct elf_file *f, struct elf_file *debug);
void elf_symbols_release(struct elf_symbols *symbols);
/* The linker name of the code at vaddr, or NULL. */
const char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t vaddr);
size_t elf_symbols_bytes(const struct elf_symbols *symbols);

#endif
