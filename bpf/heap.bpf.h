/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Allocator calls: entry and return of every call shape.
 *
 * The outermost call of a thread wins. Its record is matched by stack pointer and return
 * address, never by a depth count, so that longjmp, exceptions and killed threads leave
 * nothing behind that a later call could pick up:
 *
 *	entry, nothing pending                    -> record it, take the return
 *	entry, the pending call's return address
 *	   is still replaced by the trampoline    -> an inner call, or a tail jump at the same sp
 *	                                             (reallocarray -> realloc): not counted
 *	   is not                                 -> that call never returned; forget it, record this
 *
 * A return counts when its stack pointer is the record's. Nothing here reads the context;
 * see heap.bpf.c for the programs and tests/bpf for the same functions under test.
 */
#ifndef MEMPROBE_HEAP_BPF_H
#define MEMPROBE_HEAP_BPF_H

#define RLIMIT_DATA_X 2 /* asm-generic/resource.h; the same on all our machines */
#define RLIMIT_AS_X 9

/* size * count, ~0 when it overflows: the allocator fails then, and it is no realloc to 0 bytes. */
static __always_inline __u64 call_size(const struct call *c, const volatile struct mp_shape *shape)
{
	__u64 size = call_arg(c, shape->size), count, most = ~0ULL;

	if (shape->count == MP_ARG_NONE)
		return size;
	count = call_arg(c, shape->count);
	asm volatile("" : "+r"(most)); /* else clang makes it a 128-bit multiplication: "__multi3" */
	if ((size | count) >> 32 && size && count > most / size)
		return ~0ULL;
	return size * count;
}

/*
 * Is the recorded call still pending? Then the slot of its return address holds the kernel's
 * trampoline. No return probe may be taken meanwhile from a frame above it, as on another stack
 * (coroutines, a signal handler's): the kernel would drop the pending one as dead, and the target
 * would return into the trampoline with nowhere to go. From a frame above it may also have been left by
 * longjmp with its slot not yet used again; that cannot be told apart, so such calls are a loss.
 */
static __always_inline bool call_is_inner(const struct mp_thread *th, __u64 sp, __u64 size)
{
	if (!ARCH_HAS_RETURN_SLOT)
		return sp < th->sp;
	if (arch_return_slot(th->sp) != trampoline())
		return false;
	if (sp > th->sp)
		lose(MP_LOSS_NESTED_UNSURE, size);
	return true;
}

#define PENDING_RETURNS 8 /* deeper ones are those of a target that is traced at many levels */

/*
 * The same for return probes that this run has no record of: another memprobe's, another tracer's, ours from
 * before the gate was shut. Taking a return makes the kernel drop all pending ones that lie below sp. It keeps
 * them in a list, newest first; what is left there of a call that is over has another slot by now. Not inlined, for
 * its locals: see test_bpf_stack.sh.
 */
static __noinline bool drops_one_of(struct uprobe_task *utask, __u64 sp)
{
	struct return_instance *r = utask->return_instances;
	__u64 at, replaced = trampoline();
	int i;

	for (i = 0; i < PENDING_RETURNS && r; i++, r = r->next) {
		at = r->stack;
		if (at < sp && arch_return_slot(at) == replaced)
			return true;
	}
	return false;
}

static __always_inline bool return_would_drop_another(__u64 sp)
{
	struct uprobe_task *utask;

	if (!ARCH_HAS_RETURN_SLOT)
		return false;
	utask = bpf_get_current_task_btf()->utask;
	return utask && utask->return_instances && drops_one_of(utask, sp);
}

/* A call that never came back: undo what its entry did. Not inlined: see test_bpf_stack.sh. */
static __noinline void call_abandon(struct mp_thread *th)
{
	th->pending = MP_OP_NONE;
	lose(MP_LOSS_LOST_RETURN, th->size);
	if (th->old_kind == OLD_IN_LEDGER)
		ledger_put_back(th->gen, th->ptr, &th->old);
	th->old_kind = OLD_NONE;
}

/*
 * When memory was last refused to a generation, for its end (task.bpf.c): gen << 32 | now_ms(). They count up, so a
 * place is another's only when 1024 later ones have begun; what it held is then not known any more.
 */
#define REFUSED_GENS 1024
__u64 refused_when[REFUSED_GENS];

static __always_inline void note_refusal(__u32 gen)
{
	refused_when[gen & (REFUSED_GENS - 1)] = (__u64)gen << 32 | now_ms();
}

static __always_inline void count_failed(__u32 gen)
{
	struct mp_proc_totals *t = bpf_map_lookup_elem(&proc_totals, &gen);

	note_refusal(gen);
	if (t)
		__sync_fetch_and_add(&t->failed_calls, 1);
}

/*
 * operator new of an allocator that does not call malloc. If it throws past a return probe the target
 * ends in std::terminate, so the return is taken only where failing is out of the question: a small part
 * of available memory, no limit on the address space, no strict overcommit (new_limit_bytes is 0 then).
 */
static __always_inline bool may_follow_throwing(__u64 size)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return size < new_limit_bytes && task->signal->rlim[RLIMIT_DATA_X].rlim_cur == ~0ULL &&
	       task->signal->rlim[RLIMIT_AS_X].rlim_cur == ~0ULL;
}

/* More than a process may have: the call is going to fail, and nothing is lost by not following it. */
static __always_inline bool is_hopeless(__u64 size)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return size >> ARCH_ADDRESS_BITS || size > task->signal->rlim[RLIMIT_AS_X].rlim_cur;
}

static __always_inline void realloc_enter(struct mp_thread *th, const struct call *c)
{
	if (ledger_take(th->gen, th->ptr, &th->old)) {
		th->old_kind = OLD_IN_LEDGER;
		return;
	}
	th->old_kind = OLD_BEFORE_ATTACH;
	th->old_bytes = count_old_frees && c->flags & MP_SITE_GLIBC ? glibc_usable(th->ptr) : 0;
}

/*
 * Links of single processes gave way to links for all: until the narrow ones are closed, a hit runs through
 * both. The kernel puts a new consumer at the head of a probe's list, so the wide link comes first and leaves
 * its mark; the narrow one passes over a hit that is marked. A hit that was under way before the wide link
 * came has no mark, and is counted by the narrow one: each hit counts once, whatever the timing.
 */
static __always_inline bool hit_is_taken(struct mp_thread *th, const struct call *c)
{
	if (!links_overlap)
		return false;
	if (!(c->flags & MP_SITE_WIDE))
		return th->wide_sp == c->sp && th->wide_ip == c->ip;
	th->wide_sp = c->sp;
	th->wide_ip = c->ip;
	return false;
}

/* The gate was shut in the middle of a realloc: what it moved has ended, and what it became was not seen. */
static __noinline void moved_unseen(struct mp_thread *th)
{
	if (th)
		ledger_subtract(&th->old);
}

/* The gate was shut meanwhile: what was pending has returned unseen. In a burst that is no loss. */
static __always_inline void thread_after_gate(struct mp_thread *th)
{
	if (th->gate == gate_epoch)
		return;
	th->gate = gate_epoch;
	if (th->pending && th->old_kind == OLD_IN_LEDGER)
		moved_unseen(th);
	th->pending = MP_OP_NONE;
	th->old_kind = OLD_NONE;
	th->last_free_ptr = 0;
}

static __always_inline bool heap_enter_thread(void *ctx, struct call *c, struct mp_thread *th, __u64 size,
					      enum walker walker, bool session)
{
	const volatile struct mp_shape *shape = &shapes[c->row & (MP_MAX_SHAPES - 1)];
	__u32 weight;

	thread_after_gate(th);
	if (th->pending) {
		if (call_is_inner(th, c->sp, size)) {
			sample_note_nesting(th);
			return false;
		}
		call_abandon(th);
	}
	weight = sample_weight(size);
	if (!weight && may_skip(shape, c))
		return false;
	if (session && return_would_drop_another(c->sp)) {
		lose(MP_LOSS_NESTED_UNSURE, size);
		return false;
	}
	if (shape->flags & MP_SHAPE_MAY_THROW && !may_follow_throwing(size)) {
		if (is_hopeless(size))
			count_failed(th->gen);
		else
			ledger_lost(th->gen, MP_LOSS_NEW_NOT_FOLLOWED, size);
		return false;
	}
	if (weight)
		th->stack = stack_capture(ctx, c, th->gen, walker);
	th->weight = weight;
	th->row = c->row;
	th->sp = c->sp;
	th->ra = c->ra;
	th->ip = c->ip;
	th->size = size;
	th->more = shape->flags & MP_SHAPE_IN_PLACE ? call_arg(c, shape->more) : 0;
	th->ptr = shape->ptr == MP_ARG_NONE ? 0 : call_arg(c, shape->ptr);
	th->last_free_ptr = 0;
	th->old_kind = OLD_NONE;
	th->pending = shape->op;
	if (shape->op == MP_OP_REALLOC && th->ptr)
		realloc_enter(th, c);
	return true;
}

/* Entry of an allocation. True: the return is wanted; session: that decides whether it is taken. */
static __always_inline bool heap_enter(void *ctx, struct call *c, enum walker walker, bool session)
{
	const volatile struct mp_shape *shape = &shapes[c->row & (MP_MAX_SHAPES - 1)];
	struct mp_thread *th = thread_get();
	__u64 size, begin;
	bool wanted;

	if (!th || hit_is_taken(th, c))
		return false;
	begin = cost_begin(th);
	size = call_size(c, shape);
	th->alloc_calls++;
	th->capped_bytes += size < MP_SAMPLE_LEAST ? size : MP_SAMPLE_LEAST;
	wanted = armed == MP_ARMED && heap_enter_thread(ctx, c, th, size, walker, session);
	cost_end(th, begin, cost_of_entry(c) + (wanted ? cost_return_ns : 0));
	return wanted;
}

/* xallocx: the block stays where it is, and `now` is its new usable size. */
static __always_inline __u64 resized_in_place(struct mp_thread *th, __u64 now)
{
	if (now < th->size)
		return 0;
	/* what was asked for, not what the allocator rounded it up to */
	th->size = now - th->size < th->more ? now : th->size + th->more;
	return th->ptr;
}

/* The block that a call made, 0 for none. */
static __always_inline __u64 call_result(struct mp_thread *th, __u64 ret)
{
	const volatile struct mp_shape *shape = &shapes[th->row & (MP_MAX_SHAPES - 1)];
	__u64 addr;

	if (shape->flags & MP_SHAPE_IN_PLACE)
		return resized_in_place(th, ret);
	if (!(shape->flags & MP_SHAPE_PTR_IN_MEMORY))
		return ret;
	if ((__u32)ret) /* an int: the error number */
		return 0;
	if (bpf_probe_read_user(&addr, sizeof(addr), (void *)th->ptr)) {
		ledger_lost(th->gen, MP_LOSS_RESULT_READ, th->size);
		return 0;
	}
	return addr;
}

/* realloc(p, 0) that returns NULL has freed p, reallocf always; any other NULL changed nothing. */
static __always_inline bool failure_frees(const struct mp_thread *th)
{
	const volatile struct mp_shape *shape = &shapes[th->row & (MP_MAX_SHAPES - 1)];

	return th->ptr && (!th->size || shape->flags & MP_SHAPE_FAILURE_FREES);
}

/* realloc went through: the old block has ended. */
static __always_inline void realloc_end_old(struct mp_thread *th)
{
	if (th->old_kind == OLD_IN_LEDGER)
		ledger_subtract(&th->old);
	else if (th->old_kind == OLD_BEFORE_ATTACH && count_old_frees)
		ledger_old_free(th->gen, th->old_bytes);
}

/* What realloc hands on: a block of its old one's age. */
static __always_inline void realloc_leave(struct mp_thread *th, struct mp_block *b)
{
	realloc_end_old(th);
	if (th->old_kind == OLD_IN_LEDGER) {
		b->birth_ms = th->old.birth_ms;
		b->flags = th->old.flags;
	} else if (th->old_kind == OLD_BEFORE_ATTACH) {
		b->flags = MP_BLOCK_AGE_UNKNOWN;
	}
}

static __always_inline void heap_leave_thread(struct mp_thread *th, __u64 ret)
{
	struct mp_block b = {};
	__u32 op = th->pending;
	__u64 addr;

	th->pending = MP_OP_NONE;
	addr = call_result(th, ret);
	if (!addr) {
		if (op == MP_OP_REALLOC && failure_frees(th)) {
			realloc_end_old(th);
			return;
		}
		if (th->old_kind == OLD_IN_LEDGER)
			ledger_put_back(th->gen, th->ptr, &th->old);
		count_failed(th->gen);
		return;
	}
	b.stack = th->stack;
	b.size_bytes = th->size;
	b.birth_ms = now_ms();
	b.weight = th->weight;
	if (op == MP_OP_REALLOC)
		realloc_leave(th, &b);
	if (th->weight)
		ledger_add(th->gen, addr, &b);
}

/* Return of the pending call, if sp says that it is this one. */
static __always_inline void heap_leave(__u64 sp, __u64 ret)
{
	struct mp_thread *th =
		storage_get(&threads, bpf_get_current_task_btf(), 0);
	__u64 begin;

	if (!th || !th->pending || sp != th->sp + ARCH_RETURN_SP_ADJUST)
		return;
	begin = cost_begin(th);
	heap_leave_thread(th, ret);
	cost_end(th, begin, 0); /* the trap was counted at the entry */
}

static __always_inline void free_unknown(__u32 gen, const struct call *c, __u64 ptr)
{
	__u64 bytes = c->flags & MP_SITE_GLIBC ? glibc_usable(ptr) : 0;

	if (!tcache_ends(gen, c, ptr, bytes))
		ledger_old_free(gen, bytes);
}

static __always_inline void heap_free_thread(struct mp_thread *th, const struct call *c, __u64 ptr)
{
	struct mp_block b;

	thread_after_gate(th);
	if (th->pending) {
		if (call_is_inner(th, c->sp, 0))
			return;
		call_abandon(th);
	}
	if (shapes[c->row & (MP_MAX_SHAPES - 1)].op == MP_OP_HEAP_END) {
		lose(MP_LOSS_HEAP_ENDED, 0);
		return;
	}
	if (ledger_take(th->gen, ptr, &b))
		ledger_subtract(&b);
	else if (count_old_frees && (th->last_free_ptr != ptr || th->last_free_sp != c->sp))
		free_unknown(th->gen, c, ptr);
	/* else operator delete[] -> operator delete -> free, tail jumps: the first of them took it */
	th->last_free_ptr = ptr;
	th->last_free_sp = c->sp;
}

/* Entry of a free. */
static __always_inline void heap_free(const struct call *c)
{
	const volatile struct mp_shape *shape = &shapes[c->row & (MP_MAX_SHAPES - 1)];
	__u64 ptr = call_arg(c, shape->ptr), begin;
	struct mp_thread *th;

	th = thread_get();
	if (!th || hit_is_taken(th, c))
		return;
	begin = cost_begin(th);
	th->free_calls++;
	if (ptr && (armed == MP_ARMED || armed == MP_FREES_ONLY))
		heap_free_thread(th, c, ptr);
	cost_end(th, begin, cost_of_entry(c));
}

#endif
