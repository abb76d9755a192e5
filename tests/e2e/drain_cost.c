/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a drain costs with full tables: fills the kernel's tables with made-up entries, then
 * measures the CPU time of reading all figures, best of five.
 *
 *	drain_cost BLOCKS STACKS        prints "BLOCKS STACKS CPU_MS"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

#define BATCH 16384

static double cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
}

static int fill_blocks(struct kern *k, uint32_t n)
{
	struct mp_block_key *keys = xcalloc(BATCH, sizeof(*keys));
	struct mp_block *values = xcalloc(BATCH, sizeof(*values));
	uint32_t done, count, i;
	int err = 0;

	for (done = 0; done < n && !err; done += count) {
		count = n - done < BATCH ? n - done : BATCH;
		for (i = 0; i < count; i++) {
			keys[i] = (struct mp_block_key){ .addr = 0x7f0000000000 + (done + i) * 64ULL, .gen = 1 };
			values[i] = (struct mp_block){ .stack = (done + i) % 100000, .size_bytes = 48 };
		}
		err = bpf_map_update_batch(bpf_map__fd(k->skel->maps.blocks), keys, values, &count, NULL);
	}
	free(keys);
	free(values);
	return err;
}

static int fill_stacks(struct kern *k, uint32_t n)
{
	struct mp_stack *values = xcalloc(BATCH, sizeof(*values));
	uint64_t *keys = xcalloc(BATCH, sizeof(*keys));
	uint32_t done, count, i;
	int err = 0;

	for (done = 0; done < n && !err; done += count) {
		count = n - done < BATCH ? n - done : BATCH;
		for (i = 0; i < count; i++) {
			keys[i] = (done + i + 1) * 0x9e3779b97f4a7c15ULL;
			values[i] = (struct mp_stack){ .alloc_bytes = 480, .alloc_blocks = 10, .gen = 1 };
		}
		err = bpf_map_update_batch(bpf_map__fd(k->skel->maps.stacks), keys, values, &count, NULL);
	}
	free(keys);
	free(values);
	return err;
}

struct sum {
	uint64_t n, bytes;
};

static void add_stack(void *ctx, uint64_t hash, const struct mp_stack *s)
{
	struct sum *sum = ctx;

	(void)hash;
	sum->n++;
	sum->bytes += s->alloc_bytes;
}

static void add_proc(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	(void)ctx;
	(void)gen;
	(void)t;
}

static int drain(struct kern *k, struct sum *sum)
{
	struct mp_loss_count losses[MP_LOSS_NR];
	int err;

	*sum = (struct sum){ 0 };
	err = kern_read_stacks(k, add_stack, sum);
	if (!err)
		err = kern_read_procs(k, add_proc, sum);
	return err ? err : kern_read_losses(k, losses);
}

int main(int argc, char **argv)
{
	struct mp_shape shape = { .op = MP_OP_ALLOC };
	struct kern_opts o = { .max_memory_bytes = 1024 * MIB, .shapes = &shape, .n_shapes = 1 };
	uint32_t n_blocks, n_stacks;
	double before, best = 1e9;
	struct sum sum;
	struct kern *k;
	int i, err;

	if (argc != 3)
		return 2;
	n_blocks = (uint32_t)atoi(argv[1]);
	n_stacks = (uint32_t)atoi(argv[2]);
	err = kern_open(&k, &o);
	if (!err)
		err = fill_blocks(k, n_blocks);
	if (!err)
		err = fill_stacks(k, n_stacks);
	for (i = 0; i < 5 && !err; i++) {
		before = cpu_ms();
		err = drain(k, &sum);
		if (cpu_ms() - before < best)
			best = cpu_ms() - before;
	}
	if (err || sum.n != n_stacks || sum.bytes != 480ULL * n_stacks) {
		fprintf(stderr, "drain_cost: error %d, %llu stacks read\n", err, (unsigned long long)sum.n);
		return 1;
	}
	printf("%u %u %.1f\n", n_blocks, n_stacks, best);
	kern_close(k);
	return 0;
}
