/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Source lines of one file, from DWARF, by libdw.
 *
 * Compilation units are found by an index of their address ranges that is built once, so that files
 * without .debug_aranges (clang) work too. A file whose debug sections are larger than a
 * limit has no lines. Only used when the user asks for lines.
 */
#ifndef MEMPROBE_SYMBOL_LINES_H
#define MEMPROBE_SYMBOL_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "symbol/elf_file.h"

struct lines;

/* From the debug file (may be NULL), else from the object itself; NULL when neither has DWARF. Both
 * stay the caller's. */
struct lines *lines_open(struct elf_file *f, struct elf_file *debug);
void lines_close(struct lines *l);
uint64_t lines_bytes(const struct lines *l);
/* Source file (valid until lines_close) and line of the code at vaddr. */
bool lines_find(struct lines *l, uint64_t vaddr, const char **file, uint32_t *line);

#endif
