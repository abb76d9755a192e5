/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A process as the readers of managed runtimes see it: its mappings, its memory, the symbols of its objects.
 *
 * The process runs meanwhile, so two reads may see two moments: what is read is checked, and read
 * again. A read that touches a page that is not there fails, or maps one in the target: readers
 * follow pointers that the runtime itself uses, and do not scan (runtime_read_resident is for scans).
 */
#ifndef MEMPROBE_RUNTIME_RUNTIME_PROCESS_H
#define MEMPROBE_RUNTIME_RUNTIME_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "proc/maps.h"
#include "proc/memory.h"
#include "symbol/elf_find.h"

/* An ELF file that the process has mapped executably. */
struct runtime_object {
	const char *name; /* base name of its path */
	const struct proc_map *map; /* its first mapping */
	struct elf_file *elf; /* NULL until runtime_object_open, or when it cannot be read */
	uint64_t bias;	      /* address in the process = virtual address in the file + bias */
	bool tried;
};

struct runtime_process {
	const char *proc_root;
	pid_t pid;
	struct proc_maps maps;
	struct proc_memory memory;
	struct runtime_object *objects;
	size_t n_objects;
};

/* 0, -ESRCH, -EACCES, -errno. */
int runtime_process_open(struct runtime_process *p, const char *proc_root, pid_t pid);
void runtime_process_close(struct runtime_process *p);
/* Mappings anew (objects stay as they were). 0 or -errno. */
int runtime_process_refresh(struct runtime_process *p);

/*
 * The object whose base name is prefix, or prefix and then a digit, '.' or '-': "libruby" finds "libruby-3.1.so.3.1.2".
 * NULL: none.
 */
struct runtime_object *runtime_find_object(struct runtime_process *p, const char *prefix);
/* Opens its file. False when that cannot be. */
bool runtime_object_open(struct runtime_process *p, struct runtime_object *o);
/* Address in the process of a symbol; 0 when the object has none. Of one in thread-local storage: not its address. */
uint64_t runtime_symbol(struct runtime_process *p, struct runtime_object *o, const char *name);
/* The same of many, in one pass over its symbols. */
void runtime_symbols(struct runtime_process *p, struct runtime_object *o, const char *const *names, size_t n, uint64_t *addrs);

/* All len bytes, or false. */
bool runtime_read(const struct runtime_process *p, uint64_t addr, void *out, size_t len);
/* A word; 0 when it cannot be read. */
uint64_t runtime_word(const struct runtime_process *p, uint64_t addr);
/* The same without touching pages that are not in memory; false when one is not. */
bool runtime_read_resident(const struct runtime_process *p, uint64_t addr, void *out, size_t len);
/* Up to max bytes of a NUL-terminated text, made printable, appended to out. False when it cannot be read. */
bool runtime_text(const struct runtime_process *p, uint64_t addr, size_t max, struct buf *out);

#endif
