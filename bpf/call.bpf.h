/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One hit of a probe, and the scratch space that goes with it. */
#ifndef MEMPROBE_CALL_BPF_H
#define MEMPROBE_CALL_BPF_H

/* What a probe knows of its call; read from the context by the program, so that tests can make one up. */
struct call {
	__u64 ip; /* of the probe */
	__u64 sp; /* at the function's first instruction */
	__u64 fp;
	__u64 ra; /* return address of the function; read by the stack walk */
	__u64 arg[6]; /* registers: of arguments 0..4, and of results */
	__u32 row;
	__u32 moved; /* MP_MOVED: which of them holds which argument */
	__u16 pushes;
	__u16 flags; /* enum mp_site_flags */
};

/* Argument n; the probe may sit where it has moved to another register. */
static __always_inline __u64 call_arg(const struct call *c, __u8 n)
{
	if (n > 5)
		return 0;
	n ^= c->moved >> 4 * n & 0xf;
	switch (n) {
	case 0: return c->arg[0];
	case 1: return c->arg[1];
	case 2: return c->arg[2];
	case 3: return c->arg[3];
	case 4: return c->arg[4];
	case 5: return c->arg[5];
	}
	return 0;
}

/* Where a thread stands in user space, by its saved registers. */
static __always_inline void call_from_user(struct pt_regs *regs, struct call *c)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->ip = PT_REGS_IP(regs);
	c->sp = PT_REGS_SP(regs);
	c->fp = arch_fp(regs);
	c->ra = arch_link_register(regs);
}

/*
 * The CPU's, with preemption off; where that cannot be had, the thread's own: six threads on one CPU made 119
 * of 538 thousand stacks wrong otherwise (6.12, preempt=full). The verifier knows which, and drops the
 * other. NULL: no memory, or, before 6.2, another thread stands within a storage look-up on this CPU.
 */
static __always_inline struct mp_scratch *scratch_get(void)
{
	__u32 zero = 0;

	if (guard_works())
		return bpf_map_lookup_elem(&scratch, &zero);
	return storage_get(&thread_scratch, bpf_get_current_task_btf(),
			   BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
