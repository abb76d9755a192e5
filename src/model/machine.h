/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The whole machine: who grows, and where all of its memory is. Pure: figures in, rows out.
 *
 * struct machine_watch is what is collected while a run looks (collect/machine_look.c feeds it), struct machine what it
 * comes to at one moment: the part of a profile that recordings keep and renderers draw.
 *
 * Processes of one program in one control group, of which one started the others, are a tree, and one row. Pages
 * that they share count once: a tree's bytes are proportional shares (PSS), its growth is that of its root, and of
 * its workers without what these share by copy on write; shared memory counts once per tree.
 *
 *	root 100 MiB	worker forked, shares 95	tree: 100 + (98 - 95) = 103, not 198
 *
 * The rows add up to RAM in use (MemTotal - MemAvailable) and swap in use. Only `unexplained`, which has a sign, is
 * computed from the others. Pages of files that can be dropped are in none of them. Bytes, seconds since the first
 * look.
 */
#ifndef MEMPROBE_MODEL_MACHINE_H
#define MEMPROBE_MODEL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "model/series.h"
#include "model/verdict.h"

struct profile;

/* As proc/machine_memory.h has them. */
struct machine_memory {
	uint64_t total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
	uint64_t shmem_bytes;
	uint64_t slab_bytes, slab_cache_bytes, page_table_bytes, stack_bytes, other_kernel_bytes;
	uint64_t hugetlb_bytes, kept_free_bytes;
	uint64_t oom_kills;
	double stall_10s; /* negative: not known */
};

/* How a row's growth was seen, the closest first. */
enum machine_seen {
	SEEN_PROC = 0, /* /proc alone */
	SEEN_FAULTS,  /* and the count of its page faults, from there too */
	SEEN_HEAP_AWAY, /* heap probes, taken away again */
	SEEN_HEAP_BURSTS,
	SEEN_HEAP_SAMPLED,
	SEEN_HEAP_EXACT,
	MACHINE_SEEN_NR
};

/* ---- while it runs ---- */

#define MACHINE_PROC_GROUPS 4

/* Growth of late is that of the last 60 to 75 s: a point per 15 s is kept. */
#define MACHINE_LATE_STEP_S 15
#define MACHINE_LATE_POINTS 5

struct machine_proc {
	uint64_t id; /* never used twice */
	int32_t pid, ppid;
	char name[48], group[48]; /* the control group, shortened */
	uint64_t exe, group_id;
	double age_s; /* when first seen */
	double first_s, end_s; /* in the window; end_s: when it was found gone */
	bool came, has_ended;  /* after the first look */
	/* Points where it changed. Anonymous + shared memory + swapped; and its shared memory. */
	struct series memory, shmem;
	/* What it had of late, oldest first, and what it has: the series of a long run has no points so close together. */
	struct series_point late[MACHINE_LATE_POINTS];
	size_t n_late;
	double now_bytes;
	/* from the page tables, at its first and at its last look of that kind */
	bool has_pss;
	uint64_t pss_bytes, pss_shmem_bytes, private_bytes;
	double rollup_first_s, rollup_s;
	double shared_first, shared; /* anonymous and swapped, but not its own alone */
	/* What page faults had brought in when it was first seen (one that came: nothing), and at their last look. */
	uint64_t faulted_first_bytes, faulted_bytes;
	double faulted_s;
	enum machine_seen seen;
	size_t groups[MACHINE_PROC_GROUPS]; /* with a limit, above it: indices in machine_watch.groups */
	size_t n_groups;
};

/* A control group that has a limit. */
struct machine_watch_group {
	uint64_t id;
	char name[48];
	uint64_t limit_bytes, used_bytes, swap_left_bytes, oom_kills, oom_kills_first;
	bool kills_group;
	struct series used; /* and swapped */
	double read_s;	    /* the round that read it last */
};

struct machine_watch {
	struct machine_proc *procs;
	size_t n_procs, procs_cap;
	struct table by_id;
	struct machine_watch_group *groups;
	size_t n_groups, groups_cap;
	double groups_s; /* the latest round of reading groups: one read before it is gone */
	struct machine_memory first, now;
	struct series used, kernel, shmem; /* a point per look: these are the times of all */
	double window_s;
	uint64_t n_came, n_went;
};

void machine_watch_release(struct machine_watch *w);
/* Once per look, before its processes. */
void machine_watch_memory(struct machine_watch *w, double t_s, const struct machine_memory *m);
/* The process of that id, added when new (came: not at the first look). Valid until the next one is added. */
struct machine_proc *machine_watch_proc(struct machine_watch *w, uint64_t id, double t_s, bool came);
/* What a look found; bytes are anonymous + shared + swapped, shmem of it. */
void machine_proc_take(struct machine_proc *p, double t_s, uint64_t bytes, uint64_t shmem);
/* What it has grown by of late, and in how many seconds; of one that came later from its first look on. */
double machine_proc_late_growth(const struct machine_proc *p, double t_s, double *seconds);
/* What its page faults brought in since it started, a page each; it is seen by them from now on, if by nothing closer. */
void machine_proc_faulted(struct machine_proc *p, double t_s, uint64_t bytes);
/* all: anonymous + swapped in full. */
void machine_proc_rollup(struct machine_proc *p, double t_s, uint64_t pss, uint64_t pss_shmem, uint64_t private_bytes,
			 uint64_t all);
/* Gone. It is forgotten soon, unless it was large or grew. */
void machine_watch_end(struct machine_watch *w, uint64_t id, double t_s);
/* Forget processes that ended and did not matter; pointers and indices change. */
void machine_watch_tidy(struct machine_watch *w);
/* Index of the group of that id, added when new. */
size_t machine_watch_group(struct machine_watch *w, uint64_t id);
/* Bytes that it has now, and has grown by since it was first seen (a later one: since its start, from 0). */
double machine_proc_bytes(const struct machine_proc *p);
double machine_proc_growth(const struct machine_proc *p);
/* Its tree: root[i] is the index of the root of process i; the array has n_procs. */
void machine_roots(const struct machine_watch *w, size_t *root);

/* ---- what it comes to ---- */

enum machine_row_kind {
	MACHINE_TREE = 0,
	MACHINE_OTHERS,
	MACHINE_KERNEL, /* slab that cannot be dropped, page tables, stacks */
	MACHINE_SHMEM,	/* tmpfs and shared memory, as far as no process has it mapped */
	MACHINE_HUGETLB,
	MACHINE_KEPT, /* free, but kept by the kernel */
	MACHINE_UNEXPLAINED,
	MACHINE_USED, /* the sum */
	MACHINE_KIND_NR
};

struct machine_row {
	enum machine_row_kind kind;
	int32_t pid;		/* of the root */
	uint32_t name, group;	/* string ids */
	uint32_t n_procs;	/* root and workers; of MACHINE_OTHERS all processes */
	enum machine_seen seen;
	int64_t bytes;		/* PSS and swap, now */
	int64_t growth_bytes;	/* in the window: the column adds up */
	double rate, low, high; /* bytes per second, of the floor; 95 % */
	double full_s;		/* until the first limit of its control groups; negative: not so */
	double age_s;		/* of the root, now; 0: not known */
	enum trend_word word;
	enum trend_doubt doubt;
	bool has_ended;
	/* the process that grew most, of a tree of several */
	int32_t worker_pid;
	int64_t worker_growth;
	uint64_t worker_private; /* what its end would give back */
	int32_t probed_pid;	 /* its member with heap probes that grew most; 0: none */
	double fault_rate;	 /* bytes per second that page faults brought in: a page each, a huge one too */
};

/*
 * A control group. One with a limit counts by itself, without page cache that can be dropped; of one without a limit
 * (UINT64_MAX) used_bytes is the sum of its processes' anonymous, shared and swapped memory.
 */
struct machine_group {
	uint32_t name;
	uint64_t limit_bytes, used_bytes, oom_kills;
	int64_t growth_bytes;
	uint64_t new_kills; /* in the window */
	double full_s, full_low_s, full_high_s; /* negative: not so */
	bool kills_group;
};

#define MACHINE_MOST_ROWS 32
#define MACHINE_MOST_GROUPS 8

struct machine {
	bool is_there;
	struct machine_memory first, now;
	struct machine_row rows[MACHINE_MOST_ROWS]; /* trees by growth, then the other kinds in their order */
	size_t n_rows;
	struct machine_group groups[MACHINE_MOST_GROUPS]; /* with a limit, then without; by growth */
	size_t n_groups;
	double window_s;
	struct growth used;	/* of RAM and swap in use */
	double rate, low, high; /* that fills RAM: of used, or of what grows where that is drowned in noise */
	double full_s, full_low_s, full_high_s; /* until RAM (and swap) is full; negative: not so */
	uint64_t n_processes, n_came, n_went;
	uint32_t n_probed;
	double cpu_share; /* what the looks took, of one CPU */
};

/* Fills p->machine. */
void machine_fill(struct profile *p, const struct machine_watch *w);
/* The row of that kind, NULL when there is none. */
const struct machine_row *machine_row_of(const struct machine *m, enum machine_row_kind kind);
/* RAM and swap in use. */
uint64_t machine_used_bytes(const struct machine_memory *m);
const char *machine_seen_name(enum machine_seen s); /* "heap, exact" */

/* ---- what is said of it; machine_headline.c ---- */

/*
 * The first word on the machine, and the row that it is about. Decided here for the headline, the TREND of that row and
 * the time at which RAM is full, so that they cannot differ:
 *
 *	row grows for certain		GROWING, that row, RAM is full at some time
 *	RAM does, most of it by a row that levels off	LEVELS OFF, that row, no such time
 *	RAM does, and no row		GROWING, the row that may grow most (its own word stands beside it)
 *	neither				the row's word, or that of RAM where no row is worth a name; no such time
 */
struct machine_headline {
	enum trend_word word;
	const struct machine_row *grower; /* NULL: no row is worth a name */
};

void machine_headline(const struct machine *m, struct machine_headline *out);
/* A row's word as it is printed: "GROWING", "ended"; "started" of a new process, of which all that it has is growth. */
const char *machine_row_word(const struct machine *m, const struct machine_row *r);
/* When RAM is full, from the headline. Part of machine_fill(). */
void machine_fill_outlook(struct machine *m);
/* Until so much room is gone; negative: never. */
double machine_seconds_to(double room, double rate);

#endif
