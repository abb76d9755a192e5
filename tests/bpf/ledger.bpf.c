/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The ledger's logic under test: the very functions of the heap programs behind raw tracepoint
 * wrappers, which BPF_PROG_RUN can call (it refuses uprobe programs, errno 524). The call's values
 * come as arguments: ctx[] = {row, sp, ra, arg0, arg1, arg2}; what is above row's 32 bits is MP_MOVED.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "memprobe.h"
#include "maps.bpf.h"
#include "guard.bpf.h"
#include "arch.bpf.h"
#include "select.bpf.h"
#include "process.bpf.h"
#include "call.bpf.h"
#include "unwind.bpf.h"
#include "runtime.bpf.h"
#include "stack.bpf.h"
#include "ledger.bpf.h"
#include "tcache.bpf.h"
#include "sample.bpf.h"
#include "heap.bpf.h"

static __always_inline void call_from(const __u64 *ctx, struct call *c)
{
	c->row = (__u32)ctx[0];
	c->sp = ctx[1];
	c->ra = ctx[2];
	c->ip = 0x1000 + c->row * 16;
	c->fp = 0;
	c->pushes = 0;
	c->moved = ctx[0] >> 32;
	c->flags = 0;
	c->arg[0] = ctx[3];
	c->arg[1] = ctx[4];
	c->arg[2] = ctx[5];
	c->arg[3] = c->arg[4] = c->arg[5] = 0;
}

SEC("raw_tp")
int run_enter(__u64 *ctx)
{
	struct call c;
	int ret;

	call_from(ctx, &c);
	guard_enter();
	ret = heap_enter(ctx, &c, WALK_NONE, true);
	guard_exit();
	return ret;
}

/* ctx[] = {sp at the return instruction's target, return value} */
SEC("raw_tp")
int run_leave(__u64 *ctx)
{
	guard_enter();
	heap_leave(ctx[0], ctx[1]);
	guard_exit();
	return 0;
}

SEC("raw_tp")
int run_free(__u64 *ctx)
{
	struct call c;

	call_from(ctx, &c);
	guard_enter();
	heap_free(&c);
	guard_exit();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
