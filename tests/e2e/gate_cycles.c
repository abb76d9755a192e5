/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Heap probes put on running processes and taken away again, many times: the kernel side is loaded once, which is
 * what makes up most of a run's start.
 *
 *	gate_cycles CYCLES OPEN_MS PID...     prints "CYCLES OPEN_MS SHUT_MS CALLS": the longest opening and
 *	                                      closing, and how many allocator calls were seen
 *
 * One process: links of its own. More: links for all. Between cycles the probes are gone for OPEN_MS, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "alloc/allocator.h"
#include "app/attacher.h"
#include "base/units.h"
#include "kern/kern.h"
#include "model/profile.h"

static void on_stack(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n)
{
	(void)ctx;
	(void)e;
	(void)frames;
	(void)n;
}

static void on_proc(void *ctx, const struct mp_ev_proc *e)
{
	(void)ctx;
	(void)e;
}

static void on_object(void *ctx, const struct mp_ev_object *e)
{
	kern_unwind_announced(ctx, e);
}

static void on_maps(void *ctx, pid_t pid)
{
	kern_maps_changed(ctx, pid);
}

static void wait_ms(struct kern *k, long ms)
{
	const struct kern_handlers h = {
		.ctx = k, .stack = on_stack, .proc = on_proc, .object = on_object, .maps = on_maps
	};
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
	kern_poll(k, &h);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void add_calls(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	uint64_t *sum = ctx;

	(void)gen;
	*sum += t->alloc_calls;
}

static int cycle(struct kern *k, long open_ms, double *opening, double *shutting)
{
	double begin = now_ms(), took;
	int err = kern_gate_open(k);

	took = now_ms() - begin;
	*opening = took > *opening ? took : *opening;
	wait_ms(k, open_ms);
	begin = now_ms();
	if (!err)
		err = kern_gate_shut(k, true);
	took = now_ms() - begin;
	*shutting = took > *shutting ? took : *shutting;
	wait_ms(k, open_ms);
	return err;
}

static int run(struct kern *k, char **pids, int n_pids, int cycles, long open_ms)
{
	const struct attacher_opts ao = { .kern = k,
					  .proc_root = "/proc",
					  .pid_scoped = n_pids == 1,
					  .planes = PLANE_HEAP };
	struct attacher *a = attacher_new(&ao);
	double opening = 0, shutting = 0;
	uint64_t calls = 0;
	uint32_t gen;
	int i, err = 0;

	for (i = 0; i < n_pids && !err; i++)
		err = kern_follow(k, atoi(pids[i]), MP_PROC_FOLLOW, &gen);
	for (i = 0; i < n_pids && !err; i++)
		err = attacher_add_process(a, atoi(pids[i]));
	if (!err && !attacher_n_probes(a))
		err = -1;
	kern_arm(k);
	if (!err)
		err = kern_gate_shut(k, true);
	for (i = 0; i < cycles && !err; i++)
		err = cycle(k, open_ms, &opening, &shutting);
	if (!err)
		err = kern_read_procs(k, add_calls, &calls);
	attacher_free(a);
	if (!err)
		printf("%d %.1f %.1f %llu\n", cycles, opening, shutting, (unsigned long long)calls);
	return err;
}

int main(int argc, char **argv)
{
	struct mp_shape shapes[MP_MAX_SHAPES];
	struct kern_opts o = { .max_memory_bytes = 64 * MIB, .shapes = shapes };
	const struct alloc_function *f = alloc_functions(&o.n_shapes);
	struct kern *k;
	size_t i;
	int err;

	if (argc < 4)
		return 2;
	for (i = 0; i < o.n_shapes; i++)
		shapes[i] = f[i].shape;
	err = kern_open(&k, &o);
	if (!err) {
		err = run(k, argv + 3, argc - 3, atoi(argv[1]), atol(argv[2]));
		kern_close(k);
	}
	if (err)
		fprintf(stderr, "gate_cycles: error %d\n", err);
	return err ? 1 : 0;
}
