/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The vm plane: what a target does to its mappings, one record per system call. Part of memprobe.bpf.c.
 *
 * No system-call tracepoint, but where nothing else is to be had (vm_calls.bpf.c): those make every system call of
 * every process on the machine slower. Whoever changes mappings takes the mmap lock for writing, and the saved user
 * registers say for which call:
 *
 *	mmap_lock_start_locking   before the lock: number, arguments, user stack (bpf_find_vma works here only)
 *	ma_write                  under it: which address ranges are mapped now, as the kernel merged them
 *	mmap_lock_released        still under it: send, so that records come in the order of the lock
 *
 * A call that fails writes no range. A munmap that fits its mapping writes none either; it gives the lock back for
 * reading (a downgrade), which a failed one does not. What of a merged range is new is told in user space, which
 * knows what was there (model/intervals.h).
 */

/* Bound to differ between kernels: only what is named here is read. */
struct maple_tree___vm {
	int unused;
} __attribute__((preserve_access_index));

struct mm_struct___vm {
	struct maple_tree___vm mm_mt;
	unsigned long start_brk, brk;
} __attribute__((preserve_access_index));

struct ma_state___vm {
	void *tree;
	unsigned long index, last;
} __attribute__((preserve_access_index));

struct super_block___vm {
	unsigned long s_magic;
} __attribute__((preserve_access_index));

#define VM_TMPFS_MAGIC 0x01021994 /* linux/magic.h: shared memory of any kind */
#define VM_HUGETLBFS_MAGIC 0x958458f6

const volatile __u32 cfg_lock_path = 0; /* 6.1 to 6.13: a path stands between mm and write */

__u32 vm_on = 0; /* records are sent; apart from `armed`, which follows the heap plane's gate */

/* A call in flight, put together in its record. op 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mp_ev_vm);
} vm_calls SEC(".maps");

/* Where a dead branch reads an argument that the tracepoint does not have, the verifier does not look. */
static __always_inline bool vm_for_writing(unsigned long long *ctx)
{
	__u64 write;

	/* in C clang makes one load of both: "dereference of modified ctx ptr" */
	if (cfg_lock_path)
		asm volatile("%0 = *(u64 *)(%1 + 16)" : "=r"(write) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(write) : "r"(ctx));
	return write & 1;
}

/*
 * Processes that are no targets, by what would change if one became one, or another took its place. A look-up in procs,
 * and its parent's, at each of their calls would make a mmap and munmap of theirs a third slower.
 */
#define VM_BYSTANDER_BITS 10
__u64 vm_bystanders[1 << VM_BYSTANDER_BITS];

static __always_inline __u64 vm_bystander_key(struct task_struct *task)
{
	__u64 key = task->group_leader->start_time ^ (__u64)exec_of(task) << 48; /* and its number: no other process */

	return mp_hash_step(mp_hash_step(key, task->tgid), target_epoch) | 1;
}

static __noinline void vm_note_bystander(struct task_struct *task, __u64 key)
{
	__u32 tgid = current_tgid();

	if (!cfg_scope_all && !bpf_map_lookup_elem(&procs, &tgid))
		vm_bystanders[key >> (64 - VM_BYSTANDER_BITS)] = key;
}

/* Is an allocator's call pending in this thread, from which this one comes? */
static __always_inline bool vm_is_inner(const struct mp_thread *th, __u64 sp)
{
	if (!th->pending || sp >= th->sp)
		return false;
	return !ARCH_HAS_RETURN_SLOT || arch_return_slot(th->sp) == trampoline();
}

static __always_inline bool vm_op_maps(__u32 op)
{
	return op == MP_VM_MMAP || op == MP_VM_MREMAP || op == MP_VM_BRK || op == MP_VM_SHMAT;
}

static __always_inline void vm_begin(struct task_struct *task, struct pt_regs *regs, __u32 op)
{
	struct mp_thread *th = thread_find();
	struct mp_ev_vm *e;
	struct call c;

	if (!th) {
		vm_note_bystander(task, vm_bystander_key(task));
		return;
	}
	e = storage_get(&vm_calls, task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!e) {
		lose(MP_LOSS_THREAD_RECORD, 0);
		return;
	}
	e->op = 0;
	call_from_user(regs, &c);
	e->kind = MP_EV_VM;
	e->gen = th->gen;
	e->flags = vm_is_inner(th, c.sp) ? MP_VM_INNER : 0;
	e->n_ranges = 0;
	e->hash = 0;
	e->arg[0] = arch_syscall_arg(regs, 0);
	e->arg[1] = arch_syscall_arg(regs, 1);
	e->arg[2] = arch_syscall_arg(regs, 2);
	e->arg[3] = arch_syscall_arg(regs, 3);
	e->arg[4] = arch_syscall_arg(regs, 4);
	if (vm_op_maps(op) && !(e->flags & MP_VM_INNER))
		e->hash = stack_capture_at(&c, th);
	e->op = op;
}

SEC("?tp_btf/mmap_lock_start_locking")
int vm_lock(unsigned long long *ctx)
{
	struct task_struct *task;
	struct pt_regs *regs;
	__u64 key;
	__u32 op;

	if (!vm_on || !vm_for_writing(ctx))
		return 0;
	task = bpf_get_current_task_btf();
	if ((void *)task->mm != (void *)ctx[0])
		return 0;
	key = vm_bystander_key(task);
	if (vm_bystanders[key >> (64 - VM_BYSTANDER_BITS)] == key)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	op = arch_vm_op(regs);
	if (!op)
		return 0;
	guard_enter();
	vm_begin(task, regs, op);
	guard_exit();
	return 0;
}

/* Memory, and not the page cache's? */
static __always_inline __u64 vm_kind_of(void *entry)
{
	struct vm_area_struct *vma = entry;
	struct file *file = BPF_CORE_READ(vma, vm_file);
	struct super_block___vm *sb;
	__u64 magic;

	if (!file)
		return 0;
	sb = (void *)BPF_CORE_READ(file, f_inode, i_sb);
	magic = BPF_CORE_READ(sb, s_magic);
	return magic == VM_TMPFS_MAGIC || magic == VM_HUGETLBFS_MAGIC ? 0 : MP_VM_RANGE_FILE;
}

SEC("?tp_btf/ma_write")
int vm_write(unsigned long long *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ma_state___vm *mas = (void *)ctx[1];
	void *entry = (void *)ctx[3];
	struct mp_ev_vm *e;
	__u32 n;

	if (!vm_on)
		return 0;
	e = storage_get(&vm_calls, task, 0);
	if (!e || !e->op || !entry)
		return 0;
	if (BPF_CORE_READ(mas, tree) !=
	    (void *)task->mm + bpf_core_field_offset(struct mm_struct___vm, mm_mt))
		return 0;
	n = e->n_ranges;
	if (n < MP_VM_RANGES) {
		e->range[n & (MP_VM_RANGES - 1)].start = BPF_CORE_READ(mas, index) | vm_kind_of(entry);
		e->range[n & (MP_VM_RANGES - 1)].end = BPF_CORE_READ(mas, last) + 1;
	}
	e->n_ranges = n + 1;
	return 0;
}

/* Did it change anything? The end of exact fits is told by nothing else than the lock. */
static __always_inline bool vm_is_news(const struct mp_ev_vm *e)
{
	switch (e->op) {
	case MP_VM_MUNMAP:
	case MP_VM_SHMDT:
	case MP_VM_BRK:
		return true;
	case MP_VM_MPROTECT:
		return !(e->flags & MP_VM_INNER);
	}
	return e->n_ranges || e->flags & MP_VM_DOWNGRADED;
}

static __always_inline void vm_send(struct mp_ev_vm *e, struct task_struct *task)
{
	struct mm_struct___vm *mm = (void *)task->mm;
	__u64 flags = BPF_RB_NO_WAKEUP;

	e->brk = BPF_CORE_READ(mm, brk);
	e->time_ns = bpf_ktime_get_ns();
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) * 4 > bpf_ringbuf_query(&events, BPF_RB_RING_SIZE))
		flags = BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_output(&events, e, sizeof(*e), flags))
		lose(MP_LOSS_VM_UNSENT, 0);
	e->op = 0;
}

#define VM_FIXED_NOREPLACE 0x100000 /* MAP_FIXED_NOREPLACE */
#define VM_MAYMOVE 1		    /* MREMAP_MAYMOVE */

/*
 * Could it be for want of memory that this call made no mapping? Its error is not known under the lock. Not so: a place
 * that is taken (EEXIST), no length, a mapping that has its size already, one that cannot grow where it is.
 */
static __always_inline bool vm_wants_memory(__u32 op, __u64 length, __u64 new_length, __u64 flags)
{
	if (op == MP_VM_MMAP)
		return length && !(flags & VM_FIXED_NOREPLACE);
	if (op != MP_VM_MREMAP)
		return true;
	if (flags == VM_MAYMOVE && (length + 4095) >> 12 == (new_length + 4095) >> 12)
		return false;
	return flags & VM_MAYMOVE;
}

static __always_inline void vm_note_refused(__u32 gen)
{
	struct mp_proc_totals *t = bpf_map_lookup_elem(&proc_totals, &gen);

	note_refusal(gen);
	if (t)
		__sync_fetch_and_add(&t->refused_maps, 1);
}

SEC("?tp_btf/mmap_lock_released")
int vm_unlock(unsigned long long *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_ev_vm *e;

	if (!vm_on)
		return 0;
	e = storage_get(&vm_calls, task, 0);
	if (!e || !e->op || (void *)task->mm != (void *)ctx[0])
		return 0;
	if (!vm_for_writing(ctx))
		e->flags |= MP_VM_DOWNGRADED;
	if (vm_is_news(e))
		vm_send(e, task);
	else if (vm_op_maps(e->op) && vm_wants_memory(e->op, e->arg[1], e->arg[2], e->arg[3]))
		vm_note_refused(e->gen);
	e->op = 0;
	return 0;
}
