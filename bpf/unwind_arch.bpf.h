/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Unwinding steps per architecture: rule + registers -> the caller's registers. Each returns 0 or
 * 1 + enum mp_stack_end. Included by unwind.bpf.h only.
 */
#ifndef MEMPROBE_UNWIND_ARCH_BPF_H
#define MEMPROBE_UNWIND_ARCH_BPF_H

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

/*
 * At the signal restorer rsp points at the ucontext of the rt_sigframe; gregs begin 40 bytes in
 * (arch/x86/include/uapi/asm/ucontext.h, sigcontext.h): rbp is number 10, rsp 15, rip 16. The
 * interrupted pc is no return address: looked up as it is.
 */
static __always_inline int uw_step_signal(struct uw_regs *u)
{
	__u64 sp_pc[2];

	if (bpf_probe_read_user(&u->fp, 8, (void *)(u->sp + 40 + 10 * 8)) ||
	    bpf_probe_read_user(sp_pc, 16, (void *)(u->sp + 40 + 15 * 8)))
		return 1 + MP_END_UNREADABLE;
	u->sp = sp_pc[0];
	u->pc = sp_pc[1];
	u->exact = 1;
	return 0;
}

static __always_inline int uw_step_exotic(struct uw_regs *u, __u32 index)
{
	struct uw_exotic *x = bpf_map_lookup_elem(&uw_exotics, &index);
	__u64 cfa, fp_at = 0;

	if (!x)
		return 1 + MP_END_UNSUPPORTED;
	cfa = (x->reg ? u->fp : u->sp) + x->off;
	if (x->deref) {
		if (bpf_probe_read_user(&cfa, 8, (void *)cfa))
			return 1 + MP_END_UNREADABLE;
		cfa += x->add;
	}
	if (cfa <= u->sp)
		return 1 + MP_END_UNREADABLE;
	if (x->fp_kind == 1)
		fp_at = cfa + x->fp_off;
	else if (x->fp_kind == 2)
		fp_at = u->fp + x->fp_off;
	if (x->fp_kind == 3)
		u->fp = 0;
	if (fp_at && bpf_probe_read_user(&u->fp, 8, (void *)fp_at))
		return 1 + MP_END_UNREADABLE;
	if (bpf_probe_read_user(&u->pc, 8, (void *)(cfa - 8)))
		return 1 + MP_END_UNREADABLE;
	u->sp = cfa;
	return 0;
}

static __always_inline int uw_step_plt(struct uw_regs *u, __u32 from)
{
	__u64 cfa = u->sp + 8 + ((u->pc & 15) >= from ? 8 : 0);

	if (bpf_probe_read_user(&u->pc, 8, (void *)(cfa - 8)))
		return 1 + MP_END_UNREADABLE;
	u->sp = cfa;
	return 0;
}

/* Rare rules, on the registers in the scratch. Global: verified once. */
__noinline int uw_step_special(__u32 code)
{
	struct mp_scratch *s = scratch_get();

	if (!s)
		return 1 + MP_END_UNREADABLE;
	if (code == UW_SP_END)
		return 1 + MP_END_COMPLETE;
	if (code == UW_SP_SIGNAL)
		return uw_step_signal(&s->regs);
	if (code == UW_SP_PLT11 || code == UW_SP_PLT10)
		return uw_step_plt(&s->regs, code == UW_SP_PLT11 ? 11 : 10);
	if (code >= UW_SP_EXOTIC)
		return uw_step_exotic(&s->regs, code - UW_SP_EXOTIC);
	return 1 + MP_END_UNSUPPORTED;
}

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

	if (cfa < u->sp)
		return 1 + MP_END_UNREADABLE;
	if (!field) {
		if (!u->lr)
			return 1 + MP_END_UNREADABLE;
		u->pc = u->lr;
	} else if (field < UW_ARM64_LR_ALONE) {
		if (uw_read(s, u, cfa - ((__u64)field << 3), &u->fp) ||
		    uw_read(s, u, cfa - ((__u64)field << 3) + 8, &u->pc))
			return 1 + MP_END_UNREADABLE;
	} else if (field != UW_FP_UNDEFINED) {
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

/*
 * rt_sigframe: siginfo (128 bytes), then the ucontext, whose mcontext begins 176 bytes in: fault
 * address, then x0..x30, sp, pc (arch/arm64/include/uapi/asm/{ucontext,sigcontext}.h).
 */
static __always_inline int uw_step_signal(struct uw_regs *u)
{
	__u64 regs[4]; /* x29 x30 sp pc */

	if (bpf_probe_read_user(regs, sizeof(regs), (void *)(u->sp + 128 + 176 + 8 + 29 * 8)))
		return 1 + MP_END_UNREADABLE;
	u->fp = regs[0];
	u->lr = UW_STRIP_PAC(regs[1]);
	u->sp = regs[2];
	u->pc = regs[3];
	u->exact = 1;
	return 0;
}

/* Rare rules, on the registers in the scratch. Global: verified once. */
__noinline int uw_step_special(__u32 code)
{
	struct mp_scratch *s = scratch_get();

	if (!s)
		return 1 + MP_END_UNREADABLE;
	if (code == UW_SP_END)
		return 1 + MP_END_COMPLETE;
	if (code == UW_SP_SIGNAL)
		return uw_step_signal(&s->regs);
	return 1 + MP_END_UNSUPPORTED;
}

#endif

#endif
