/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One step outwards: a rule (bpf/unwind.h) and the registers of a frame -> those of its caller.
 *
 * Static inline, without loops, function pointers and memory of its own, for user space and BPF.
 * The includer defines before:
 *
 *	UW_CTX				a type: what the two below need
 *	UW_READ64(ctx, addr, out)	8 bytes of the target's stack: 0, or not 0 when unreadable
 *	UW_EXOTIC(ctx, index)		pointer to entry `index` of the exotic table, or NULL
 *
 * To walk: look up the rule for r.pc when r.exact, else for r.pc - 1 (a return address lies behind
 * its call, perhaps in another function); step; repeat until the result is not UNWIND_GO_ON.
 * Each step but a signal frame's moves sp up or uses up x30, so only signal frames can make a
 * cycle: the walker limits the depth. When a step fails, *r is as it was.
 */
#ifndef MEMPROBE_UNWIND_STEP_H
#define MEMPROBE_UNWIND_STEP_H

#include "bpf/unwind.h"

#if !defined(UW_CTX) || !defined(UW_READ64) || !defined(UW_EXOTIC)
#error "define UW_CTX, UW_READ64 and UW_EXOTIC before unwind_step.h is included"
#endif

#ifdef __bpf__
#define UNWIND_INLINE static __always_inline
#else
#define UNWIND_INLINE static inline __attribute__((unused))
#endif

/* A frame pointer without unwind info is believed up to this far above sp. */
#define UNWIND_MAX_FP_STEP (1ULL << 20)
/* User addresses of arm64 have 48 bits; above them lie an authentication code and a tag. */
#define UNWIND_ARM64_ADDRESS ((1ULL << 48) - 1)

struct unwind_regs {
	__u64 pc, sp, fp;
	__u64 lr;    /* arm64: x30, where has_lr */
	__u8 exact;  /* pc is where the frame stands, no return address */
	__u8 has_lr; /* x30 is still the frame's own: innermost, or interrupted by a signal */
};

/* The values are 1 + enum mp_stack_end: the walk in BPF takes them as they are. */
enum unwind_result {
	UNWIND_GO_ON = 0,
	UNWIND_END = 1,		/* outermost frame: the stack is complete */
	UNWIND_NO_INFO = 4,	/* no unwind info, and no plausible frame pointer */
	UNWIND_UNSUPPORTED = 5, /* a rule that cannot be expressed, or does not fit the frame */
	UNWIND_UNREADABLE = 6,	/* stack not readable, or the caller's frame is not above this one */
};

UNWIND_INLINE int unwind_go_to(struct unwind_regs *r, __u64 pc, __u64 cfa, __u64 fp)
{
	r->pc = pc;
	r->sp = cfa;
	r->fp = fp;
	r->exact = 0;
	r->has_lr = 0;
	return pc ? UNWIND_GO_ON : UNWIND_END;
}

/* No unwind info: {fp, return address} at fp, if fp looks like one. Both machines. */
UNWIND_INLINE int unwind_step_frame_pointer(UW_CTX *ctx, struct unwind_regs *r, __u64 pc_mask)
{
	__u64 fp, pc;

	if (r->fp - r->sp >= UNWIND_MAX_FP_STEP || r->fp & 7)
		return UNWIND_NO_INFO;
	if (UW_READ64(ctx, r->fp, &fp) || UW_READ64(ctx, r->fp + 8, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc & pc_mask, r->fp + 16, fp);
}

/* CFA of a plain rule. */
UNWIND_INLINE __u64 unwind_plain_cfa(const struct unwind_regs *r, __u32 rule)
{
	__u64 base = UW_RULE_KIND(rule) == UW_KIND_FP ? r->fp : r->sp;

	return base + ((__u64)UW_RULE_OFF(rule) << 3);
}

UNWIND_INLINE __u64 unwind_add(__u64 base, __s32 off)
{
	return base + (__u64)(__s64)off;
}

/* CFA and the caller's fp of an exotic rule: 0, or not 0 when a read failed. */
UNWIND_INLINE int unwind_exotic_frame(UW_CTX *ctx, const struct unwind_regs *r,
				      const struct uw_exotic *x, __u64 *cfa, __u64 *fp)
{
	__u64 at = unwind_add(x->reg ? r->fp : r->sp, x->off);

	*cfa = at;
	if (x->deref) {
		if (UW_READ64(ctx, at, cfa))
			return -1;
		*cfa = unwind_add(*cfa, x->add);
	}
	*fp = x->fp_kind == 3 ? 0 : r->fp;
	if (x->fp_kind == 1)
		return UW_READ64(ctx, unwind_add(*cfa, x->fp_off), fp);
	if (x->fp_kind == 2)
		return UW_READ64(ctx, unwind_add(r->fp, x->fp_off), fp);
	return 0;
}

/* ---- x86-64 ---- */

/* At a function's first instruction: the return address is at sp, nothing is saved. */
UNWIND_INLINE int unwind_entry_x86(UW_CTX *ctx, struct unwind_regs *r)
{
	__u64 pc;

	if (UW_READ64(ctx, r->sp, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc, r->sp + 8, r->fp);
}

UNWIND_INLINE int unwind_plain_x86(UW_CTX *ctx, struct unwind_regs *r, __u32 rule)
{
	__u64 cfa = unwind_plain_cfa(r, rule), fp = r->fp, pc;
	__u32 v = UW_RULE_FP(rule);

	if (cfa <= r->sp)
		return UNWIND_UNREADABLE;
	if (v == UW_FP_UNDEFINED)
		fp = 0; /* a frame that needs it then ends the walk, with a mark */
	else if (v && UW_READ64(ctx, cfa - ((__u64)v << 3), &fp))
		return UNWIND_UNREADABLE;
	if (UW_READ64(ctx, cfa - 8, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc, cfa, fp);
}

/*
 * At the signal restorer sp points at the ucontext of the rt_sigframe, whose gregs begin 40 bytes
 * in (arch/x86/include/uapi/asm/ucontext.h, sigcontext.h): rbp is number 10, rsp 15, rip 16.
 */
UNWIND_INLINE int unwind_signal_x86(UW_CTX *ctx, struct unwind_regs *r)
{
	__u64 fp, sp, pc;

	if (UW_READ64(ctx, r->sp + 40 + 10 * 8, &fp) || UW_READ64(ctx, r->sp + 40 + 15 * 8, &sp) ||
	    UW_READ64(ctx, r->sp + 40 + 16 * 8, &pc))
		return UNWIND_UNREADABLE;
	unwind_go_to(r, pc, sp, fp);
	r->exact = 1;
	return pc ? UNWIND_GO_ON : UNWIND_END;
}

/* Lazy-binding PLT: an index is on the stack from `from` bytes into the 16-byte entry on. */
UNWIND_INLINE int unwind_plt_x86(UW_CTX *ctx, struct unwind_regs *r, __u32 from)
{
	__u64 cfa = r->sp + 8 + ((r->pc & 15) >= from ? 8 : 0), pc;

	if (UW_READ64(ctx, cfa - 8, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc, cfa, r->fp);
}

UNWIND_INLINE int unwind_exotic_x86(UW_CTX *ctx, struct unwind_regs *r, __u32 index)
{
	const struct uw_exotic *x = UW_EXOTIC(ctx, index);
	__u64 cfa, fp, pc;

	if (!x)
		return UNWIND_UNSUPPORTED;
	if (unwind_exotic_frame(ctx, r, x, &cfa, &fp) || cfa <= r->sp ||
	    UW_READ64(ctx, cfa - 8, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc, cfa, fp);
}

UNWIND_INLINE int unwind_special_x86(UW_CTX *ctx, struct unwind_regs *r, __u32 code)
{
	switch (code) {
	case UW_SP_END:
		return UNWIND_END;
	case UW_SP_SIGNAL:
		return unwind_signal_x86(ctx, r);
	case UW_SP_PLT11:
		return unwind_plt_x86(ctx, r, 11);
	case UW_SP_PLT10:
		return unwind_plt_x86(ctx, r, 10);
	case UW_SP_PLT9:
		return unwind_plt_x86(ctx, r, 9);
	}
	return code < UW_SP_EXOTIC ? UNWIND_UNSUPPORTED
				   : unwind_exotic_x86(ctx, r, code - UW_SP_EXOTIC);
}

UNWIND_INLINE int unwind_step_x86(UW_CTX *ctx, struct unwind_regs *r, __u32 rule)
{
	switch (UW_RULE_KIND(rule)) {
	case UW_KIND_SPECIAL:
		return unwind_special_x86(ctx, r, rule & 0x3fffff);
	case UW_KIND_NONE:
		return unwind_step_frame_pointer(ctx, r, ~0ULL);
	default:
		return unwind_plain_x86(ctx, r, rule);
	}
}

/* ---- arm64 ---- */

/* The caller by x30; a frame that saved nothing may have cfa == sp. */
UNWIND_INLINE int unwind_by_lr(struct unwind_regs *r, __u64 cfa, __u64 fp)
{
	if (!r->has_lr)
		return UNWIND_UNSUPPORTED; /* some callee has overwritten it */
	if (cfa < r->sp)
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, r->lr & UNWIND_ARM64_ADDRESS, cfa, fp);
}

/* At a function's first instruction. */
UNWIND_INLINE int unwind_entry_arm64(struct unwind_regs *r)
{
	return unwind_by_lr(r, r->sp, r->fp);
}

UNWIND_INLINE int unwind_plain_arm64(UW_CTX *ctx, struct unwind_regs *r, __u32 rule)
{
	__u64 cfa = unwind_plain_cfa(r, rule), fp = r->fp, v = UW_RULE_FP(rule), pc_at, pc;

	if (!v)
		return unwind_by_lr(r, cfa, fp);
	if (v == UW_ARM64_LR_ALONE || v == UW_FP_UNDEFINED)
		return UNWIND_UNSUPPORTED;
	if (cfa <= r->sp)
		return UNWIND_UNREADABLE;
	pc_at = cfa - ((v - UW_ARM64_LR_ALONE) << 3);
	if (v < UW_ARM64_LR_ALONE) {
		pc_at = cfa - (v << 3) + 8;
		if (UW_READ64(ctx, cfa - (v << 3), &fp))
			return UNWIND_UNREADABLE;
	}
	if (UW_READ64(ctx, pc_at, &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc & UNWIND_ARM64_ADDRESS, cfa, fp);
}

/*
 * At the restorer (vDSO) sp points at the rt_sigframe: siginfo of 128 bytes, then the ucontext
 * with its mcontext 176 bytes in (arch/arm64/include/uapi/asm/ucontext.h), whose x0 is at 8,
 * sp at 256, pc at 264 (sigcontext.h).
 */
UNWIND_INLINE int unwind_signal_arm64(UW_CTX *ctx, struct unwind_regs *r)
{
	__u64 mcontext = r->sp + 128 + 176, fp, lr, sp, pc;

	if (UW_READ64(ctx, mcontext + 8 + 29 * 8, &fp) ||
	    UW_READ64(ctx, mcontext + 8 + 30 * 8, &lr) || UW_READ64(ctx, mcontext + 256, &sp) ||
	    UW_READ64(ctx, mcontext + 264, &pc))
		return UNWIND_UNREADABLE;
	unwind_go_to(r, pc, sp, fp);
	r->lr = lr;
	r->has_lr = 1;
	r->exact = 1;
	return pc ? UNWIND_GO_ON : UNWIND_END;
}

UNWIND_INLINE int unwind_exotic_arm64(UW_CTX *ctx, struct unwind_regs *r, __u32 index)
{
	const struct uw_exotic *x = UW_EXOTIC(ctx, index);
	__u64 cfa, fp, pc;

	if (!x)
		return UNWIND_UNSUPPORTED;
	if (unwind_exotic_frame(ctx, r, x, &cfa, &fp))
		return UNWIND_UNREADABLE;
	if (x->ra_kind)
		return unwind_by_lr(r, cfa, fp);
	if (cfa <= r->sp || UW_READ64(ctx, unwind_add(cfa, x->ra_off), &pc))
		return UNWIND_UNREADABLE;
	return unwind_go_to(r, pc & UNWIND_ARM64_ADDRESS, cfa, fp);
}

UNWIND_INLINE int unwind_special_arm64(UW_CTX *ctx, struct unwind_regs *r, __u32 code)
{
	if (code == UW_SP_END)
		return UNWIND_END;
	if (code == UW_SP_SIGNAL)
		return unwind_signal_arm64(ctx, r);
	return code < UW_SP_EXOTIC ? UNWIND_UNSUPPORTED
				   : unwind_exotic_arm64(ctx, r, code - UW_SP_EXOTIC);
}

UNWIND_INLINE int unwind_step_arm64(UW_CTX *ctx, struct unwind_regs *r, __u32 rule)
{
	switch (UW_RULE_KIND(rule)) {
	case UW_KIND_SPECIAL:
		return unwind_special_arm64(ctx, r, rule & 0x3fffff);
	case UW_KIND_NONE:
		return unwind_step_frame_pointer(ctx, r, UNWIND_ARM64_ADDRESS);
	default:
		return unwind_plain_arm64(ctx, r, rule);
	}
}

#endif
