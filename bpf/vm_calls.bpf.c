/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The vm plane by system calls, where the kernel lacks the tracepoints that vm.bpf.c takes, or refuses its programs.
 * Part of memprobe.bpf.c. The records are the same.
 *
 * Every system call of every process on the machine pays for these two programs, so they are loaded only then, and the
 * report says what they cost. What ends a mapping is told when it begins, as another thread may get the address before
 * the call's end is seen; what makes one is told at its end. A call that ends a mapping and fails for another reason
 * than its arguments is counted as missed.
 */
#define VM_ENOMEM 12
#define VM_EINVAL 22
#define VM_MAX_ERRNO 4095
#define VM_ANONYMOUS 0x20 /* MAP_ANONYMOUS */
#define VM_PAGE_MASK 4095ULL
#define VM_MOST_ADDRESS (1ULL << 56)

struct vm_area_struct___vm {
	unsigned long vm_end;
} __attribute__((preserve_access_index));

struct vm_seen {
	__u64 end, kind;
};

static long vm_see(struct task_struct *task, struct vm_area_struct *vma, struct vm_seen *s)
{
	s->end = BPF_CORE_READ((struct vm_area_struct___vm *)vma, vm_end);
	s->kind = vm_kind_of(vma);
	return 0;
}

/* The call's record, begun; NULL: no target's. */
static __always_inline struct mp_ev_vm *vm_record(struct task_struct *task, struct pt_regs *regs, __u32 op)
{
	__u64 key = vm_bystander_key(task);
	struct mp_ev_vm *e;

	if (vm_bystanders[key >> (64 - VM_BYSTANDER_BITS)] == key)
		return NULL;
	vm_begin(task, regs, op);
	e = storage_get(&vm_calls, task, 0);
	return e && e->op == op ? e : NULL;
}

static __always_inline void vm_enter_range(struct mp_ev_vm *e, __u64 start, __u64 end)
{
	if ((start & ~(__u64)MP_VM_RANGE_FILE) >= end)
		return;
	e->range[0].start = start;
	e->range[0].end = end;
	e->n_ranges = 1;
}

/* What the call has entered, by its result and the mapping that lies there now. */
static __always_inline void vm_find_range(struct mp_ev_vm *e, struct task_struct *task, __u64 at)
{
	struct mm_struct___vm *mm = (void *)task->mm;
	__u64 bytes = e->op == MP_VM_MMAP ? e->arg[1] : e->arg[2];
	struct vm_seen seen = { 0 };

	if (e->op == MP_VM_BRK) {
		vm_enter_range(e, (BPF_CORE_READ(mm, start_brk) + VM_PAGE_MASK) & ~VM_PAGE_MASK,
			       (BPF_CORE_READ(mm, brk) + VM_PAGE_MASK) & ~VM_PAGE_MASK);
		return;
	}
	bpf_find_vma(task, at, vm_see, &seen, 0);
	if (!seen.end && e->op == MP_VM_MMAP && !(e->arg[3] & VM_ANONYMOUS))
		seen.kind = MP_VM_RANGE_FILE; /* most are */
	if (e->op != MP_VM_SHMAT)
		seen.end = at + ((bytes + VM_PAGE_MASK) & ~VM_PAGE_MASK);
	else if (!seen.end)
		lose(MP_LOSS_VM_MISSED, 0);
	vm_enter_range(e, at | seen.kind, seen.end);
}

SEC("?tp_btf/sys_enter")
int vm_call_begins(unsigned long long *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	struct task_struct *task;
	struct mp_ev_vm *e;
	__u64 at, bytes;
	__u32 op;

	if (!vm_on)
		return 0;
	op = arch_vm_op(regs);
	if (op != MP_VM_MUNMAP && op != MP_VM_SHMDT)
		return 0;
	at = arch_syscall_arg(regs, 0);
	bytes = arch_syscall_arg(regs, 1);
	if (at & VM_PAGE_MASK || (op == MP_VM_MUNMAP && (!bytes || at > VM_MOST_ADDRESS || bytes > VM_MOST_ADDRESS - at)))
		return 0; /* it will fail */
	task = bpf_get_current_task_btf();
	guard_enter();
	e = vm_record(task, regs, op);
	if (e) {
		e->flags |= MP_VM_DOWNGRADED;
		vm_send(e, task);
	}
	guard_exit();
	return 0;
}

static __always_inline void vm_failed(struct pt_regs *regs, __u32 op, __u64 error)
{
	struct mp_thread *th = thread_find();

	if (!th)
		return;
	if (vm_op_maps(op) && error == VM_ENOMEM &&
	    vm_wants_memory(op, arch_syscall_arg(regs, 1), arch_syscall_arg(regs, 2), arch_syscall_arg(regs, 3)))
		vm_note_refused(th->gen);
	else if (op == MP_VM_MUNMAP && error != VM_EINVAL)
		lose(MP_LOSS_VM_MISSED, 0);
}

SEC("?tp_btf/sys_exit")
int vm_call_ends(unsigned long long *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	struct task_struct *task;
	struct mp_ev_vm *e;
	__u64 result = ctx[1];
	__u32 op;

	if (!vm_on)
		return 0;
	op = arch_vm_op(regs);
	if (op <= MP_VM_OTHER)
		return 0;
	task = bpf_get_current_task_btf();
	guard_enter();
	if (result >= (__u64)-VM_MAX_ERRNO) {
		vm_failed(regs, op, -result);
	} else if (op != MP_VM_MUNMAP && op != MP_VM_SHMDT) {
		e = vm_record(task, regs, op);
		if (e && vm_op_maps(op))
			vm_find_range(e, task, result);
		if (e && vm_is_news(e))
			vm_send(e, task);
		if (e)
			e->op = 0;
	}
	guard_exit();
	return 0;
}
