/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The figures of successive snapshots of one run, for a view that shows how fast things change. Pure.
 *
 * Names stay in the profile, which only grows; the figures are copied, so that a view can stand still while the
 * profile goes on. Of each stack: now, at moments some ten seconds apart for the last minute, and at the last mark.
 *
 *	moments at   0    10    20    30 s (now)
 *	live       0.0   5.0  10.0  15.0 MiB	growth in the last 30 s: 15.0 MiB, 30 MiB/min
 *
 * Of each process: its memory (anonymous + shared + swapped) and its heap (live less frees of older blocks) over
 * time, once per snapshot. Of a whole machine: RAM and swap in use, and each row of model/machine.h.
 */
#ifndef MEMPROBE_MODEL_HISTORY_H
#define MEMPROBE_MODEL_HISTORY_H

#include "model/profile.h"
#include "model/series.h"

/* What a moment is compared with is at most this old, and a little. */
#define HISTORY_WINDOW_NS 60000000000ULL
#define HISTORY_STEP_NS 10000000000ULL
#define HISTORY_PAST 7

struct history_stack {
	uint64_t live_bytes, live_blocks, alloc_bytes, alloc_blocks, birth_sum_ms;
	double deviation; /* of live_bytes; 0: exact */
};

struct history_moment {
	uint64_t time_ns; /* in the window */
	struct history_stack *v; /* by index in profile.stacks; later stacks had nothing */
	size_t n;
};

struct history_proc {
	struct profile_facts facts;
	enum proc_state state;
	struct series memory, heap;
	int64_t old_bytes; /* lost, less frees of older blocks */
};

enum history_base { HISTORY_RECENT = 0, HISTORY_START, HISTORY_BASES };

/* A row of a whole machine: a tree of processes, or another kind of memory. */
struct history_tree {
	uint32_t id; /* its root's pid, or HISTORY_KIND | kind */
	struct machine_row row;
	double first_bytes;  /* at the start of the run */
	struct series bytes; /* those, plus the growth */
	bool is_there;
};

#define HISTORY_KIND 0x80000000U
#define HISTORY_MEMBERS 64

/* A process of the tree that is open. */
struct history_member {
	int32_t pid;
	char name[48];
	double bytes, grown[HISTORY_BASES];
	enum machine_seen seen;
};

struct history {
	struct history_moment now, mark;
	struct history_moment past[HISTORY_PAST]; /* oldest first */
	size_t n_past, n_marks;
	struct history_proc *procs; /* by index in profile.procs */
	size_t n_procs, procs_cap;
	struct series memory, heap; /* sums over the processes */
	uint64_t wall_time_ns, lost_events;
	struct profile_watch watch;
	struct machine machine; /* with is_there: a run that looks at all processes */
	struct history_tree *trees;
	size_t n_trees, trees_cap;
	struct history_member members[HISTORY_MEMBERS];
	size_t n_members;
	struct history_evidence {
		double alive;    /* of the blocks that lived early, the share that still does; negative: too few */
		double replaced; /* of what lives, the share that took the place of older blocks; 0 to 1 */
	} *evidence; /* by stack */
	size_t n_evidence;
};

#define HISTORY_INIT { 0 }

/* After a snapshot; times do not go back. */
void history_add(struct history *h, const struct profile *p);
/* After a verdict: what blocks of each stack tell. */
void history_add_evidence(struct history *h, const struct profile *p);
/* The share of a stack's early blocks that still live; negative: not known. */
double history_alive(const struct history *h, size_t stack);
/* The share of a stack's live bytes that is no growth, as older blocks of its sizes were freed; 0: none, or not known. */
double history_replaced(const struct history *h, size_t stack);
/* The present figures become what HISTORY_START compares with. */
void history_set_mark(struct history *h);
void history_release(struct history *h);

/* The moment that base stands for: the last minute's begin; the last mark or the start. */
const struct history_moment *history_moment(const struct history *h, enum history_base base);
/* Zeros where it was not known then. */
struct history_stack history_stack(const struct history_moment *m, size_t stack);
/* Seconds between a base and now; 0 at the start. */
double history_seconds(const struct history *h, enum history_base base);
/* Bytes per second of a series between a base and now; 0 when nothing is known. */
double history_rate(const struct history *h, const struct series *s, enum history_base base);


/* history_machine.c: part of history_add and history_release */
void history_add_machine(struct history *h, const struct profile *p);
void history_release_machine(struct history *h);
/* The processes of the tree with that root, with their own figures; after history_add. */
void history_add_members(struct history *h, const struct machine_watch *w, int32_t pid);

#endif
