/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Preemption off for the length of a program.
 *
 * Uprobe programs run with migration disabled but preemptible; on kernels with lazy or
 * full preemption another thread on the same CPU overwrites the per-CPU scratch, and from
 * 6.13 the program's own BPF stack too. Each program body therefore stands between
 * guard_enter and guard_exit. The kfuncs exist from 6.10; unguarded weak calls make the
 * load fail with -EINVAL on 6.1. cfg_preempt_guard = 0 removes the calls where the
 * verifier refuses global subprograms inside ("global function calls are not allowed
 * with preemption disabled", 6.12). Then, and before 6.10, the scratch is per thread (call.bpf.h), and
 * BPF stacks lie on the thread's own kernel stack.
 */
#ifndef MEMPROBE_GUARD_BPF_H
#define MEMPROBE_GUARD_BPF_H

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

static __always_inline bool guard_works(void)
{
	return cfg_preempt_guard && bpf_preempt_disable;
}

static __always_inline void guard_enter(void)
{
	if (guard_works())
		bpf_preempt_disable();
}

static __always_inline void guard_exit(void)
{
	if (guard_works() && bpf_preempt_enable)
		bpf_preempt_enable();
}

/*
 * The task's entry in a task storage, or NULL. Where programs are preemptible, this is not: a thread that stood
 * in here let no other on its CPU make an entry (6.12, preempt=full: 3194 of 1.1 million calls unseen).
 */
static __always_inline void *storage_get(void *map, struct task_struct *task, __u64 flags)
{
	void *v;

	if (!cfg_preempt_guard && bpf_preempt_disable)
		bpf_preempt_disable();
	v = bpf_task_storage_get(map, task, NULL, flags);
	if (!cfg_preempt_guard && bpf_preempt_enable)
		bpf_preempt_enable();
	return v;
}

#endif
