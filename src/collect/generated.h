/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Frames of generated code that had no name when their stack was resolved, "[jit]": where they are, for a perf map that
 * is written later (jcmd PID Compiler.perfmap; a runtime that appends to its own).
 *
 *	stack      frame                      address
 *	main > [jit] > [jit] > malloc         kept: 2nd -> 0x7f10, 3rd -> 0x7f40
 *	perf map: 7f00 20 A.run               main > A.run > [jit] > malloc, the 3rd is kept
 *
 * The rule, as code moves and its memory is used again:
 *
 * - A frame with a name keeps it, whatever a later map has at its address: that is what was there when the stack was
 *   met, as far as anybody knew.
 * - A frame without one takes the name that the newest map has. Had its code been given up, and other code been put
 *   there, all between two maps, that name is the other's: nothing tells. Maps that are written more often tell more.
 * - Within one map the last entry wins (perf_map.h).
 * - A stack that is met later, at other addresses, is named by the newest map alone.
 *
 * As long as no perf map changes, a look costs some system calls per process with such frames. Depends on symbol and
 * model.
 */
#ifndef MEMPROBE_COLLECT_GENERATED_H
#define MEMPROBE_COLLECT_GENERATED_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

struct collector;
struct raw_stack;

/* More of them stay without a name. */
#define GENERATED_MOST ((size_t)1 << 20)

struct generated {
	struct generated_frame {
		uint64_t addr; /* of the call */
		uint32_t at;   /* index in profile.stack_frames; in ascending order */
		uint32_t gen;
	} * v;
	size_t n, cap;
	struct table n_of; /* gen -> how many of v */
	struct table maps; /* gen -> perf maps that were read when v was last looked through */
	uint64_t next_ns;
};

void generated_release(struct generated *g);
/*
 * Keep those of a stack that was just added to the profile. names, first: the names of its native frames, and where
 * those of each begin, before anything was put between or in the place of them.
 */
void generated_keep(struct collector *c, const struct raw_stack *r, const uint32_t *names, const uint32_t *first,
		    uint32_t stack);
/* The same for a stack that was added as a copy of another, with `shift` frames before. */
void generated_keep_copy(struct collector *c, uint32_t from, uint32_t to, uint32_t shift);
/* Name those that a perf map has by now. */
void generated_name(struct collector *c);
/* The same, once a second: the map of a process that ends cannot be read any more. */
void generated_look(struct collector *c);

#endif
