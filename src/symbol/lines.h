/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Source lines and inlined functions of one file, from DWARF, by libdw.
 *
 * Compilation units are found by an index of their address ranges that is built once, so that files
 * without .debug_aranges (clang) work too; functions of a unit by an index that is built when the first
 * of its addresses is asked for. Files are untrusted: what is read of one is bounded in size, in entries and,
 * by the caller's budget, in time; past a bound of memory everything learnt is dropped and read anew.
 *
 *	call at 0x11c0   push_back  vector.h:1201 ]  frames 0 and 1: inlined, named by DWARF
 *	                 add        batch.cc:17   ]
 *	                 -          batch.cc:40      frame 2: the function that has the code; its name is the symbol's
 */
#ifndef MEMPROBE_SYMBOL_LINES_H
#define MEMPROBE_SYMBOL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_file.h"

/* Of functions inlined one into another the innermost are told, and the function itself. */
#define LINES_MAX_FRAMES 32

struct lines;

/* Pointers are valid until the next lines_find or lines_close. */
struct line_frame {
	const char *function; /* linker name or plain name of an inlined one; NULL: see above */
	const char *file;     /* "" if unknown */
	uint32_t line;	      /* 0 if unknown */
};

/* Has the file source lines itself? */
bool lines_has(struct elf_file *f);
/* From the debug file (may be NULL), else from the object itself; NULL when neither has DWARF, or when reading
 * its units took longer than max_ns. Both stay the caller's. */
struct lines *lines_open(struct elf_file *f, struct elf_file *debug, uint64_t max_ns);
void lines_close(struct lines *l);
/* What it holds now; grows with lines_find. */
uint64_t lines_bytes(const struct lines *l);
/* Frames of the code at vaddr, innermost first, into out; how many, 0 when nothing is known. */
size_t lines_find(struct lines *l, uint64_t vaddr, struct line_frame out[LINES_MAX_FRAMES]);

#endif
