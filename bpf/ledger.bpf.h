/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The ledger: live blocks, and bytes and blocks per stack.
 *
 * Whoever deletes a block's entry subtracts it: a double free subtracts once. A block whose
 * insert failed counts as allocated and as ended at once, so that a full table never makes a leak.
 *
 *	malloc 100 -> ledger_add      blocks[p] = {s, 100}   stacks[s].alloc += 100 / 1
 *	free p     -> ledger_take, ledger_subtract           stacks[s].free  += 100 / 1
 */
#ifndef MEMPROBE_LEDGER_BPF_H
#define MEMPROBE_LEDGER_BPF_H

static __always_inline __u32 now_ms(void)
{
	return (bpf_ktime_get_ns() - start_ns) / 1000000;
}

/* Remove the block at addr; true and *out when this call was the one that removed it. */
static __always_inline bool ledger_take(__u32 gen, __u64 addr, struct mp_block *out)
{
	struct mp_block_key key = { .addr = addr, .gen = gen };
	struct mp_block *b = bpf_map_lookup_elem(&blocks, &key);

	if (!b)
		return false;
	*out = *b;
	return bpf_map_delete_elem(&blocks, &key) == 0;
}

static __always_inline __u64 block_weight(const struct mp_block *b)
{
	return b->weight ? b->weight : 1;
}

/* size^2 * weight * (weight - 1), as if no block stood for more than 4 GiB: the product must fit. */
static __always_inline __u64 block_variance(const struct mp_block *b, __u64 weight)
{
	__u64 all = b->size_bytes * weight, others = all - b->size_bytes, most = ~0U;

	if (all > most)
		all = most;
	if (others > most)
		others = most;
	return all * others >> MP_VAR_SHIFT;
}

static __always_inline bool is_young(const struct mp_block *b)
{
	return gate_epoch && b->birth_ms >= burst_begin_ms;
}

static __always_inline void young_add(const struct mp_block *b, __u64 weight)
{
	struct mp_young fresh = { .burst = gate_epoch };
	__u64 hash = b->stack;
	struct mp_young *y = bpf_map_lookup_elem(&young, &hash);

	if (!y || y->burst != fresh.burst) {
		bpf_map_update_elem(&young, &hash, &fresh, BPF_ANY);
		y = bpf_map_lookup_elem(&young, &hash);
		if (!y)
			return; /* full: it counts as the others do */
	}
	__sync_fetch_and_add(&y->bytes, b->size_bytes * weight);
	__sync_fetch_and_add(&y->blocks, weight);
}

static __always_inline void young_subtract(const struct mp_block *b, __u64 weight)
{
	__u64 hash = b->stack;
	struct mp_young *y = bpf_map_lookup_elem(&young, &hash);

	if (!y || y->burst != gate_epoch)
		return;
	__sync_fetch_and_add(&y->bytes, -(b->size_bytes * weight));
	__sync_fetch_and_add(&y->blocks, -weight);
}

/* A block that was taken has ended. */
static __always_inline void ledger_subtract(const struct mp_block *b)
{
	__u64 hash = b->stack, w = block_weight(b);
	struct mp_stack *st = bpf_map_lookup_elem(&stacks, &hash);

	if (!st) /* stacks are never deleted while a block points at them */
		return;
	__sync_fetch_and_add(&st->free_bytes, b->size_bytes * w);
	__sync_fetch_and_add(&st->free_blocks, w);
	__sync_fetch_and_add(&st->birth_sum_ms, -(__u64)b->birth_ms * w);
	if (w > 1)
		__sync_fetch_and_add(&st->free_var, block_variance(b, w));
	if (is_young(b))
		young_subtract(b, w);
}

static __always_inline void ledger_lost(__u32 gen, __u32 kind, __u64 bytes)
{
	struct mp_proc_totals *t = bpf_map_lookup_elem(&proc_totals, &gen);

	lose(kind, bytes);
	if (t) {
		__sync_fetch_and_add(&t->lost_bytes, bytes);
		__sync_fetch_and_add(&t->lost_blocks, 1);
	}
}

static __always_inline void ledger_met(const struct mp_block *b)
{
	__u64 hash = b->stack;
	struct mp_stack *st = bpf_map_lookup_elem(&stacks, &hash);

	if (st)
		__sync_fetch_and_add(&st->met_blocks, block_weight(b));
}

/* Insert without touching the totals; 0 or -errno. A live entry in the way is a missed free: ended and counted. */
static __always_inline long ledger_insert(__u32 gen, __u64 addr, const struct mp_block *b)
{
	struct mp_block_key key = { .addr = addr, .gen = gen };
	long err = map_update(&blocks, &key, b, BPF_NOEXIST);
	struct mp_block stale;

	if (err != -MP_EEXIST)
		return err;
	if (ledger_take(gen, addr, &stale)) {
		ledger_subtract(&stale);
		if (gate_epoch) /* it ended between two bursts */
			ledger_met(&stale);
		else
			lose(MP_LOSS_MISSED_FREE, stale.size_bytes);
	}
	return map_update(&blocks, &key, b, BPF_NOEXIST);
}

/* A new block: into the live view, then into its stack's totals. */
static __always_inline void ledger_add(__u32 gen, __u64 addr, const struct mp_block *b)
{
	__u64 hash = b->stack, w = block_weight(b);
	struct mp_stack *st = bpf_map_lookup_elem(&stacks, &hash);
	long err;

	if (!st) {
		ledger_lost(gen, MP_LOSS_STACKS_FULL, b->size_bytes);
		return;
	}
	err = ledger_insert(gen, addr, b);
	__sync_fetch_and_add(&st->alloc_bytes, b->size_bytes * w);
	__sync_fetch_and_add(&st->alloc_blocks, w);
	if (err) {
		__sync_fetch_and_add(&st->free_bytes, b->size_bytes * w);
		__sync_fetch_and_add(&st->free_blocks, w);
		ledger_lost(gen, err == -MP_E2BIG ? MP_LOSS_BLOCKS_FULL : MP_LOSS_BLOCK_INSERT,
			    b->size_bytes);
		return;
	}
	__sync_fetch_and_add(&st->birth_sum_ms, b->birth_ms * w);
	if (w > 1)
		__sync_fetch_and_add(&st->alloc_var, block_variance(b, w));
	if (is_young(b))
		young_add(b, w);
}

/* A failed realloc leaves the old block as it was. If its place is gone, it is a loss and ends. */
static __always_inline void ledger_put_back(__u32 gen, __u64 addr, const struct mp_block *b)
{
	long err = ledger_insert(gen, addr, b);

	if (!err)
		return;
	ledger_subtract(b);
	ledger_lost(gen, err == -MP_E2BIG ? MP_LOSS_BLOCKS_FULL : MP_LOSS_BLOCK_INSERT,
		    b->size_bytes);
}

static __always_inline void old_free_by_class(__u32 gen, __u64 bytes)
{
	struct mp_old_key key = { .gen = gen, .size_class = mp_size_class(bytes) };
	struct mp_old_free fresh = { .blocks = 1, .bytes = bytes };
	struct mp_old_free *o = bpf_map_lookup_elem(&old_frees, &key);

	if (!o && !bpf_map_update_elem(&old_frees, &key, &fresh, BPF_NOEXIST))
		return;
	if (!o)
		o = bpf_map_lookup_elem(&old_frees, &key);
	if (!o)
		return;
	__sync_fetch_and_add(&o->blocks, 1);
	__sync_fetch_and_add(&o->bytes, bytes);
}

/* The end of a block that was allocated before attach (or was lost). bytes 0: size not known. */
static __always_inline void ledger_old_free(__u32 gen, __u64 bytes)
{
	struct mp_proc_totals *t = bpf_map_lookup_elem(&proc_totals, &gen);

	if (!t)
		return;
	__sync_fetch_and_add(&t->old_free_blocks, 1);
	if (!bytes) {
		__sync_fetch_and_add(&t->old_free_unsized, 1);
		return;
	}
	__sync_fetch_and_add(&t->old_free_bytes, bytes);
	old_free_by_class(gen, bytes);
}

/*
 * Usable bytes of a glibc block, from the size word before it: chunk size with three flag
 * bits (malloc/malloc.c, glibc 2.26-2.41: PREV_INUSE 1, IS_MMAPPED 2, NON_MAIN_ARENA 4).
 * Checked for plausibility; 0 when it makes no sense or cannot be read.
 */
static __always_inline __u64 glibc_usable(__u64 addr)
{
	__u64 word, chunk;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)(addr - 8)))
		return 0;
	chunk = word & ~7ULL;
	if (chunk < 32 || (chunk & 15) || chunk >> 46)
		return 0;
	return chunk - (word & 2 ? 16 : 8);
}

#endif
