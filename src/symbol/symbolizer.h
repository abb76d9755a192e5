/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Addresses of a process to names.
 *
 * One symbolizer serves a whole run. It keeps, per process generation, a snapshot of the
 * mappings, and per file (device, inode, size, mtime) the function symbols: .symtab, .dynsym,
 * .gnu_debuglink and build-id files, minidebuginfo (.gnu_debugdata), the vDSO, and perf maps for
 * code in no file. C++ (Itanium) and Rust (legacy, v0) names are demangled.
 *
 * A name is given only when the address lies inside the symbol's size (a symbol of size 0 reaches
 * to the next symbol, at most 4 KiB); otherwise "[object+0xOFF]" with the file's virtual address.
 * Files are untrusted input: bounds are checked, a hostile file yields no names, never a crash.
 * Source lines (libdw) are off unless asked for.
 */
#ifndef MEMPROBE_SYMBOL_SYMBOLIZER_H
#define MEMPROBE_SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

struct symbolizer;

struct symbolizer_opts {
	const char *proc_root;	/* "/proc" */
	const char *debug_root; /* "/usr/lib/debug" */
	bool lines;		/* file:line from DWARF where present */
	uint64_t max_bytes;	/* bound on the memory for symbol tables; least recently used files go first */
};

struct symbol {
	const char *name;   /* demangled; owned by the symbolizer, valid until symbolizer_free */
	const char *module; /* base name of the object, "" if none; the same life time */
	const char *build_id; /* of the object, in hex, "" if none; the same life time */
	const char *file;   /* source file or "" */
	uint32_t line;	    /* or 0 */
	uint64_t vaddr;	    /* address in the object's own terms (of the call for a return address), 0 if none */
	bool has_name;	    /* false: name is "[object+0xOFF]", "[jit]", "[vsyscall]", "[uprobes]" or "[unknown]" */
};

struct symbolizer *symbolizer_new(const struct symbolizer_opts *opts);
void symbolizer_free(struct symbolizer *s);

/* Take (again) the snapshot of the mappings of process pid under the number gen. 0 or -errno; on error the old one stays. */
int symbolizer_add_process(struct symbolizer *s, uint32_t gen, pid_t pid);
/* A child created by fork starts with its parent's mappings. */
void symbolizer_fork(struct symbolizer *s, uint32_t parent_gen, uint32_t gen, pid_t pid);
/* A mapping that appeared later (mmap event), also of a process that has ended since. */
void symbolizer_add_map(struct symbolizer *s, uint32_t gen, const struct proc_map *m);
/* True when the snapshot of gen has a mapping at addr. */
bool symbolizer_knows(const struct symbolizer *s, uint32_t gen, uint64_t addr);

/*
 * Name the code at addr of process gen. is_return_address: look up addr - 1 (the call, not what follows it).
 * Always fills *out; a second call with the same address is a table look-up.
 * Reads the mappings again when addr lies in none of them and the process still lives; the more often that was in
 * vain, the more such calls pass before the next time. A result without a name is looked up anew after
 * something was learnt about the process: mappings, a perf map that grew.
 */
void symbolizer_name(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address, struct symbol *out);

#endif
