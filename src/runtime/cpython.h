/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * CPython, read from outside: layouts of its versions, objects, frames, line tables, the collector's lists. The
 * runtime's ops are in cpython.c. Every pointer that is followed is checked by the type of the object that it leads to.
 */
#ifndef MEMPROBE_RUNTIME_CPYTHON_H
#define MEMPROBE_RUNTIME_CPYTHON_H

#include "runtime/runtime.h"
#include "runtime/thread_local.h"

/* Offsets in bytes. */
struct cpython_layout {
	uint32_t version; /* 0x030b: 3.11 */
	uint32_t runtime_interpreters; /* head */
	uint32_t interp_next, interp_threads, interp_generations;
	uint32_t thread_next, thread_id, thread_frame;
	uint32_t cframe_frame; /* + 1; 0: thread_frame is the frame itself */
	uint32_t frame_code, frame_previous, frame_instr, frame_mark;
	uint32_t is_shim, is_entry; /* values of the mark; 0: none */
	uint32_t code_firstlineno, code_filename, code_qualname, code_linetable;
	uint32_t ascii_data, unicode_data; /* behind compact strings' heads */
};

struct cpython {
	struct cpython_layout layout;
	struct thread_local_place place;
	uint32_t own_state; /* distance from the thread pointer; 0: not known */
	uint64_t runtime;	   /* _PyRuntime */
	uint64_t code_type, bytes_type, unicode_type, type_type, dict_type, list_type, set_type; /* addresses */
	uint32_t code_start; /* of the first instruction in a code object: the type tells */
};

/* What a code object holds. */
struct cpython_code {
	uint64_t filename, qualname, linetable; /* objects */
	uint32_t first_line;
	uint64_t code_bytes;
};

/*
 * The offsets of a version, 0x030b02f0 as in Py_Version; 3.13 tells its own, at runtime (the address of _PyRuntime).
 * False when they are not known.
 */
bool cpython_layout_find(struct cpython_layout *l, const struct runtime_process *p, uint32_t version, uint64_t runtime);
/* The table of 3.13 itself, as read from there. Pure. */
bool cpython_layout_parse(struct cpython_layout *l, const uint8_t *table, size_t len);
#define CPYTHON_TABLE_BYTES 584

/* Type of an object, 0 when it cannot be read. */
uint64_t cpython_type(const struct runtime_process *p, uint64_t object);
bool cpython_text(const struct runtime_process *p, const struct cpython *c, uint64_t string, struct buf *out);
bool cpython_code_read(const struct runtime_process *p, const struct cpython *c, uint64_t code, struct cpython_code *out);
/* Of an instruction, `at` from the code object on. 0, with *line 0 where the table has none, or -ESTALE. */
int cpython_code_line(const struct runtime_process *p, const struct cpython *c, const struct cpython_code *code,
		      uint64_t at, uint32_t *line);
/*
 * Walk the frames of a thread state and resolve each. 1: all are as they should be, and the outermost is a
 * module's; 0: as they should be; -EAGAIN: no frames; -ESTALE: something is not.
 */
int cpython_check_thread(struct runtime *r, const struct cpython *c, uint64_t thread);
/*
 * How far behind its thread pointer each thread keeps its own state (glibc's first block of pthread_setspecific). 0:
 * not told by all threads alike.
 */
uint32_t cpython_own_state(const struct runtime_process *p, const struct cpython *c);
/* 0; -EAGAIN: it does not run Python code yet; -ESTALE: not what it should be. */
int cpython_check(struct runtime *r, const struct cpython *c);

/*
 * Line tables (3.11 on; Objects/locations.md in CPython's source): entries {1 kind:4 units-1:3} and what each kind
 * carries, each for some code units of 2 bytes. offset: of the instruction, in bytes; before the first: the first line.
 */
/* 0: no line. -1: the table is damaged or ends before. */
int64_t cpython_line(const uint8_t *table, size_t len, uint32_t first_line, int64_t offset);
/* Bytes of code that the table is about; -1: damaged. */
int64_t cpython_line_table_covers(const uint8_t *table, size_t len);

int cpython_census(struct runtime *r, struct runtime_census *out);
/* Where its small objects are (pymalloc's pools). 0; -ENOTSUP: there are none; -E2BIG: too much to look through; -errno. */
int cpython_pools(struct runtime *r, struct runtime_ranges *out);
/* Are these 48 bytes, at addr, the head of a pool? Pure. */
bool cpython_is_pool(const void *head, uint64_t addr);
/* Collections of the oldest generation, of all interpreters. 0 or -ESTALE. */
int cpython_collections(struct runtime *r, uint64_t *full);

#endif
