/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which process is this, and does it count?
 *
 * A thread's generation is looked up once and kept in its per-thread record until
 * user space changes the set of targets (target_epoch) or the thread execs. A hit of a
 * bystander costs a storage look-up and a hash miss, and makes no record.
 */
#ifndef MEMPROBE_PROCESS_BPF_H
#define MEMPROBE_PROCESS_BPF_H

static __always_inline __u32 new_gen(void)
{
	return __sync_fetch_and_add(&next_gen, 1) + 1;
}

static __always_inline void send_proc(__u32 what, __u32 tgid, __u32 gen, __u32 old_gen,
				      __u32 parent_tgid, struct task_struct *task)
{
	struct mp_ev_proc *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lose(MP_LOSS_EVENT_UNSENT, 0);
		return;
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
}

/*
 * Enter tgid into procs under a new generation; 0 when a table is full, or (with BPF_NOEXIST) when it is there
 * already: user space finds a child in /proc before the fork tracepoint does.
 */
static __always_inline __u32 proc_begin(__u32 tgid, __u32 flags, __u64 how)
{
	struct mp_proc_totals zero = {};
	struct mp_proc p = { .gen = new_gen(), .flags = flags };
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

/* Generation of the current process, 0 when it is no target. Not inlined: it is rare, and has locals. */
static __noinline __u32 proc_gen(struct task_struct *task)
{
	__u32 tgid = current_tgid();
	struct mp_proc *p = bpf_map_lookup_elem(&procs, &tgid);
	__u32 gen;

	if (p)
		return p->flags & (MP_PROC_HELD | MP_PROC_IGNORED) ? 0 : p->gen;
	if (!cfg_scope_all || !tgid || tgid == cfg_own_tgid)
		return 0;
	gen = proc_begin(tgid, MP_PROC_FOLLOW, BPF_ANY);
	if (gen)
		send_proc(MP_PROC_NEW, tgid, gen, 0, 0, task);
	return gen;
}

/* The current thread's record, or NULL: not a target, not armed, or no memory (counted). */
static __always_inline struct mp_thread *thread_get(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_thread *th;
	__u32 epoch, gen;

	if (!armed)
		return NULL;
	th = storage_get(&threads, task, 0);
	epoch = target_epoch;
	if (th && th->epoch == epoch)
		return th->gen ? th : NULL;
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
	return gen ? th : NULL;
}

#endif
