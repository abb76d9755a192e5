/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What differs between x86-64 and arm64 at a probe: where the return address is, and
 * how a return probe shows. `sp` below is the stack pointer at the function's entry.
 */
#ifndef MEMPROBE_ARCH_BPF_H
#define MEMPROBE_ARCH_BPF_H

#if defined(__TARGET_ARCH_x86)

#define ARCH_HAS_RETURN_SLOT 1 /* the return address of a call lies at its entry's sp */
#define ARCH_RETURN_SP_ADJUST 8 /* ret has popped the return address */
#define ARCH_ADDRESS_BITS 47 /* of what mmap gives when it is not asked for more */
#define UW_BLOCK_SHIFT UW_BLOCK_SHIFT_X86
#define uw_pc_low(off) ((off) & 0xff)

static __always_inline __u64 arch_fp(struct pt_regs *ctx)
{
	return ctx->bp;
}

/* The return address, where a register holds it. */
static __always_inline __u64 arch_link_register(struct pt_regs *ctx)
{
	return 0;
}

/* Return address of the function entered at sp; 0 when unreadable. */
static __always_inline __u64 arch_return_address(struct pt_regs *ctx, __u64 sp)
{
	__u64 ra;

	return bpf_probe_read_user(&ra, sizeof(ra), (void *)sp) ? 0 : ra;
}

/* What lies now where the call entered at sp keeps its return address. */
static __always_inline __u64 arch_return_slot(__u64 sp)
{
	__u64 ra;

	return bpf_probe_read_user(&ra, sizeof(ra), (void *)sp) ? 0 : ra;
}

/* Number of the system call that the thread is in; a fault's error code when it came from user mode: none of those below. */
static __always_inline __u32 arch_syscall(struct pt_regs *regs)
{
	return (__u32)regs->orig_ax;
}

#define ARCH_NR_MMAP 9
#define ARCH_NR_MUNMAP 11
#define ARCH_NR_BRK 12
#define ARCH_NR_MREMAP 25
#define ARCH_NR_MADVISE 28
#define ARCH_NR_EXECVE 59
#define ARCH_NR_EXECVEAT 322
#define ARCH_NR_PROCESS_MADVISE 440

#elif defined(__TARGET_ARCH_arm64)

#define ARCH_HAS_RETURN_SLOT 0
#define ARCH_RETURN_SP_ADJUST 0
#define ARCH_ADDRESS_BITS 48
#define UW_BLOCK_SHIFT UW_BLOCK_SHIFT_ARM64
#define uw_pc_low(off) ((off) >> 2 & 0xff)

static __always_inline __u64 arch_fp(struct pt_regs *ctx)
{
	return PT_REGS_FP(ctx);
}

static __always_inline __u64 arch_link_register(struct pt_regs *ctx)
{
	return PT_REGS_RET(ctx);
}

static __always_inline __u64 arch_return_address(struct pt_regs *ctx, __u64 sp)
{
	return PT_REGS_RET(ctx);
}

/* The return address is in x30 or anywhere: a deeper call counts as inner, by sp alone. */
static __always_inline __u64 arch_return_slot(__u64 sp)
{
	return 0;
}

/* Number of the system call that the thread is in, ~0 for none. */
static __always_inline __u32 arch_syscall(struct pt_regs *regs)
{
	return (__u32)regs->syscallno;
}

#define ARCH_NR_BRK 214
#define ARCH_NR_MUNMAP 215
#define ARCH_NR_MREMAP 216
#define ARCH_NR_EXECVE 221
#define ARCH_NR_MMAP 222
#define ARCH_NR_MADVISE 233
#define ARCH_NR_EXECVEAT 281
#define ARCH_NR_PROCESS_MADVISE 440

#else
#error "memprobe: no such architecture"
#endif

/* Address that a pending return probe of any tracer puts in place of a return address, 0 when none was set. */
static __always_inline __u64 trampoline(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (cfg_test_trampoline)
		return cfg_test_trampoline;
	return BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
}

#endif
