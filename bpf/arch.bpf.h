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

/*
 * Number of the system call that the thread is in; a fault's error code when it came from user mode: none of those
 * below.
 */
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

/* arch/x86/entry/syscalls/syscall_64.tbl. What comes from 32-bit code or from no call at all is MP_VM_OTHER. */
#define ARCH_USER_CS 0x33

static __always_inline __u32 arch_vm_op(struct pt_regs *regs)
{
	if (regs->cs != ARCH_USER_CS)
		return MP_VM_OTHER;
	switch (regs->orig_ax) {
	case 9: return MP_VM_MMAP;
	case 10: return MP_VM_MPROTECT;
	case 11: return MP_VM_MUNMAP;
	case 12: return MP_VM_BRK;
	case 25: return MP_VM_MREMAP;
	case 30: return MP_VM_SHMAT;
	case 67: return MP_VM_SHMDT;
	case 329: return MP_VM_MPROTECT; /* pkey_mprotect */
	case 59: case 322: return 0;	 /* execve, execveat: no process of ours yet */
	}
	return MP_VM_OTHER;
}

static __always_inline __u64 arch_syscall_arg(struct pt_regs *regs, __u32 n)
{
	switch (n) {
	case 0: return regs->di;
	case 1: return regs->si;
	case 2: return regs->dx;
	case 3: return regs->r10;
	case 4: return regs->r8;
	}
	return 0;
}

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

/* include/uapi/asm-generic/unistd.h */
static __always_inline __u32 arch_vm_op(struct pt_regs *regs)
{
	switch (regs->syscallno) {
	case 222: return MP_VM_MMAP;
	case 226: return MP_VM_MPROTECT;
	case 215: return MP_VM_MUNMAP;
	case 214: return MP_VM_BRK;
	case 216: return MP_VM_MREMAP;
	case 196: return MP_VM_SHMAT;
	case 197: return MP_VM_SHMDT;
	case 288: return MP_VM_MPROTECT;
	case 221: case 281: return 0;
	}
	return MP_VM_OTHER;
}

static __always_inline __u64 arch_syscall_arg(struct pt_regs *regs, __u32 n)
{
	switch (n) {
	case 0: return regs->orig_x0;
	case 1: return regs->user_regs.regs[1];
	case 2: return regs->user_regs.regs[2];
	case 3: return regs->user_regs.regs[3];
	case 4: return regs->user_regs.regs[4];
	}
	return 0;
}

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
