/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Processes by number, name and control group.
 *
 * Numbers are those of memprobe's own PID namespace, everywhere: in the maps, in events, on the command
 * line. Names are matched by the automata that src/proc/comm_pattern.c makes of glob patterns; groups by
 * the identity of the process's group or one above it. Asked at fork and exec only.
 */
#ifndef MEMPROBE_SELECT_BPF_H
#define MEMPROBE_SELECT_BPF_H

const volatile __u32 cfg_n_patterns = 0, cfg_n_cgroups = 0;
const volatile struct mp_comm_pattern cfg_patterns[MP_MAX_PATTERNS] = {};
const volatile struct mp_cgroup cfg_cgroups[MP_MAX_CGROUPS] = {};

__u64 pidns = 0; /* memprobe's own; 0: the first, where a process's number is its tgid */
__u32 pidns_level = 0;

/* Deeper groups are not looked at; systemd and kubernetes have ten levels. */
#define MAX_CGROUP_DEPTH 32

/* Number and namespace of a struct pid at a level: numbers[] has no length in most kernels. */
static __always_inline void pid_at(struct pid *pid, __u32 level, __u32 *nr, __u64 *ns)
{
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		   level * bpf_core_type_size(struct upid);

	bpf_probe_read_kernel(nr, sizeof(*nr), at + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(ns, sizeof(*ns), at + bpf_core_field_offset(struct upid, ns));
}

/* The process's number; 0 when it is not in memprobe's PID namespace or one below it. */
static __always_inline __u32 tgid_of(struct task_struct *task)
{
	__u32 nr = 0, tgid = task->tgid;
	struct pid *pid;
	__u64 ns = 0;

	/* else clang makes one load for task and stack: "same insn cannot be used with different pointers" */
	asm volatile("" : "+r"(tgid));
	if (!pidns)
		return tgid;
	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	if (!pid || BPF_CORE_READ(pid, level) < pidns_level)
		return 0;
	pid_at(pid, pidns_level, &nr, &ns);
	return ns == pidns ? nr : 0;
}

/* Not inlined, for its locals: see test_bpf_stack.sh. */
static __noinline __u32 current_tgid_in_ns(void)
{
	return tgid_of(bpf_get_current_task_btf());
}

static __always_inline __u32 current_tgid(void)
{
	return pidns ? current_tgid_in_ns() : bpf_get_current_pid_tgid() >> 32;
}

/* Run once by user space, in its own context: which namespace is it in? */
SEC("raw_tp")
int find_pidns(void *ctx)
{
	struct pid *pid = BPF_CORE_READ(bpf_get_current_task_btf(), thread_pid);
	__u32 level = BPF_CORE_READ(pid, level), nr;
	__u64 ns = 0;

	if (!level)
		return 0;
	pid_at(pid, level, &nr, &ns);
	pidns_level = level;
	pidns = ns;
	return 0;
}

/* Bit i of the state: the first i elements of the pattern have been matched. */
static __noinline bool comm_matches(const char *comm, __u32 which)
{
	const volatile struct mp_comm_pattern *p = &cfg_patterns[which & (MP_MAX_PATTERNS - 1)];
	__u32 state = 1, i;

	if (!comm)
		return false;
	for (i = 0; i < MP_COMM_BYTES; i++) {
		__u8 c = comm[i];

		if (!c)
			break;
		state = (state & p->accepts[c]) << 1 | (state & p->loops);
	}
	return state & p->final;
}

/* The task's group in the hierarchy that /proc/PID/cgroup numbers so; 0 is the unified one. */
static __always_inline struct cgroup *cgroup_of(struct task_struct *task, __u32 hierarchy)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	__u32 n = bpf_core_field_size(struct css_set, subsys) / sizeof(void *), i;
	struct cgroup_subsys_state *css;
	struct cgroup *group;

	if (!hierarchy)
		return BPF_CORE_READ(set, dfl_cgrp);
	for (i = 0; i < 32 && i < n; i++) {
		bpf_probe_read_kernel(&css, sizeof(css), (void *)set +
							 bpf_core_field_offset(struct css_set, subsys) +
							 i * sizeof(void *));
		group = BPF_CORE_READ(css, cgroup);
		if (BPF_CORE_READ(group, root, hierarchy_id) == hierarchy)
			return group;
	}
	return NULL;
}

static __always_inline bool in_cgroup(struct task_struct *task, __u32 which)
{
	const volatile struct mp_cgroup *want = &cfg_cgroups[which & (MP_MAX_CGROUPS - 1)];
	struct cgroup *group = cgroup_of(task, want->hierarchy);
	struct cgroup_subsys_state *above;
	int i;

	for (i = 0; i < MAX_CGROUP_DEPTH && group; i++) {
		if (BPF_CORE_READ(group, kn, id) == want->id)
			return true;
		above = BPF_CORE_READ(group, self.parent);
		group = above ? BPF_CORE_READ(above, cgroup) : NULL;
	}
	return false;
}

/* Is a process that begins now one of those that were asked for by name or group? */
static __always_inline bool is_selected(struct task_struct *task)
{
	char comm[MP_COMM_BYTES + 1] = {};
	__u32 i;

	if (cfg_n_patterns) {
		bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
		for (i = 0; i < MP_MAX_PATTERNS && i < cfg_n_patterns; i++)
			if (comm_matches(comm, i))
				return true;
	}
	for (i = 0; i < MP_MAX_CGROUPS && i < cfg_n_cgroups; i++)
		if (in_cgroup(task, i))
			return true;
	return false;
}

#endif
