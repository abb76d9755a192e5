/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One small program per thing that a kernel may not have: whether it loads is the answer. For
 * `memprobe doctor`; never loaded in a run, and never attached. Part of memprobe.bpf.c.
 */

static long trial_vma(struct task_struct *task, struct vm_area_struct *vma, void *ctx)
{
	return 0;
}

SEC("?uprobe")
int trial_find_vma(struct pt_regs *ctx)
{
	int data = 0;

	bpf_find_vma(bpf_get_current_task_btf(), PT_REGS_IP(ctx), trial_vma, &data, 0);
	return 0;
}

/* Not behind `if (bpf_preempt_disable)`: where it is missing, this must not load. */
SEC("?uprobe")
int trial_preempt(struct pt_regs *ctx)
{
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

__noinline int trial_global(int x)
{
	asm volatile("" : "+r"(x));
	return x;
}

/* 6.10 to 6.14: "global function calls are not allowed with preemption disabled" */
SEC("?uprobe")
int trial_preempt_calls(struct pt_regs *ctx)
{
	int r;

	bpf_preempt_disable();
	r = trial_global((int)PT_REGS_IP(ctx));
	bpf_preempt_enable();
	return r & 0;
}

SEC("?uprobe")
int trial_task_storage(struct pt_regs *ctx)
{
	bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

SEC("?uprobe")
int trial_ring_buffer(struct pt_regs *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (e)
		bpf_ringbuf_discard(e, 0);
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(trial_tracepoint, struct task_struct *task)
{
	return task->tgid == 0;
}
