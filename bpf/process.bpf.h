/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which process is this, and does it count?
 *
 * A thread's generation is looked up once and kept in its per-thread record until
 * user space changes the set of targets (target_epoch) or the thread execs. Fork and exec events can be
 * missed (task.bpf.c): what they would have done is then done at the next allocator call. A hit of a
 * bystander costs a storage look-up and two hash misses (itself, its parent), and makes no record.
 */
#ifndef MEMPROBE_PROCESS_BPF_H
#define MEMPROBE_PROCESS_BPF_H

#define MP_SIGSTOP 19 /* of x86 and of arm64 */

static __always_inline __u32 new_gen(void)
{
	return __sync_fetch_and_add(&next_gen, 1) + 1;
}

/* False: the event buffer is full. */
static __always_inline bool send_proc(__u32 what, __u32 tgid, __u32 gen, __u32 old_gen,
				      __u32 parent_tgid, struct task_struct *task)
{
	struct mp_ev_proc *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lose(MP_LOSS_EVENT_UNSENT, 0);
		return false;
	}
	e->kind = MP_EV_PROC;
	e->what = what;
	e->tgid = tgid;
	e->gen = gen;
	e->old_gen = old_gen;
	e->parent_tgid = parent_tgid;
	e->time_ns = bpf_ktime_get_ns();
	if (bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), task->comm) < 0)
		e->comm[0] = 0;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
	return true;
}

/*
 * Enter tgid into procs under a new generation; 0 when a table is full, or (with BPF_NOEXIST) when it is there
 * already: user space finds a child in /proc before the fork tracepoint does.
 */
static __noinline __u32 proc_begin(__u32 tgid, __u32 flags, __u64 how, __u32 exec)
{
	struct mp_proc_totals zero = {};
	struct mp_proc p = { .gen = new_gen(), .flags = flags, .exec = exec };
	long err;

	err = map_update(&proc_totals, &p.gen, &zero, BPF_ANY);
	if (!err) {
		err = map_update(&procs, &tgid, &p, how);
		if (err)
			bpf_map_delete_elem(&proc_totals, &p.gen);
	}
	if (!err)
		return p.gen;
	if (err != -MP_EEXIST)
		lose(MP_LOSS_PROCS_FULL, 0);
	return 0;
}

static __always_inline __u32 exec_of(struct task_struct *task)
{
	return (__u32)task->self_exec_id + 1;
}

/* Is the process a target with its new image? p: what it was, or NULL. */
static __always_inline bool stays_target(const struct mp_proc *p, struct task_struct *task)
{
	if (!p || p->flags & MP_PROC_SELECTED)
		return is_selected(task);
	return !(p->flags & MP_PROC_SHARED) || p->flags & MP_PROC_FOLLOW;
}

/* A process has called exec; p: what it was, or NULL. Its new generation, 0 when it is no target. */
static __noinline __u32 proc_exec(struct task_struct *task, struct mp_proc *p, __u32 tgid, __u32 old_pid)
{
	__u32 flags = p ? p->flags : MP_PROC_SELECTED, gen = 0;
	__u32 old_gen = p && !(flags & MP_PROC_SHARED) ? p->gen : 0;

	if (stays_target(p, task))
		gen = proc_begin(tgid, flags & ~(MP_PROC_SHARED | MP_PROC_HELD), BPF_ANY, exec_of(task));
	else if (p)
		bpf_map_delete_elem(&procs, &tgid);
	if (gen || old_gen)
		send_proc(MP_PROC_EXEC, tgid, gen, old_gen, old_pid, task);
	return gen;
}

/* A CLONE_VM child: its parent's generation, as it is its parent's memory until it execs or ends. */
static __always_inline void proc_share(__u32 tgid, const struct mp_proc *parent, __u32 exec)
{
	struct mp_proc p = { .gen = parent->gen, .flags = parent->flags | MP_PROC_SHARED, .exec = exec };

	if (map_update(&procs, &tgid, &p, BPF_ANY))
		lose(MP_LOSS_PROCS_FULL, 0);
}

/* What a child of p, or of a bystander (NULL), is by its birth: flags, 0 when it is no target. */
static __always_inline __u32 flags_of_child(const struct mp_proc *p, struct task_struct *child)
{
	if (p && p->gen && p->flags & MP_PROC_FOLLOW)
		return p->flags & ~MP_PROC_SHARED;
	return is_selected(child) ? MP_PROC_SELECTED : 0;
}

/*
 * A process that is not known: a bystander, or its fork event was missed. Only a target's children are looked
 * at more closely: bystanders come here at each of their calls.
 */
static __noinline __u32 proc_unknown(struct task_struct *task, __u32 tgid)
{
	struct task_struct *parent = task->real_parent;
	__u32 ptgid = tgid_of(parent), flags = 0, gen;
	struct mp_proc *p = bpf_map_lookup_elem(&procs, &ptgid);

	if (!tgid || tgid == cfg_own_tgid)
		return 0;
	if (p && p->gen && !(p->flags & (MP_PROC_HELD | MP_PROC_IGNORED))) {
		if (task->mm == parent->mm) {
			gen = p->gen;
			proc_share(tgid, p, exec_of(task));
			return gen;
		}
		flags = flags_of_child(p, task);
	}
	if (!flags && cfg_scope_all)
		flags = MP_PROC_FOLLOW;
	if (!flags)
		return 0;
	gen = proc_begin(tgid, flags, BPF_NOEXIST, exec_of(task));
	if (gen)
		send_proc(MP_PROC_NEW, tgid, gen, 0, 0, task);
	return gen;
}

/* Generation of the current process, 0 when it is no target. Not inlined: it is rare, and has locals. */
static __noinline __u32 proc_gen(struct task_struct *task)
{
	__u32 tgid = current_tgid();
	struct mp_proc *p = bpf_map_lookup_elem(&procs, &tgid);

	if (!p)
		return proc_unknown(task, tgid);
	if (p->flags & (MP_PROC_HELD | MP_PROC_IGNORED))
		return 0;
	if (!p->exec) /* entered by user space */
		p->exec = exec_of(task);
	if (p->exec != exec_of(task)) /* its exec event was missed */
		return proc_exec(task, p, tgid, tgid);
	return p->gen;
}

/* What a thread has from before its exec. */
static __always_inline void thread_forget(struct mp_thread *th)
{
	th->epoch = 0;
	th->pending = MP_OP_NONE;
	th->last_free_ptr = 0;
	__builtin_memset(th->rss_waiting, 0, sizeof(th->rss_waiting));
}

/* The current thread's record, or NULL: not a target, or no memory (counted). */
static __always_inline struct mp_thread *thread_find(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_thread *th;
	__u32 epoch, gen, exec = exec_of(task);

	th = storage_get(&threads, task, 0);
	epoch = target_epoch;
	if (th && th->epoch == epoch && th->exec == exec)
		return th->gen ? th : NULL;
	if (th && th->exec != exec)
		thread_forget(th);
	gen = proc_gen(task);
	if (!th) {
		if (!gen)
			return NULL;
		th = storage_get(&threads, task, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!th) {
			lose(MP_LOSS_THREAD_RECORD, 0);
			return NULL;
		}
	}
	th->gen = gen;
	th->epoch = epoch;
	th->exec = exec;
	return gen ? th : NULL;
}

/* The same for a hit of a heap probe: NULL too while they are not armed. */
static __always_inline struct mp_thread *thread_get(void)
{
	return armed ? thread_find() : NULL;
}

#endif
