/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The unwinder's proof, never loaded in a normal run: each stack at its 1st, 2nd, 4th, 8th... hit and one hit in
 * cfg_verify_every is sent, and the process stopped, so that it can be unwound from outside and compared. At allocator
 * calls, and at page faults: any instruction, in the midst of an allocator call too. Part of memprobe.bpf.c.
 *
 * A software page-fault event comes with preemption off, and not while an access of ours faults (the kernel returns
 * before it counts those), so the scratch of the CPU is free. The registers are the user's at the fault, or, for a
 * fault of the kernel on the user's behalf, at the system call.
 */

/* Sends the stack in the scratch when it is its turn. True: the process is to be stopped. */
static __always_inline bool verify_send(struct mp_scratch *s, __u64 hash, __u64 sp)
{
	struct mp_stack *st = bpf_map_lookup_elem(&stacks, &hash);
	__u64 n;

	if (!st)
		return false;
	n = __sync_fetch_and_add(&st->alloc_blocks, 1) + 1;
	if (n & (n - 1) && bpf_get_prandom_u32() % cfg_verify_every)
		return false;
	/* one at a time: a second thread's stop would be undone with the first's */
	if (__sync_val_compare_and_swap(&verify_busy, 0, 1))
		return false;
	s->ev.hash = hash;
	s->ev.tgid = (__u32)sp; /* here: to know the moment again */
	s->ev.tid = (__u32)bpf_get_current_pid_tgid();
	if (!stack_send(s, 0))
		return true;
	verify_busy = 0;
	return false;
}

SEC("uprobe")
int stack_verify(struct pt_regs *ctx)
{
	struct mp_scratch *s;
	struct mp_thread *th;
	struct call c;
	bool stop = false;

	if (!armed)
		return 0;
	guard_enter();
	th = thread_get();
	s = scratch_get();
	if (th && s) {
		call_read(ctx, &c);
		stop = verify_send(s, stack_capture(ctx, &c, th->gen, WALK_TABLES), PT_REGS_SP(ctx));
	}
	guard_exit();
	if (stop)
		bpf_send_signal(MP_SIGSTOP);
	return 0;
}

SEC("perf_event")
int fault_verify(struct bpf_perf_event_data *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct mp_thread *th = thread_get();
	struct mp_scratch *s = scratch_get();
	struct call c;

	if (!th || !s)
		return 0;
	call_from_user(regs, &c);
	if (verify_send(s, stack_capture_at(&c, th), c.sp))
		bpf_send_signal(MP_SIGSTOP);
	return 0;
}
