/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * /proc/PID/maps: the mappings of a process.
 *
 * Paths may hold blanks and end in " (deleted)"; both are handled. All functions take
 * the proc root as an argument ("/proc"), so that tests run on fixture trees.
 */
#ifndef MEMPROBE_PROC_MAPS_H
#define MEMPROBE_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_map {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* in the file, bytes */
	uint64_t ino;	     /* 0: anonymous */
	uint32_t dev;	     /* major << 20 | minor */
	bool read, write, exec, shared;
	bool deleted;
	char *path; /* "" for anonymous; "[vdso]", "[heap]"; never NULL */
};

struct proc_maps {
	struct proc_map *v; /* sorted by start */
	size_t n, cap;
};

/* 0, -ESRCH (no such process, or it has no memory any more), -EACCES, -errno. maps is replaced. */
int proc_maps_read(struct proc_maps *maps, const char *proc_root, pid_t pid);
/* The same from text, for tests and fuzzing; malformed lines are skipped and counted in *bad (may be NULL). */
void proc_maps_parse(struct proc_maps *maps, const char *text, size_t len, size_t *bad);
/* Add one mapping (as mmap events report them), replacing what it covers. path is copied. */
void proc_maps_add(struct proc_maps *maps, const struct proc_map *m);
/* The mapping that holds addr, or NULL. */
const struct proc_map *proc_maps_find(const struct proc_maps *maps, uint64_t addr);
void proc_maps_release(struct proc_maps *maps);

/*
 * Open the file behind a mapping, read-only: PROC_ROOT/PID/map_files/START-END first (works for deleted
 * files and other mount namespaces), then PROC_ROOT/PID/root/PATH, then (process gone) PATH itself. A file is
 * taken only when its inode is the mapping's. Returns an fd, -EACCES (there may be one, but we lack a right),
 * -EMFILE, -ENFILE, -ENOMEM (we are short) or -errno.
 */
int proc_map_open(const char *proc_root, pid_t pid, const struct proc_map *m);
/* A path under which BPF_LINK_CREATE and libbpf can open the same file; caller frees. NULL when there is none. */
char *proc_map_attach_path(const char *proc_root, pid_t pid, const struct proc_map *m);

#endif
