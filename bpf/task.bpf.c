/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Life and death of processes: fork, exec, exit, and COMMAND held until it can be probed.
 *
 * exec begins a new generation, fork gives the child an empty one, a CLONE_VM child (vfork)
 * shares its parent's, and the end of the last thread ends the generation. Nothing is deleted
 * from the ledger here: user space reads the final figures first. Part of memprobe.bpf.c.
 *
 * From some kernel between 6.18 and 7.2 on, tracepoint programs are preemptible, and one that is preempted is not
 * run for the other tasks of its CPU meanwhile (recursion_misses: 6 execs and 2 exits of 101 short commands at
 * once, 7.2 under emulation). Switching preemption off inside does not help: the next task may run at the very
 * end of it. They are counted as missed hits; ends are found by user space too (collector_reap).
 */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(task_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 ptgid = parent->tgid, tgid = child->tgid, gen;
	struct mp_proc *p, shared;

	if (child->pid != child->tgid)
		return 0; /* a thread */
	p = bpf_map_lookup_elem(&procs, &ptgid);
	if (!p || !p->gen || p->flags & (MP_PROC_HELD | MP_PROC_IGNORED))
		return 0;
	if (child->mm == parent->mm) {
		shared.gen = p->gen;
		shared.flags = p->flags | MP_PROC_SHARED;
		if (bpf_map_update_elem(&procs, &tgid, &shared, BPF_ANY))
			lose(MP_LOSS_PROCS_FULL, 0);
		if (p->flags & MP_PROC_FOLLOW)
			send_proc(MP_PROC_VFORK, tgid, 0, p->gen, ptgid, child);
		return 0;
	}
	if (!(p->flags & MP_PROC_FOLLOW))
		return 0;
	gen = proc_begin(tgid, p->flags & ~MP_PROC_SHARED, BPF_NOEXIST);
	if (gen)
		send_proc(MP_PROC_FORK, tgid, gen, p->gen, ptgid, child);
	return 0;
}

/* The thread that execs keeps its record: make it look up its new generation. */
static __always_inline void thread_forget(struct task_struct *task)
{
	struct mp_thread *th = storage_get(&threads, task, 0);

	if (th) {
		th->epoch = 0;
		th->pending = MP_OP_NONE;
		th->last_free_ptr = 0;
	}
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, pid_t old_pid)
{
	__u32 tgid = task->tgid, gen, old_gen, flags;
	struct mp_proc *p = bpf_map_lookup_elem(&procs, &tgid);

	thread_forget(task);
	uw_forget_ranges(tgid);
	if (!p || p->flags & MP_PROC_IGNORED)
		return 0;
	flags = p->flags;
	old_gen = flags & MP_PROC_SHARED ? 0 : p->gen;
	if (flags & MP_PROC_SHARED && !(flags & MP_PROC_FOLLOW)) {
		bpf_map_delete_elem(&procs, &tgid);
		return 0;
	}
	gen = proc_begin(tgid, flags & ~(MP_PROC_SHARED | MP_PROC_HELD), BPF_ANY);
	send_proc(MP_PROC_EXEC, tgid, gen, old_gen, old_pid, task);
	if (flags & MP_PROC_HELD) {
		bpf_send_signal(19 /* SIGSTOP, before its first instruction */);
		send_proc(MP_PROC_STOPPED, tgid, gen, 0, 0, task);
	}
	return 0;
}

/*
 * ld.so calls _dl_debug_state before and after it has mapped the libraries; musl's only after, and
 * loader_calls begins at 1.
 */
SEC("uprobe")
int loader_ready(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (__sync_fetch_and_add(&loader_calls, 1) != 1)
		return 0;
	bpf_send_signal(19);
	send_proc(MP_PROC_STOPPED, tgid, 0, 0, 0, task);
	return 0;
}

/*
 * The same function is called around each dlopen and dlclose: code may have gone, and other code may
 * come to lie in its place, so no cached unwind rule is served any more.
 */
SEC("uprobe")
int loader_changed(struct pt_regs *ctx)
{
	if (thread_get()) {
		uw_forget_ranges(bpf_get_current_pid_tgid() >> 32);
		__sync_fetch_and_add(&uw_epoch, 1);
	}
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct mp_proc *p;

	if (task->signal->live.counter)
		return 0; /* other threads live on */
	uw_forget_ranges(tgid);
	p = bpf_map_lookup_elem(&procs, &tgid);
	if (!p)
		return 0;
	if (p->gen && !(p->flags & (MP_PROC_SHARED | MP_PROC_IGNORED)))
		send_proc(MP_PROC_EXIT, tgid, 0, p->gen, 0, task);
	bpf_map_delete_elem(&procs, &tgid);
	return 0;
}
