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
 * Source lines and inlined functions (libdw) are there only when asked for, and as long as there is time for them.
 */
#ifndef MEMPROBE_SYMBOL_SYMBOLIZER_H
#define MEMPROBE_SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

struct symbolizer;

/* Of one address. */
#define SYMBOLIZER_MAX_FRAMES 32

/* The name of generated code that no perf map has. */
#define SYMBOLIZER_JIT "[jit]"

struct symbolizer_opts {
	const char *proc_root;	/* "/proc" */
	const char *debug_root; /* "/usr/lib/debug" */
	bool lines;		/* file:line and inlined functions from DWARF where present */
	uint64_t max_lines_ns;	/* time for reading DWARF in the whole run; 0: 3 s */
	uint64_t max_bytes;	/* bound on the memory for symbol tables; least recently used files go first */
	/* A debug file of this build id that lies nowhere else: its malloc'ed path, or NULL. NULL: nobody to ask. */
	char *(*fetch_debug)(void *ctx, const char *build_id);
	void *fetch_ctx;
};

struct symbol {
	const char *name;   /* demangled; owned by the symbolizer, valid until symbolizer_free */
	const char *module; /* base name of the object, "" if none; the same life time */
	const char *build_id; /* of the object, in hex, "" if none; the same life time */
	const char *file;   /* source file or "" */
	uint32_t line;	    /* or 0 */
	uint64_t vaddr;	    /* address in the object's own terms (of the call for a return address), 0 if none */
	bool inlined;	    /* part of the next symbol's code, that calls it at its line */
	bool has_name;	    /* false: name is "[object+0xOFF]", "[jit]", "[vsyscall]", "[uprobes]" or "[unknown]" */
};

struct symbolizer *symbolizer_new(const struct symbolizer_opts *opts);
void symbolizer_free(struct symbolizer *s);

/*
 * Take (again) the snapshot of the mappings of process pid under the number gen. 0 or -errno; on error the old one
 * stays.
 */
int symbolizer_add_process(struct symbolizer *s, uint32_t gen, pid_t pid);
/* A child created by fork starts with its parent's mappings. */
void symbolizer_fork(struct symbolizer *s, uint32_t parent_gen, uint32_t gen, pid_t pid);
/* It has ended, and no address of it will be asked for any more. What its children are shown by it, they keep. */
void symbolizer_end_process(struct symbolizer *s, uint32_t gen);
/* A mapping that appeared later (mmap event), also of a process that has ended since. */
void symbolizer_add_map(struct symbolizer *s, uint32_t gen, const struct proc_map *m);
/* True when the snapshot of gen has a mapping at addr. */
bool symbolizer_knows(const struct symbolizer *s, uint32_t gen, uint64_t addr);

/*
 * Name the code at addr of process gen. is_return_address: look up addr - 1 (the call, not what follows it).
 * Always fills *out; a second call with the same address is a table look-up.
 * Reads the mappings again when addr lies in none of them and the process still lives; the more often that was in
 * vain, the more such calls pass before the next time. A result without a name is looked up anew after
 * something was learnt about the process: mappings, a perf map that changed; one by a perf map, when that has changed.
 */
void symbolizer_name(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address, struct symbol *out);

/*
 * The same with the functions that the compiler inlined there: out[0] is the innermost, the last one the function that
 * symbolizer_name gives; file and line of each lie in its own source. Returns how many, 1 or more.
 */
size_t symbolizer_frames(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address,
			 struct symbol out[SYMBOLIZER_MAX_FRAMES]);
/*
 * Looks whether the perf map of gen has changed (a few system calls), and reads it if so. Returns how many were read so
 * far: as long as that stays, so do the names of generated code.
 */
uint32_t symbolizer_perf_maps(struct symbolizer *s, uint32_t gen);
/* By the perf map that was read last, if it has addr. False: *out stays as it is. No system call. */
bool symbolizer_name_generated(struct symbolizer *s, uint32_t gen, uint64_t addr, struct symbol *out);
/* True when lines were asked for and the time for them is used up: later frames have names only. */
bool symbolizer_lines_stopped(const struct symbolizer *s);

#endif
