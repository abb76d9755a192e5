/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Unwinding steps per architecture: rule + registers -> the caller's registers. Each returns 0 or
 * 1 + enum mp_stack_end. Included by unwind.bpf.h only.
 */
#ifndef MEMPROBE_UNWIND_ARCH_BPF_H
#define MEMPROBE_UNWIND_ARCH_BPF_H

/* The rare steps are shared with user space, where their unit tests run. */
struct uw_walk {
	struct mp_scratch *s;
	struct uw_regs *u;
};

static __always_inline struct uw_exotic *uw_exotic_at(__u32 index)
{
	return bpf_map_lookup_elem(&uw_exotics, &index);
}

#define UW_CTX struct uw_walk
#define UW_READ64(ctx, addr, out) uw_read((ctx)->s, (ctx)->u, addr, out)
#define UW_EXOTIC(ctx, index) uw_exotic_at(index)
#include "unwind_step.h"

_Static_assert(UNWIND_END == 1 + MP_END_COMPLETE && UNWIND_NO_INFO == 1 + MP_END_NO_INFO &&
		       UNWIND_UNSUPPORTED == 1 + MP_END_UNSUPPORTED &&
		       UNWIND_UNREADABLE == 1 + MP_END_UNREADABLE,
	       "a step's result ends the stack as it is");

/*
 * The frequent ones stand here once more, in the form that the verifier takes lightly: with the shared ones
 * inlined into the frame loop it goes through 119 k instructions instead of 48 k (6.18), at the same speed.
 */
#if defined(__TARGET_ARCH_x86)

/* Frame 0 -> caller: the CFA is sp + 8, no register is saved yet. */
static __always_inline int uw_entry_frame(struct call *c, struct mp_scratch *s, struct uw_regs *u)
{
	if (uw_read(s, u, u->sp, &u->pc))
		return -1;
	c->ra = u->pc;
	u->sp += 8;
	return 0;
}

static __always_inline int uw_step_plain(struct mp_scratch *s, struct uw_regs *u, __u32 rule)
{
	__u64 base = UW_RULE_KIND(rule) == UW_KIND_FP ? u->fp : u->sp;
	__u64 cfa = base + ((__u64)UW_RULE_OFF(rule) << 3);
	__u32 fp = UW_RULE_FP(rule);

	if (cfa <= u->sp)
		return 1 + MP_END_UNREADABLE;
	if (fp == UW_FP_UNDEFINED)
		u->fp = 0; /* whoever needs it now ends the walk, with a mark */
	else if (fp && uw_read(s, u, cfa - ((__u64)fp << 3), &u->fp))
		return 1 + MP_END_UNREADABLE;
	if (uw_read(s, u, cfa - 8, &u->pc))
		return 1 + MP_END_UNREADABLE;
	u->sp = cfa;
	return 0;
}

/* No unwind info (embedded builtins of V8, hand-written assembly): a frame pointer, if it looks like one. */
static __always_inline int uw_step_frame_pointer(struct mp_scratch *s, struct uw_regs *u)
{
	__u64 cfa = u->fp + 16;

	if (u->fp - u->sp >= UW_MAX_FP_STEP || u->fp & 7)
		return 1 + MP_END_NO_INFO;
	if (uw_read(s, u, cfa - 16, &u->fp) || uw_read(s, u, cfa - 8, &u->pc))
		return 1 + MP_END_UNREADABLE;
	u->sp = cfa;
	return 0;
}

#define arch_special_step unwind_special_x86

#elif defined(__TARGET_ARCH_arm64)

/* Pointer authentication signs return addresses in the bits above the address space. */
#define UW_STRIP_PAC(pc) ((pc) & ((1ULL << 48) - 1))

/* Frame 0 -> caller: the return address is in x30, the stack as it was. */
static __always_inline int uw_entry_frame(struct call *c, struct mp_scratch *s, struct uw_regs *u)
{
	u->pc = UW_STRIP_PAC(c->ra);
	u->lr = 0; /* the caller has made a call: its own must be in memory */
	return 0;
}

static __always_inline int uw_step_plain(struct mp_scratch *s, struct uw_regs *u, __u32 rule)
{
	__u64 base = UW_RULE_KIND(rule) == UW_KIND_FP ? u->fp : u->sp;
	__u64 cfa = base + ((__u64)UW_RULE_OFF(rule) << 3);
	__u32 field = UW_RULE_FP(rule);

	if (cfa < u->sp || (cfa == u->sp && field))
		return 1 + MP_END_UNREADABLE;
	if (!field) {
		if (!u->lr)
			return 1 + MP_END_UNSUPPORTED;
		u->pc = u->lr;
	} else if (field < UW_ARM64_LR_ALONE) {
		if (uw_read(s, u, cfa - ((__u64)field << 3), &u->fp) ||
		    uw_read(s, u, cfa - ((__u64)field << 3) + 8, &u->pc))
			return 1 + MP_END_UNREADABLE;
	} else if (field != UW_FP_UNDEFINED && field != UW_ARM64_LR_ALONE) {
		if (uw_read(s, u, cfa - ((__u64)(field - UW_ARM64_LR_ALONE) << 3), &u->pc))
			return 1 + MP_END_UNREADABLE;
	} else {
		return 1 + MP_END_UNSUPPORTED;
	}
	u->pc = UW_STRIP_PAC(u->pc);
	u->lr = 0;
	u->sp = cfa;
	return 0;
}

/* {x29, x30} at x29; the stack pointer at that place is unknown but above it. */
static __always_inline int uw_step_frame_pointer(struct mp_scratch *s, struct uw_regs *u)
{
	__u64 at = u->fp;

	if (at - u->sp >= UW_MAX_FP_STEP || at & 7)
		return 1 + MP_END_NO_INFO;
	if (uw_read(s, u, at, &u->fp) || uw_read(s, u, at + 8, &u->pc))
		return 1 + MP_END_UNREADABLE;
	u->pc = UW_STRIP_PAC(u->pc);
	u->lr = 0;
	u->sp = at + 16;
	return 0;
}

#define arch_special_step unwind_special_arm64

#endif

/* Rare rules, on the registers in the scratch, by the steps shared with user space. Global: verified once. */
__noinline int uw_step_special(__u32 code)
{
	struct mp_scratch *s = scratch_get();
	struct unwind_regs r = {};
	struct uw_walk w;
	int result;

	if (!s)
		return 1 + MP_END_UNREADABLE;
	w.s = s;
	w.u = &s->regs;
	r.pc = s->regs.pc;
	r.sp = s->regs.sp;
	r.fp = s->regs.fp;
	r.lr = s->regs.lr;
	r.has_lr = r.lr != 0;
	result = arch_special_step(&w, &r, code);
	s->regs.pc = r.pc;
	s->regs.sp = r.sp;
	s->regs.fp = r.fp;
	s->regs.lr = r.has_lr ? r.lr : 0;
	s->regs.exact = r.exact;
	return result;
}

#endif
