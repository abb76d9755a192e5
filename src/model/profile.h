/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * struct profile: everything that one moment of a run knows, names included.
 *
 * It is the cut of the program: all before it needs a kernel, all after it
 * (renderers, diff, verdicts, recordings) is pure and can be replayed.
 *
 * Shapes and units: sizes in bytes, times in ns of CLOCK_MONOTONIC relative to the
 * start of the window, wall-clock time in ns since 1970. Frames of a stack run from
 * the innermost (index 0) to the outermost. All strings are owned by the profile
 * and stay valid until profile_release. Metrics are never added to each other.
 * A new field needs a row in codec_fields.c, or recordings lose it.
 *
 *	process 7 "gatewayd" --- stack {frames 12 9 3 0, alloc 300 B / 3, free 100 B / 1}
 *	                          live = 200 B / 2
 */
#ifndef MEMPROBE_MODEL_PROFILE_H
#define MEMPROBE_MODEL_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/table.h"
#include "bpf/memprobe.h"
#include "model/blind.h"
#include "model/bridge.h"
#include "model/class_looks.h"
#include "model/holders.h"
#include "model/ladder.h"
#include "model/lifetimes.h"
#include "model/limit.h"
#include "model/machine.h"
#include "model/objects.h"
#include "model/others_budget.h"
#include "model/series.h"
#include "model/verdict.h"
#include "model/workers.h"

/* What kind of code a frame is: decides the colour, and where a report line starts. */
enum frame_class {
	FRAME_APP = 0,	  /* the target's own code and its libraries */
	FRAME_LIBC,	  /* libc, ld.so, libpthread, libm */
	FRAME_ALLOCATOR,  /* allocator entry points, operator new, libjemalloc... */
	FRAME_CXX,	  /* C++ standard library, also std:: templates inlined nowhere */
	FRAME_RUNTIME,	  /* managed runtime's own code */
	FRAME_KERNEL,
	FRAME_UNKNOWN,	  /* no name: prints as [object+0xOFF] */
	FRAME_NOTE,	  /* memprobe's own word: [truncated: ...], [mmap] */
};

struct profile_frame {
	uint32_t name;	 /* id in profile.strings: "SessionCache::insert", "[libfoo.so+0x1234]" */
	uint32_t module; /* base name of the object, "" if unknown */
	uint32_t file;	 /* source file, "" if unknown */
	uint32_t line;	 /* 0 if unknown */
	uint32_t build_id; /* of the object, in hex; "" if unknown */
	bool inlined;	   /* part of the next frame's code: one address, and that one's function called it */
	bool is_managed;   /* a line of a managed runtime's language, not native code */
	enum frame_class class;
	uint64_t vaddr; /* of code without a name, in the object's own terms: for tools that find one later; else 0 */
};

/* Counters of one stack; live = alloc - free. */
struct profile_totals {
	uint64_t alloc_bytes, alloc_blocks;
	uint64_t free_bytes, free_blocks;
	uint64_t birth_sum_ms; /* sum over the live blocks, relative to the session start */
	uint64_t alloc_var, free_var; /* of the estimated bytes, in MP_VAR_UNIT bytes squared; 0: exact */
};

/* What a stack's blocks are. Planes are never added up as heap. */
enum stack_plane {
	STACK_HEAP = 0, /* of an allocator */
	STACK_VM,	/* mappings, a call each */
	STACK_PLANE_NR
};

struct profile_stack {
	uint64_t id;	      /* kernel's hash; unique in a profile */
	uint32_t proc;	      /* index in profile.procs */
	uint32_t first_frame; /* index in profile.stack_frames */
	uint32_t n_frames;
	enum mp_stack_end end;
	struct profile_totals t;
	uint64_t live_bytes, live_blocks; /* after the filters (--older, --min-size...); set by profile_finish */
	/* with the verdict only: what lived at an early moment of the window, and what of that still does */
	uint64_t early_blocks, early_alive;
	uint64_t old_bytes, old_blocks; /* frees of older blocks of its sizes: what it only replaces */
	uint64_t grew_in; /* of WINDOWS_NR separate parts of the window */
	/* what became resident at this stack: anonymous and shared memory; the page cache, mapped */
	uint64_t touched_bytes, touched_file_bytes;
	uint64_t untouched_bytes; /* of its live blocks: on no page yet; an estimate in a large process */
	enum stack_plane plane;
	uint64_t reserved_bytes; /* STACK_VM: mapped without access (PROT_NONE), not in live_bytes */
	uint64_t peak_bytes, peak_blocks; /* that lived at profile.peak */
	uint64_t given_back_bytes; /* of touched_bytes: not there any more, as far as that was looked at */
	/*
	 * of its live blocks: on pages that are resident or swapped out, when that was looked at (as untouched_bytes)
	 */
	uint64_t resident_bytes;
	uint64_t toucher, toucher_bytes; /* id of the stack that touched most of those first (may be this one), and how much; 0: not known */
	/*
	 * of a runtime's own heap (V8's), allocated at about this stack, alive or not; samples that it comes from;
	 * variance as alloc_var
	 */
	uint64_t bump_bytes, bump_draws, bump_var;
	bool is_outside_language; /* of a process with a managed runtime: the stack is whole, and none of the language's code ran there */
};

/* The innermost frame of a stack of STACK_VM. */
#define PROFILE_MMAP_FRAME "[mmap]"
#define PROFILE_THREAD_STACK_FRAME "[thread stack]"

/* The outermost frame of a stack when threads are told apart: "[thread worker]". */
#define PROFILE_THREAD_FRAME "[thread "

/* The moment at which most heap lived, as far as it was looked at (COMMAND only); all 0: not looked for. */
struct profile_peak {
	uint64_t time_ns; /* in the window */
	uint64_t live_bytes, live_blocks;
};

/* Resident memory over the window, by the kernel's counters (rss plane). */
struct profile_rss {
	uint64_t touched_bytes, touched_file_bytes; /* as of stacks */
	uint64_t read_back_bytes;		    /* from swap, not in touched_bytes */
	uint64_t released_bytes[MP_RSS_RELEASES];   /* anonymous, shared and swapped memory given back */
	uint64_t released_file_bytes;
};

/* When first touches were not watched, so that other processes do not pay for it (others_budget.h); summed up. */
struct profile_gaps {
	bool are_there;
	enum first_touches now;
	uint64_t begin_ns, until_ns; /* of the first, in the window; summed up to then */
	uint64_t unseen_ns;	     /* nothing was seen */
	uint64_t unplaced_ns;	     /* ... or not which pages */
	double rate;		     /* the others' page faults a second when the last began */
};

/* How memory was refused to a process, and ended it; zeros where it did not. */
#define DEATH_SITES 3

struct profile_death {
	bool oom_killed;	 /* the kernel chose it when memory ran out */
	uint64_t time_ns;	 /* of that, or of the last refusal, in the window */
	uint64_t wall_time_ns;
	uint64_t anon_bytes;	 /* it had then; 0: not known */
	uint64_t refusals;	 /* its runtime's allocator gave up */
	uint64_t refused_bytes;	 /* what was asked for last */
	uint32_t refused_type;	 /* string id: "[binary]" */
	uint64_t since_ns;	 /* in the window: growth from there to its end */
	uint64_t grown_bytes;	 /* by all of its stacks that grew */
	uint64_t site[DEATH_SITES], site_bytes[DEATH_SITES]; /* ids of stacks; largest growth first; 0 bytes: no more */
};

/* The heap that a runtime sets aside for its objects, as the runtime counts it; name 0 (""): not known. */
struct profile_managed_heap {
	uint32_t name; /* string id: "Java heap" */
	uint32_t told; /* 1: full collections over the window tell whether what they leave grows */
	uint64_t used_bytes, committed_bytes, most_bytes;
	uint64_t young; /* collections of young objects only, since the runtime was found, or its program was started */
	uint64_t then_bytes, now_bytes; /* resident at the attach, and now; 0: not looked at */
	uint64_t kept_then_bytes, kept_bytes; /* of those in use, what had outlived a collection: at the attach, and now */
};

/* PROC_DROPPED: it lost its heap probes and lived on; with new ones it is another entry. */
enum proc_state { PROC_RUNNING = 0, PROC_EXITED, PROC_EXECED, PROC_DROPPED };

/* Facts of a process from /proc and cgroups; 0 or "" where unknown. */
struct profile_facts {
	uint64_t rss_bytes, rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, swap_bytes;
	uint64_t limit_bytes;	 /* of what is met first (limit.h), UINT64_MAX = none */
	uint64_t limit_used_bytes;
	uint32_t limit_name;	 /* cgroup, e.g. "gateway.service"; "RAM" */
	uint64_t oom_kills;
	uint32_t n_threads;
	uint64_t start_age_ns;	 /* up since */
	uint64_t cpu_ns;	 /* user + system time so far */
	uint64_t limit_swap_bytes;   /* fill up before the end */
	uint64_t limit_slowed_bytes; /* memory.high that is met before; 0: none */
	enum limit_kind limit_kind;
	enum limit_end limit_end;
	uint64_t lazy_free_bytes; /* of rss_anon_bytes: the kernel may take it (MADV_FREE); as of a while ago */
};

/* A class of a managed language that has grown in the window, by a census; 0 objects: no more of them. */
#define PROFILE_GROWN 3

struct profile_grown {
	uint32_t type; /* string id */
	uint32_t pad;
	uint64_t objects, now; /* more of them than at the attach; all */
};

/* One that has outlived full collections in ever greater number; rise.objects 0: none. */
struct profile_steady {
	uint32_t type; /* string id */
	uint32_t pad;
	struct class_rise rise;
};

/* One whose objects were born in the window and stay; stay.born 0: none. */
struct profile_staying {
	uint32_t type; /* string id */
	uint32_t pad;
	struct class_stay stay;
};

/* What was told of a process that is watched in bursts, corrected by what its heap itself has more (model/heap_rise.h). */
struct profile_correction {
	double scale;	       /* of all amounts of the heap; 0: none */
	uint64_t taken_bytes; /* told to live by what was seen, and taken off: had ended unseen (model/ghosts.h), or was never made */
};

struct profile_proc {
	uint32_t gen;
	int32_t tgid;
	int32_t ns_tgid; /* in its own PID namespace; 0: not known */
	uint32_t comm; /* string id */
	uint32_t parent; /* index in procs, UINT32_MAX = none */
	enum proc_state state;
	uint64_t begin_ns, end_ns; /* of being profiled, in the window */
	struct mp_proc_totals old; /* frees of blocks from before attach; lost calls */
	struct profile_facts at_attach, now;
	struct profile_rss rss;
	uint32_t runtime;	 /* string id: "CPython 3.11.2", "" if none that is known */
	uint32_t runtime_reason; /* why its frames have no names, "" if they have; string id */
	uint32_t runtime_hint;	 /* what the runtime's own tools would tell; string id */
	bool runtime_has_frames; /* stacks carry its frames */
	struct profile_death death;
	bool has_collections;	 /* the runtime counts its full collections, and they were read */
	uint64_t collections;	 /* full ones that were seen: since the runtime was found, or its program was started */
	uint64_t all_collections; /* of any kind, since then; 0: not counted, or none */
	struct sharing sharing;	 /* of workers, and of who forked them */
	struct profile_grown grown[PROFILE_GROWN]; /* most first; at the end of a run only */
	struct profile_managed_heap managed_heap;
	struct profile_steady steady; /* at the end of a run only */
	uint32_t runtime_heap_reason; /* why what its own heap hands out is not counted, "" if it is, or it has none; string id */
	struct profile_staying staying; /* at the end of a run only */
	struct profile_correction correction;
};

struct profile_loss {
	uint64_t events;
	uint64_t bytes;
};

/* What the run cost; zeros where not measured. */
struct profile_cost {
	uint64_t probe_hits;	      /* allocator calls that trapped */
	uint64_t own_cpu_ns;	      /* memprobe's user + system time */
	uint64_t kernel_memory_bytes; /* BPF maps, as used now */
	uint64_t user_memory_bytes;   /* memprobe's own RSS */
	uint64_t max_memory_bytes;    /* --max-memory */
	uint32_t n_probes, n_processes;
	uint32_t attach_kind; /* string id: "uprobe session", "uprobe multi", "perf uprobe" */
	uint32_t unwinder;    /* string id: "eh_frame tables", "frame pointers" */
	uint64_t system_call_ns; /* what each call of every process on the machine pays; 0: nothing */
};

/* A step on the ladder. */
struct profile_step {
	uint64_t time_ns; /* in the window */
	enum rung from, to;
	uint32_t interval_bytes; /* of RUNG_SAMPLED */
	double share;		 /* cost by work when it was taken, 0.25: a quarter */
};

/* How closely the run watched, and what that cost the targets. */
struct profile_watch {
	enum rung rung; /* now */
	uint32_t interval_bytes;
	bool is_fixed;	/* --sample BYTES or off: no budget */
	double budget;	/* 0.1: 10 % */
	double share;	/* probes' cost by the targets' own work, over the run; estimated */
	double work;	/* the targets' own work: CPU time per second without the probes */
	double open_share; /* bursts: part of the time since the first that probes were in place */
	double slowdown;   /* in a burst; 0: not known, or the scale is told otherwise (ladder_share_is_told) */
	double too_much;   /* bursts: by what factor more the estimate was than the processes had mapped; 0: it was not */
	double least_share; /* RUNG_AWAY: what bursts of 1 % of the time would cost */
	struct profile_step steps[LADDER_MAX_CHANGES];
	size_t n_steps;
	/* of one target, seconds per second; before: since its start. Negative: not known */
	double cpu_before, cpu_armed, delay_before, delay_armed;
	double taken; /* of the targets, per second: CPU time that they could not have, others used it (app/spare.h) */
};

/* A moment that the user set (SIGUSR2): live heap then. */
struct profile_mark {
	uint64_t time_ns; /* in the window */
	uint64_t live_bytes, live_blocks;
};

#define PROFILE_MAX_MARKS LIFETIMES_MOST_MARKS
#define PROFILE_MAX_BRIDGES 4

struct profile {
	struct intern strings;
	struct profile_frame *frames; /* interned: equal frames have one index */
	size_t n_frames, frames_cap;
	struct table frame_ids; /* hash -> index, see profile_frame */
	uint32_t *stack_frames; /* frame indices of all stacks, back to back */
	size_t n_stack_frames, stack_frames_cap;
	struct profile_rename { /* in the order of time */
		uint32_t at, frame; /* stack_frames[at] became frame */
	} *renames;
	size_t n_renames, renames_cap;
	struct profile_stack *stacks;
	size_t n_stacks, stacks_cap;
	struct table stack_ids; /* kernel hash -> index in stacks */
	struct profile_proc *procs;
	size_t n_procs, procs_cap;
	struct table proc_ids; /* gen -> index in procs */
	struct profile_loss losses[MP_LOSS_NR];
	struct profile_cost cost;
	struct profile_watch watch;
	struct profile_peak peak;
	struct profile_mark marks[PROFILE_MAX_MARKS];
	size_t n_marks;
	struct lifetimes lifetimes; /* with the last snapshot */
	struct bridge bridges[PROFILE_MAX_BRIDGES]; /* of few processes only */
	size_t n_bridges;
	uint64_t run_id;       /* the same in all that one run knows, other runs have others; 0: not known */
	struct holders holders; /* of the first process with a runtime that has such */
	struct objects objects; /* with --objects */
	struct series heap, memory; /* live less frees of older blocks; anonymous + shared + swapped; of all processes */
	struct blind blind; /* with the verdict */
	bool has_verdict;
	struct verdict verdict;
	struct machine machine; /* of a run that looks at all processes */
	uint64_t window_ns;    /* from arming to this moment */
	uint64_t wall_time_ns; /* this moment */
	uint32_t host, kernel; /* string ids */
	uint32_t command_line; /* memprobe's own, as it was typed; string id */
	uint64_t rss_every;	 /* stacks of first touches were taken every so many pages at most; 0, 1: all */
	bool untouched_estimated; /* small blocks were sampled for it */
	struct profile_gaps gaps;
	uint32_t rss_missing;  /* why first touches are not seen though they are watched; string id */
	uint32_t planes;       /* enum plane: what was watched */
	bool final;	       /* the last snapshot of the run */
};

void profile_init(struct profile *p);
void profile_release(struct profile *p);

uint32_t profile_string(struct profile *p, const char *s);
const char *profile_str(const struct profile *p, uint32_t id); /* never NULL */
/* Index of an equal frame, added when new. */
uint32_t profile_frame(struct profile *p, const struct profile_frame *f);
/* Index of the process of that generation, added (state running) when new. */
uint32_t profile_proc(struct profile *p, uint32_t gen);
/* Index of the stack, or UINT32_MAX when not there. */
uint32_t profile_find_stack(const struct profile *p, uint64_t id);
/* The bridge of a process, or NULL. */
const struct bridge *profile_bridge(const struct profile *p, uint32_t proc);
/* Add a stack; frames are indices from profile_frame, innermost first. Totals start at zero. */
uint32_t profile_add_stack(struct profile *p, uint64_t id, uint32_t proc, const uint32_t *frames,
			   uint32_t n_frames, enum mp_stack_end end);
/* Another frame at stack_frames[at], known by now. */
void profile_rename(struct profile *p, uint32_t at, uint32_t frame);
bool profile_any_runs(const struct profile *p);
/*
 * What a process held was given back when it ended: its figures stay those of its end, but while others run on they are
 * no growth. Not so of one that ended for want of memory: its growth is what is asked for.
 */
bool proc_is_over(const struct profile_proc *proc);
/* The stack that grew most (stack_grew_more); NULL when nothing grew. */
const struct profile_stack *profile_top_grower(const struct profile *p);
/* Full collections seen in the process that grows most, else in any. False: nobody counts them. */
bool profile_collections(const struct profile *p, uint64_t *n);
/* The process whose objects outlive collections and grow fastest, or NULL. */
const struct profile_proc *profile_objects_proc(const struct profile *p);
/*
 * The stacks that a growth (GROWING, LEAK) was put down to, those that grew most (stack_grew_more) first; how many
 * there are, 0 when it was put down to none.
 */
size_t profile_verdict_sites(const struct profile *p, const struct profile_stack *out[VERDICT_SITES]);
/*
 * Sets p->verdict from the series and the figures. alone: of each stack, or NULL. knows_replaced: the old_bytes of the
 * stacks are what the heap tells (heap_rise.h), as frees of older blocks were not all counted.
 */
void profile_judge(struct profile *p, const struct site_trend *alone, bool knows_replaced);

/* What a stack has grown by: live, less what it only replaced. */
static inline uint64_t stack_net_bytes(const struct profile_stack *s)
{
	return s->live_bytes > s->old_bytes ? s->live_bytes - s->old_bytes : 0;
}
/*
 * Did a grow more than b? By what is sure of their net growth, two deviations less, so that one large block that was
 * drawn does not stand above a thousand small ones; where that is equal, by the growth itself.
 *
 *	4.1 +/- 4.0 MiB		0 is sure
 *	1.6 +/- 0.3 MiB		1.0 is sure: grew more
 */
bool stack_grew_more(const struct profile_stack *a, const struct profile_stack *b);

/* What it touched first and is still there, as far as is known. */
static inline uint64_t stack_touched_bytes(const struct profile_stack *s)
{
	return s->touched_bytes > s->given_back_bytes ? s->touched_bytes - s->given_back_bytes : 0;
}

static inline bool stack_is_heap(const struct profile_stack *s)
{
	return s->plane == STACK_HEAP;
}

static inline uint64_t totals_live_bytes(const struct profile_totals *t)
{
	return t->alloc_bytes > t->free_bytes ? t->alloc_bytes - t->free_bytes : 0;
}

static inline uint64_t totals_live_blocks(const struct profile_totals *t)
{
	return t->alloc_blocks > t->free_blocks ? t->alloc_blocks - t->free_blocks : 0;
}

static inline void totals_add(struct profile_totals *sum, const struct profile_totals *t)
{
	sum->alloc_bytes += t->alloc_bytes;
	sum->alloc_blocks += t->alloc_blocks;
	sum->free_bytes += t->free_bytes;
	sum->free_blocks += t->free_blocks;
	sum->birth_sum_ms += t->birth_sum_ms;
	sum->alloc_var += t->alloc_var;
	sum->free_var += t->free_var;
}

/* Name and meaning of a loss kind (bpf/losses.h); how a stack end reads, "" for a complete one. */
const char *loss_name(enum mp_loss kind);
const char *loss_text(enum mp_loss kind);
const char *stack_end_text(enum mp_stack_end end); /* "[truncated: no unwind info]" */
/*
 * What stands at the root of one stack, with the object where it ends: "[truncated: no unwind info in libfoo.so]"; ""
 * for a complete one. In mark, emptied before.
 */
const char *stack_mark(const struct profile *p, const struct profile_stack *s, struct buf *mark);
/* Sum of all losses' events that change figures. */
uint64_t profile_lost_events(const struct profile *p);

/* What a run watches: bits. None: only what /proc and the heaps tell. */
enum plane {
	PLANE_HEAP = 1, /* calls of allocators */
	PLANE_VM = 2,	/* mappings that the program makes itself */
	PLANE_RSS = 4,	/* page faults, and what is given back */
};

#define PLANES_ALL (PLANE_HEAP | PLANE_VM | PLANE_RSS)

/* What a picture or a folded file is drawn from. */
enum profile_metric {
	METRIC_LIVE_BYTES = 0,
	METRIC_LIVE_BLOCKS,
	METRIC_ALLOC_BYTES,
	METRIC_ALLOC_BLOCKS,
	METRIC_RSS_BYTES, /* what became resident at a stack, and is (stack_touched_bytes) */
	METRIC_PEAK_BYTES, /* live when most lived */
	METRIC_NR
};

/* Every block was counted, throughout. */
static inline bool watch_is_exact(const struct profile *p)
{
	return p->watch.rung == RUNG_EXACT && !p->watch.n_steps;
}

/* Standard deviation of the live bytes (METRIC_LIVE_*) or the allocated ones; 0 when they are exact. */
double totals_deviation(const struct profile_totals *t, enum profile_metric m);
/* As if so many times the blocks had been seen. */
void totals_scale(struct profile_totals *t, double by);
/* So much more of what was allocated lives, or less. */
void totals_add_live(struct profile_totals *t, int64_t bytes, int64_t blocks);
/* Only such a part of what lives does; the rest was freed. */
void totals_limit_live(struct profile_totals *t, double part);
/* Of its live bytes, a deviation of so many bytes beside those that it has. */
void totals_doubt(struct profile_totals *t, double deviation);

const char *metric_name(enum profile_metric m); /* "live-bytes" */
/* -EINVAL for an unknown name. */
int metric_parse(const char *name, enum profile_metric *m);
/* munmap, madvise...: what gave memory back. */
const char *rss_release_name(enum mp_rss_release r);
uint64_t rss_released_bytes(const struct profile_rss *r);
/* Is the metric no figure of allocations, so that formats that show one metric need a view of it? */
static inline bool metric_needs_view(enum profile_metric m)
{
	return m == METRIC_RSS_BYTES || m == METRIC_PEAK_BYTES;
}

/*
 * A profile whose stacks have that metric in place of allocations: live and allocated bytes are touched_bytes or
 * peak_bytes, blocks the pages of 4 KiB in it or peak_blocks. Only view->stacks is the view's own: free it.
 */
void profile_metric_view(struct profile *view, const struct profile *p, enum profile_metric m);
uint64_t stack_metric(const struct profile_stack *s, enum profile_metric m);

#endif
