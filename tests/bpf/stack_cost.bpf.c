/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Three programs for one and the same entry probe, so that the difference is the stack alone: nothing; our
 * walk with hash and look-up of the known stack, as the heap programs do it; the kernel's frame-pointer walk into a
 * stack map. Driven by tests/e2e/stack_cost.c, which lends the tables of a loaded memprobe.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "memprobe.h"
#include "maps.bpf.h"
#include "guard.bpf.h"
#include "arch.bpf.h"
#include "call.bpf.h"
#include "select.bpf.h"
#include "unwind.bpf.h"
#include "runtime.bpf.h"
#include "stack.bpf.h"

__u64 hits = 0, frames = 0, incomplete = 0;

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stack_traces SEC(".maps");

SEC("uprobe")
int cost_nothing(struct pt_regs *ctx)
{
	hits++;
	return 0;
}

SEC("uprobe")
int cost_tables(struct pt_regs *ctx)
{
	struct mp_scratch *s;
	struct call c = {};

	hits++;
	guard_enter();
	c.ip = PT_REGS_IP(ctx);
	c.sp = PT_REGS_SP(ctx);
	c.fp = arch_fp(ctx);
	c.ra = arch_link_register(ctx);
	stack_capture(ctx, &c, 1, WALK_TABLES);
	s = scratch_get();
	if (s) {
		frames = s->ev.n_frames;
		incomplete += s->ev.end != MP_END_COMPLETE;
	}
	guard_exit();
	return 0;
}

SEC("uprobe")
int cost_kernel(struct pt_regs *ctx)
{
	hits++;
	incomplete += bpf_get_stackid(ctx, &stack_traces, BPF_F_USER_STACK) < 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
