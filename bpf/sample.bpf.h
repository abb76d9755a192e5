/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Sampling by bytes, and what the probes cost.
 *
 * A block of S bytes is drawn with probability min(1, S/R) and then stands for max(1, R/S) blocks; the fraction is
 * rounded up or down by chance, so the weight is whole and its mean exact:
 *
 *	R 8192, S 100: drawn 1.22 % of the time, weight 82 (92 %) or 81 (8 %), mean 81.92
 *
 * Of a plain allocation that is not drawn the return is not taken: one trap instead of two. Then the end of the call is
 * not known, so functions that may call other probed ones (calloc, realloc, memalign: all but "size first
 * and only") are waited for, drawn or not, or their inner calls would be drawn once more. So are those that turned out
 * to do so when they were drawn: wrappers of malloc in another object, operators that jump to one another. (That a call
 * comes from the same place as the last one tells nothing: `return zero ? calloc(1, n) : malloc(n)`.)
 */
#ifndef MEMPROBE_SAMPLE_BPF_H
#define MEMPROBE_SAMPLE_BPF_H

/* Per-thread sums go to the process's totals in parts of this size. */
#define SPENT_PART_NS 50000
/*
 * One hit in so many is timed, for all of them: in the mean, so that no rhythm of the program's is met (every second
 * call a free), and whatever else is counted meanwhile.
 */
#define TIMED_EVERY 16
/* Between the trap and the clock: the per-thread record's look-up. */
#define UNTIMED_NS 60

/*
 * Whole numbers, of which the mean is the burst's weight: where the gate is open two thirds of the time, a block stands
 * for 1 or 2, and for 1.5 on average. Rounded once, it would be a third too many or too few.
 */
static __always_inline __u32 burst_blocks(void)
{
	__u32 weight = burst_weight;

	if (weight % MP_WEIGHT_ONE)
		weight += bpf_get_prandom_u32() % MP_WEIGHT_ONE;
	return weight / MP_WEIGHT_ONE;
}

/* The weight of a block of this size, 0 when it is not drawn. */
static __always_inline __u32 sample_weight(__u64 size)
{
	__u64 interval = sample_bytes, s = size ? size : 1;
	__u32 weight;

	if (s >= interval)
		return burst_blocks();
	if ((__u64)bpf_get_prandom_u32() * interval >= s << 32)
		return 0;
	weight = interval / s;
	if (bpf_get_prandom_u32() % s < interval % s)
		weight++;
	return weight * burst_blocks();
}

/* A function whose end need not be known: it takes a size and calls no other allocator function. */
static __always_inline bool is_plain(const volatile struct mp_shape *shape)
{
	return shape->op == MP_OP_ALLOC && !shape->size && shape->count == MP_ARG_NONE &&
	       !(shape->flags & MP_SHAPE_PTR_IN_MEMORY);
}

/* Sites whose calls make other probed calls; one that is pushed out is found again. */
#define NESTING_BITS 8
__u64 nesting_sites[1 << NESTING_BITS];

static __always_inline __u64 *nesting_site(__u64 ip)
{
	return &nesting_sites[(ip ^ ip >> NESTING_BITS) & ((1 << NESTING_BITS) - 1)];
}

/* A call was made inside th's pending one. */
static __always_inline void sample_note_nesting(const struct mp_thread *th)
{
	if (sample_bytes)
		*nesting_site(th->ip) = th->ip;
}

static __always_inline bool may_skip(const volatile struct mp_shape *shape, const struct call *c)
{
	return is_plain(shape) && *nesting_site(c->ip) != c->ip;
}

/* ---- cost ---- */

static __always_inline __u64 cost_begin(struct mp_thread *th)
{
	if (!th->until_timed)
		th->until_timed = 1 + bpf_get_prandom_u32() % (2 * TIMED_EVERY - 1);
	return --th->until_timed ? 0 : bpf_ktime_get_ns();
}

/* Its sums to its process, also when it ends or execs. Not inlined, for its locals: see test_bpf_stack.sh. */
static __noinline void cost_flush(struct mp_thread *th)
{
	struct mp_proc_totals *t;
	__u32 gen;

	if (!th)
		return;
	gen = th->gen;
	t = bpf_map_lookup_elem(&proc_totals, &gen);
	if (!t)
		return;
	__sync_fetch_and_add(&t->spent_ns, th->spent_ns);
	__sync_fetch_and_add(&t->alloc_calls, th->alloc_calls);
	__sync_fetch_and_add(&t->free_calls, th->free_calls);
	__sync_fetch_and_add(&t->capped_bytes, th->capped_bytes);
	th->spent_ns = 0;
	th->alloc_calls = th->free_calls = 0;
	th->capped_bytes = 0;
}

static __always_inline void cost_end(struct mp_thread *th, __u64 begin, __u32 trap_ns)
{
	th->spent_ns += trap_ns;
	if (begin)
		th->spent_ns += (bpf_ktime_get_ns() - begin) * TIMED_EVERY;
	if (th->spent_ns >= SPENT_PART_NS)
		cost_flush(th);
}

static __always_inline __u32 cost_of_entry(const struct call *c)
{
	return cost_entry_ns + UNTIMED_NS + (c->flags & MP_SITE_STEPPED ? cost_stepped_ns : 0);
}

#endif
