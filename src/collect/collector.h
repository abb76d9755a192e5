/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * From kernel events and tables to struct profile, names included.
 *
 * Stacks are named as soon as they arrive, while their process lives; figures are filled in when
 * a snapshot is taken. One profile lives through the whole run.
 */
#ifndef MEMPROBE_COLLECT_COLLECTOR_H
#define MEMPROBE_COLLECT_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/options.h"
#include "kern/kern.h"
#include "model/profile.h"
#include "proc/maps.h"

struct collector;

struct debuginfod;

struct collector_opts {
	struct kern *kern;
	const struct options *options;
	const char *proc_root;
	void (*poll)(void *ctx); /* reads the kernel's events; called within collector_snapshot; may be NULL */
	bool (*is_over)(void *ctx); /* nobody waits for the bridge any longer; may be NULL */
	void *poll_ctx;
	struct debuginfod *debuginfod; /* the caller's; NULL: no server is asked */
};

struct collector *collector_new(const struct collector_opts *o);
void collector_free(struct collector *c);
/* Kernel events; contexts for struct kern_handlers. */
void collector_on_stack(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n);
void collector_on_runtime(void *ctx, const struct mp_ev_runtime *e);
void collector_on_proc(struct collector *c, const struct mp_ev_proc *e);
/* Memory was refused to a target, or it is about to be killed. */
void collector_on_death(struct collector *c, const struct mp_ev_death *e);
void collector_on_vm(struct collector *c, const struct mp_ev_vm *e); /* vm_plane.c */
/* A target that was there from the start. */
void collector_add_process(struct collector *c, uint32_t gen, pid_t pid);
/* Mapping events: code that appeared in a process. */
void collector_on_map(struct collector *c, pid_t pid, const struct proc_map *m);
void collector_on_exec(struct collector *c, pid_t pid);
/* Name stacks that wait, for about budget_ns. True when none is left, or an interpreter that starts goes before. */
bool collector_resolve(struct collector *c, uint64_t budget_ns);
/*
 * Look at processes that may run a managed runtime, after their events. CLOCK_MONOTONIC, when it is to be called again
 * though no event has come; UINT64_MAX: not.
 */
uint64_t collector_poll_runtimes(struct collector *c);
/* Processes that have ended without an event end now, and are told. A system call per process: call it now and then. */
void collector_reap(struct collector *c, void (*ended)(void *ctx, pid_t pid), void *ctx);
/* It has no heap probes any more, and lives on: its figures stay as they are. */
void collector_drop(struct collector *c, uint32_t gen);
/* Current generation of a process, 0 when it is none of ours. */
uint32_t collector_gen_of(const struct collector *c, pid_t pid);
/* Fill in all figures of this moment. 0 or -errno. */
int collector_snapshot(struct collector *c, bool final);
/* Where the memory is now (model/bridge.h): reads the block table and the heaps; after collector_snapshot. */
int collector_bridge(struct collector *c);
/* The same of a process that is about to end: its part stays as it is now. Takes a snapshot first. */
int collector_bridge_last(struct collector *c, pid_t pid);
/* Make room: drop the blocks of processes that have ended since the last time. Reads the whole block table. */
void collector_sweep(struct collector *c);
/* Before arming: are first touches watched, though other processes pay for it? */
void bystanders_start(struct collector *c);
/* To be called some ten times a second while the run watches: what the verdict needs. */
void collector_look(struct collector *c);
/* The verdict so far, and what it needs of each stack: reads the block table; after collector_snapshot. 0 or -errno. */
int collector_judge(struct collector *c);
/* A mark at this moment. 0, -ENOSPC: all marks are set, or -errno. */
int collector_mark(struct collector *c);
/* memprobe stood still: a loss. */
void collector_note_stop(struct collector *c);
/* n more mappings of code were not told by the kernel, of any process on the machine: a loss. */
void collector_note_lost_maps(struct collector *c, uint64_t n);
struct profile *collector_profile(struct collector *c);
/* Processes of the run that still live. */
size_t collector_n_running(const struct collector *c);

#endif
