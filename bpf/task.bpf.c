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
 * end of it. So ends are found by user space too (collector_reap), forks and execs at the process's next allocator
 * call (proc_gen). Not made up for: the exec, so missed, by which a process that was none comes to be selected.
 */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(task_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 ptgid, tgid, gen, old_gen, flags;
	struct mp_proc *p;

	if (child->pid != child->tgid || !child->mm)
		return 0; /* a thread, or the kernel's */
	ptgid = tgid_of(parent);
	tgid = tgid_of(child);
	p = bpf_map_lookup_elem(&procs, &ptgid);
	if (!tgid || ptgid == cfg_own_tgid || (p && p->flags & (MP_PROC_HELD | MP_PROC_IGNORED)))
		return 0;
	old_gen = p ? p->gen : 0;
	if (p && old_gen && child->mm == parent->mm) {
		proc_share(tgid, p, exec_of(child));
		if (p->flags & MP_PROC_FOLLOW)
			send_proc(MP_PROC_VFORK, tgid, 0, old_gen, ptgid, child);
		return 0;
	}
	flags = flags_of_child(p, child);
	if (!flags)
		return 0;
	gen = proc_begin(tgid, flags, BPF_NOEXIST, exec_of(child));
	if (gen && rss_armed)
		rss_begin(child->mm, gen);
	if (gen)
		send_proc(MP_PROC_FORK, tgid, gen, old_gen, ptgid, child);
	return 0;
}

/* It stands still until user space lets it go on, so it does only if user space hears of it. */
static __always_inline void stop_command(__u32 tgid, __u32 gen, struct task_struct *task)
{
	if (send_proc(MP_PROC_STOPPED, tgid, gen, 0, 0, task))
		bpf_send_signal(MP_SIGSTOP);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, pid_t old_pid)
{
	struct mp_thread *th = storage_get(&threads, task, 0);
	__u32 tgid = tgid_of(task), gen;
	struct mp_proc *p = bpf_map_lookup_elem(&procs, &tgid);
	bool held;

	if (th) {
		cost_flush(th);
		thread_forget(th); /* its next call looks up its new generation */
	}
	uw_forget_ranges(tgid);
	if (!tgid || (p && p->flags & MP_PROC_IGNORED))
		return 0;
	held = p && p->flags & MP_PROC_HELD;
	gen = proc_exec(task, p, tgid, old_pid == task->tgid ? tgid : (__u32)old_pid);
	if (gen && rss_armed)
		rss_begin(task->mm, gen);
	if (held) /* before its first instruction */
		stop_command(tgid, gen, task);
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
	__u32 tgid = current_tgid();

	if (__sync_fetch_and_add(&loader_calls, 1) != 1)
		return 0;
	stop_command(tgid, 0, task);
	return 0;
}

/* _exit of the C library, in COMMAND itself: what it holds is looked at before it goes. */
SEC("uprobe")
int exit_begins(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = current_tgid();

	if (tgid != exit_tgid || __sync_val_compare_and_swap(&exit_tgid, tgid, 0) != tgid)
		return 0;
	stop_command(tgid, 0, task);
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
		uw_forget_ranges(current_tgid());
		__sync_fetch_and_add(&uw_epoch, 1);
	}
	return 0;
}

struct signal_struct___oom {
	void *oom_mm;
} __attribute__((preserve_access_index));

/*
 * What a program whose memory was refused may end by, a while after: a status, or a signal of its own doing. Others
 * come from outside, SIGKILL and SIGTERM of whoever recycles workers. task->exit_code: as wait(2) has it.
 */
#define OWN_SIGNALS (1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11) /* ILL TRAP ABRT BUS FPE SEGV */
#define LATE_MS 2000	     /* a refusal so shortly before the end is why it came */
#define LATE_FAILED_MS 60000 /* ... when it failed */

static __always_inline bool has_failed(__u32 code)
{
	__u32 signal = code & 0x7f;

	return signal ? signal < 32 && OWN_SIGNALS >> signal & 1 : (code >> 8 & 0xff) != 0;
}

static __always_inline bool was_refused(struct task_struct *task, __u32 gen)
{
	__u64 when = refused_when[gen & (REFUSED_GENS - 1)];

	if (when >> 32 != gen)
		return false;
	return now_ms() - (__u32)when <= (has_failed(task->exit_code) ? LATE_FAILED_MS : LATE_MS);
}

/*
 * Did it end for want of memory? That the kernel chose it is noted until the last of the process is gone (since 4.9).
 */
static __always_inline __u32 exit_reason(struct task_struct *task, __u32 gen)
{
	struct signal_struct___oom *signal = (void *)task->signal;

	return (BPF_CORE_READ(signal, oom_mm) ? MP_EXIT_OOM : 0) | (was_refused(task, gen) ? MP_EXIT_REFUSED : 0);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	struct mp_thread *th;
	struct mp_proc *p;
	__u32 tgid;

	th = storage_get(&threads, task, 0);
	if (th)
		cost_flush(th);
	if (task->signal->live.counter)
		return 0; /* other threads live on */
	tgid = tgid_of(task);
	uw_forget_ranges(tgid);
	p = bpf_map_lookup_elem(&procs, &tgid);
	if (!p)
		return 0;
	if (p->gen && !(p->flags & (MP_PROC_SHARED | MP_PROC_IGNORED))) {
		rss_note_end(task);
		send_proc(MP_PROC_EXIT, tgid, 0, p->gen, exit_reason(task, p->gen), task);
	}
	bpf_map_delete_elem(&procs, &tgid);
	return 0;
}
