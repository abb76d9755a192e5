/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The resident memory's programs (bpf/rss.bpf.c): chosen before the load, attached when the run is armed, and
 * their tables read. Where the kernel has no such tracepoint, or its counters are not as they are known here, there
 * are no figures, and kern_rss_missing() says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

static struct bpf_program *program_of(const struct kern *k)
{
	return k->tables ? k->skel->progs.rss_changed : k->skel->progs.rss_changed_fp;
}

static bool has_tracepoint(const char *name)
{
	return libbpf_find_vmlinux_btf_id(name, BPF_TRACE_RAW_TP) > 0;
}

/* Addresses of first touches, where the kernel tells them. */
static void choose_faults(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	k->rss_faults = k->rss && has_tracepoint("page_fault_user") && has_tracepoint("page_fault_kernel");
	bpf_program__set_autoload(s->progs.rss_fault, k->rss_faults);
	bpf_program__set_autoload(s->progs.rss_fault_kernel, k->rss_faults);
	if (!k->rss_faults)
		bpf_map__set_max_entries(s->maps.rss_places, 1);
}

void rss_choose(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	if (k->rss && libbpf_find_vmlinux_btf_id("rss_stat", BPF_TRACE_RAW_TP) < 0)
		k->rss_missing = "the kernel has no tracepoint kmem:rss_stat";
	else if (k->rss && k->n_cpus > MP_MAX_CPUS)
		k->rss_missing = "more CPUs than are known how to sum over";
	k->rss = k->rss && !k->rss_missing;
	s->rodata->cfg_n_cpus = k->n_cpus < MP_MAX_CPUS ? k->n_cpus : MP_MAX_CPUS;
	bpf_program__set_autoload(s->progs.rss_changed, k->rss && k->tables);
	bpf_program__set_autoload(s->progs.rss_changed_fp, k->rss && !k->tables);
	bpf_program__set_autoload(s->progs.rss_targets, k->rss);
	bpf_program__set_autoload(s->progs.rss_prepare, k->rss);
	choose_faults(k);
	if (!k->rss) {
		bpf_map__set_max_entries(s->maps.rss_mms, 1);
		bpf_map__set_max_entries(s->maps.rss_stacks, 1);
		bpf_map__set_max_entries(s->maps.rss_totals, 1);
	}
}

int rss_prepare(struct kern *k)
{
	LIBBPF_OPTS(bpf_test_run_opts, o);
	unsigned int cpu;
	uint64_t base;
	int err;

	if (!k->rss)
		return 0;
	err = bpf_prog_test_run_opts(bpf_program__fd(k->skel->progs.rss_prepare), &o);
	base = k->skel->bss->rss_percpu_base;
	if (!err && !base)
		err = -ENOENT;
	for (cpu = 0; cpu < k->n_cpus && !err; cpu++) {
		if (!k->skel->bss->cpu_offsets[cpu])
			err = -ENOENT;
		k->skel->bss->cpu_offsets[cpu] -= base;
	}
	if (!err)
		return 0;
	log_debug("per-CPU variables: %s", strerror(-err));
	k->rss_missing = "the kernel's per-CPU counters cannot be found";
	k->rss = false;
	return 0;
}

/* The sums of all targets now, by one pass over all threads. */
static int read_targets(struct kern *k)
{
	struct bpf_link *link = bpf_program__attach_iter(k->skel->progs.rss_targets, NULL);
	char rest[64];
	int fd, err = 0;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		err = -errno;
	while (!err && read(fd, rest, sizeof(rest)) > 0)
		;
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

static void detach_faults(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	s->bss->rss_placing = 0;
	bpf_link__destroy(s->links.rss_fault);
	bpf_link__destroy(s->links.rss_fault_kernel);
	s->links.rss_fault = s->links.rss_fault_kernel = NULL;
}

/* First: an event with an address that is not its own's is worse than one without. Without them the rest goes on. */
static void attach_faults(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	if (!k->rss_faults)
		return;
	s->links.rss_fault_kernel = bpf_program__attach(s->progs.rss_fault_kernel);
	s->links.rss_fault = s->links.rss_fault_kernel ? bpf_program__attach(s->progs.rss_fault) : NULL;
	if (s->links.rss_fault) {
		__atomic_store_n(&s->bss->rss_placing, 1, __ATOMIC_SEQ_CST);
		return;
	}
	log_debug("addresses of page faults: %s", strerror(errno));
	detach_faults(k);
}

static bool any(void *ctx, uint32_t gen)
{
	(void)ctx;
	(void)gen;
	return true;
}

static void detach_changes(struct kern *k)
{
	__atomic_store_n(&k->skel->bss->rss_armed, 0, __ATOMIC_SEQ_CST);
	bpf_link__destroy(k->rss_link);
	k->rss_link = NULL;
}

/* From the sums of this moment on. */
static int attach_changes(struct kern *k)
{
	int err;

	kern_sweep_rss(k, any, NULL);
	__atomic_store_n(&k->skel->bss->rss_armed, 1, __ATOMIC_SEQ_CST);
	err = read_targets(k);
	if (err)
		return err;
	k->rss_link = bpf_program__attach(program_of(k));
	return k->rss_link ? 0 : -errno;
}

static void refused(struct kern *k, int err)
{
	log_warn("resident memory: %s: first touches are not seen", strerror(-err));
	k->rss_missing = "the tracepoint kmem:rss_stat cannot be attached";
	rss_close(k);
}

/* What goes, goes at once; what comes, addresses first. */
static void change_level(struct kern *k, enum first_touches to)
{
	int err = 0;

	if (k->skel->links.rss_fault && to < TOUCHES_BY_PAGE)
		detach_faults(k);
	if (k->rss_link && to < TOUCHES_BY_STACK) {
		detach_changes(k);
		kern_sweep_rss(k, any, NULL); /* the series comes from /proc meanwhile */
	}
	if (!k->skel->links.rss_fault && to >= TOUCHES_BY_PAGE)
		attach_faults(k);
	if (!k->rss_link && to >= TOUCHES_BY_STACK)
		err = attach_changes(k);
	if (err)
		refused(k, err);
}

void kern_watch_touches(struct kern *k, enum first_touches level)
{
	k->rss_level = level;
	if (k->rss && k->rss_begun && !k->rss_paused)
		change_level(k, level);
}

uint64_t kern_ended_faults(const struct kern *k)
{
	return __atomic_load_n(&k->skel->bss->rss_ended_faults, __ATOMIC_RELAXED);
}

void rss_arm(struct kern *k)
{
	k->rss_begun = true;
	if (k->rss)
		change_level(k, k->rss_level);
}

void rss_close(struct kern *k)
{
	if (k->skel && k->skel->bss) {
		detach_faults(k);
		detach_changes(k);
	}
	k->rss = false;
}

const char *kern_rss_missing(const struct kern *k)
{
	return k->rss_missing;
}

DEFINE_READER(kern_read_rss_stacks, kern_rss_stack_fn, rss_stacks, KEY_U64, k->rss)
DEFINE_READER(kern_read_rss, kern_rss_fn, rss_totals, KEY_U32, k->rss)
DEFINE_READER(kern_read_rss_places, kern_rss_place_fn, rss_places, KEY_STRUCT, k->rss && k->rss_faults)

void kern_set_rss_every(struct kern *k, uint32_t pages)
{
	__atomic_store_n(&k->skel->data->rss_every, pages, __ATOMIC_RELAXED);
}

void kern_drop_rss_places(struct kern *k, const struct mp_rss_place *v, size_t n)
{
	size_t i;

	for (i = 0; i < n && k->rss; i++)
		bpf_map_delete_elem(bpf_map__fd(k->skel->maps.rss_places), &v[i]);
}

size_t kern_most_rss_places(const struct kern *k)
{
	return k->rss && k->rss_faults ? bpf_map__max_entries(k->skel->maps.rss_places) : 0;
}

struct rss_now_call {
	kern_rss_now_fn fn;
	void *ctx;
};

static void one_rss_now(void *ctx, const void *key, const void *value)
{
	const struct mp_rss_mm *m = value;
	struct rss_now_call *c = ctx;

	(void)key;
	c->fn(c->ctx, m->gen, m->pages);
}

int kern_read_rss_now(struct kern *k, kern_rss_now_fn fn, void *ctx)
{
	struct rss_now_call c = { fn, ctx };

	return k->rss ? drain_map(k->skel->maps.rss_mms, one_rss_now, &c) : -ENODATA;
}

static bool is_dead_mm(void *ctx, const void *key, const void *value)
{
	const struct mp_rss_mm *m = value;
	const struct generations *g = ctx;

	(void)key;
	return g->is_dead(g->ctx, m->gen);
}

void kern_sweep_rss(struct kern *k, bool (*is_dead)(void *ctx, uint32_t gen), void *ctx)
{
	if (k->rss)
		drain_sweep(k->skel->maps.rss_mms, is_dead_mm, &(struct generations){ is_dead, ctx });
}

/* The others' faults too are left alone meanwhile. */
void rss_pause(struct kern *k)
{
	k->rss_paused = true;
	if (k->rss && k->rss_begun)
		change_level(k, TOUCHES_UNSEEN);
}

void rss_resume(struct kern *k)
{
	k->rss_paused = false;
	kern_watch_touches(k, k->rss_level);
}
