/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The rows of `memprobe top`: which processes or stacks are listed, with what figures, in what order. Pure.
 *
 * Figures come from a history, names from its profile. Rates are those of the last minute, or since the last mark or
 * the start; of a stack less what took the place of older blocks of its sizes, as far as the last look at all blocks
 * told. ALIVE is the report's: of the blocks that lived early in the run, the share that still does; of a process, that
 * of its stack that grew most.
 */
#ifndef MEMPROBE_RENDER_TOP_ROWS_H
#define MEMPROBE_RENDER_TOP_ROWS_H

#include "model/history.h"
#include "render/top_state.h"

struct top_row {
	uint32_t id;	 /* index in the profile; of a machine's row its tree's id (history.h), with TOP_MEMBER that of a member */
	uint32_t proc;	 /* of a process: index in the profile; TOP_NONE: it has no heap probes */
	int32_t pid;	 /* whose probes h puts there; 0: nobody's */
	const struct history_tree *tree;     /* a row of a whole machine */
	const struct history_member *member; /* below its tree's row */
	double bytes;	 /* now: a stack's live heap; anonymous, shared and swapped memory of a process */
	double change;	 /* since the base */
	double rate;	 /* bytes per second */
	double heap_rate; /* of a process */
	double blocks;	 /* now, or their change */
	double made;	 /* blocks since the base */
	double alive;	 /* 0 to 1; negative: not known */
	double age_s;	 /* mean, of live blocks; negative: none */
	double deviation; /* of bytes */
	uint32_t site;	 /* of a process: the stack that grew most; TOP_NONE: none */
	double site_rate;
};

struct top_rows {
	struct top_row *v;
	size_t n;
	size_t n_fixed; /* of them, at the end: memprobe and what is no process: no cursor goes there */
	struct top_row sum; /* of all that is listed, of stacks the heap's; id TOP_NONE */
};

/* Stacks of a process, or of all (TOP_NONE), that hold or made anything; filter and order as in st. */
void top_rows_stacks(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st,
		     uint32_t proc);
#define TOP_MEMBER 0x40000000U

/* Processes that run; all that ran when none does. Of a whole machine its trees, then the other kinds of memory. */
void top_rows_procs(struct top_rows *r, const struct profile *p, const struct history *h, const struct top_state *st);
void top_rows_release(struct top_rows *r);

#endif
