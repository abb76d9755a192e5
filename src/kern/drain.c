/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Reading the kernel's tables, by batches: one system call for thousands of entries.
 * Totals per stack are read, not blocks: a drain costs by stacks, however many blocks live.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

#define BATCH 8192

struct batch {
	int fd;
	size_t key_bytes, value_bytes;
	char *keys, *values;
	uint32_t cap;
};

/*
 * One lookup_batch per round. -ENOENT ends the walk (with a last part); -ENOSPC: one bucket holds
 * more than the buffer, so the buffer grows and the round is repeated.
 */
static int read_batches(struct batch *b, drain_fn fn, void *ctx)
{
	uint64_t cursor[4], *in = NULL; /* u32 for hashes; room to spare */
	uint32_t n, i;
	int err = 0;

	while (!err) {
		n = b->cap;
		err = bpf_map_lookup_batch(b->fd, in, cursor, b->keys, b->values, &n, NULL);
		if (err == -ENOSPC) {
			b->cap *= 2;
			b->keys = xreallocarray(b->keys, b->cap, b->key_bytes);
			b->values = xreallocarray(b->values, b->cap, b->value_bytes);
			err = 0;
			continue;
		}
		if (err && err != -ENOENT)
			return err;
		for (i = 0; i < n; i++)
			fn(ctx, b->keys + i * b->key_bytes, b->values + i * b->value_bytes);
		in = cursor;
	}
	return 0;
}

int drain_map(const struct bpf_map *map, drain_fn fn, void *ctx)
{
	struct batch b = {
		.fd = bpf_map__fd(map),
		.key_bytes = bpf_map__key_size(map),
		.value_bytes = bpf_map__value_size(map),
		.cap = BATCH,
	};
	int err;

	b.keys = xmalloc(b.cap * b.key_bytes);
	b.values = xmalloc(b.cap * b.value_bytes);
	err = read_batches(&b, fn, ctx);
	if (err)
		log_error("cannot read table %s: %s", bpf_map__name(map), strerror(-err));
	free(b.keys);
	free(b.values);
	return err;
}

DEFINE_READER(kern_read_stacks, kern_stack_fn, stacks, KEY_U64, true)
DEFINE_READER(kern_read_bumps, kern_bump_fn, bumps, KEY_U64, true)
DEFINE_READER(kern_read_blocks, kern_block_fn, blocks, KEY_STRUCT, true)
DEFINE_READER(kern_read_procs, kern_proc_fn, proc_totals, KEY_U32, true)
DEFINE_READER(kern_read_old_frees, kern_old_fn, old_frees, KEY_STRUCT, true)

struct young_call {
	kern_young_fn fn;
	void *ctx;
	uint32_t burst;
};

static void one_young(void *ctx, const void *key, const void *value)
{
	const struct mp_young *y = value;
	struct young_call *c = ctx;

	/* a free that came between two reads may have made them negative for a moment */
	if (y->burst == c->burst && (int64_t)y->bytes > 0 && (int64_t)y->blocks > 0)
		c->fn(c->ctx, KEY_U64(key), y->bytes, y->blocks);
}

int kern_read_young(struct kern *k, kern_young_fn fn, void *ctx)
{
	struct young_call c = { fn, ctx, k->skel->bss->gate_epoch };

	return c.burst ? drain_map(k->skel->maps.young, one_young, &c) : 0;
}

struct object_call {
	kern_object_fn fn;
	void *ctx;
};

static void one_object(void *ctx, const void *key, const void *value)
{
	struct object_call *c = ctx;

	c->fn(c->ctx, key, *(const uint64_t *)value);
}

int kern_read_objects(struct kern *k, kern_object_fn fn, void *ctx, uint64_t *unplaced)
{
	struct object_call c = { fn, ctx };

	*unplaced = k->skel->bss->objects_unplaced;
	return k->objects ? drain_map(k->skel->maps.objects, one_object, &c) : 0;
}

void kern_set_object_counter(struct kern *k, uint32_t gen, uint64_t addr)
{
	struct mp_object_pace p = { .counter = addr };

	if (k->objects && addr)
		bpf_map_update_elem(bpf_map__fd(k->skel->maps.object_paces), &gen, &p, BPF_NOEXIST);
}

bool kern_read_object_pace(struct kern *k, uint32_t gen, struct mp_object_pace *out)
{
	return k->objects && !bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.object_paces), &gen, out) && out->is_begun;
}

/*
 * Hits that the kernel skipped, over all programs: bpf_prog_info.recursion_misses. A fork, exec or exit is made up
 * for (bpf/task.bpf.c), so it is no loss. The vm plane's are its own: asking for a mapping takes the mmap lock.
 */
static uint64_t missed_hits(const struct bpf_object *obj)
{
	struct bpf_program *prog;
	uint64_t sum = 0;

	bpf_object__for_each_program(prog, obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !info.recursion_misses)
			continue;
		log_debug("program %s: %llu hits missed", bpf_program__name(prog),
			  (unsigned long long)info.recursion_misses);
		/* sums of rss are made up for by the next event */
		if (strncmp(bpf_program__name(prog), "task_", 5) && strncmp(bpf_program__name(prog), "rss_", 4) &&
		    strncmp(bpf_program__name(prog), "vm_", 3))
			sum += info.recursion_misses;
	}
	return sum;
}

int kern_read_losses(struct kern *k, struct mp_loss_count out[MP_LOSS_NR])
{
	struct mp_loss_count *per_cpu = xcalloc(k->n_cpus, sizeof(*per_cpu));
	uint32_t kind;
	unsigned int cpu;
	int err = 0;

	memset(out, 0, MP_LOSS_NR * sizeof(*out));
	for (kind = 0; kind < MP_LOSS_NR && !err; kind++) {
		err = bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.losses), &kind, per_cpu);
		for (cpu = 0; cpu < k->n_cpus && !err; cpu++) {
			out[kind].events += per_cpu[cpu].events;
			out[kind].bytes += per_cpu[cpu].bytes;
		}
	}
	out[MP_LOSS_PROBE_MISSED].events += missed_hits(k->skel->obj) + (k->bumps ? missed_hits(k->bumps->obj) : 0);
	out[MP_LOSS_PROBES_UNOPENED].events += k->n_unopened;
	free(per_cpu);
	return err;
}

/* memlock of a map's fdinfo: what it holds now (since 6.4; before, what it may hold at most). */
static uint64_t map_bytes(int fd)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(f);
	return bytes;
}

uint64_t kern_memory_bytes(const struct kern *k)
{
	const struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, k->skel->obj)
		if (bpf_map__fd(map) >= 0)
			sum += map_bytes(bpf_map__fd(map));
	sum += unwinder_pool_bytes(k);
	return sum;
}

struct sweep {
	bool (*goes)(void *ctx, const void *key, const void *value);
	void *ctx;
	size_t key_bytes;
	struct buf keys;
};

static void sweep_one(void *ctx, const void *key, const void *value)
{
	struct sweep *s = ctx;

	if (s->goes(s->ctx, key, value))
		buf_add(&s->keys, key, s->key_bytes);
}

long drain_sweep(const struct bpf_map *map, bool (*goes)(void *ctx, const void *key, const void *value), void *ctx)
{
	struct sweep s = { .goes = goes, .ctx = ctx, .key_bytes = bpf_map__key_size(map), .keys = BUF_INIT };
	int err = drain_map(map, sweep_one, &s);
	size_t i, n = s.keys.len / s.key_bytes;

	for (i = 0; i < n; i++)
		bpf_map_delete_elem(bpf_map__fd(map), s.keys.data + i * s.key_bytes);
	buf_release(&s.keys);
	return err ? err : (long)n;
}

static bool is_dead_block(void *ctx, const void *key, const void *value)
{
	const struct mp_block_key *k = key;
	const struct generations *g = ctx;

	(void)value;
	return g->is_dead(g->ctx, k->gen);
}

long kern_sweep_blocks(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx)
{
	return drain_sweep(k->skel->maps.blocks, is_dead_block, &(struct generations){ is_dead, ctx });
}

static bool is_dead_old(void *ctx, const void *key, const void *value)
{
	const struct mp_old_key *k = key;
	const struct generations *g = ctx;

	(void)value;
	return g->is_dead(g->ctx, k->gen);
}

static bool is_dead_place(void *ctx, const void *key, const void *value)
{
	const struct mp_rss_place *k = key;
	const struct generations *g = ctx;

	(void)value;
	return g->is_dead(g->ctx, k->gen);
}

void kern_sweep_keyed(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx)
{
	struct generations g = { is_dead, ctx };

	drain_sweep(k->skel->maps.old_frees, is_dead_old, &g);
	if (k->rss && k->rss_faults)
		drain_sweep(k->skel->maps.rss_places, is_dead_place, &g);
}

void kern_drop_totals(struct kern *k, uint32_t gen)
{
	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.proc_totals), &gen);
	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.tcaches), &gen);
	if (k->rss)
		bpf_map_delete_elem(bpf_map__fd(k->skel->maps.rss_totals), &gen);
}

void kern_drop_stack(struct kern *k, enum kern_stack_table table, uint64_t hash)
{
	const struct bpf_map *maps[] = {
		[KERN_STACKS] = k->skel->maps.stacks,
		[KERN_RSS_STACKS] = k->skel->maps.rss_stacks,
		[KERN_BUMPS] = k->skel->maps.bumps,
	};

	bpf_map_delete_elem(bpf_map__fd(maps[table]), &hash);
}

struct followed_call {
	void (*fn)(void *ctx, uint32_t gen);
	void *ctx;
};

static void one_followed(void *ctx, const void *key, const void *value)
{
	const struct mp_proc *p = value;
	struct followed_call *c = ctx;

	(void)key;
	if (p->gen)
		c->fn(c->ctx, p->gen);
}

int kern_read_followed(struct kern *k, void (*fn)(void *ctx, uint32_t gen), void *ctx)
{
	struct followed_call c = { fn, ctx };

	return drain_map(k->skel->maps.procs, one_followed, &c);
}

/* At once: a few us each, in which the loop does nothing else. The rest waits for the next time. */
#define MOST_ENDED 50000

static void end_block(int blocks, int stacks, const struct mp_block_key *key)
{
	struct mp_stack st;
	struct mp_block b;
	uint64_t w, all, others;

	if (bpf_map_lookup_elem(blocks, key, &b) || bpf_map_delete_elem(blocks, key) ||
	    bpf_map_lookup_elem(stacks, &b.stack, &st))
		return;
	/* as ledger_subtract does */
	w = b.weight ? b.weight : 1;
	all = b.size_bytes * w < UINT32_MAX ? b.size_bytes * w : UINT32_MAX;
	others = b.size_bytes * (w - 1) < UINT32_MAX ? b.size_bytes * (w - 1) : UINT32_MAX;
	st.free_bytes += b.size_bytes * w;
	st.free_blocks += w;
	st.met_blocks += w;
	st.birth_sum_ms -= b.birth_ms * w;
	st.free_var += all * others >> MP_VAR_SHIFT;
	bpf_map_update_elem(stacks, &b.stack, &st, BPF_EXIST);
}

size_t kern_end_blocks(struct kern *k, const struct mp_block_key *keys, size_t n)
{
	size_t i;

	/* nothing else may write to a stack's figures meanwhile */
	for (i = 0; i < n && i < MOST_ENDED && k->frees_shut && kern_gate_is_still(k); i++)
		end_block(bpf_map__fd(k->skel->maps.blocks), bpf_map__fd(k->skel->maps.stacks), &keys[i]);
	return i;
}
