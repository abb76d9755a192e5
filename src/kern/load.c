/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Opening and loading the BPF object: sizes from --max-memory, programs by attach kind. Nothing is attached to user
 * code here but the task tracepoints.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "kern/scratch.h"

/* libbpf's own messages: its advice (RLIMIT_MEMLOCK) misleads, so they show with -v only. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;

	if (level == LIBBPF_DEBUG || log_level < LOG_VERBOSE)
		return 0;
	buf_vaddf(&b, fmt, ap);
	while (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	log_debug("%s", b.data);
	buf_release(&b);
	return 0;
}

void kern_quiet_libbpf(void)
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL & ~LIBBPF_STRICT_AUTO_RLIMIT_MEMLOCK);
	libbpf_set_print(print_libbpf);
}

/* Kernel memory per entry: element (htab_elem 48 B + key + value, rounded to its slab) and buckets. */
#define BLOCK_COST_BYTES 128
#define STACK_COST_BYTES 160
#define PLACE_COST_BYTES 112

static uint32_t floor_pow2(uint64_t n, uint32_t least, uint32_t most)
{
	uint32_t p = least;

	while (p < most && (uint64_t)p * 2 <= n)
		p *= 2;
	return p;
}

/* Shares of --max-memory: half for blocks, an eighth for stacks, a 16th for touched pages, a 32nd for the ring. */
static void size_maps(struct memprobe_bpf *skel, uint64_t max_memory)
{
	uint32_t n_blocks = floor_pow2(max_memory / 2 / BLOCK_COST_BYTES, 1024, 1u << 24);
	uint32_t n_stacks = floor_pow2(max_memory / 8 / STACK_COST_BYTES, 1024, 1u << 20);
	uint32_t ring = floor_pow2(max_memory / 32, 1u << 18, 1u << 23);

	bpf_map__set_max_entries(skel->maps.blocks, n_blocks);
	bpf_map__set_max_entries(skel->maps.stacks, n_stacks);
	bpf_map__set_max_entries(skel->maps.young, n_stacks / 4);
	bpf_map__set_max_entries(skel->maps.bumps, n_stacks / 4);
	bpf_map__set_max_entries(skel->maps.rss_stacks, n_stacks / 2);
	bpf_map__set_max_entries(skel->maps.rss_places, floor_pow2(max_memory / 16 / PLACE_COST_BYTES, 1024, 1u << 18));
	bpf_map__set_max_entries(skel->maps.events, ring);
	log_debug("tables: %u blocks, %u stacks, ring %u KiB", n_blocks, n_stacks, ring / 1024);
}

static void choose_programs(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;
	bool session = k->kind == ATTACH_SESSION;
	enum bpf_attach_type multi = (enum bpf_attach_type)MP_TRACE_UPROBE_MULTI;

	bpf_program__set_autoload(s->progs.heap_session, session && k->tables);
	bpf_program__set_autoload(s->progs.heap_session_fp, session && !k->tables);
	bpf_program__set_autoload(s->progs.heap_entry, !session && k->tables);
	bpf_program__set_autoload(s->progs.heap_entry_fp, !session && !k->tables);
	bpf_program__set_autoload(s->progs.heap_return, !session);
	bpf_program__set_autoload(s->progs.heap_bump, false);
	bpf_program__set_autoload(s->progs.heap_bump_fp, false);
	bpf_program__set_autoload(s->progs.stack_verify, k->verify == KERN_VERIFY_CALLS);
	bpf_program__set_autoload(s->progs.fault_verify, k->verify > KERN_VERIFY_CALLS);
	bpf_program__set_autoload(s->progs.oom_mark, k->verify == KERN_COUNT);
	bpf_program__set_autoload(s->progs.object_born, k->objects);
	bpf_program__set_autoload(s->progs.find_real_file, k->tables && k->find_vma);
	bpf_map__set_max_entries(s->maps.objects, k->objects ? MP_OBJECT_KINDS : 1);
	vm_choose(k);
	if (k->kind == ATTACH_PERF)
		return;
	bpf_program__set_expected_attach_type(s->progs.heap_session,
					      (enum bpf_attach_type)MP_TRACE_UPROBE_SESSION);
	bpf_program__set_expected_attach_type(s->progs.heap_session_fp,
					      (enum bpf_attach_type)MP_TRACE_UPROBE_SESSION);
	bpf_program__set_expected_attach_type(s->progs.heap_entry, multi);
	bpf_program__set_expected_attach_type(s->progs.heap_entry_fp, multi);
	bpf_program__set_expected_attach_type(s->progs.heap_return, multi);
	bpf_program__set_expected_attach_type(s->progs.stack_verify, multi);
	bpf_program__set_expected_attach_type(s->progs.heap_free_entry, multi);
	bpf_program__set_expected_attach_type(s->progs.loader_ready, multi);
	bpf_program__set_expected_attach_type(s->progs.loader_changed, multi);
	bpf_program__set_expected_attach_type(s->progs.exit_begins, multi);
	bpf_program__set_expected_attach_type(s->progs.alloc_refused, multi);
	bpf_program__set_expected_attach_type(s->progs.object_born, multi);
}

static void fill_rodata(struct kern *k, const struct kern_opts *o)
{
	struct memprobe_bpf__rodata *r = k->skel->rodata;
	size_t n = o->n_shapes < MP_MAX_SHAPES ? o->n_shapes : MP_MAX_SHAPES;

	memcpy((void *)r->shapes, o->shapes, n * sizeof(o->shapes[0]));
	r->cfg_scope_all = o->scope_all;
	r->cfg_threads = o->threads;
	r->cfg_verify_every = o->verify_every ? o->verify_every : 1;
	r->cfg_own_tgid = (uint32_t)getpid();
	r->cfg_n_patterns = (uint32_t)o->n_patterns;
	memcpy((void *)r->cfg_patterns, o->patterns, sizeof(o->patterns));
	r->cfg_n_cgroups = (uint32_t)o->n_cgroups;
	memcpy((void *)r->cfg_cgroups, o->cgroups, sizeof(o->cgroups));
}

static int on_event(void *ctx, void *data, size_t len);

static int open_and_load(struct kern *k, const struct kern_opts *o, bool preempt_guard)
{

	memprobe_bpf__destroy(k->skel);
	k->skel = memprobe_bpf__open();
	if (!k->skel)
		return -errno;
	size_maps(k->skel, o->max_memory_bytes);
	fill_rodata(k, o);
	k->skel->rodata->cfg_preempt_guard = preempt_guard;
	k->skel->rodata->cfg_find_vma = k->find_vma;
	choose_programs(k);
	rss_choose(k);
	return memprobe_bpf__load(k->skel);
}

/* Near the verifier's limit of a million, another kernel may refuse. Told since 5.16. */
void kern_log_verified(const struct bpf_object *obj)
{
	struct bpf_program *prog;

	if (log_level < LOG_VERBOSE)
		return;
	bpf_object__for_each_program(prog, obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
			log_debug("program %s: %u instructions verified, %u bytes of code",
				  bpf_program__name(prog), info.verified_insns, info.jited_prog_len);
	}
}

/*
 * By trying, best first: table walk with preemption off; without that where global functions are
 * refused in such a section (6.12, whose BPF stacks are private per program and not torn); with the
 * mappings from user space (before 5.17); the kernel's frame-pointer walk.
 */
static int load_best(struct kern *k, const struct kern_opts *o)
{
	static const struct {
		bool tables, preempt_guard, find_vma;
	} forms[] = { { true, true, true }, { true, false, true }, { true, false, false },
		      { false, true, true }, { false, false, true } };
	int err = -EINVAL;
	size_t i;

	for (i = o->frame_pointers ? 3 : 0; i < 5; i++) {
		k->tables = forms[i].tables;
		k->find_vma = forms[i].find_vma && !o->no_find_vma;
		if (o->vm)
			vm_plane_find(k, o->vm_by_calls);
		err = open_and_load(k, o, forms[i].preempt_guard);
		while (err && k->vm && k->tables) { /* was it that? */
			vm_plane_lessen(k);
			err = open_and_load(k, o, forms[i].preempt_guard);
		}
		if (!err || err == -EPERM || err == -ENOMEM)
			break;
		log_debug("load: %s walk, preemption guard %s, find_vma %s: %s",
			  k->tables ? "table" : "kernel", forms[i].preempt_guard ? "on" : "off",
			  k->find_vma ? "on" : "off", strerror(-err));
	}
	if (err)
		return err;
	k->vm = k->vm && k->tables;
	kern_log_verified(k->skel->obj);
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.events), on_event, k, NULL);
	if (!k->ring)
		return -errno;
	/* only a session's entry half can decide on the return (attach_returns) */
	k->skel->bss->new_limit_bytes = k->kind == ATTACH_SESSION ? o->new_limit_bytes : 0;
	return k->tables ? unwinder_open(k, o->max_memory_bytes / 4) : 0;
}

/* The kernel side speaks of processes by their numbers in our own PID namespace. */
static int find_pidns(struct kern *k)
{
	LIBBPF_OPTS(bpf_test_run_opts, o);
	int err = bpf_prog_test_run_opts(bpf_program__fd(k->skel->progs.find_pidns), &o);

	if (err)
		log_error("cannot find our own PID namespace: %s", strerror(-err));
	else if (k->skel->bss->pidns)
		log_debug("PID namespace: level %u", k->skel->bss->pidns_level);
	return err;
}

static int attach_tasks(struct kern *k)
{
	struct bpf_program *progs[] = { k->skel->progs.task_exit, k->skel->progs.task_exec,
					k->skel->progs.task_fork };
	struct bpf_link **links[] = { &k->skel->links.task_exit, &k->skel->links.task_exec,
				      &k->skel->links.task_fork };
	size_t i;

	for (i = 0; i < 3; i++) {
		*links[i] = bpf_program__attach(progs[i]);
		if (!*links[i]) {
			log_error("attach: tracepoint %s: %s", bpf_program__name(progs[i]),
				  strerror(errno));
			return -errno;
		}
	}
	return 0;
}

/* The exit tells the same, a little later: done without where it cannot be. */
static void attach_oom(struct kern *k)
{
	if (!bpf_program__autoload(k->skel->progs.oom_mark))
		return;
	k->skel->links.oom_mark = bpf_program__attach(k->skel->progs.oom_mark);
	if (!k->skel->links.oom_mark)
		log_debug("tracepoint oom:mark_victim: %s", strerror(errno));
}

static int open_tables(struct kern *k, const struct kern_opts *opts)
{
	int err = load_best(k, opts);

	if (err)
		return explain_load(err);
	err = find_pidns(k);
	if (!err)
		err = rss_prepare(k);
	if (!err)
		err = attach_tasks(k);
	if (!err)
		attach_oom(k);
	if (!err && k->vm && vm_attach(k))
		k->vm = false;
	if (!err && opts->vm && !k->vm)
		log_warn("mappings are not watched: this kernel lacks what that takes (tracepoints mmap_lock, ma_write, or sys_enter)");
	return err;
}

int kern_open(struct kern **out, const struct kern_opts *opts)
{
	struct kern *k = xcalloc(1, sizeof(*k));
	int err;

	kern_quiet_libbpf();
	k->loader.fd = -1;
	k->next_user_gen = MP_GEN_USER;
	k->n_cpus = (unsigned int)libbpf_num_possible_cpus();
	k->verify = opts->verify;
	k->rss = opts->rss;
	k->objects = opts->objects;
	k->rss_level = TOUCHES_BY_PAGE;
	err = feature_find_links(k, SCRATCH_UNKNOWN_SYSCALLS);
	if (err)
		err = explain_links(k, err);
	else
		err = open_tables(k, opts);
	if (err) {
		kern_close(k);
		return err;
	}
	*out = k;
	return 0;
}

void kern_close(struct kern *k)
{
	if (!k)
		return;
	if (k->skel && k->skel->bss)
		k->skel->bss->armed = 0;
	rss_close(k);
	gate_release(k);
	links_close(k->links, k->n_links);
	free(k->links);
	widen_close(k);
	others_release(k);
	kern_detach_loader(k);
	ring_buffer__free(k->ring);
	unwinder_close(k);
	memprobe_bpf__destroy(k->bumps);
	memprobe_bpf__destroy(k->skel);
	free(k);
}

const char *kern_unwinder(const struct kern *k)
{
	return k->tables ? "unwind tables" : "frame pointers";
}

int kern_follow(struct kern *k, pid_t pid, uint32_t flags, uint32_t *gen)
{
	struct mp_proc p = { .gen = k->next_user_gen++, .flags = flags };
	struct mp_proc_totals zero = { 0 };
	uint32_t tgid = (uint32_t)pid;
	int err;

	err = bpf_map_update_elem(bpf_map__fd(k->skel->maps.proc_totals), &p.gen, &zero, BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(k->skel->maps.procs), &tgid, &p, BPF_NOEXIST);
	if (err == -EEXIST) {
		bpf_map_delete_elem(bpf_map__fd(k->skel->maps.proc_totals), &p.gen);
		return err;
	}
	if (err) {
		log_error("process %d: cannot follow: %s", (int)pid, strerror(-err));
		return err;
	}
	ranges_begin(k, pid);
	__atomic_add_fetch(&k->skel->data->target_epoch, 1, __ATOMIC_RELEASE);
	*gen = p.gen;
	return 0;
}

void kern_unfollow(struct kern *k, pid_t pid, uint32_t gen)
{
	uint32_t tgid = (uint32_t)pid;

	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.procs), &tgid);
	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.proc_totals), &gen);
	__atomic_add_fetch(&k->skel->data->target_epoch, 1, __ATOMIC_RELEASE);
}

void kern_ended(struct kern *k, pid_t pid, uint32_t gen)
{
	uint32_t tgid = (uint32_t)pid;
	struct mp_proc p;
	int fd = bpf_map__fd(k->skel->maps.procs);

	if (!bpf_map_lookup_elem(fd, &tgid, &p) && p.gen == gen)
		bpf_map_delete_elem(fd, &tgid);
}

void kern_drop(struct kern *k, pid_t pid, uint32_t gen)
{
	kern_ended(k, pid, gen);
	__atomic_add_fetch(&k->skel->data->target_epoch, 1, __ATOMIC_RELEASE);
}

int kern_set_runtime(struct kern *k, uint32_t gen, const struct mp_runtime *r)
{
	int err = bpf_map_update_elem(bpf_map__fd(k->skel->maps.runtimes), &gen, r, BPF_ANY);

	if (!err)
		__atomic_add_fetch(&k->skel->bss->n_runtimes, 1, __ATOMIC_RELEASE);
	return err;
}

void kern_unset_runtime(struct kern *k, uint32_t gen)
{
	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.runtimes), &gen);
}

int kern_hold(struct kern *k, pid_t pid)
{
	struct mp_proc p = { .gen = 0, .flags = MP_PROC_HELD | MP_PROC_FOLLOW };
	uint32_t tgid = (uint32_t)pid;

	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.procs), &tgid, &p, BPF_ANY);
}

void kern_arm(struct kern *k)
{
	if (!k->skel->bss->start_ns) { /* armed again after counting: the window goes on */
		k->skel->bss->start_ns = clock_monotonic_ns();
		watched_begin(&k->watched, 0);
		rss_arm(k);
	}
	__atomic_store_n(&k->skel->bss->bumps_on, 1, __ATOMIC_SEQ_CST);
	if (!k->gate_shut) /* else its opening does */
		__atomic_store_n(&k->skel->bss->armed, MP_ARMED, __ATOMIC_SEQ_CST);
}

uint64_t kern_armed_ns(const struct kern *k)
{
	return k->skel->bss->start_ns;
}

int kern_event_fd(const struct kern *k)
{
	return ring_buffer__epoll_fd(k->ring);
}

/* Frames in order, innermost first: the ring of a deep stack is turned to its beginning. */
static void hand_on_stack(const struct kern_handlers *h, const struct mp_ev_stack *e, size_t len)
{
	size_t room = (len - offsetof(struct mp_ev_stack, ips)) / sizeof(e->ips[0]);
	uint32_t n = e->n_frames, i, start = e->left_out % MP_OUTER_FRAMES;
	__u64 frames[MP_MAX_FRAMES];

	if (n > MP_MAX_FRAMES || e->first + n > room)
		return; /* not one of ours */
	memcpy(frames, e->ips + e->first, n * sizeof(frames[0]));
	if (start && n == MP_MAX_FRAMES)
		for (i = 0; i < MP_OUTER_FRAMES; i++)
			frames[MP_INNER_FRAMES + i] =
				e->ips[MP_INNER_FRAMES + (start + i) % MP_OUTER_FRAMES];
	h->stack(h->ctx, e, frames, n);
}

static void hand_on_runtime(const struct kern_handlers *h, const struct mp_ev_runtime *e, size_t len)
{
	size_t room = (len - offsetof(struct mp_ev_runtime, frames)) / sizeof(e->frames[0]);

	if (h->runtime && e->n <= MP_RT_FRAMES && e->n <= room)
		h->runtime(h->ctx, e);
}

/* Records are read-only in place. */
static int on_event(void *ctx, void *data, size_t len)
{
	struct kern *k = ctx;
	const struct kern_handlers *h = k->handlers;
	uint32_t kind = *(const uint32_t *)data;

	if (kind == MP_EV_PROC && len >= sizeof(struct mp_ev_proc))
		h->proc(h->ctx, data);
	else if (kind == MP_EV_OBJECT && len >= sizeof(struct mp_ev_object))
		h->object(h->ctx, data);
	else if (kind == MP_EV_MAPS && len >= sizeof(struct mp_ev_object))
		h->maps(h->ctx, (pid_t)((const struct mp_ev_object *)data)->tgid);
	else if (kind == MP_EV_RUNTIME && len >= offsetof(struct mp_ev_runtime, frames))
		hand_on_runtime(h, data, len);
	else if (kind == MP_EV_DEATH && len >= sizeof(struct mp_ev_death) && h->death)
		h->death(h->ctx, data);
	else if (kind == MP_EV_VM && len >= sizeof(struct mp_ev_vm) && h->vm)
		h->vm(h->ctx, data);
	else if (kind == MP_EV_STACK && len >= offsetof(struct mp_ev_stack, ips))
		hand_on_stack(h, data, len);
	return 0;
}

int kern_poll(struct kern *k, const struct kern_handlers *h)
{
	int n;

	k->handlers = h;
	n = ring_buffer__consume(k->ring);
	k->handlers = NULL;
	unwinder_poll(k);
	widen_poll(k);
	return n;
}

void kern_verify_next(struct kern *k)
{
	__atomic_store_n(&k->skel->bss->verify_busy, 0, __ATOMIC_SEQ_CST);
}

void kern_resend_stack(struct kern *k, uint64_t hash)
{
	size_t n = sizeof(k->skel->bss->known_stacks) / sizeof(k->skel->bss->known_stacks[0]);

	k->skel->bss->resend_stack = hash;
	k->skel->bss->known_stacks[hash & (n - 1)] = 0;
}
