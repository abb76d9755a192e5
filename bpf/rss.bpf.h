/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Resident memory: what an event of the kernel's counters means. Part of memprobe.bpf.c.
 *
 * The kernel tells that a counter of an address space has changed, not by how much: the sum now less the sum
 * before is the amount, whatever changed it (a fault, read(2) into a fresh buffer, MAP_POPULATE, mlock; a huge page
 * counts in full). Up to 6.1 a thread tells of 64 faults at once. A page of zeros that is only read is not
 * counted, nor is a child's copy of a page that it shared with its parent: the kernel counted it at the fork.
 *
 * The raw tracepoint, not the classic one: that one sums over all CPUs at every event of every process,
 * and needs tracefs. Here that is done for targets only.
 */
#ifndef MEMPROBE_RSS_BPF_H
#define MEMPROBE_RSS_BPF_H

MP_STATIC_ASSERT(MP_RSS_MEMBERS == 4, "rss_bound");

#define MP_PF_KTHREAD 0x00200000
#define MP_PF_EXITING 0x00000004

const volatile __u32 cfg_n_cpus = 0; /* possible ones, at most MP_MAX_CPUS */

__u32 rss_armed = 0;
__u32 rss_placing = 0; /* the addresses of faults are told */
__u64 rss_ended_faults = 0; /* page faults of targets that have ended: user space asks the living */
__u64 cpu_offsets[MP_MAX_CPUS]; /* of per-CPU variables: rss_prepare */
__u64 rss_percpu_base = 0;

/*
 * Address spaces that are no target's, so that a bystander's faults cost it a load and a comparison. Good as long as
 * nobody has become a target.
 */
#define STRANGER_BITS 12
__u64 rss_strangers[1 << STRANGER_BITS];

/* Stacks are taken every so many pages of a thread, on average; 1: at every change. */
__u32 rss_every = 1;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct mp_rss_mm);
} rss_mms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct mp_rss_stack);
} rss_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct mp_rss_place);
	__type(value, struct mp_rss_toucher);
} rss_places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct mp_rss_totals);
} rss_totals SEC(".maps");

/* A bound that the verifier does not lose where clang keeps a copy: "unbounded memory access". */
static __always_inline __u64 rss_bound(__u64 member)
{
	asm volatile("%0 &= 3" : "+r"(member));
	return member;
}

/* ---- the kernel's counters ---- */

/* 6.2 and later: one percpu_counter per member; before: an atomic each. */
struct percpu_counter___rss {
	__s64 count;
	__s32 *counters;
} __attribute__((preserve_access_index));

struct mm_struct___percpu {
	struct percpu_counter___rss rss_stat[MP_RSS_MEMBERS];
} __attribute__((preserve_access_index));

struct rss_count { /* atomic_long_t: a structure, or libbpf finds no such member */
	__s64 counter;
};

/*
 * struct mm_rss_stat, by its first member: where it is missing libbpf looks for it in modules, which takes
 * CAP_SYS_ADMIN
 */
struct rss_counts {
	struct rss_count count[MP_RSS_MEMBERS];
};

struct mm_struct___atomic {
	struct rss_counts rss_stat;
} __attribute__((preserve_access_index));

static __noinline __s64 rss_sum_cpus(void *mm, __u32 member)
{
	void *counter = mm + bpf_core_field_offset(struct mm_struct___percpu, rss_stat) +
			member * bpf_core_type_size(struct percpu_counter___rss);
	__s64 sum = 0;
	__u64 counters = 0;
	__s32 part;
	__u32 cpu;

	bpf_probe_read_kernel(&sum, sizeof(sum), counter + bpf_core_field_offset(struct percpu_counter___rss, count));
	bpf_probe_read_kernel(&counters, sizeof(counters),
			      counter + bpf_core_field_offset(struct percpu_counter___rss, counters));
	for (cpu = 0; cpu < MP_MAX_CPUS && cpu < cfg_n_cpus; cpu++)
		if (!bpf_probe_read_kernel(&part, sizeof(part), (void *)(counters + cpu_offsets[cpu])))
			sum += part;
	return sum;
}

/* Not inlined: clang would take the offset out of the branch, where it is not known ("invalid CO-RE relocation"). */
static __noinline __s64 rss_atomic(void *mm, __u32 member)
{
	__s64 pages = 0;

	bpf_probe_read_kernel(&pages, sizeof(pages),
			      mm + bpf_core_field_offset(struct mm_struct___atomic, rss_stat) + member * sizeof(pages));
	return pages;
}

static __always_inline __s64 rss_pages(void *mm, __u32 member)
{
	struct mm_struct___percpu *m = mm;
	__s64 pages;

	if (bpf_core_field_exists(m->rss_stat[0].counters))
		pages = rss_sum_cpus(mm, member);
	else
		pages = rss_atomic(mm, member);
	return pages > 0 ? pages : 0;
}

/* ---- whose ---- */

static __always_inline __u64 *rss_stranger(__u64 mm)
{
	return &rss_strangers[mp_mix(mm) & ((1 << STRANGER_BITS) - 1)];
}

static __always_inline __u64 rss_stranger_mark(__u64 mm)
{
	return mm ^ (__u64)(target_epoch + next_gen) << 32;
}

/* A pointer once more, as a number: "pointer arithmetic with >>= operator prohibited" on the pointer. */
static __always_inline __u64 rss_mm_number(__u64 *at)
{
	__u64 mm = 0;

	bpf_probe_read_kernel(&mm, sizeof(mm), at);
	return mm;
}

/* at: where the address space's number is, in an event's arguments or a task. */
static __always_inline bool rss_is_stranger(__u64 *at)
{
	__u64 mm = rss_mm_number(at);

	return *rss_stranger(mm) == rss_stranger_mark(mm);
}

/* An address space becomes a target's: the sums that later events are compared with. */
static __noinline int rss_begin(struct mm_struct *mm, __u32 gen)
{
	struct mp_rss_mm fresh = { .gen = gen };
	__u64 key = (__u64)mm;
	__u32 i;

	for (i = 0; i < MP_RSS_MEMBERS; i++)
		fresh.pages[i] = rss_pages(mm, i);
	return bpf_map_update_elem(&rss_mms, &key, &fresh, BPF_ANY);
}

static __always_inline struct mp_rss_totals *rss_totals_of(__u32 gen)
{
	static const struct mp_rss_totals zero;
	struct mp_rss_totals *t = bpf_map_lookup_elem(&rss_totals, &gen);

	if (t)
		return t;
	bpf_map_update_elem(&rss_totals, &gen, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&rss_totals, &gen);
}

/* ---- what an event adds ---- */

static __noinline void rss_shrink(__u32 gen, __u32 member, __u64 pages, __u32 kind)
{
	struct mp_rss_totals *t = rss_totals_of(gen);

	if (!t)
		return;
	__sync_fetch_and_add(&t->shrunk[rss_bound(member)], pages);
	if (member != MP_RSS_FILE && kind < MP_RSS_RELEASES)
		__sync_fetch_and_add(&t->released[kind], pages);
}

/* ---- where ---- */

#define RSS_PAGE 4096ull

static __always_inline bool rss_is_folio(__u64 pages)
{
	return pages >= 4 && !(pages & (pages - 1));
}

/*
 * The page that the thread's fault is for becomes this stack's: a page, or, where the kernel gave a larger one, that
 * one. Several pages on kernels that tell by the batch are this one and others whose addresses nobody knows. Pages
 * entered.
 */
static __noinline __u32 rss_place(__u64 hash, __u32 gen, __u64 page, __u64 pages)
{
	struct mm_struct___percpu *m = NULL;
	bool by_batch = !bpf_core_field_exists(m->rss_stat[0].counters);
	struct mp_rss_toucher t = { .stack = hash, .pages = 1 };
	struct mp_rss_place at = { .addr = page, .gen = gen };

	if (by_batch && pages >= 512)
		pages = 512;
	else if (by_batch || !rss_is_folio(pages))
		pages = 1;
	t.pages = (__u32)pages;
	at.addr &= ~(pages * RSS_PAGE - 1);
	return map_update(&rss_places, &at, &t, BPF_ANY) ? 0 : t.pages;
}

static __noinline void rss_add_placed(__u64 hash, __u64 pages, __u32 noted)
{
	struct mp_rss_stack *st = bpf_map_lookup_elem(&rss_stacks, &hash);

	if (!st || !noted)
		return;
	__sync_fetch_and_add(&st->placed, pages);
	__sync_fetch_and_add(&st->noted, noted);
}

/*
 * Of the fault that the thread is in now; what its system call does without one (mlock, MAP_POPULATE) has no address.
 */
static __always_inline __u64 rss_fault_page(struct mp_thread *th, struct pt_regs *regs)
{
	__u64 page = rss_placing && th->fault_ip == PT_REGS_IP(regs) ? th->fault_page : 0;

	th->fault_page = 0;
	return page;
}

/*
 * Between the new address space and the exec's own event the thread is neither the old process nor the new
 * one: nothing may be looked up for it (proc_gen would take the exec for missed).
 */
static __always_inline bool rss_in_exec(struct pt_regs *regs)
{
	__u32 nr = arch_syscall(regs);

	return nr == ARCH_NR_EXECVE || nr == ARCH_NR_EXECVEAT;
}

static __always_inline void rss_note_fault(struct task_struct *task, __u64 addr)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct mp_thread *th = rss_in_exec(regs) ? NULL : thread_find();

	if (!th)
		return;
	th->fault_page = addr & ~(RSS_PAGE - 1);
	th->fault_ip = PT_REGS_IP(regs);
}

static __noinline void rss_add_to_stack(__u64 hash, __u32 gen, __u32 member, __u64 pages)
{
	struct mp_rss_stack *st = bpf_map_lookup_elem(&rss_stacks, &hash);

	if (!st) {
		struct mp_rss_stack fresh = { .gen = gen };

		bpf_map_update_elem(&rss_stacks, &hash, &fresh, BPF_NOEXIST);
		st = bpf_map_lookup_elem(&rss_stacks, &hash);
	}
	if (!st)
		lose(MP_LOSS_RSS_STACKS, 0);
	else
		__sync_fetch_and_add(&st->pages[rss_bound(member)], pages);
}

struct signal_struct___faults {
	unsigned long min_flt, maj_flt; /* of threads that have ended */
} __attribute__((preserve_access_index));

struct task_struct___faults {
	unsigned long min_flt, maj_flt;
	struct signal_struct___faults *signal;
} __attribute__((preserve_access_index));

/* The last thread of a target ends. */
static __always_inline void rss_note_end(struct task_struct *task)
{
	struct task_struct___faults *t = (void *)task;

	__sync_fetch_and_add(&rss_ended_faults, BPF_CORE_READ(t, min_flt) + BPF_CORE_READ(t, maj_flt) +
							BPF_CORE_READ(t, signal, min_flt) +
							BPF_CORE_READ(t, signal, maj_flt));
}

/* What the kernel is doing for the thread: a system call by its number, else -1 or a fault's error code. */
static __always_inline __u32 rss_release_kind(struct task_struct *task, struct pt_regs *regs)
{
	if (task->flags & MP_PF_EXITING)
		return MP_RSS_EXIT;
	switch (arch_syscall(regs)) {
	case ARCH_NR_MUNMAP:
		return MP_RSS_MUNMAP;
	case ARCH_NR_MADVISE:
	case ARCH_NR_PROCESS_MADVISE:
		return MP_RSS_MADVISE;
	case ARCH_NR_BRK:
		return MP_RSS_BRK;
	case ARCH_NR_MREMAP:
		return MP_RSS_MREMAP;
	case ARCH_NR_MMAP:
		return MP_RSS_MMAP;
	case ARCH_NR_EXECVE:
	case ARCH_NR_EXECVEAT:
		return MP_RSS_EXIT;
	}
	return MP_RSS_OTHER;
}

/* The change of one counter since the last event. */
static __always_inline __s64 rss_change(struct mp_rss_mm *m, __u32 member, __s64 now)
{
	return now - (__s64)__sync_lock_test_and_set(&m->pages[rss_bound(member)], now);
}

/*
 * The address space is not, or no longer, the current thread's: what it lost is told, what it got is its copy of
 * another's.
 */
static __always_inline void rss_by_other(struct task_struct *task, bool in_exec, struct mp_rss_mm *m, __u32 member,
					 __s64 change)
{
	if (change < 0)
		rss_shrink(m->gen, member, (__u64)-change,
			   task->flags & MP_PF_EXITING || in_exec ? MP_RSS_EXIT : MP_RSS_BY_OTHERS);
}

static __always_inline __u64 rss_stack(void *ctx, struct pt_regs *regs, const struct mp_thread *th, enum walker walker)
{
	struct call c;

	call_from_user(regs, &c);
	return walker == WALK_TABLES ? stack_capture_at(&c, th) : stack_capture_user(ctx, th->gen);
}

/*
 * A stack per change, or, where changes come fast, per so many pages of the thread, at a page that chance picks: it
 * then stands for those since the one before.
 */
static __always_inline void rss_draw(void *ctx, struct pt_regs *regs, struct mp_thread *th, __u32 member, __u64 pages,
				     enum walker walker)
{
	__u32 every = rss_every;
	__u64 *waiting = &th->rss_waiting[rss_bound(member)], own = pages, hash;
	__u64 page = member == MP_RSS_ANON || member == MP_RSS_SHMEM ? rss_fault_page(th, regs) : 0;

	if (every > 1 && bpf_get_prandom_u32() % every >= pages) {
		*waiting += pages;
		return;
	}
	pages += *waiting;
	*waiting = 0;
	hash = rss_stack(ctx, regs, th, walker);
	rss_add_to_stack(hash, th->gen, member, pages);
	if (page)
		rss_add_placed(hash, pages, rss_place(hash, th->gen, page, own));
}

/* The current thread's own address space has changed. */
static __always_inline void rss_own(void *ctx, struct pt_regs *regs, struct mp_thread *th, __u32 member,
				    __s64 change, enum walker walker)
{
	__u32 kind = rss_release_kind(bpf_get_current_task_btf(), regs);
	bool swapped_in = member == MP_RSS_SWAP && change < 0 && kind == MP_RSS_OTHER;
	struct mp_rss_totals *t;

	if (change < 0 && !swapped_in) {
		rss_shrink(th->gen, member, (__u64)-change, kind);
		return;
	}
	t = rss_totals_of(th->gen);
	if (!t)
		return;
	if (swapped_in)
		__sync_fetch_and_add(&t->shrunk[rss_bound(member)], (__u64)-change);
	else
		__sync_fetch_and_add(&t->grown[rss_bound(member)], (__u64)change);
	if (member != MP_RSS_SWAP || swapped_in)
		rss_draw(ctx, regs, th, member, (__u64)(change < 0 ? -change : change), walker);
}

/*
 * A counter of mm has changed. Of an address space whose beginning was missed the first change is taken for one
 * page: almost every one is, and none is less.
 */
static __always_inline void rss_event(void *ctx, struct mm_struct *mm, __u32 member, enum walker walker)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	bool user = !(task->flags & MP_PF_KTHREAD), in_exec = user && rss_in_exec(regs);
	__u64 key = (__u64)mm;
	struct mp_rss_mm *m = bpf_map_lookup_elem(&rss_mms, &key);
	struct mp_thread *th;
	__s64 change;

	if (!user || in_exec || task->mm != mm) {
		if (m)
			rss_by_other(task, in_exec, m, member, rss_change(m, member, rss_pages(mm, member)));
		return;
	}
	th = thread_find();
	if (!th) {
		if (!m) {
			key = rss_mm_number(ctx);
			*rss_stranger(key) = rss_stranger_mark(key);
		}
		return;
	}
	if (m && m->gen == th->gen) {
		change = rss_change(m, member, rss_pages(mm, member));
	} else {
		change = rss_release_kind(task, regs) == MP_RSS_OTHER;
		rss_begin(mm, th->gen);
	}
	if (change)
		rss_own(ctx, regs, th, member, change, walker);
}

#endif
