/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the files of the BEAM share: where things lie in it, and who reads what. beam.c knows releases and names,
 * beam_find.c checks all of it on the living process before it is used. Not for others.
 */
#ifndef MEMPROBE_RUNTIME_BEAM_LAYOUT_H
#define MEMPROBE_RUNTIME_BEAM_LAYOUT_H

#include "runtime/runtime.h"

/* Offsets in bytes; by release, as its headers (erts/emulator/beam) lay them out on 64 bit machines. */
struct beam_layout {
	unsigned int erts; /* major version: 13 is OTP 25, 15 OTP 27 */
	/* ErtsSchedulerData, erl_process.h */
	uint32_t current, type, number, dirty_number, gc_info;
	/* ErtsPTab of erts_proc: r.tab and r.max */
	uint32_t table, table_max;
	/* Process: its stack and heaps; goes_on: i; writable: binaries that may grow */
	uint32_t reg, htop, stop, heap, hend, goes_on, dictionary, initial, old_hend, old_heap, off_heap, writable;
	uint32_t gen_gcs; /* u16 minor collections since the last full one, u16 most of them */
	uint32_t size_bytes, struct_bytes; /* what is read of it; what it takes */
	uint32_t reg_process, reg_name; /* RegProc */
	uint32_t dict_slots; /* ProcDict, which begins with u32 mask, u32 slots in use: erl_process_dict.h */
	/* index table of atoms, Atom: atom.h, index.h */
	uint32_t atom_segments, atom_length, atom_text;
	uint32_t line_table; /* in the header of a module's code */
	/*
	 * A large binary on a heap: low six bits of its first word, its size (0: not there), its block; Binary,
	 * erl_binary.h
	 */
	uint32_t binary_header, binary_size, binary_block, block_references, block_size;
	uint32_t id_mask; /* ErtsPTab of erts_proc: r.o.pix_mask, where an id is made of it; 0: the number is in the id */
};

#define BEAM_MOST_RANGES 100000
#define BEAM_MOST_PIECES 16

/* The pieces of code of one loaded module, as the JIT keeps them: {start, end} in order of addresses. */
struct beam_range {
	uint64_t start, end;
};

struct beam {
	const struct beam_layout *layout; /* NULL: none for this release */
	uint64_t types;			  /* erts_alc_n2td */
	uint64_t dirty_main, dirty_main_end; /* erts_dirty_process_main: what its native stack has further out is no matter */
	uint64_t schedulers, dirty_cpu, dirty_io, stride;
	uint64_t n_schedulers; /* erts_no_schedulers; 0: not told */
	uint64_t processes; /* erts_proc */
	uint64_t atoms;	    /* erts_atom_table */
	uint64_t code, code_bytes; /* of all pieces, from the first to the last */
	struct beam_range pieces[BEAM_MOST_PIECES]; /* mappings that the JIT writes to: 8 MiB, 16 MiB, as code comes */
	size_t n_pieces;
	uint64_t code_index;  /* address of the_active_code_index */
	uint64_t range_table; /* address of the first of three {modules, n, allocated, mid} */
	struct beam_range *ranges;
	size_t n_ranges;
	uint64_t read_ns; /* when ranges were read, */
	uint32_t read_index; /* and of which of the three tables */
	struct beam_collected *collected; /* beam_collections.c; NULL: not asked yet */
	uint64_t notes, noted; /* as MP_BEAM_NOTES, MP_BEAM_NOTED; 0: no process has noted what it was started for */
};

/* An Erlang process at one moment. */
struct beam_process {
	uint64_t addr, id;
	uint64_t htop, stop, heap, hend, old_heap, old_hend, off_heap, writable;
	uint64_t referred_words;    /* off-heap memory that its young terms hold */
	uint16_t gen_gcs, most_gcs; /* minor collections since the last full one; how many it makes */
};

/* beam_processes.c. Calls back for each; how many there were. */
size_t beam_each_process(const struct runtime *r, void (*f)(void *ctx, const struct beam_process *p), void *ctx);
bool beam_registered_name(const struct runtime *r, const struct beam_process *p, struct buf *out);
/*
 * Its registered name, else the function that it was started for (by proc_lib, or spawned with). False: none can be
 * read.
 */
bool beam_process_name(const struct runtime *r, const struct beam_process *p, struct buf *out);
/*
 * beam_noted.c: what proc_lib notes in the dictionary of what it starts: {module, function, arity}. False: nothing.
 * beam_learn_notes: from one process after the other, under which atom; false: it notes something, and none was found.
 */
bool beam_noted_call(const struct runtime *r, uint64_t process, uint64_t mfa[3]);
bool beam_learn_notes(struct runtime *r, const struct beam_process *p);
/* Text of an atom, appended. */
bool beam_atom(const struct runtime *r, uint64_t atom, struct buf *out);
/* The same of a name; Elixir writes one like 'Elixir.Feed.Server' without its first part. */
bool beam_add_name(const struct runtime *r, uint64_t atom, struct buf *out);
/* "module:function/arity". An Elixir module is an atom "Elixir.Feed.Json": as Elixir writes it, "Feed.Json.encode/1". */
bool beam_add_call(const struct runtime *r, uint64_t module, uint64_t function, uint64_t arity, struct buf *out);

/* The table of code that is current, into ranges. False: it cannot be read, or changes. */
bool beam_read_ranges(struct runtime *r);
/* pc is a return address: the call before it may be the function's last instruction. */
bool beam_name_pc(struct runtime *r, uint64_t pc, struct buf *out);

/* A function of a loaded module. */
struct beam_function {
	uint64_t start, end;  /* of the module's code */
	uint64_t index, info; /* among its functions; what it begins with */
	uint64_t module;      /* atom */
};

/* beam_lines.c: file and line of the code at pc, where the module carries them; else nothing is set. */
void beam_line(const struct runtime *r, const struct beam_function *f, uint64_t pc, struct runtime_name *name);

/*
 * beam_find.c: fill in all but types. NULL, or why processes and functions are not known. *err -EAGAIN: perhaps because
 * it has not yet begun.
 */
const char *beam_find(struct runtime *r, struct runtime_object *o, int *err);
/* Has code been loaded since the last look? Then r->is_moved, if it lies elsewhere. */
void beam_follow_code(struct runtime *r);
/* Where the JIT writes, of r->process.maps, into code, code_bytes and pieces. False: nowhere. */
bool beam_find_code(struct runtime *r);

/* beam_collections.c */
int beam_collections(struct runtime *r, uint64_t *full);
int beam_all_collections(struct runtime *r, uint64_t *n);
void beam_collections_end(struct beam *b);

/* beam_census.c */
int beam_census(struct runtime *r, struct runtime_census *out);

#endif
