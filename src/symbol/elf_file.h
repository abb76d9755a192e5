/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One ELF file, read for attaching probes: symbols by name, file offsets, build id, code bytes.
 * Untrusted input; every read is bounded. Uses libelf.
 */
#ifndef MEMPROBE_SYMBOL_ELF_FILE_H
#define MEMPROBE_SYMBOL_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

struct elf_symbol {
	const char *name;    /* valid until elf_file_close */
	uint64_t vaddr;	     /* of the function's first instruction */
	uint64_t offset;     /* in the file */
	uint64_t size_bytes; /* 0: unknown */
};

/* Takes ownership of fd, also on error. 0, -ENOEXEC (not an ELF file of this machine's class), -errno. */
int elf_file_open(struct elf_file **out, int fd);
void elf_file_close(struct elf_file *f);

/* Build id bytes into id (at most cap); returns the length, 0 when there is none. */
size_t elf_file_build_id(struct elf_file *f, uint8_t *id, size_t cap);
/* True when the file has Go's build info or pclntab: no return probe may be placed in it. */
bool elf_file_is_go(struct elf_file *f);
/* True when the file imports the symbol (undefined in .dynsym): e.g. libstdc++ imports malloc. */
bool elf_file_imports(struct elf_file *f, const char *symbol);
/*
 * Call fn for every *defined* function symbol (STT_FUNC, STT_GNU_IFUNC excluded) of .dynsym, .symtab and
 * minidebuginfo; the same name may come more than once. A non-zero return of fn stops and is returned.
 */
int elf_file_each_function(struct elf_file *f, int (*fn)(void *ctx, const struct elf_symbol *sym), void *ctx);
/*
 * Bytes of the file at a file offset (from the file, never from a process: probes patch memory). Length read or -errno.
 */
long elf_file_read(struct elf_file *f, uint64_t offset, void *out, size_t len);

#endif
