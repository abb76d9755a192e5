/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The vm plane in user space; part of the collector: address spaces of the targets (model/intervals.h) from the
 * kernel side's records, put right by /proc/PID/maps, and their stacks in the profile.
 *
 * What was mapped before arming is only known to be there. A stack of this plane is an ordinary one (STACK_VM) with
 * an innermost frame [mmap], or [thread stack]. Mappings that an allocator made are left out: by the kernel side while
 * it follows that call, else by the names in the stack, here.
 */
#ifndef MEMPROBE_COLLECT_VM_PLANE_H
#define MEMPROBE_COLLECT_VM_PLANE_H

#include "collect/collector.h"
#include "model/intervals.h"

struct vm_process;

struct vm_plane {
	struct vm_ledger ledger;
	struct vm_process *procs;
	size_t n, cap;
	struct table index_of; /* generation -> index in procs */
	uint64_t n_missed;     /* times that something was put right */
	struct table allocators; /* hashes of stacks that are an allocator's own */
};

void vm_plane_release(struct vm_plane *vm);

/* A process that runs already: what it has mapped now. */
void vm_plane_seed(struct collector *c, uint32_t gen, pid_t pid);
void vm_plane_fork(struct collector *c, uint32_t parent_gen, uint32_t gen, pid_t pid);
void vm_plane_end(struct collector *c, uint32_t gen);
/* Put right what /proc/PID/maps says otherwise; totals into the profile's stacks. */
void vm_plane_correct(struct collector *c);
void vm_plane_fill(struct collector *c);
/*
 * Each range that is counted and may be accessed, of processes that run; stack: its index in the profile, after the
 * fill.
 */
typedef void (*vm_range_fn)(void *ctx, uint32_t stack, uint64_t start, uint64_t end);
void vm_plane_each(const struct collector *c, vm_range_fn fn, void *ctx);
/* early_alive of this plane's stacks: blocks born before. */
void vm_plane_fill_early(struct collector *c, uint64_t before_ms);

#endif
