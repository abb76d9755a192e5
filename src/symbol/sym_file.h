/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The files that code was mapped from: symbols loaded at first use, shared between processes,
 * bounded in memory (the least recently used tables go first and come back when they are needed
 * again).
 *
 * A file is identified by inode, size, mtime and build id, or the device where it has no build id:
 * one image mounted twice (overlayfs) is one file. No descriptor is kept open but those of loaded files with
 * source lines.
 */
#ifndef MEMPROBE_SYMBOL_SYM_FILE_H
#define MEMPROBE_SYMBOL_SYM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "proc/maps.h"
#include "symbol/elf_internal.h"
#include "symbol/elf_symbols.h"
#include "symbol/lines.h"

struct sym_identity {
	uint64_t dev, ino, size_bytes, mtime_ns; /* dev 0 when there is a build id */
	uint8_t build_id[ELF_MAX_BUILD_ID];
	size_t build_id_bytes;
};

struct sym_file {
	uint64_t number; /* index in sym_files + 1 */
	struct sym_identity identity;
	struct elf_segment *segments; /* none: not an ELF file */
	size_t n_segments;
	bool is_loaded, is_pinned;
	struct elf_symbols symbols;
	struct lines *lines;    /* NULL: not asked for or not there, or past the time for them */
	struct table demangled; /* linker name's offset -> id of the source name, the user's */
	uint64_t bytes, last_use;
};

struct sym_files {
	const char *proc_root, *debug_root; /* the owner's */
	bool with_lines;
	uint64_t lines_left_ns; /* time for reading DWARF; 0: none is read any more */
	/* A debug file of this build id from elsewhere: malloc'ed path or NULL. May be NULL. */
	char *(*fetch_debug)(void *ctx, const char *build_id);
	void *fetch_ctx;
	uint64_t max_bytes, bytes, uses;
	struct sym_file **v;
	size_t n, cap;
	struct table by_identity; /* hash -> index; collisions: next hash */
};

/*
 * The file behind mapping m of process pid, its symbols loaded; NULL when it cannot be opened.
 * Valid until sym_files_release; its symbols until the next sym_files_get.
 */
struct sym_file *sym_files_get(struct sym_files *fs, pid_t pid, const struct proc_map *m);
/* The vDSO: the image is malloc'ed and freed here. Never NULL. */
struct sym_file *sym_files_add_image(struct sym_files *fs, void *image, size_t len);
void sym_files_release(struct sym_files *fs);

/* lines_find within the time that is left; what it learns counts to the file's memory. */
size_t sym_file_lines(struct sym_files *fs, struct sym_file *f, uint64_t vaddr, struct line_frame out[LINES_MAX_FRAMES]);
void sym_identity_build_id(const struct sym_identity *id, char hex[2 * ELF_MAX_BUILD_ID + 1]);

/* The file is used now. */
void sym_files_touch(struct sym_files *fs, struct sym_file *f);
/* ELF virtual address of a file offset; the offset itself when no segment holds it. */
uint64_t sym_file_vaddr(const struct sym_file *f, uint64_t offset);

#endif
