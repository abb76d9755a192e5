/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the report share. Not for others. */
#ifndef MEMPROBE_RENDER_REPORT_INTERNAL_H
#define MEMPROBE_RENDER_REPORT_INTERNAL_H

#include "render/renderer.h"

struct report;

/* A column's amounts are integers in tenths of one unit, so that printed rows add up exactly. */
struct amount_unit {
	const char *name; /* "MiB" */
	uint64_t bytes;
};

/* The unit in which `largest` has one to four digits before the point. */
struct amount_unit unit_for(uint64_t largest);
int64_t in_tenths(int64_t bytes, const struct amount_unit *u);
/* Amounts as tenths whose sum is the rounded sum of the amounts; each is off by less than one. The sum. */
int64_t round_to_sum(int64_t *tenths, const int64_t *bytes, size_t n, const struct amount_unit *u);
/* "-0.3" from -3; out holds 24 characters. */
char *format_tenths(char out[24], int64_t tenths);

/* A function's name without its parameters. Appended to b. */
void add_short_name(struct buf *b, const char *name);
/* Index in the stack of the innermost frame that is neither allocator, libc nor C++ library. */
uint32_t first_own_frame(const struct profile *p, const struct profile_stack *s);
/* The name of that frame. */
const char *own_frame_name(const struct profile *p, const struct profile_stack *s);

/* Stacks by the metric, largest first, by net growth for live bytes; the caller frees. n: those with anything to show. */
const struct profile_stack **stacks_by_size(const struct profile *p, const struct render_opts *o, size_t *n);
/* Bytes and blocks that the report's first columns show. */
uint64_t shown_bytes(const struct profile_stack *s, const struct render_opts *o);
uint64_t shown_blocks(const struct profile_stack *s, const struct render_opts *o);

/* Net heap growth: live since attach, plus what was lost, minus frees of older blocks. */
struct heap_net {
	int64_t bytes, blocks;
	uint64_t live_bytes, live_blocks, old_bytes, old_blocks, old_unsized, lost_bytes, lost_blocks;
	uint64_t alloc_bytes, alloc_blocks, free_bytes, free_blocks, failed_calls;
};

/* Of one process (index), or of all: proc UINT32_MAX. */
struct heap_net heap_net_of(const struct profile *p, uint32_t proc);
/* Of all, but what processes held that have ended while others run on (proc_is_over). */
struct heap_net heap_growth_of(const struct profile *p);
/* Blocks allocated, by how their stack ended; returns the sum. by_end holds MP_END_NR zeros. */
uint64_t blocks_by_end(const struct profile *p, uint64_t *by_end);
/* Bytes per minute of the window. */
int64_t per_minute(const struct profile *p, int64_t bytes);

/*
 * report_trust.c: after bursts, how far what the rows sum to is from what the heap itself has more in use than at the
 * attach; nothing where they agree within their deviations and a fifth, or where it is not known.
 */
void report_add_heap_check(struct buf *out, const struct profile *p);
/* report_bridge.c: the bridge of the process with most resident memory, or NULL. */
const struct bridge *report_main_bridge(const struct profile *p);
/* The block on where that process's memory is, with an empty line before; nothing when it is not known. */
void report_bridge(struct buf *out, const struct report *r);
/* json_bridge.c: the lines on bridges; the limit's members of a line. */
void json_add_bridges(struct buf *out, const struct profile *p);
void json_add_verdict(struct buf *out, const struct profile *p);
void json_add_limit(struct buf *out, const struct profile_facts *f);
/* Lines on the limit that is met first, and what happens there; the terser, the less of what the verdict told of it. */
void report_limit(struct buf *out, const struct report *r, const struct profile_facts *f);
/* "512.0 MiB of swap fill up, then the kernel kills it; malloc does not fail first" */
void report_add_limit_end(struct buf *out, const struct profile_facts *f);

/* report_screen.c: how wide a text is, where its first `width` characters end, how many lines it has. */
size_t text_width(const char *s, size_t len);
size_t text_cut(const char *s, size_t len, size_t width);
unsigned int text_lines(const char *s);
/* Lines of at most `width`, longer ones go on at column `hang`; hang 0: they are cut. */
void text_fit(struct buf *out, const char *text, size_t width, size_t hang);
/* The same, in no more than so many lines: a sentence that does not fit ends earlier, or with "...". */
void text_fit_in(struct buf *out, const char *text, size_t width, size_t hang, unsigned int lines);
/* No more than the first so many. */
void text_keep_lines(struct buf *b, unsigned int lines);
/* The words that matter, in colour. */
void text_paint(struct buf *out, const char *text);
void text_to_ascii(struct buf *b);

/* A report that is being made. A section shows less the terser it is; nothing is left out at 0. */
#define REPORT_TERSEST 3
#define REPORT_LINES 40u
#define REPORT_COLUMNS 100u
#define REPORT_LEAST_COLUMNS 50u
#define REPORT_NARROW 72u /* below: no BLOCKS, no AGE */

struct report {
	const struct profile *p;
	const struct profile *table_p; /* the same, or with first touches in place of allocations */
	const struct render_opts *o;
	unsigned int columns;
	unsigned int terse;
	/* on top of that: this section may be longer if there is something to say, or has to be shorter if it can be */
	enum report_room { REPORT_ROOM = 0, REPORT_MORE_ROOM, REPORT_NO_ROOM } room;
	unsigned int lines; /* that the table of stacks may have */
};

/* report_trust.c: the sections below the table */
void report_trust(struct buf *out, const struct report *r);
void report_cost(struct buf *out, const struct report *r);
/* A line on what all processes pay for the vm plane; mostly nothing. */
void report_add_call_cost(struct buf *out, const struct profile *p);
void report_blind(struct buf *out, const struct report *r);
/* report_peak.c: when most lived, and of whom */
void report_peak(struct buf *out, const struct report *r);
/* report_runtime.c: the managed runtimes that were found */
void report_runtimes(struct buf *out, const struct report *r);
/* report.c: the text at its width, and as the terminal takes it */
void report_finish(struct buf *out, struct buf *text, const struct render_opts *o);
/* report_marks.c: what was born between marks and lives */
void report_marks(struct buf *out, const struct report *r);
/* A line on how long the blocks of a stack live; nothing when it is not known. */
void report_add_lifetime(struct buf *out, const struct profile *p, const struct profile_stack *s);
/* report_target.c: who was watched, for how long */
void report_targets(struct buf *out, const struct report *r);
void report_window(struct buf *out, const struct report *r);

/* report_death.c: processes that ran out of memory; nothing where none did */
void report_deaths(struct buf *out, const struct report *r);
void report_add_deaths(struct buf *out, const struct profile *p);
/* report_holders.c: Erlang processes and the binaries that they hold */
void report_holders(struct buf *out, const struct report *r);

/* report_bumps.c: who allocates in a runtime's own heap */
void report_bumps(struct buf *out, const struct report *r);

/* report_workers.c: what forked workers share */
void report_workers(struct buf *out, const struct report *r);
/* report_objects.c: objects by class and line; their JSON lines */
void report_objects(struct buf *out, const struct report *r);
void json_add_objects(struct buf *out, const struct profile *p);

/* report_libraries.c: what the libraries hold that a command has loaded */
void report_libraries(struct buf *out, const struct report *r);

/* report_rss.c: what was touched, given back, never touched */
void report_rss(struct buf *out, const struct report *r);

/* A line per kind of loss that happened. */
void report_add_losses(struct buf *out, const struct profile *p, const char *indent);
/* What could not be seen: memory from before the attach. */
void report_add_blind(struct buf *out, const struct profile *p, const char *prefix);
/* A stack beside a row's figures, in at most so many lines, from `column` on; columns 0: 100. */
void report_add_where(struct buf *out, const struct profile *p, const struct profile_stack *s, size_t column,
		      unsigned int columns, unsigned int lines);
/* All frames, a line each. */
void report_add_frames(struct buf *out, const struct profile *p, const struct profile_stack *s);
/* The table of stacks with its remainder, older frees, losses and net rows; no more than r->lines. */
void report_table(struct buf *out, const struct report *r);
/* Lines that it should have at this terseness. */
unsigned int report_table_wants(const struct report *r);

#endif
