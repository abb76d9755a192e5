/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a runtime's own heap hands out: V8's objects, which no allocator function ever sees, as compiled code makes
 * them by moving a pointer. Part of memprobe.bpf.c.
 *
 * Each time such an area is used up, and at each large object, V8 adds what was handed out since the last time to a
 * counter of its own (AllocationCounter::AdvanceAllocationObservers); the probe is there. So the sum of the bytes is
 * exact, and the stack is that of the allocation that did not fit any more: drawn in proportion to bytes. The gate
 * leaves these probes alone: a hit per 256 KiB is cheap on every rung, and where they come fast a stack stands for
 * more. The program is loaded only when a process has such a heap (src/kern/bump.c).
 */
__u32 bumps_on = 0; /* apart from `armed`, which follows the gate */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct mp_bump);
} bumps SEC(".maps");

/* Not inlined, for its locals: see test_bpf_stack.sh. */
static __noinline void bump_add(__u64 hash, __u32 gen, __u64 bytes)
{
	struct mp_bump fresh = { .gen = gen };
	struct mp_bump *b = bpf_map_lookup_elem(&bumps, &hash);

	if (!b) {
		bpf_map_update_elem(&bumps, &hash, &fresh, BPF_NOEXIST);
		b = bpf_map_lookup_elem(&bumps, &hash);
	}
	if (!b) {
		lose(MP_LOSS_STACKS_FULL, bytes);
		return;
	}
	__sync_fetch_and_add(&b->bytes, bytes);
	__sync_fetch_and_add(&b->draws, 1);
	__sync_fetch_and_add(&b->squares, (bytes >> MP_VAR_SHIFT) * bytes);
}

/* About so often at most, and half as often at least while it allocates much: 10 us each. */
#define BUMP_PACE_NS 2000000

static __always_inline void bump_pace(struct mp_thread *th, __u64 now)
{
	__u64 since = now - th->bump_ns, step = th->bump_step;

	th->bump_ns = now;
	if (since < BUMP_PACE_NS)
		step *= 2;
	else if (since > 4 * BUMP_PACE_NS)
		step /= 2;
	th->bump_step = step < MP_BUMP_STEP ? MP_BUMP_STEP : step > MP_BUMP_MOST ? MP_BUMP_MOST : step;
}

static __always_inline void bump_thread(void *ctx, struct call *c, struct mp_thread *th, __u64 bytes, __u64 now,
					enum walker walker)
{
	th->bump_bytes += bytes;
	if (th->bump_bytes < th->bump_step)
		return;
	bytes = th->bump_bytes;
	th->bump_bytes = 0;
	bump_pace(th, now);
	bump_add(walker == WALK_TABLES ? stack_capture_at(c, th) : stack_capture_user(ctx, th->gen), th->gen, bytes);
}

/* At once: it is long and seldom. */
static __always_inline void bump_totals(__u32 gen, __u64 bytes, __u64 ns)
{
	struct mp_proc_totals *t = bpf_map_lookup_elem(&proc_totals, &gen);

	if (!t)
		return;
	__sync_fetch_and_add(&t->own_heap_bytes, bytes);
	__sync_fetch_and_add(&t->spent_ns, ns);
}

static __always_inline void bump(struct pt_regs *ctx, enum walker walker)
{
	__u64 begin = bpf_ktime_get_ns(), bytes;
	struct mp_thread *th;
	struct call c;

	call_read(ctx, &c);
	bytes = call_arg(&c, shapes[c.row & (MP_MAX_SHAPES - 1)].size);
	th = thread_get();
	if (!th || !bytes || bytes >> 32 || hit_is_taken(th, &c))
		return;
	bump_thread(ctx, &c, th, bytes, begin, walker);
	bump_totals(th->gen, bytes, cost_of_entry(&c) + (bpf_ktime_get_ns() - begin));
}

#define BUMP_PROGRAM(suffix, walker)                         \
	SEC("uprobe") int heap_bump##suffix(struct pt_regs *ctx) \
	{                                                    \
		if (!bumps_on)                               \
			return 0;                            \
		guard_enter();                               \
		bump(ctx, walker);                           \
		guard_exit();                                \
		return 0;                                    \
	}

BUMP_PROGRAM(, WALK_TABLES)
BUMP_PROGRAM(_fp, WALK_KERNEL)
