/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Stacks at page faults: any instruction, in the midst of an allocator call too. Part of memprobe.bpf.c.
 *
 * A software page-fault event comes with preemption off, and not while an access of ours faults (the
 * kernel returns before it counts those), so the scratch of the CPU is free. The registers are
 * the user's at the fault, or, for a fault of the kernel on the user's behalf, at the system call.
 *
 * So far for the unwinder's proof only, never loaded in a normal run: as stack_verify, each stack at its 1st, 2nd,
 * 4th... fault is sent and the process stopped, so that it can be unwound from outside and compared.
 */

SEC("perf_event")
int fault_verify(struct bpf_perf_event_data *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct mp_thread *th = thread_get();
	struct mp_scratch *s = scratch_get();
	struct mp_stack *st;
	bool stop = false;
	struct call c;
	__u64 hash;

	if (!th || !s)
		return 0;
	call_from_user(regs, &c);
	hash = stack_capture_at(&c, th);
	st = bpf_map_lookup_elem(&stacks, &hash);
	if (st) {
		__u64 n = __sync_fetch_and_add(&st->alloc_blocks, 1) + 1;

		stop = !(n & (n - 1)) || bpf_get_prandom_u32() % cfg_verify_every == 0;
		if (stop && __sync_val_compare_and_swap(&verify_busy, 0, 1))
			stop = false;
	}
	if (!stop)
		return 0;
	s->ev.hash = hash;
	s->ev.tgid = (__u32)c.sp;
	s->ev.tid = (__u32)bpf_get_current_pid_tgid();
	if (stack_send(s, 0))
		verify_busy = 0;
	else
		bpf_send_signal(19);
	return 0;
}
