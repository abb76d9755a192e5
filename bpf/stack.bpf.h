/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Stacks: capture, identity, sending the frames once.
 *
 * capture_*() fill scratch->ev {ips, n_frames, end} for the current thread; stack_intern()
 * gives the stack its 64-bit hash and makes sure that user space gets its frames. A stack
 * is known by its hash only; user space recomputes the hash over the frames it received.
 */
#ifndef MEMPROBE_STACK_BPF_H
#define MEMPROBE_STACK_BPF_H

/* How to walk. A constant in each program, so the other walkers are not in it. */
enum walker {
	WALK_TABLES, /* unwind.bpf.h */
	WALK_KERNEL, /* bpf_get_stack: frame pointers */
	WALK_NONE,   /* the caller only (tests) */
};

/*
 * The kernel's frame-pointer walk loses the caller of a function that does not start with
 * push %rbp (and most kernels lose it even then), so the return address is put in by hand:
 * the walk goes to ips[1..]; when its second frame is not the return address, ips[0..1] become
 * {ip, ra} before the rest, else the stack starts at ips[1] and *first is 1.
 */
static __always_inline void capture_kernel(void *ctx, struct call *c, struct mp_scratch *s,
					   __u32 *first)
{
	long n = bpf_get_stack(ctx, &s->ev.ips[1], sizeof(s->ev.ips) - 8, BPF_F_USER_STACK);

	*first = 0;
	c->ra = arch_return_address(ctx, c->sp);
	s->ev.end = MP_END_FRAME_POINTER;
	if (n < 0) {
		lose(MP_LOSS_STACK_READ, 0);
		s->ev.end = MP_END_UNREADABLE;
		n = 0;
	}
	n >>= 3;
	if (n >= 2 && s->ev.ips[2] == c->ra) {
		*first = 1;
		s->ev.n_frames = n;
		return;
	}
	s->ev.ips[0] = c->ip;
	s->ev.ips[1] = c->ra;
	s->ev.n_frames = n > 1 ? n + 1 : 2;
}

static __always_inline void capture_caller(const struct call *c, struct mp_scratch *s)
{
	s->ev.ips[0] = c->ip;
	s->ev.ips[1] = c->ra;
	s->ev.n_frames = 2;
	s->ev.end = MP_END_COMPLETE;
}

/* Send ev; the ring gets a wake-up only when it is a quarter full (user space polls anyway). */
static __always_inline long stack_send(struct mp_scratch *s, __u32 first)
{
	__u64 len = (__u64)s->ev.n_frames * 8 + __builtin_offsetof(struct mp_ev_stack, ips);
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) * 4 >
	    bpf_ringbuf_query(&events, BPF_RB_RING_SIZE))
		flags = BPF_RB_FORCE_WAKEUP;
	s->ev.kind = MP_EV_STACK;
	s->ev.first = first;
	if (first)
		len += 8;
	asm volatile("" : "+r"(len));
	if (len > sizeof(s->ev))
		len = sizeof(s->ev);
	return bpf_ringbuf_output(&events, &s->ev, len, flags);
}

enum { STACK_LATE = 1, STACK_SENT };

/*
 * Enter ev's stack into the stack table; false when user space will not get it now, as a table or the event buffer is
 * full. Not inlined: it is rare, and has locals.
 */
static __noinline bool stack_enter(struct mp_scratch *s, __u64 hash, __u32 first)
{
	struct mp_stack *st = bpf_map_lookup_elem(&stacks, &hash);

	if (!st) {
		struct mp_stack fresh = { .gen = s->ev.gen };

		bpf_map_update_elem(&stacks, &hash, &fresh, BPF_NOEXIST);
		st = bpf_map_lookup_elem(&stacks, &hash);
		if (!st)
			return false; /* counted with its bytes when the block arrives */
	}
	if (st->sent == STACK_SENT && resend_stack != hash)
		return true;
	if (resend_stack == hash)
		resend_stack = 0;
	s->ev.hash = hash;
	if (rt_send(s) || stack_send(s, first)) { /* the next hit tries again */
		if (st->sent != STACK_LATE)
			lose(MP_LOSS_STACK_UNSENT, 0);
		st->sent = STACK_LATE;
		return false;
	}
	st->sent = STACK_SENT; /* two CPUs may both send it */
	return true;
}

/* With --threads: stacks of threads of different names are different ones. */
const volatile __u32 cfg_threads = 0;

/* Hash of the captured stack; afterwards user space has, or will get, its frames. */
static __always_inline __u64 stack_intern(struct mp_scratch *s, __u32 first, __u64 hash)
{
	__u64 *known;

	s->ev.n_runtime = 0;
	if (n_runtimes)
		hash = rt_frames(hash);
	if (cfg_threads) {
		bpf_get_current_comm(s->ev.thread, sizeof(s->ev.thread));
		hash = mp_hash_thread(hash, s->ev.thread);
	}
	known = &known_stacks[hash & ((1 << KNOWN_BITS) - 1)];
	if (*known == hash)
		return hash;
	s->ev.tgid = current_tgid();
	s->ev.tid = (__u32)bpf_get_current_pid_tgid();
	if (stack_enter(s, hash, first))
		*known = hash;
	return hash;
}

/* Not inlined: a loop over all frames, verified once. */
static __noinline __u64 stack_hash(struct mp_scratch *s, __u32 first, __u64 h)
{
	__u32 n, i;

	if (!s)
		return 0;
	n = s->ev.n_frames;
	for (i = 0; i < MP_MAX_FRAMES; i++) {
		__u32 at = i + first;

		if (i >= n || at >= MP_MAX_FRAMES)
			break;
		h = mp_hash_step(h, s->ev.ips[at]);
	}
	return mp_mix(mp_hash_step(h, s->ev.end));
}

/* The same at any instruction of the current thread; th's pending call is seen through. */
static __always_inline __u64 stack_capture_at(const struct call *c, const struct mp_thread *th)
{
	struct mp_scratch *s = scratch_get();
	bool pending = th->pending != MP_OP_NONE && ARCH_HAS_RETURN_SLOT;

	if (!s)
		return 0;
	s->ev.gen = th->gen;
	s->ev.left_out = 0;
	s->label = 0;
	capture_tables_at(c, s, th->gen, pending ? th->sp : 0, pending ? th->ra : 0);
	return stack_intern(s, 0, uw_finish_hash());
}

/* The same by the kernel's frame-pointer walk. */
static __always_inline __u64 stack_capture_user(void *ctx, __u32 gen)
{
	struct mp_scratch *s = scratch_get();
	long n;

	if (!s)
		return 0;
	s->ev.gen = gen;
	s->ev.left_out = 0;
	s->label = 0;
	s->jit_fp = 0;
	s->jit_pc = 0;
	n = bpf_get_stack(ctx, s->ev.ips, sizeof(s->ev.ips), BPF_F_USER_STACK);
	s->ev.end = n < 0 ? MP_END_UNREADABLE : MP_END_FRAME_POINTER;
	s->ev.n_frames = n < 0 ? 0 : n >> 3;
	return stack_intern(s, 0, stack_hash(s, 0, mp_hash_start(gen)));
}

/* Walk, identify, send: the stack's hash. Sets c->ra. */
static __always_inline __u64 stack_capture(void *ctx, struct call *c, __u32 gen,
					   enum walker walker)
{
	struct mp_scratch *s = scratch_get();
	__u32 first = 0;

	if (!s)
		return 0;
	s->ev.gen = gen;
	s->ev.left_out = 0;
	s->label = shapes[c->row & (MP_MAX_SHAPES - 1)].flags & MP_SHAPE_LABEL ? call_arg(c, 0) : 0;
	if (walker == WALK_TABLES) {
		capture_tables(c, s, gen);
		return stack_intern(s, 0, uw_finish_hash());
	}
	s->jit_fp = 0;
	s->jit_pc = 0;
	if (walker == WALK_KERNEL)
		capture_kernel(ctx, c, s, &first);
	else
		capture_caller(c, s);
	return stack_intern(s, first, stack_hash(s, first, mp_hash_start(gen)));
}

#endif
