/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a stack costs in the kernel: at an entry probe in a program that calls at a given depth
 * (targets/deep.c), nothing, our walk by tables, and bpf_get_stackid take turns; what the empty
 * probe costs is subtracted. Medians over rounds, since the machine's speed drifts.
 *
 *	stack_cost DEEP DEEP_FP ROUNDS CALLS
 *
 * DEEP_FP is DEEP with frame pointers, for the kernel's walk. Prints a table, one line per depth
 *
 *	DEPTH FRAMES EMPTY_NS TABLES_NS TABLES_FP_NS STACKID_FP_NS RATIO
 *
 * (RATIO: tables to stackid in the same program), and `per frame: TABLES TABLES_FP STACKID_FP`. Exit
 * status 77 where there are no uprobe_multi links or no table walk; 1 when a stack of ours is incomplete.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "kern/kern_internal.h"
#include "proc/maps.h"
#include "tests/bpf/stack_cost.skel.h"

#define MAX_ROUNDS 101

enum method { NOTHING, TABLES, TABLES_FP, NOTHING_FP, STACKID_FP, N_METHODS };

static const int depths[] = { 10, 30, 60 };
#define N_DEPTHS (sizeof(depths) / sizeof(depths[0]))

struct target {
	pid_t pid;
	FILE *to, *from;
	char path[64];
	uint64_t offset; /* of at_depth, in the file */
};

struct bench {
	struct kern *kern;
	struct stack_cost_bpf *skel;
	struct target deep, deep_fp;
	double ns[N_DEPTHS][N_METHODS][MAX_ROUNDS];
	uint64_t frames[N_DEPTHS];
	unsigned int n_rounds;
	long calls;
};

static int find_function(struct target *t, struct kern *k)
{
	struct proc_maps maps = { 0 };
	const struct proc_map *m;
	unsigned long long addr;
	size_t i;
	int err;

	if (fscanf(t->from, "%llx", &addr) != 1)
		return -EIO;
	err = proc_maps_read(&maps, "/proc", t->pid);
	m = err ? NULL : proc_maps_find(&maps, addr);
	if (m)
		t->offset = addr - m->start + m->offset;
	for (i = 0; m && i < maps.n && !err; i++)
		err = kern_unwind_add(k, t->pid, &maps.v[i]);
	proc_maps_release(&maps);
	snprintf(t->path, sizeof(t->path), "/proc/%d/exe", (int)t->pid);
	return m ? err : -ENOENT;
}

static int start(struct target *t, const char *program, struct kern *k)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return -errno;
	t->pid = fork();
	if (!t->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t->to = fdopen(in[1], "w");
	t->from = fdopen(out[0], "r");
	return t->pid < 0 || !t->to || !t->from ? -errno : find_function(t, k);
}

static void stop(struct target *t)
{
	if (t->pid <= 0)
		return;
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
}

/* The bench's object walks with the tables of the loaded memprobe: every map that both have is one. */
static int share_maps(struct bench *b)
{
	struct bpf_map *map, *theirs;
	int err = 0;

	bpf_object__for_each_map(map, b->skel->obj) {
		theirs = bpf_object__find_map_by_name(b->kern->skel->obj, bpf_map__name(map));
		if (theirs && !bpf_map__is_internal(map) && !err)
			err = bpf_map__reuse_fd(map, bpf_map__fd(theirs));
	}
	return err;
}

static int load(struct bench *b)
{
	const struct mp_shape shape = { .op = MP_OP_FREE };
	const struct kern_opts ko = { .max_memory_bytes = 64 * MIB, .shapes = &shape, .n_shapes = 1 };
	enum bpf_attach_type multi = (enum bpf_attach_type)MP_TRACE_UPROBE_MULTI;
	int err = kern_open(&b->kern, &ko);

	if (err)
		return err;
	if (!b->kern->tables || b->kern->kind == ATTACH_PERF)
		return -EOPNOTSUPP;
	b->skel = stack_cost_bpf__open();
	if (!b->skel)
		return -errno;
	b->skel->rodata->cfg_preempt_guard = b->kern->skel->rodata->cfg_preempt_guard;
	b->skel->rodata->cfg_find_vma = b->kern->skel->rodata->cfg_find_vma;
	bpf_program__set_expected_attach_type(b->skel->progs.cost_nothing, multi);
	bpf_program__set_expected_attach_type(b->skel->progs.cost_tables, multi);
	bpf_program__set_expected_attach_type(b->skel->progs.cost_kernel, multi);
	err = share_maps(b);
	return err ? err : stack_cost_bpf__load(b->skel);
}

/* ns per call, or -1. */
static double one_round(struct target *t, int depth, long calls)
{
	double ns;

	fprintf(t->to, "%d %ld\n", depth, calls);
	fflush(t->to);
	return fscanf(t->from, "%lf", &ns) == 1 ? ns : -1;
}

static int measure(struct bench *b, size_t at, enum method method, double *ns)
{
	struct bpf_program *progs[] = { b->skel->progs.cost_nothing, b->skel->progs.cost_tables,
					b->skel->progs.cost_tables, b->skel->progs.cost_nothing,
					b->skel->progs.cost_kernel };
	struct target *t = method < TABLES_FP ? &b->deep : &b->deep_fp;
	unsigned long offset = t->offset;
	uint64_t cookie = 0;
	int fd;

	fd = link_multi(&(struct multi_link){ .prog_fd = bpf_program__fd(progs[method]), .type = MP_TRACE_UPROBE_MULTI,
					      .path = t->path, .offsets = &offset, .cookies = &cookie, .n = 1, .pid = t->pid });
	if (fd < 0)
		return fd;
	one_round(t, depths[at], 100); /* the stack is known, the memo warm */
	b->skel->bss->incomplete = 0;
	b->skel->bss->hits = 0;
	*ns = one_round(t, depths[at], b->calls);
	close(fd);
	if (method == TABLES)
		b->frames[at] = b->skel->bss->frames;
	if (*ns < 0 || b->skel->bss->hits != (uint64_t)b->calls || b->skel->bss->incomplete) {
		fprintf(stderr, "depth %d, method %d: %llu hits, %llu incomplete\n", depths[at], method,
			(unsigned long long)b->skel->bss->hits,
			(unsigned long long)b->skel->bss->incomplete);
		return -EIO;
	}
	return 0;
}

static int run(struct bench *b)
{
	unsigned int r;
	size_t d;
	int m, err = 0;

	for (r = 0; r < b->n_rounds; r++)
		for (d = 0; d < N_DEPTHS; d++)
			for (m = 0; m < N_METHODS && !err; m++)
				err = measure(b, d, (enum method)m, &b->ns[d][m][r]);
	return err;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

/* What method costs beyond the empty probe in the same program, of one round. */
static double extra(const struct bench *b, size_t d, enum method method, unsigned int r)
{
	return b->ns[d][method][r] - b->ns[d][method < TABLES_FP ? NOTHING : NOTHING_FP][r];
}

static double median_extra(const struct bench *b, size_t d, enum method method)
{
	double v[MAX_ROUNDS];
	unsigned int r;

	for (r = 0; r < b->n_rounds; r++)
		v[r] = extra(b, d, method, r);
	return median(v, b->n_rounds);
}

static double median_slope(const struct bench *b, enum method method)
{
	const size_t last = N_DEPTHS - 1;
	double v[MAX_ROUNDS];
	unsigned int r;

	for (r = 0; r < b->n_rounds; r++)
		v[r] = (extra(b, last, method, r) - extra(b, 0, method, r)) / (depths[last] - depths[0]);
	return median(v, b->n_rounds);
}

/* The same from the fastest rounds: what a quiet machine would show. */
static double best(const struct bench *b, size_t d, enum method method)
{
	double least = b->ns[d][method][0];
	unsigned int r;

	for (r = 1; r < b->n_rounds; r++)
		if (b->ns[d][method][r] < least)
			least = b->ns[d][method][r];
	return least;
}

static double best_extra(const struct bench *b, size_t d, enum method method)
{
	return best(b, d, method) - best(b, d, method < TABLES_FP ? NOTHING : NOTHING_FP);
}

static double best_slope(const struct bench *b, enum method method)
{
	const size_t last = N_DEPTHS - 1;

	return (best_extra(b, last, method) - best_extra(b, 0, method)) / (depths[last] - depths[0]);
}

static void print_depth(const struct bench *b, size_t d)
{
	double empty[MAX_ROUNDS], ratio[MAX_ROUNDS];
	unsigned int r;

	for (r = 0; r < b->n_rounds; r++) {
		empty[r] = b->ns[d][NOTHING][r];
		ratio[r] = extra(b, d, TABLES_FP, r) / extra(b, d, STACKID_FP, r);
	}
	printf("%5d %6llu %8.0f %8.0f %11.0f %12.0f %6.2f\n", depths[d],
	       (unsigned long long)b->frames[d], median(empty, b->n_rounds), median_extra(b, d, TABLES),
	       median_extra(b, d, TABLES_FP), median_extra(b, d, STACKID_FP), median(ratio, b->n_rounds));
}

static void print(const struct bench *b)
{
	size_t d;

	printf("depth frames empty_ns +tables +tables(fp) +stackid(fp)  ratio\n");
	for (d = 0; d < N_DEPTHS; d++)
		print_depth(b, d);
	printf("per frame: %.1f %.1f %.1f ns (tables, tables(fp), stackid(fp)), medians; ",
	       median_slope(b, TABLES), median_slope(b, TABLES_FP), median_slope(b, STACKID_FP));
	printf("%.1f %.1f %.1f ns in the fastest rounds\n", best_slope(b, TABLES), best_slope(b, TABLES_FP),
	       best_slope(b, STACKID_FP));
}

int main(int argc, char **argv)
{
	static struct bench b;
	int err;

	if (argc != 5)
		return 2;
	b.n_rounds = (unsigned int)atoi(argv[3]);
	b.calls = atol(argv[4]);
	if (b.n_rounds < 1 || b.n_rounds > MAX_ROUNDS)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	err = load(&b);
	if (!err)
		err = start(&b.deep, argv[1], b.kern);
	if (!err)
		err = start(&b.deep_fp, argv[2], b.kern);
	if (!err)
		err = run(&b);
	if (err)
		fprintf(stderr, "stack_cost: %s\n", strerror(-err));
	else
		print(&b);
	stop(&b.deep);
	stop(&b.deep_fp);
	stack_cost_bpf__destroy(b.skel);
	kern_close(b.kern);
	return err == -EOPNOTSUPP ? 77 : err != 0;
}
