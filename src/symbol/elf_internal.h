/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The inside of struct elf_file, shared by the files of src/symbol only.
 *
 * libelf interprets the headers; the contents of sections are read here, by pread into buffers of
 * their own: a file that shrinks meanwhile gives short reads (a memory map would give SIGBUS), and
 * a size that lies is refused before anything is allocated for it.
 */
#ifndef MEMPROBE_SYMBOL_ELF_INTERNAL_H
#define MEMPROBE_SYMBOL_ELF_INTERNAL_H

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/elf_file.h"

#define ELF_MAX_SECTION_BYTES ((uint64_t)512 << 20) /* Chromium's .symtab and .strtab are below */
#define ELF_MAX_NOTE_BYTES ((uint64_t)1 << 20)
#define ELF_MAX_SECTIONS (1u << 20)
#define ELF_MAX_SEGMENTS 4096
#define ELF_MAX_BUILD_ID 64

struct elf_segment { /* PT_LOAD */
	uint64_t vaddr, offset, file_bytes;
	bool exec;
};

/* The text of names ends with a NUL of our own; versions ("@@GLIBC_2.2.5") are cut off. */
struct elf_table {
	Elf64_Sym *v;
	size_t n;
	char *names;
	size_t names_bytes;
	bool tried;
};

enum { ELF_DYNSYM, ELF_SYMTAB, ELF_N_TABLES };

struct elf_file {
	int fd;      /* -1: in memory */
	void *image; /* owned; NULL: on disk */
	uint64_t size_bytes;
	Elf *elf;
	bool has_section_names;
	struct elf_segment *segments;
	size_t n_segments;
	struct elf_table tables[ELF_N_TABLES];
	struct elf_file *mini; /* minidebuginfo */
	bool mini_tried;
};

/* Like elf_file_open, of an image in memory (vDSO, minidebuginfo), which is freed by
 * elf_file_close, also on error. */
int elf_file_open_image(struct elf_file **out, void *image, size_t size_bytes);

/* The first section with this name; false when there is none. */
bool elf_find_section(struct elf_file *f, const char *name, GElf_Shdr *out);
/* Contents of a section, one NUL appended; NULL when it has none, lies outside the file or is above
 * max_bytes. */
void *elf_read_section(struct elf_file *f, const GElf_Shdr *sh, uint64_t max_bytes, size_t *len);

/* Never NULL; n is 0 when the file has no such table. */
const struct elf_table *elf_table(struct elf_file *f, int which);
/* The embedded minidebuginfo, or NULL; owned by f. */
struct elf_file *elf_mini(struct elf_file *f);
/* "" when the name lies outside the table. */
const char *elf_symbol_name(const struct elf_table *t, const Elf64_Sym *sym);

/* File offset of code at vaddr, false when vaddr is in no executable segment. */
bool elf_code_offset(const struct elf_file *f, uint64_t vaddr, uint64_t *offset);

/* Decompress .gnu_debugdata: malloc'ed, NULL when it is damaged or too large. */
void *minidebuginfo_unpack(const void *xz, size_t xz_bytes, size_t *len);

#endif
