/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kernel side's state: maps, configuration, per-thread record, scratch.
 *
 * Sizes given here are the smallest; the loader raises blocks, stacks and the ring
 * to what --max-memory allows before it loads the object. Hashes are not preallocated:
 * they cost memory as they fill. No LRU map and no STACK_TRACE map: both lose entries
 * without saying so.
 */
#ifndef MEMPROBE_MAPS_BPF_H
#define MEMPROBE_MAPS_BPF_H

#include "memprobe.h"

/* errno of map updates; the same on all machines */
#define MP_E2BIG 7
#define MP_EEXIST 17

/* ---- configuration, written before load ---- */
const volatile struct mp_shape shapes[MP_MAX_SHAPES] = {};
const volatile __u32 cfg_preempt_guard = 1; /* bpf_preempt_disable() around programs */
const volatile __u32 cfg_scope_all = 0;	    /* every process is a target */
const volatile __u32 cfg_verify_every = 1;  /* stack_verify */
const volatile __u32 cfg_own_tgid = 0;	    /* memprobe itself is never one */

/* ---- state shared with user space through the mapped .bss ---- */
const volatile __u64 cfg_test_trampoline = 0; /* tests: what stands for the kernel's */

__u64 new_limit_bytes = 0; /* throwing operator new below this size is followed; 0: never */
__u32 armed = 0;	 /* enum mp_armed */
__u32 sample_bytes = 0;	 /* mean interval; 0: every block */
__u32 burst_weight = MP_WEIGHT_ONE; /* blocks seen in a burst stand for so many of these parts (gate.c) */
__u32 count_old_frees = 1; /* frees of unknown blocks: of blocks from before attach */
__u32 burst_begin_ms = 0; /* as birth_ms */
__u32 gate_epoch = 0;	 /* bumped when the gate opens: calls from before are over */
/* calibrated: an entry; what a return adds; what a single-stepped entry adds */
__u32 cost_entry_ns = 900, cost_return_ns = 600, cost_stepped_ns = 10000;
__u32 target_epoch = 1;	 /* bumped when user space changes procs */
__u32 next_gen = 0;	 /* generations given in the kernel: 1, 2, ... */
__u64 start_ns = 0;	 /* CLOCK_MONOTONIC of arming: births count from it */
__u32 links_overlap = 0; /* narrow and wide links on the same sites (hit_is_taken) */
__u64 resend_stack = 0;	 /* user space asks for the frames of this stack again */
__u32 verify_busy = 0;	 /* stack_verify: a stopped process is being looked at */
__u32 loader_calls = 0;	 /* hits of ld.so's _dl_debug_state in a held COMMAND */
__u32 exit_tgid = 0;	 /* COMMAND, to be held once as it exits; 0: nobody, or it has been */

/* Stacks whose frames have been sent, by hash: saves the look-up at entry. A race costs a look-up. */
#define KNOWN_BITS 14
__u64 known_stacks[1 << KNOWN_BITS];

/* ---- maps ---- */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct mp_block_key);
	__type(value, struct mp_block);
} blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct mp_stack);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct mp_young);
} young SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct mp_proc);
} procs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct mp_proc_totals);
} proc_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct mp_old_key);
	__type(value, struct mp_old_free);
} old_frees SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MP_LOSS_NR);
	__type(key, __u32);
	__type(value, struct mp_loss_count);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/*
 * One allocator call in flight per thread, the outermost. `pending` is its operation;
 * sp is the stack pointer at the function's entry, ra the return address found there.
 */
struct mp_thread {
	__u32 gen;
	__u32 epoch; /* of target_epoch, when gen was looked up */
	__u32 pending; /* enum mp_op, 0: none */
	__u32 row;
	__u64 sp, ra;
	__u64 size;
	__u64 more; /* xallocx: bytes beyond size that would do too */
	__u64 ptr; /* realloc: the old block; posix_memalign: where the result goes */
	__u64 stack;
	struct mp_block old; /* realloc: taken out of the ledger at entry */
	__u64 old_bytes;     /* realloc of an older block: its size, 0 unknown */
	__u32 old_kind;	     /* enum mp_old */
	__u32 exec;	     /* exec_of() when gen was looked up */
	__u64 last_free_sp, last_free_ptr; /* tail-jump wrappers: operator delete -> free */
	__u64 wide_sp, wide_ip; /* last hit of a wide link while links overlap */
	__u32 weight;	 /* of the pending block; 0: not drawn, only its end is waited for */
	__u32 gate;	 /* of gate_epoch, when pending was last looked at */
	__u64 ip;	 /* of the pending call's probe */
	__u32 alloc_calls, free_calls; /* not yet in the totals, as the next ones */
	__u32 spent_ns;
	__u32 until_timed; /* hits; 0: not drawn yet */
	__u64 rss_waiting[MP_RSS_MEMBERS]; /* pages without a stack yet (rss_draw) */
	__u64 capped_bytes;
	__u64 fault_page, fault_ip; /* the page fault that it is in, or was; 0: none that is of use (rss_fault) */
	__u64 bump_bytes; /* of a runtime's own heap, without a sample yet (bump.bpf.c) */
	__u64 bump_ns;	  /* when the last sample was */
	__u64 bump_step;  /* bytes to the next one */
};

enum mp_old { OLD_NONE = 0, OLD_IN_LEDGER = 1, OLD_BEFORE_ATTACH = 2 };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mp_thread);
} threads SEC(".maps");

/* State of a stack walk (unwind.bpf.h). */
struct uw_regs {
	__u64 pc, sp, fp;
	__u64 lr; /* arm64: x30, 0 where a call has overwritten it */
	__u64 window_base, window_len; /* user addresses that scratch->window holds */
	__u64 hash, prev_hash;	       /* after, and before, the last frame stored */
	__u64 salt;
	__u64 own_sp, own_ra; /* our own pending return probe, to be undone */
	__u32 n;	      /* frames so far */
	__u32 exact;	      /* pc is no return address */
};

#define UW_WINDOW 4096

/* Where a stack is put together: scratch_get(). */
struct mp_scratch {
	struct mp_ev_stack ev;
	__u64 slack[1]; /* ips[127]: a masked index may reach it; the kernel's walk may start one slot late */
	struct uw_regs regs;
	__u64 window[UW_WINDOW / 8];
	struct mp_ev_runtime rt;
	__u64 label;	      /* what the block is for (MP_SHAPE_LABEL); 0: not told */
	__u64 jit_fp, jit_pc; /* of the innermost frame without unwind information; 0: there was none, or no frame pointer */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mp_scratch);
} scratch SEC(".maps"); /* used with preemption off only */

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mp_scratch);
} thread_scratch SEC(".maps");

/*
 * 0 or -errno. For comparisons with an error, never bpf_map_update_elem itself: before 6.4 a hash's update returns an
 * int, which the verifier's direct call does not extend, so that -EEXIST is 0x00000000ffffffef (6.1).
 */
static __always_inline int map_update(void *map, const void *key, const void *value, __u64 flags)
{
	return (int)bpf_map_update_elem(map, key, value, flags);
}

static __always_inline void lose(__u32 kind, __u64 bytes)
{
	struct mp_loss_count *l = bpf_map_lookup_elem(&losses, &kind);

	if (l) {
		l->events++;
		l->bytes += bytes;
	}
}

#endif
