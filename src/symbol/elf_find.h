/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Single symbols of a file by name, data too, and where the file lies in a process. For readers of a
 * process's memory; not for naming code (elf_symbols.h).
 */
#ifndef MEMPROBE_SYMBOL_ELF_FIND_H
#define MEMPROBE_SYMBOL_ELF_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "symbol/elf_file.h"

/*
 * The defined symbol of that linker name in .dynsym, .symtab or minidebuginfo, whatever it is; vaddr of one in
 * thread-local storage is its offset there. offset is set for code only, else 0. False when there is none.
 */
bool elf_find_symbol(struct elf_file *f, const char *name, struct elf_symbol *out);
/* The same of many, in one pass over each table; out[i].name is NULL where there is none. How many were found. */
size_t elf_find_symbols(struct elf_file *f, const char *const *names, size_t n, struct elf_symbol *out);
/*
 * Virtual address of the two words {module, offset} by which the file finds that symbol of its own in thread-local
 * storage (relocations DTPMOD64 and DTPOFF64 of x86-64). False when there are none.
 */
bool elf_find_tls_pair(struct elf_file *f, const char *name, uint64_t *vaddr);
/*
 * Where functions begin, as the table for unwinding tells (.eh_frame_hdr, each with 32 bits): ascending virtual
 * addresses, the caller's to free. False when there is none, or one in another form.
 */
bool elf_function_starts(struct elf_file *f, uint64_t **starts, size_t *n);
/*
 * What to add to the file's virtual addresses in a process that has mapped the part of it at file offset map_offset at
 * map_start. False when no segment begins near there.
 */
bool elf_load_bias(struct elf_file *f, uint64_t map_start, uint64_t map_offset, uint64_t *bias);

#endif
