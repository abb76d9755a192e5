/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kernel side as the rest of memprobe sees it: load, attach, events, figures.
 *
 * Only src/kern includes libbpf or the skeleton. All functions return 0 or -errno and have
 * logged what went wrong, on which object, and what to do. Nothing is pinned: when this
 * process ends, however it ends, the kernel removes every program, map and probe.
 *
 * Life cycle: kern_open (load) -> kern_follow, kern_attach (probes disarmed) -> kern_arm
 * -> kern_poll / kern_read_* -> kern_close (detaches). Not thread safe.
 */
#ifndef MEMPROBE_KERN_KERN_H
#define MEMPROBE_KERN_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/memprobe.h"
#include "model/others_budget.h"

struct watched_spans;
struct kern;

enum kern_verify {
	KERN_COUNT = 0,
	KERN_VERIFY_CALLS,	     /* at allocator calls; nothing is counted */
	KERN_VERIFY_FAULTS,	     /* at page faults of the main thread */
	KERN_VERIFY_FAULTS_IN_CALLS, /* the same, with the heap probes in place and calls pending */
};

struct kern_opts {
	uint64_t max_memory_bytes; /* bound on kernel tables, filled on demand */
	bool scope_all;		   /* every process is a target, those started later too */
	/*
	 * The unwinder's proof, else KERN_COUNT: send stacks (each at its 1st, 2nd, 4th... hit and one hit in
	 * verify_every) and SIGSTOP the process at each, for the stack handler to look at. The events
	 * carry the low half of the stack pointer in place of tgid. After each: kern_verify_next.
	 */
	enum kern_verify verify;
	uint32_t verify_every;
	bool frame_pointers;	   /* the kernel's stack walk, also where the tables' works */
	bool vm;		   /* the vm plane: kern_vm_begin */
	bool vm_by_calls;	   /* ... by system-call tracepoints, as where the kernel has nothing better */
	bool threads;		   /* a thread's name is part of its stacks' identity */
	bool rss;		   /* resident memory: first touches by stack, releases */
	bool no_find_vma;	   /* as on kernels before 5.17: mappings come from kern_maps_changed */
	bool objects;		   /* kern_attach_objects will be asked for */
	uint64_t new_limit_bytes;  /* throwing operator new below this size gets a return probe */
	const struct mp_shape *shapes;
	size_t n_shapes;
	/* Processes that begin or exec later and match are targets; those there already: kern_follow. */
	struct mp_comm_pattern patterns[MP_MAX_PATTERNS];
	size_t n_patterns;
	struct mp_cgroup cgroups[MP_MAX_CGROUPS];
	size_t n_cgroups;
};

/* Before anything else: 0, or -EPERM when capabilities do not suffice to load BPF programs. */
int kern_check_rights(void);
/*
 * -EPERM, -EOPNOTSUPP (no BTF, kernel too old, return probes that kill): exit status 3. Else -errno. Tries the
 * links first, on a process of its own (15 ms, feature.c).
 */
int kern_open(struct kern **out, const struct kern_opts *opts);
/* Detaches in parallel and frees everything. */
void kern_close(struct kern *k);

/* "uprobe session", "uprobe multi", "perf uprobe"; "frame pointers" or the unwinder in use. */
const char *kern_attach_kind(const struct kern *k);
const char *kern_unwinder(const struct kern *k);
/* By trial: does a link of one process see all of its threads? Else links are to be for all processes. */
bool kern_sees_threads(const struct kern *k);

/* ---- processes ---- */

/*
 * Make pid a target; its generation in *gen. flags: enum mp_proc_flags. -EEXIST: it is one already, also when
 * the kernel side made it one at its fork.
 */
int kern_follow(struct kern *k, pid_t pid, uint32_t flags, uint32_t *gen);
/* It turned out to be another process, or gone: as if it had never been followed. */
void kern_unfollow(struct kern *k, pid_t pid, uint32_t gen);
/* pid has ended, and no event told so: its number may become another's. Its figures stay. */
void kern_ended(struct kern *k, pid_t pid, uint32_t gen);
/*
 * No target any more, though it lives: its calls count no longer, by links for all neither, and what was counted stays.
 * Its threads remember that they are a target's until they are told otherwise.
 */
void kern_drop(struct kern *k, pid_t pid, uint32_t gen);
/* COMMAND's process before its exec: stopped there, and a target from there on. */
int kern_hold(struct kern *k, pid_t pid);

/*
 * From now on stacks of this generation carry the frames of its managed runtime (bpf/runtime_abi.h). 0 or -errno.
 */
int kern_set_runtime(struct kern *k, uint32_t gen, const struct mp_runtime *r);
void kern_unset_runtime(struct kern *k, uint32_t gen); /* it has ended: room for another */

/* ---- probes ---- */

struct probe_site {
	uint64_t offset; /* in the file */
	uint64_t cookie; /* MP_COOKIE */
	uint64_t counter; /* offset in the file of what the kernel counts its links in (a semaphore); 0: none */
	bool entry_only;
	bool is_bump;	 /* MP_OP_BUMP: in place whatever the gate does; the first loads its program (0.1 s) */
	bool is_hot; /* called most: attached last and taken away first */
};

/*
 * Probe one file. pid 0: every process that maps it. Sites without return go first, in a
 * link of their own. *n_probes is increased by what was attached. file_fd: the file opened, for when its path is
 * gone (a process's /proc/PID/root goes with it), or -1; the caller's.
 */
int kern_attach(struct kern *k, const char *path, int file_fd, const struct probe_site *sites, size_t n, pid_t pid,
		unsigned int *n_probes);
/*
 * Links of single processes give way to links for all. Each hit counts once meanwhile, and calls in flight end
 * normally; the old links are closed a little later, by a thread. 0, or -errno of the first that failed.
 */
int kern_widen(struct kern *k);
/*
 * Links of others (another memprobe's, another tracer's) on files that we probe. The kernel runs through all
 * links of a place at each hit, and arms a return for a session link of a single process in any process: there
 * nobody takes care that this drops no return that is pending on another stack, and the target ends by SIGILL. Links
 * for every process decide each call by their program, and do no harm. Hence: no links of single processes on a file
 * that others probe. Seen: uprobe_multi links and links of perf events, with CAP_SYS_ADMIN. Only where we have
 * sessions.
 */
struct kern_other {
	uint32_t link_id;
	pid_t pid;    /* the only process that it sees, 0: every process */
	pid_t holder; /* 0: unknown */
};

/* Has a link come since the last call on a file that we probe for single processes, which is not for the same one? */
bool kern_others_came(struct kern *k, struct kern_other *other);
/* Is there one on the file behind fd, which is not for the process pid (0: ours see all)? */
bool kern_others_on(struct kern *k, int fd, pid_t pid, struct kern_other *other);
/*
 * Before our first probe on it: let another memprobe see that we come (a link at `entry` that sees memprobe itself),
 * and wait up to 3 s until no link there is for a single process. True: there is still one.
 */
bool kern_others_wait(struct kern *k, int fd, const struct probe_site *entry, struct kern_other *other);
/* The links of one process go (0.1 s); those for all stay. What was counted stays too. pid is not 0. */
void kern_detach_process(struct kern *k, pid_t pid);
/*
 * Stop COMMAND (SIGSTOP, MP_PROC_STOPPED) when ld.so has mapped its libraries: at the nth call (1 or 2)
 * of _dl_debug_state, which is at offset.
 */
int kern_attach_loader(struct kern *k, const char *path, uint64_t offset, unsigned int nth, pid_t pid);
void kern_detach_loader(struct kern *k);
/* Stop COMMAND once (SIGSTOP, MP_PROC_STOPPED) as it calls the function at offset, by which it exits. 0 or -errno. */
int kern_hold_exit(struct kern *k, const char *path, uint64_t offset, pid_t pid);

/*
 * Take the heap probes away from the targets (their text is clean again within a few ms; links
 * close in the background) and put them back; a target pays nothing meanwhile. Disarmed first and last. What is
 * attached while the gate is shut comes with its opening. 0 or -errno.
 */
int kern_gate_shut(struct kern *k, bool frees_too); /* else frees stay, and end the blocks that were seen */
int kern_gate_open(struct kern *k);
bool kern_gate_is_shut(const struct kern *k);
bool kern_gate_is_still(struct kern *k); /* shut, and its links are closed: no call that was under way can write any more */
const struct watched_spans *kern_watched(const struct kern *k); /* when frees were, in ms of the window */
void kern_watched_note(struct kern *k, double allocs); /* the targets made so many more allocations until now */
/*
 * memprobe itself is about to stand still (Ctrl-Z): nothing of it is in the targets' way until kern_resume(). What they
 * allocate, free and touch meanwhile is not seen.
 */
void kern_pause(struct kern *k);
void kern_resume(struct kern *k);
/* From now on the gate will turn: what is freed unseen, and frees of unknown blocks, are to be expected. */
void kern_gate_begin(struct kern *k);
/* Blocks seen from now on stand for so many each: what part of the time the gate is open. */
void kern_set_burst_weight(struct kern *k, double weight);
double kern_burst_weight(const struct kern *k);
/* Are unknown blocks that are freed from before the attach? Else they may be of those not drawn or not seen. */
void kern_count_old_frees(struct kern *k, bool count);
/* Mean sampling interval from now on, in bytes; 0: every block. */
void kern_set_sampling(struct kern *k, uint32_t interval_bytes);
/* What a trap costs, for the processes' spent_ns: an entry, what its return adds, what single-stepping adds. */
void kern_set_costs(struct kern *k, uint32_t entry_ns, uint32_t return_ns, uint32_t stepped_ns);
/* Attached probes count calls (mp_proc_totals), and nothing else; then kern_arm. */
void kern_count_calls(struct kern *k);

/* From now on calls of targets that change mappings come as events. Nothing where kern_has_vm() is false. */
void kern_vm_begin(struct kern *k);
/* Asked for, and possible here; else a message has said why not. */
bool kern_has_vm(const struct kern *k);
/* What each system call of every process on the machine pays for that, as measured; 0: nothing. */
uint32_t kern_vm_call_ns(const struct kern *k);

/* All probes begin to count, at this instant. */
void kern_arm(struct kern *k);
uint64_t kern_armed_ns(const struct kern *k); /* CLOCK_MONOTONIC, 0 before */

/* ---- unwind tables ---- */

struct proc_map;

/*
 * Build and publish the unwind table of the file behind an executable mapping, unless it is
 * there already, or there is no room: then it waits for its first hit. Objects are known by (device,
 * inode) and share tables by build id. A file without unwind info gets an empty table (frame pointers, where
 * they look like some). 0 or -errno.
 */
int kern_unwind_add(struct kern *k, pid_t pid, const struct proc_map *m);
/* The same for an object event. -ESTALE: that code is gone by now; its next hit asks again. */
int kern_unwind_announced(struct kern *k, const struct mp_ev_object *ev);
/* Code was unmapped or replaced: every cached rule is looked up again. */
void kern_unwind_forget(struct kern *k);
/* Do so whenever ld.so loads or unloads an object: offset of its _dl_debug_state. */
int kern_attach_code_hook(struct kern *k, const char *path, int file_fd, uint64_t offset, pid_t pid);
/* Tell when a runtime's allocator gives up: offset of the function; is the size its third argument, or its second? */
int kern_attach_refused(struct kern *k, const char *path, int file_fd, uint64_t offset, bool third, pid_t pid);
/*
 * Count births of objects at n probes that the runtime was built with: offset and counter of each, its form. They come
 * and go with the heap probes. 0, -ENOSPC: too many, or -errno.
 */
int kern_attach_objects(struct kern *k, const char *path, int file_fd, const struct probe_site *sites,
			const struct mp_object_form *forms, size_t n, pid_t pid);
/*
 * A process mapped code, or asks for its mappings (the maps handler): tell the kernel side, where it
 * cannot look by itself; else nothing. 0 or -errno. At its end: kern_maps_drop.
 */
int kern_maps_changed(struct kern *k, pid_t pid);
void kern_maps_drop(struct kern *k, pid_t pid);
/* Objects with a table, without for want of room or a reader, evicted so far. */
struct kern_unwind_stats {
	uint32_t n_objects, n_full, n_failed, n_evicted;
};
void kern_unwind_stats(const struct kern *k, struct kern_unwind_stats *st);

/* ---- events ---- */

struct kern_handlers {
	void *ctx;
	/* Frames of a managed runtime, innermost first; its stack's record follows. May be NULL. */
	void (*runtime)(void *ctx, const struct mp_ev_runtime *e);
	/* frames[0..n): innermost first */
	void (*stack)(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n);
	void (*proc)(void *ctx, const struct mp_ev_proc *e);
	/* code without an unwind table: kern_unwind_announced */
	void (*object)(void *ctx, const struct mp_ev_object *e);
	/* the kernel side wants a process's mappings: kern_maps_changed */
	void (*maps)(void *ctx, pid_t pid);
	/* a call that changed mappings; may be NULL */
	void (*vm)(void *ctx, const struct mp_ev_vm *e);
	/* memory is refused to a target, or it is; may be NULL */
	void (*death)(void *ctx, const struct mp_ev_death *e);
};

/* fd that becomes readable when events wait. */
int kern_event_fd(const struct kern *k);
/* Handle all waiting events without blocking; their number, or -errno. */
int kern_poll(struct kern *k, const struct kern_handlers *h);
/* KERN_VERIFY_FAULTS: watch the page faults of a thread. 0 or -errno. */
int kern_attach_faults(struct kern *k, pid_t tid);
/* The stack has been looked at: the next may come. */
void kern_verify_next(struct kern *k);
/* A stack's frames came damaged: have them sent again at its next hit. */
void kern_resend_stack(struct kern *k, uint64_t hash);

/* ---- figures ---- */

typedef void (*kern_stack_fn)(void *ctx, uint64_t hash, const struct mp_stack *s);
/* bytes, blocks: of the current burst, still in the figures by their weight */
typedef void (*kern_young_fn)(void *ctx, uint64_t hash, uint64_t bytes, uint64_t blocks);
typedef void (*kern_bump_fn)(void *ctx, uint64_t hash, const struct mp_bump *b);
typedef void (*kern_block_fn)(void *ctx, const struct mp_block_key *key, const struct mp_block *b);
typedef void (*kern_proc_fn)(void *ctx, uint32_t gen, const struct mp_proc_totals *t);

typedef void (*kern_rss_stack_fn)(void *ctx, uint64_t hash, const struct mp_rss_stack *s);
typedef void (*kern_rss_place_fn)(void *ctx, const struct mp_rss_place *at, const struct mp_rss_toucher *t);
typedef void (*kern_rss_now_fn)(void *ctx, uint32_t gen, const __s64 pages[MP_RSS_MEMBERS]);
typedef void (*kern_rss_fn)(void *ctx, uint32_t gen, const struct mp_rss_totals *t);

typedef void (*kern_object_fn)(void *ctx, const struct mp_object_key *key, uint64_t births);
typedef void (*kern_old_fn)(void *ctx, const struct mp_old_key *key, const struct mp_old_free *o);

/* Whole tables by batch reads; entries that change meanwhile are read once, before or after. */
int kern_read_stacks(struct kern *k, kern_stack_fn fn, void *ctx);
int kern_read_young(struct kern *k, kern_young_fn fn, void *ctx);
int kern_read_bumps(struct kern *k, kern_bump_fn fn, void *ctx);
int kern_read_blocks(struct kern *k, kern_block_fn fn, void *ctx);
int kern_read_procs(struct kern *k, kern_proc_fn fn, void *ctx);
int kern_read_old_frees(struct kern *k, kern_old_fn fn, void *ctx);
/* The generation of each process that is followed now; a child of vfork's is its parent's. */
int kern_read_followed(struct kern *k, void (*fn)(void *ctx, uint32_t gen), void *ctx);
/* Nothing without kern_opts.objects; *unplaced: births that the table had no room for. */
int kern_read_objects(struct kern *k, kern_object_fn fn, void *ctx, uint64_t *unplaced);
/* Where the runtime of a generation counts its objects; what came of it. False: nothing. */
void kern_set_object_counter(struct kern *k, uint32_t gen, uint64_t addr);
bool kern_read_object_pace(struct kern *k, uint32_t gen, struct mp_object_pace *out);
/* Resident memory; nothing when it is not watched. */
int kern_read_rss_stacks(struct kern *k, kern_rss_stack_fn fn, void *ctx);
int kern_read_rss(struct kern *k, kern_rss_fn fn, void *ctx);
/* Who touched which page first; nothing where the kernel does not tell. Entries that are no longer true: drop them. */
int kern_read_rss_places(struct kern *k, kern_rss_place_fn fn, void *ctx);
void kern_drop_rss_places(struct kern *k, const struct mp_rss_place *v, size_t n);
size_t kern_most_rss_places(const struct kern *k);
/* From now on a stack is taken every so many pages of a thread; 1: at every change. */
void kern_set_rss_every(struct kern *k, uint32_t pages);
/* The kernel's own counters of each address space, exact: pages by enum mp_rss_member. */
int kern_read_rss_now(struct kern *k, kern_rss_now_fn fn, void *ctx);
/* Drop what belongs to ended generations. */
void kern_sweep_rss(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx);
/*
 * What of first touches is watched from now on, or from arming on: less leaves other processes' page faults alone. What
 * was seen stays. All of it, until this is called.
 */
void kern_watch_touches(struct kern *k, enum first_touches level);
/* Page faults of targets that have ended, so far. */
uint64_t kern_ended_faults(const struct kern *k);
/* Why it is not, though it was asked for; NULL: it is. */
const char *kern_rss_missing(const struct kern *k);
/* Why what a runtime's own heap hands out is not counted: -errno; 0: it is, or there is no such heap. */
int kern_bumps_error(const struct kern *k);
int kern_read_losses(struct kern *k, struct mp_loss_count out[MP_LOSS_NR]);
/* Bytes that the kernel holds for us: maps as filled now. */
uint64_t kern_memory_bytes(const struct kern *k);
/*
 * These have ended, unseen: out of the table, and counted as freed. Only while the gate is still, frees too. How many of
 * the first.
 */
size_t kern_end_blocks(struct kern *k, const struct mp_block_key *keys, size_t n);
/* A generation that has ended, its figures read: mp_proc_totals and mp_rss_totals. */
void kern_drop_totals(struct kern *k, uint32_t gen);
/* A row of one, likewise. */
enum kern_stack_table { KERN_STACKS, KERN_RSS_STACKS, KERN_BUMPS };
void kern_drop_stack(struct kern *k, enum kern_stack_table table, uint64_t hash);
/* The same of all that is_dead: what frees of older blocks told by size class, and who touched which page. */
void kern_sweep_keyed(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx);
/* Drop the blocks of ended generations; is_dead decides. Returns the number dropped or -errno. */
long kern_sweep_blocks(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx);

#endif
