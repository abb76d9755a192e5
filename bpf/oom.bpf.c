/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How a target comes to its end for want of memory: the kernel's choice of a victim, and a runtime's own allocator that
 * gives up. Part of memprobe.bpf.c. What the victim had is in the tables already: nothing is read from it here.
 *
 * The mark comes some milliseconds before the process is gone. It knows the process by its number in the first PID
 * namespace only; the exit event (task.bpf.c) says for certain, in any namespace, whether it was marked.
 */

/* Before 6.9 the record holds the number alone; amounts are in KiB. */
struct trace_event_raw_mark_victim___mp {
	int pid;
	unsigned long anon_rss;
} __attribute__((preserve_access_index));

static __always_inline void send_death(__u32 what, __u32 tgid, __u32 gen, __u64 bytes, __u64 label)
{
	struct mp_ev_death *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		lose(MP_LOSS_EVENT_UNSENT, 0);
		return;
	}
	e->kind = MP_EV_DEATH;
	e->what = what;
	e->tgid = tgid;
	e->gen = gen;
	e->time_ns = bpf_ktime_get_ns();
	e->bytes = bytes;
	e->label = label;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

SEC("?tp/oom/mark_victim")
int oom_mark(struct trace_event_raw_mark_victim___mp *ctx)
{
	__u32 tgid = ctx->pid;
	struct mp_proc *p;
	__u64 kib = 0;

	if (pidns)
		return 0;
	p = bpf_map_lookup_elem(&procs, &tgid);
	if (!p || !p->gen)
		return 0;
	if (bpf_core_field_exists(struct trace_event_raw_mark_victim___mp, anon_rss))
		kib = ctx->anon_rss;
	send_death(MP_DEATH_MARKED, tgid, p->gen, kib << 10, 0);
	return 0;
}

/* erts_alloc_n_enomem(type, size), erts_realloc_n_enomem(type, block, size): it says so, and ends. */
SEC("uprobe")
int alloc_refused(struct pt_regs *ctx)
{
	struct mp_thread *th = thread_get();
	__u64 second = PT_REGS_PARM2(ctx), third = PT_REGS_PARM3(ctx);

	/* else clang makes one load of both: "dereference of modified ctx ptr" (6.18) */
	asm volatile("" : "+r"(second), "+r"(third));
	if (th)
		send_death(MP_DEATH_REFUSED, 0, th->gen, MP_COOKIE_ROW(bpf_get_attach_cookie(ctx)) ? third : second, PT_REGS_PARM1(ctx));
	return 0;
}
