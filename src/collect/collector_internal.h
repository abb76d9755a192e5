/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the parts of the collector share. Not for others. */
#ifndef MEMPROBE_COLLECT_COLLECTOR_INTERNAL_H
#define MEMPROBE_COLLECT_COLLECTOR_INTERNAL_H

#include "base/table.h"
#include "collect/collector.h"
#include "collect/generated.h"
#include "collect/shelf.h"
#include "collect/vm_plane.h"
#include "model/heap_rise.h"
#include "model/others_budget.h"
#include "model/windows.h"
#include "symbol/symbolizer.h"

/* A stack as the kernel sent it, waiting for its names. */
struct raw_stack {
	uint64_t hash;
	uint32_t gen, n;
	enum mp_stack_end end;
	char thread[16]; /* name, "" when not asked for */
	struct mp_rt_frame *runtime; /* owned */
	uint32_t n_runtime;
	bool has_gap; /* frames were left out after the MP_INNER_FRAMES innermost */
	uint64_t frames[];
};

/* Mapped since the last exec of a process, ours or not yet. */
struct recent_maps {
	pid_t pid;
	bool is_old; /* seen by the last sweep */
	struct proc_maps maps;
};

/* What each stack (by its index in the profile) had allocated at one moment. */
struct checkpoint {
	uint64_t window_ns;
	struct checkpoint_stack {
		uint64_t bytes, blocks; /* allocated */
		uint64_t live_blocks;
	} *v;
	size_t n;
};

/* bystanders.c */
struct bystanders {
	struct others_budget budget;
	enum first_touches level; /* as the kernel side has it */
	bool is_counted;
	uint64_t all, ours, at_ns; /* page faults at the last look */
	uint64_t next_ns;
};

/* Figures of a stack whose frames have not come yet. */
struct unsent_stack {
	uint64_t hash;
	struct mp_stack s;
};

/* ended.c: one that has ended, and was not dropped yet. */
struct ended_process {
	uint32_t gen;
	uint64_t ns; /* CLOCK_MONOTONIC, when that was known */
};

struct collector {
	/* as it was opened */
	struct kern *kern;
	const struct options *options;
	const char *proc_root;
	void (*poll)(void *ctx);
	bool (*is_over)(void *ctx);
	void *poll_ctx;

	struct profile profile;
	struct symbolizer *symbolizer;
	struct managed *managed;
	struct vm_plane vm;
	struct bystanders bystanders;
	struct blackbox *blackbox; /* NULL: nothing yet */
	struct holders_first *holders_first; /* holders_look.c; NULL: nobody knows any */

	/* processes: collector.c */
	struct table gen_of_pid; /* living ones */
	struct recent_maps *recent;
	size_t n_recent, recent_cap;
	struct table recent_of_pid;
	uint64_t n_ended, n_swept;
	struct ended_process *ended;
	size_t n_waiting, ended_cap;
	struct shelf shelf;  /* what was counted at their stacks */
	struct table going; /* their generations, while they are dropped */

	/* stacks without names: collector.c; without frames: snapshot.c */
	struct raw_stack **raw; /* queue: [first_raw, n_raw) */
	size_t first_raw, n_raw, raw_cap;
	struct unsent_stack *unsent; /* of the last read of the stacks */
	size_t n_unsent, unsent_cap;
	struct table unsent_at; /* their hashes -> the stack that stands for them */
	bool told_of_lines; /* that they stopped */
	struct generated generated; /* frames that wait for a perf map */

	/* losses */
	uint64_t hash_mismatches;
	uint64_t n_stops; /* of memprobe itself */
	uint64_t n_lost_maps;

	/* what the verdict needs: evidence.c, survival*.c */
	enum { NO_LOOK, LOOK_BEGUN, LOOK_HAS_STACKS } look; /* collector_look goes on; the table of stacks has been read in it */
	uint64_t next_look_ns;
	struct checkpoint older, newer; /* newer at least twice as late */
	struct windows windows;
	struct table met; /* stack -> mp_stack.met_blocks */
	struct table looked; /* ... -> of these, those that the heap itself showed */
	struct heap_looks *heap_looks; /* NULL: there were none */
	unsigned int n_heap_looks;
	uint64_t next_sweep_ns; /* for what has ended between bursts */
	size_t sweep_most; /* blocks that such a look has time for */
	double brief_weight; /* of brief bursts, the mean; 0: there were none */
	double weight_sum;   /* at so many looks */
	unsigned int n_weights;

	/* lifetimes_look.c */
	struct checkpoint lately[2]; /* a second old and two, the newer first */
	struct checkpoint at_marks[PROFILE_MAX_MARKS]; /* v NULL: not counted */

	/* resident.c */
	uint64_t next_lazy_ns;
	size_t lazy_proc;
	uint64_t touched_pages, touched_ns; /* at the last look */
	uint64_t gone_pages; /* of these, those of processes that were dropped */

	/* bridge_look.c */
	uint32_t bridges_kept; /* bit i: that of profile.bridges[i] is of its process's end */
	bool has_bridges; /* of this snapshot */
};

/* Drop what was kept for processes that did not become ours in time. */
void collector_forget_recent(struct collector *c);

/* The frame of a symbol of a process. */
uint32_t frame_of_symbol(struct collector *c, uint32_t gen, const struct symbol *s);
/* A frame that is memprobe's own word: "[stack not sent]". */
uint32_t note_frame(struct collector *c, const char *text);

/* ended.c: to be dropped when it has settled; drop those that have; is gen one of them? ctx: the collector */
void ended_note(struct collector *c, uint32_t gen);
void ended_drop(struct collector *c);
bool ended_goes(void *ctx, uint32_t gen);
void ended_release(struct collector *c);

/* What /proc and the cgroups say of p now. */
void facts_read(struct collector *c, struct profile_proc *p, struct profile_facts *f);

/* limit_look.c: the limit that the process will meet first */
void limit_facts_read(struct collector *c, pid_t pid, struct profile_facts *f);

/* ^C: what has been read has to do. */
static inline bool collector_is_over(const struct collector *c)
{
	return c->is_over && c->is_over(c->poll_ctx);
}

/* bridge_look.c: where the memory of a process (its index) is as it is attached */
void bridge_at_attach(struct collector *c, uint32_t proc);
/* After amounts were corrected: what is in use, from before the attach and since. */
void bridge_divide_again(struct collector *c);
/* heap_looks.c: sets `grown` and `seen` by the looks of the bridge, at the attach and the last; false: not known */
bool heap_looks_rise(const struct collector *c, struct heap_rise *r);
void heap_looks_release(struct collector *c);

/*
 * snapshot.c: each stack's totals from the kernel's table (those of mappings: vm_plane_fill); within one look it is
 * read once for all that ask. 0 or -errno. Then: the time in the window.
 */
int snapshot_read_stacks(struct collector *c);
void snapshot_fill_times(struct collector *c);
/* snapshot.c: each process's totals from the kernel's table; 0 or -errno */
int snapshot_take_totals(struct collector *c);
/* snapshot.c: the stack that stands for those of a process whose frames have not come */
uint32_t unsent_of(struct collector *c, uint32_t gen);
/* resident.c: first touches and releases; the series' memory of all targets, in bytes */
int resident_fill(struct collector *c);
/* The totals, also for the looks of those that are dropped. 0 or -errno */
int resident_take_last(struct collector *c);
double resident_now(struct collector *c);
/*
 * ... after the bridge's look: what of the blocks' and mappings' memory is resident, and by whom it was touched, or
 * never was; what first touches have been given back. 0 or -errno.
 */
int resident_join(struct collector *c);
/* bystanders.c: page faults of others: from here on they are counted; some ten times a second; the gaps until now */
void bystanders_begin(struct collector *c);
void bystanders_look(struct collector *c);
void bystanders_fill(struct collector *c);
/* Filters on blocks: are there any; does b pass? */
bool snapshot_is_filtered(const struct options *o);
bool snapshot_block_passes(const struct options *o, const struct mp_block *b, uint64_t now_ms);
/* What a block of a brief burst stands for now. */
void collector_note_weight(struct collector *c);
/* survival.c: after the stacks have been read */
int survival_correct(struct collector *c);
/*
 * survival_heap.c: marks those blocks that the heap of their process shows to have ended; looks at so many at most, the
 * young ones first; 0: at all
 */
struct overlap_block;
void survival_look_at_heap(struct collector *c, struct overlap_block *v, size_t n, uint32_t young_ms, size_t most);
/* Make room: blocks that must have ended go, from the kernel's tables too. Between bursts only. */
void survival_look(struct collector *c);
/* evidence.c: of this moment, from the kernel's tables; 0 or -errno */
int checkpoint_take(struct collector *c, struct checkpoint *out);
/* lifetimes_look.c */
void lifetimes_look(struct collector *c);
struct lifetimes_pass *lifetimes_look_begin(struct collector *c);
void lifetimes_look_end(struct collector *c, struct lifetimes_pass *a);
void lifetimes_look_release(struct collector *c);
/* peak.c: with COMMAND, keep what lived when most did; bytes: all live blocks of the heap now */
void peak_look(struct collector *c, uint64_t live_bytes);
/* evidence.c: the checkpoint that is a quarter to a half of the window old; what the verdict needs, and the verdict */
const struct checkpoint *collector_early(const struct collector *c);
int evidence_collect(struct collector *c);
void evidence_release(struct collector *c);

#endif
