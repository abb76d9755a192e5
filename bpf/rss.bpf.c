/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Resident memory: programs. Part of memprobe.bpf.c; rss.bpf.h says what they count.
 *
 *	rss_changed     a counter of an address space has changed (also by reclaim, at exit...)
 *	rss_changed_fp  with the kernel's frame-pointer walk, where the tables' walk is refused
 *	rss_fault       a page fault begins: its address, which the counters' event does not tell
 *	rss_fault_kernel    the same, of the kernel on a thread's behalf (read(2) into a fresh buffer)
 *	rss_targets     over all threads, when the run begins: the sums then
 *	rss_prepare     run once by user space: where per-CPU variables lie
 *
 * The tracepoint comes under the page table's lock: nothing here may sleep, and user memory is read only as far as it
 * is resident.
 */

#define RSS_PROGRAM(suffix, walker)                                             \
	SEC("?tp_btf/rss_stat") int rss_changed##suffix(__u64 *ctx)             \
	{                                                                       \
		struct mm_struct *mm = (struct mm_struct *)ctx[0];              \
		__u32 member = (__u32)ctx[1];                                   \
										\
		if (!rss_armed || member >= MP_RSS_MEMBERS || rss_is_stranger(ctx)) \
			return 0;                                               \
		guard_enter();                                                  \
		rss_event(ctx, mm, member, walker);                             \
		guard_exit();                                                   \
		return 0;                                                       \
	}

RSS_PROGRAM(, WALK_TABLES)
RSS_PROGRAM(_fp, WALK_KERNEL)

/* x86 only: elsewhere there are no such tracepoints, and who touched which block is not told. */
#define RSS_FAULT(name, tracepoint)                                            \
	SEC("?tp_btf/" tracepoint) int name(__u64 *ctx)                        \
	{                                                                      \
		struct task_struct *task = bpf_get_current_task_btf();         \
									       \
		if (!rss_armed || (__s64)ctx[0] < 0 || rss_is_stranger((__u64 *)&task->mm)) \
			return 0;                                              \
		guard_enter();                                                 \
		rss_note_fault(task, ctx[0]);                                  \
		guard_exit();                                                  \
		return 0;                                                      \
	}

RSS_FAULT(rss_fault, "page_fault_user")
RSS_FAULT(rss_fault_kernel, "page_fault_kernel")

SEC("?iter/task")
int rss_targets(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[1];
	struct mm_struct *mm;
	struct mp_proc *p;
	__u32 tgid;
	__u64 key;

	if (!task)
		return 0;
	mm = task->mm;
	tgid = tgid_of(task);
	p = bpf_map_lookup_elem(&procs, &tgid);
	key = (__u64)mm;
	if (p && p->gen && mm && !(p->flags & MP_PROC_SHARED) && !bpf_map_lookup_elem(&rss_mms, &key))
		rss_begin(mm, p->gen);
	return 0;
}

struct bpf_array___rss {
	void *pptrs[1];
} __attribute__((preserve_access_index));

/*
 * Where per-CPU variables lie: no symbol tells it on a kernel without CONFIG_KALLSYMS_ALL, but a per-CPU map of
 * our own has both the address that is the same for all and each CPU's. User space subtracts them, as the
 * verifier lets no pointers be.
 */
SEC("?raw_tp")
int rss_prepare(void *ctx)
{
	__u32 zero = 0, cpu, at = bpf_core_field_offset(struct bpf_array___rss, pptrs);

	asm volatile("" : "+r"(at)); /* else it is part of a load, which libbpf relocates by the member's size: 0 */
	if (at > sizeof(cpu_offsets) - sizeof(rss_percpu_base) ||
	    bpf_probe_read_kernel(cpu_offsets, at + sizeof(rss_percpu_base), &losses))
		return 0;
	rss_percpu_base = *(__u64 *)((void *)cpu_offsets + at);
	for (cpu = 0; cpu < MP_MAX_CPUS && cpu < cfg_n_cpus; cpu++)
		cpu_offsets[cpu] = (__u64)bpf_map_lookup_percpu_elem(&losses, &zero, cpu);
	return 0;
}
