/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Managed runtimes: who runs in a process, the lines of its language, its objects.
 *
 * A runtime is one file (struct runtime_ops) and one row of the table in runtime.c; one with frames also has a
 * reader on the kernel side (bpf/runtime_abi.h). Each checks itself on the living process before it is trusted:
 * what does not look as its tables say is not named, and the reason is stated. All reads are from
 * outside, without a stop. Nothing here prints, nor knows of probes.
 *
 *	runtime_open      which one is it? version, self-check -> struct runtime
 *	ops->config       words for the kernel side's reader
 *	ops->resolve      {code, at} of a frame -> "handler", app.py, 12
 *	ops->census       objects and bytes by type
 */
#ifndef MEMPROBE_RUNTIME_RUNTIME_H
#define MEMPROBE_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/table.h"
#include "bpf/memprobe.h"
#include "model/holders.h"
#include "runtime/runtime_process.h"

/* A frame's name. Texts are appended to buffers that the caller empties. */
struct runtime_name {
	struct buf function; /* "Journal#append"; never empty when resolved */
	struct buf file;     /* "lib/journal.rb", "" if unknown */
	uint32_t line;	     /* 0 if unknown */
	bool is_internal;    /* the runtime's own code in its own language: <frozen importlib> */
};

struct runtime_type {
	char *name; /* "dict", "String", "binary"; "(array)": no class, what the objects of others are made of */
	uint64_t objects, bytes; /* bytes 0: not told */
	uint64_t old, old_bytes; /* of these, what has outlived collections: see has_old */
	uint32_t *since; /* of old ones: how many the look of each number, up to the one before this, saw first; NULL: not told */
};

struct runtime_census {
	struct runtime_type *v; /* in no order; runtime_census_release */
	size_t n, cap;
	bool is_partial;  /* a walk was cut: something changed under it */
	bool is_cut;	  /* and much may be missing: no growth is told from it */
	bool has_old;	  /* it tells what has outlived full collections, as far as it can: of two looks the second does */
	uint32_t look;	  /* of those that have since: its number, where the next one will tell what this one saw; else 0 */
	const char *what; /* "objects that the collector tracks"; static */
	/*
	 * of runtimes with processes of their own (ops->has_holders): these, and the blocks outside their heaps that
	 * they hold
	 */
	struct holder *holders; /* names: in holder_names */
	size_t n_holders, holders_cap;
	struct held_block *held;
	size_t n_held, held_cap;
	struct intern holder_names;
};

/* The heap of a runtime that sets one aside for its objects, as the runtime itself counts it. */
struct runtime_heap {
	uint64_t used_bytes;	/* when the runtime last counted: at a collection, or later */
	uint64_t committed_bytes, most_bytes;
	uint64_t young; /* collections of young objects only; not among the full ones */
	uint64_t kept_bytes; /* of those in use, what has outlived a collection */
};

/* Where it is: in no order, none twice; of some, much may never have been touched. */
struct runtime_ranges {
	struct runtime_range {
		uint64_t start, end;
	} *v;
	size_t n, cap;
};

struct runtime {
	const struct runtime_ops *ops;
	struct runtime_process process;
	void *state;
	char version[32];  /* "3.11.2" */
	char reason[128];  /* "": frames have names; else why not: "CPython 3.14: its layout is not known here" */
	char hint[160];	   /* what its own tools would tell, and the command; "": nothing more */
	bool has_frames, has_census;
	bool is_moved; /* config() would tell something else than it did: it is to be asked again */
};

/* A frame: the allocation is the collector's, of what some other line had made before. */
#define RUNTIME_MOVED "[moved by the collector]"

#define RUNTIME_MOST_INLINED 16

struct runtime_ops {
	const char *name; /* "CPython" */
	enum mp_rt_kind kind; /* MP_RT_NONE: no frames */
	/* Each frame stands for the native one whose address is `at`, and takes its place; else see is_eval. */
	bool frames_are_native;
	/*
	 * Is it this one? r->process is open. 0: yes; version, reason, has_frames and has_census are set, state is the
	 * runtime's own; -ENOENT: no; -EAGAIN: it is, but not yet begun (call again later); -errno.
	 */
	int (*open)(struct runtime *r);
	void (*close)(struct runtime *r);
	void (*config)(const struct runtime *r, struct mp_runtime *words);
	/*
	 * 0, or -errno: no name (it was checked, and is not what it should be); -ENOENT: no frame of the language's,
	 * left out
	 */
	int (*resolve)(struct runtime *r, uint64_t code, uint64_t at, struct runtime_name *name);
	/*
	 * May be NULL; with frames_are_native only. Which other function of the language was compiled into the frame's:
	 * the i-th call in progress there, innermost first, up to RUNTIME_MOST_INLINED. As resolve; -ENOENT: no more.
	 */
	int (*inlined)(struct runtime *r, uint64_t code, uint64_t at, unsigned int i, struct runtime_name *name);
	/*
	 * A native function whose frames run the language's code: the language's frames stand before it. symbol is its
	 * name, or "[object+0xOFF]" where it has none; vaddr its address in the object then, else 0. NULL: there is
	 * none.
	 */
	bool (*is_eval)(const struct runtime *r, const char *symbol, const char *module, uint64_t vaddr);
	/*
	 * May be NULL. Is the code at addr the language's own (JIT)? Native frames from the innermost such one on are
	 * left out: its frames tell the rest.
	 */
	bool (*is_language)(const struct runtime *r, uint64_t addr);
	/*
	 * May be NULL. A native function in which the collector moves what lives: it was called from whatever line just
	 * ran. What of the stack lies before it is left out, and RUNTIME_MOVED stands for it.
	 */
	bool (*is_mover)(const char *symbol, const char *module);
	/*
	 * May be NULL. A native function in which the runtime works for itself, though the language's code called it:
	 * what is allocated there has no line, and needs none.
	 */
	bool (*is_own_work)(const char *symbol, const char *module);
	/* Is this object (base name) the runtime itself? Its functions are no code of the user's. */
	bool (*is_own_object)(const char *module);
	/* May be NULL. 0 or -errno. */
	int (*census)(struct runtime *r, struct runtime_census *out);
	bool census_is_quick; /* of a heap of some 100 MiB: some 0.1 s */
	/* Would a census tell now what has outlived collections? Cheap; false while one goes on. May be NULL: always. */
	bool (*is_at_rest)(struct runtime *r);
	bool has_holders; /* the census tells who holds what, and is quick */
	/*
	 * Who holds the objects of a type of the census, up to a variable: appended, innermost first: "property 'table' of Page < Map <
	 * variable 'pages' in app.js". Approximate. Until deadline_ns of CLOCK_MONOTONIC. May be NULL. 0; -ENOENT: nothing found;
	 * -ETIMEDOUT; -errno.
	 */
	int (*held_by)(struct runtime *r, const char *type, uint64_t deadline_ns, struct buf *out);
	/* Full collections so far, from the runtime's own count. May be NULL. 0 or -errno. */
	int (*collections)(struct runtime *r, uint64_t *full);
	/* Collections of any kind so far, where they are counted together only. May be NULL. 0 or -errno. */
	int (*all_collections)(struct runtime *r, uint64_t *n);
	/* Address of a word that counts all objects ever made, by one thread at a time. May be NULL; 0: not known. */
	uint64_t (*object_counter)(struct runtime *r);
	/* What its heap holds. May be NULL. 0 or -errno. */
	int (*heap)(struct runtime *r, struct runtime_heap *out);
	/* Where its heap is now: out is empty, and stays so unless 0 is returned. May be NULL. 0 or -errno. */
	int (*heap_ranges)(struct runtime *r, struct runtime_ranges *out);
	const char *heap_name; /* "Java heap"; with one of these two */
};

/*
 * The runtime of a process. 0; -ENOENT: none that is known (as far as its code is mapped); -EAGAIN: later; -ESRCH, -EACCES, -errno. A
 * runtime that is known but cannot be read is there, with its reason.
 */
int runtime_open(struct runtime **out, const char *proc_root, pid_t pid);
void runtime_close(struct runtime *r);
/* Could an object of this base name bring a runtime with it? Cheap; for mappings that appear. */
bool runtime_may_be(const char *module);
/* By name ("CPython"), or NULL. */
const struct runtime_ops *runtime_ops_named(const char *name);

/*
 * For ops->open: a state of so many bytes, zeroed, becomes r->state and is prepared; when that fails there is none.
 * What prepare returned. And for ops->close.
 */
int runtime_open_state(struct runtime *r, struct runtime_object *o, size_t bytes,
		       int (*prepare)(struct runtime *r, struct runtime_object *o, void *state));
void runtime_free_state(struct runtime *r);
/* For ops->open: has its process begun so lately that what it lacks may still come? The loader may not have run. */
bool runtime_is_young(const struct runtime *r);

/* One that begins where the last one ends makes that longer. */
void runtime_ranges_add(struct runtime_ranges *v, uint64_t start, uint64_t end);
void runtime_ranges_release(struct runtime_ranges *v);
void runtime_name_release(struct runtime_name *n);
void runtime_census_add(struct runtime_census *c, const char *name, uint64_t objects, uint64_t bytes);
/* Of the type that was added last; since (malloc'ed, or NULL) becomes the census's. */
void runtime_census_set_old(struct runtime_census *c, uint64_t objects, uint64_t bytes, uint32_t *since);
void runtime_census_release(struct runtime_census *c);

/*
 * Where the frames of the language stand among the native ones. eval[i]: native frame i (innermost first)
 * runs the language's code. before[i]: how many of the n runtime frames stand before native frame i, in order; before
 * has n_native + 1 entries, the last for what is left over. Groups end with MP_RT_ENTRY; the first
 * goes to the innermost eval frame, and so on.
 *
 *	native  malloc rb_str_new vm_exec rb_yield vm_exec main    runtime  b [a ENTRY] [main ENTRY]
 *	order   malloc rb_str_new b a vm_exec rb_yield main vm_exec main
 */
void runtime_merge(const bool *eval, size_t n_native, const struct mp_rt_frame *v, size_t n, uint32_t *before);

#endif
