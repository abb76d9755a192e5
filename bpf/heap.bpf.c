/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Heap programs: what is attached to allocator functions.
 *
 *	heap_session  entry and return in one (uprobe session, 6.13+)
 *	heap_entry, heap_return  the same as a pair, where sessions are missing
 *	..._fp        with the kernel's frame-pointer walk, where the tables' walk is refused
 *	heap_free_entry  functions that only take a block; an own link, since its sites may be
 *	              shifted past pushes, which a return probe must never be
 *
 * One program for all call shapes: the cookie carries the row of the allocator table.
 * Part of memprobe.bpf.c.
 */

static __always_inline void call_read(struct pt_regs *ctx, struct call *c)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);

	c->row = MP_COOKIE_ROW(cookie);
	c->pushes = MP_COOKIE_PUSHES(cookie);
	c->flags = MP_COOKIE_FLAGS(cookie);
	c->moved = MP_COOKIE_MOVED(cookie);
	c->ip = PT_REGS_IP(ctx);
	c->sp = PT_REGS_SP(ctx) + 8 * c->pushes;
	c->fp = arch_fp(ctx);
	c->ra = arch_link_register(ctx);
	c->arg[0] = PT_REGS_PARM1(ctx);
	c->arg[1] = PT_REGS_PARM2(ctx);
	c->arg[2] = PT_REGS_PARM3(ctx);
	c->arg[3] = PT_REGS_PARM4(ctx);
	c->arg[4] = PT_REGS_PARM5(ctx);
	c->arg[MP_ARG_IN_RESULT] = PT_REGS_RC(ctx);
}

static __always_inline bool enter(struct pt_regs *ctx, enum walker walker, bool session)
{
	struct call c;

	if (!armed)
		return false;
	call_read(ctx, &c);
	return heap_enter(ctx, &c, walker, session);
}

/*
 * The return half is where the function's address is not the instruction pointer. The kfuncs
 * bpf_session_* changed their prototype in 7.2, and a mismatch fails the load even when weak.
 */
static __always_inline int session(struct pt_regs *ctx, enum walker walker)
{
	int skip_return = 0;

	if (bpf_get_func_ip(ctx) != PT_REGS_IP(ctx)) {
		heap_leave(PT_REGS_SP(ctx), PT_REGS_RC(ctx));
		return 0;
	}
	if (!enter(ctx, walker, true))
		skip_return = 1;
	/* else clang makes an XOR, and the verifier says "R0 unknown ... should be [0, 1]" */
	asm volatile("" : "+r"(skip_return));
	return skip_return ? 1 : 0;
}

/* Session and entry exist once per walker; the loader takes the best that the verifier accepts. */
#define HEAP_PROGRAMS(suffix, walker)                                   \
	SEC("uprobe") int heap_session##suffix(struct pt_regs *ctx)     \
	{                                                               \
		int ret;                                                \
									\
		guard_enter();                                          \
		ret = session(ctx, walker);                             \
		guard_exit();                                           \
		return ret;                                             \
	}                                                               \
	SEC("uprobe") int heap_entry##suffix(struct pt_regs *ctx)       \
	{                                                               \
		guard_enter();                                          \
		enter(ctx, walker, false);                              \
		guard_exit();                                           \
		return 0;                                               \
	}

HEAP_PROGRAMS(, WALK_TABLES)
HEAP_PROGRAMS(_fp, WALK_KERNEL)

SEC("uprobe")
int heap_return(struct pt_regs *ctx)
{
	guard_enter();
	heap_leave(PT_REGS_SP(ctx), PT_REGS_RC(ctx));
	guard_exit();
	return 0;
}

SEC("uprobe")
int heap_free_entry(struct pt_regs *ctx)
{
	struct call c;

	if (!armed)
		return 0;
	guard_enter();
	call_read(ctx, &c);
	heap_free(&c);
	guard_exit();
	return 0;
}
