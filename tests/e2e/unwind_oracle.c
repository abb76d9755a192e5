/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The unwinder's proof on a live process: at sampled allocations the process is stopped
 * (SIGSTOP from the probe itself), the same thread is unwound by libdwfl from outside, the two
 * stacks are compared frame by frame, and the process goes on.
 *
 *	unwind_oracle PID COMPARISONS SECONDS [EVERY [MODE...]]
 *
 * MODE no-find-vma: mappings from user space. incomplete=N: N per mille may be incomplete instead of 1.
 * faults: at page faults of the main thread instead of allocator calls. faults-in-calls: the same with the heap
 * probes attached; libdwfl cannot see through a pending return probe, so there the stacks are
 * printed (`stack END address...`, innermost first) instead of compared.
 *
 * Frame 0 is the probed function in both and is not compared: the thread stops one instruction
 * later. Prints each difference with its code bytes, and a last line
 *
 *	oracle: compared N, equal N, incomplete N (marked), wrong N, oracle gave up N
 *
 * Exit status 1 when a stack is wrong without a mark, or more than 1 in 1000 is marked
 * incomplete; one more is allowed per object that was met without its table.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <elfutils/libdwfl.h>

#include "alloc/allocator.h"
#include "app/attacher.h"
#include "base/buf.h"
#include "base/table.h"
#include "base/units.h"
#include "kern/kern.h"
#include "model/profile.h"
#include "proc/maps.h"

#define MAX_ORACLE_FRAMES 4096

struct oracle {
	struct kern *kern;
	struct attacher *attacher;
	pid_t pid;
	Dwfl *dwfl;
	bool no_find_vma; /* mappings from user space, as on kernels before 5.17 */
	enum kern_verify verify;
	bool print;
	unsigned int per_mille; /* incomplete stacks allowed */
	uint32_t first_objects; /* known when armed */
	uint64_t maps_hash;
	uint64_t frames[MAX_ORACLE_FRAMES];
	uint32_t n_frames;
	uint64_t compared, equal, incomplete, wrong, gave_up, wanted, not_stopped;
	uint64_t by_end[MP_END_NR];
	struct table sites, stacks; /* distinct callers, distinct stacks compared */
};

static char *debug_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &debug_path,
};

static char thread_state(pid_t pid, pid_t tid)
{
	char path[64], *p, state = 'X';
	struct buf b = BUF_INIT;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (!buf_read_file(&b, path, 4096)) {
		p = strrchr(b.data, ')');
		if (p && p[1])
			state = p[2];
	}
	buf_release(&b);
	return state;
}

static bool wait_stopped(pid_t pid, pid_t tid)
{
	int i;

	for (i = 0; i < 20000; i++) {
		switch (thread_state(pid, tid)) {
		case 'T':
			return true;
		case 'X':
		case 'Z':
			return false;
		}
		usleep(50);
	}
	return false;
}

/*
 * Does the thread stand where it sent its stack, at most one push (or a jump) further? Not when a signal with a lower
 * number than SIGSTOP is due: its handler's frame comes first. Such a stop is not compared; one in ten at most may be
 * so.
 */
static bool is_in_step(const struct oracle *o, const struct mp_ev_stack *e)
{
	unsigned long long sp = 0, pc = 0;
	struct buf b = BUF_INIT;
	char path[64];
	bool ok = false;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/task/%u/syscall", (int)o->pid, e->tid);
	for (i = 0; i < 500 && !ok; i++) { /* "running" until it has left its CPU */
		buf_reset(&b);
		ok = !buf_read_file(&b, path, 4096) && sscanf(b.data, "-1 %llx %llx", &sp, &pc) == 2;
		if (!ok)
			usleep(20);
	}
	buf_release(&b);
	return ok && e->tgid - (uint32_t)sp <= 8;
}

/* Hash of what is mapped where, and of when each file was last changed. 0: cannot be read. */
static uint64_t hash_mappings(pid_t pid)
{
	struct proc_maps maps = { 0 };
	uint64_t h = 1;
	struct stat st;
	size_t i;

	if (proc_maps_read(&maps, "/proc", pid))
		return 0;
	for (i = 0; i < maps.n; i++) {
		const struct proc_map *m = &maps.v[i];

		h = hash_u64(h ^ m->start) ^ hash_u64(m->end ^ m->offset) ^ m->ino;
		if (m->exec && m->path[0] == '/' && !stat(m->path, &st))
			h = hash_u64(h ^ (uint64_t)st.st_ctim.tv_sec) ^ (uint64_t)st.st_ctim.tv_nsec;
	}
	proc_maps_release(&maps);
	return h;
}

/* One Dwfl for the run, reported again when the mappings have changed. */
static int refresh(struct oracle *o)
{
	uint64_t h = hash_mappings(o->pid);

	if (!h)
		return -1;
	if (o->dwfl && h == o->maps_hash)
		return 0;
	if (o->dwfl)
		dwfl_end(o->dwfl);
	o->dwfl = dwfl_begin(&callbacks);
	o->maps_hash = h;
	if (dwfl_linux_proc_report(o->dwfl, o->pid) || dwfl_report_end(o->dwfl, NULL, NULL))
		return -1;
	return dwfl_linux_proc_attach(o->dwfl, o->pid, false) ? -1 : 0;
}

static int on_frame(Dwfl_Frame *f, void *ctx)
{
	struct oracle *o = ctx;
	Dwarf_Addr pc;
	bool activation;

	if (!dwfl_frame_pc(f, &pc, &activation))
		return DWARF_CB_ABORT;
	if (o->n_frames >= MAX_ORACLE_FRAMES)
		return DWARF_CB_ABORT;
	o->frames[o->n_frames++] = pc;
	return DWARF_CB_OK;
}

static void print_code(struct oracle *o, uint64_t pc)
{
	uint8_t code[16];
	struct iovec to = { code, sizeof(code) };
	struct iovec from = { (void *)(uintptr_t)(pc - 8), sizeof(code) };
	Dwfl_Module *m = dwfl_addrmodule(o->dwfl, pc);
	GElf_Off off = 0;
	GElf_Sym sym;
	const char *name = NULL;
	size_t i;

	if (m)
		name = dwfl_module_addrinfo(m, pc - 1, &off, &sym, NULL, NULL, NULL);
	printf("      %llx %s %s+0x%llx code", (unsigned long long)pc,
	       m ? dwfl_module_info(m, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : "?",
	       name ? name : "?", (unsigned long long)off);
	if (process_vm_readv(o->pid, &to, 1, &from, 1, 0) == sizeof(code))
		for (i = 0; i < sizeof(code); i++)
			printf("%s%02x", i == 8 ? " | " : " ", code[i]);
	printf("\n");
}

static void print_difference(struct oracle *o, const struct mp_ev_stack *e, const __u64 *ours,
			     uint32_t n, uint32_t at)
{
	uint32_t i, from = at > 2 ? at - 2 : 0;

	printf("  DIFFERS at frame %u: ours %u frames, end %u; oracle %u frames\n", at, n, e->end,
	       o->n_frames);
	for (i = from; i < at + 2; i++) {
		printf("    frame %u ours\n", i);
		if (i < n)
			print_code(o, ours[i]);
		printf("    frame %u oracle\n", i);
		if (i < o->n_frames)
			print_code(o, o->frames[i]);
	}
	fflush(stdout);
}

/* Index of the first frame of ours that is not libdwfl's, n if there is none. After the inner frames some are left out. */
static uint32_t first_difference(const struct oracle *o, const struct mp_ev_stack *e, const __u64 *ours, uint32_t n)
{
	uint32_t k, at;

	for (k = 1; k < n; k++) {
		at = k < MP_INNER_FRAMES ? k : k + e->left_out;
		if (at >= o->n_frames || ours[k] != o->frames[at])
			break;
	}
	return k;
}

static void compare(struct oracle *o, const struct mp_ev_stack *e, const __u64 *ours, uint32_t n)
{
	uint32_t k;
	bool oracle_failed;

	o->n_frames = 0;
	if (refresh(o)) {
		o->gave_up++;
		return;
	}
	oracle_failed = dwfl_getthread_frames(o->dwfl, (pid_t)e->tid, on_frame, o) != 0;
	o->compared++;
	o->by_end[e->end < MP_END_NR ? e->end : 0]++;
	if (n > 1)
		table_put(&o->sites, ours[1], 1);
	table_put(&o->stacks, e->hash, 1);
	k = first_difference(o, e, ours, n);
	if (k == n && n + e->left_out == o->n_frames)
		o->equal++;
	else if (e->end != MP_END_COMPLETE)
		o->incomplete++;
	else if (oracle_failed && k == o->n_frames)
		o->gave_up++;
	else {
		o->wrong++;
		if (o->wrong <= 20)
			print_difference(o, e, ours, n, k);
	}
}

static void print_stack(const struct mp_ev_stack *e, const __u64 *frames, uint32_t n)
{
	uint32_t i;

	printf("stack %u", e->end);
	for (i = 0; i < n; i++)
		printf(" %llx", (unsigned long long)frames[i]);
	printf("\n");
}

static void on_stack(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n)
{
	struct oracle *o = ctx;

	if (o->compared >= o->wanted || e->tgid == (uint32_t)o->pid)
		return; /* the latter: a new stack's ordinary record, without a stop of its own */
	if (o->print)
		print_stack(e, frames, n);
	if (o->verify == KERN_VERIFY_FAULTS_IN_CALLS) {
		o->by_end[e->end < MP_END_NR ? e->end : 0]++;
		o->compared++;
		o->incomplete += e->end != MP_END_COMPLETE;
		o->equal += e->end == MP_END_COMPLETE;
	} else if (wait_stopped(o->pid, (pid_t)e->tid) && n && is_in_step(o, e))
		compare(o, e, frames, n);
	else
		o->not_stopped++;
}

static void on_proc(void *ctx, const struct mp_ev_proc *e)
{
	(void)ctx;
	(void)e;
}

static void on_maps_wanted(void *ctx, pid_t pid)
{
	struct oracle *o = ctx;

	kern_maps_changed(o->kern, pid);
}

static void on_object(void *ctx, const struct mp_ev_object *e)
{
	struct oracle *o = ctx;

	kern_unwind_announced(o->kern, e);
}

/* Tables without probes. */
static int add_tables(struct oracle *o)
{
	struct proc_maps maps = { 0 };
	int err = proc_maps_read(&maps, "/proc", o->pid);
	size_t i;

	for (i = 0; !err && i < maps.n; i++)
		err = kern_unwind_add(o->kern, o->pid, &maps.v[i]);
	proc_maps_release(&maps);
	return err;
}

static int start(struct oracle *o, uint32_t every)
{
	struct mp_shape shapes[MP_MAX_SHAPES];
	const struct alloc_function *f;
	struct kern_opts ko = { .max_memory_bytes = 128 * MIB, .verify = o->verify,
				.verify_every = every, .shapes = shapes };
	struct attacher_opts ao = { .proc_root = "/proc", .pid_scoped = true, .planes = PLANE_HEAP };
	struct kern_unwind_stats st;
	uint32_t gen;
	size_t i;
	int err;

	f = alloc_functions(&ko.n_shapes);
	for (i = 0; i < ko.n_shapes; i++)
		shapes[i] = f[i].shape;
	ko.no_find_vma = o->no_find_vma;
	err = kern_open(&o->kern, &ko);
	if (err)
		return err;
	ao.kern = o->kern;
	o->attacher = attacher_new(&ao);
	err = o->verify == KERN_VERIFY_FAULTS ? add_tables(o) : attacher_add_process(o->attacher, o->pid);
	if (!err && o->verify > KERN_VERIFY_CALLS)
		err = kern_attach_faults(o->kern, o->pid);
	if (!err)
		err = kern_follow(o->kern, o->pid, 0, &gen);
	if (!err && o->verify != KERN_VERIFY_FAULTS && !attacher_n_probes(o->attacher))
		err = -ENOENT;
	if (err)
		return err;
	kern_unwind_stats(o->kern, &st);
	o->first_objects = st.n_objects;
	kern_arm(o->kern);
	return 0;
}

/*
 * SIGCONT would also cancel the stop of a thread that has just sent its stack: so first all threads
 * come to rest, then what they sent meanwhile is compared, then the process goes on.
 */
static void finish_stop(struct oracle *o, const struct kern_handlers *h)
{
	struct dirent *d;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)o->pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			wait_stopped(o->pid, atoi(d->d_name));
	if (dir)
		closedir(dir);
	while (kern_poll(o->kern, h) > 0)
		;
	kern_verify_next(o->kern);
	kill(o->pid, SIGCONT);
}

static bool has_failed(const struct oracle *o)
{
	struct kern_unwind_stats st;
	uint64_t allowed;

	kern_unwind_stats(o->kern, &st);
	allowed = o->compared * o->per_mille / 1000 + (st.n_objects + st.n_evicted - o->first_objects);
	return !o->compared || o->not_stopped > o->compared / 10 || o->wrong > o->compared / 100000 ||
	       o->incomplete > allowed;
}

static int report(const struct oracle *o)
{
	uint32_t i;

	for (i = 1; i < MP_END_NR; i++)
		if (o->by_end[i])
			printf("  end %u: %llu\n", i, (unsigned long long)o->by_end[i]);
	printf("oracle: compared %llu, equal %llu, incomplete %llu (marked), wrong %llu, oracle gave up %llu, "
	       "call sites %zu, stacks %zu, not at rest %llu\n",
	       (unsigned long long)o->compared, (unsigned long long)o->equal,
	       (unsigned long long)o->incomplete, (unsigned long long)o->wrong,
	       (unsigned long long)o->gave_up, o->sites.n, o->stacks.n,
	       (unsigned long long)o->not_stopped);
	return has_failed(o);
}

static void set_modes(struct oracle *o, char **mode)
{
	o->verify = KERN_VERIFY_CALLS;
	o->per_mille = 1;
	for (; *mode; mode++) {
		if (!strncmp(*mode, "faults", 6))
			o->verify = strcmp(*mode, "faults") ? KERN_VERIFY_FAULTS_IN_CALLS : KERN_VERIFY_FAULTS;
		o->no_find_vma |= !strcmp(*mode, "no-find-vma");
		sscanf(*mode, "incomplete=%u", &o->per_mille);
	}
	o->print = o->verify > KERN_VERIFY_CALLS;
}

int main(int argc, char **argv)
{
	struct oracle o = { 0 };
	const struct kern_handlers h = { .ctx = &o, .stack = on_stack, .proc = on_proc,
					 .object = on_object, .maps = on_maps_wanted };
	time_t end;
	int err, failed;

	if (argc < 4) {
		fprintf(stderr, "usage: unwind_oracle PID COMPARISONS SECONDS [EVERY [MODE...]]\n");
		return 2;
	}
	o.pid = atoi(argv[1]);
	o.wanted = strtoull(argv[2], NULL, 10);
	end = time(NULL) + atoi(argv[3]);
	set_modes(&o, argc > 5 ? argv + 5 : argv + argc);
	err = start(&o, argc > 4 ? (uint32_t)atoi(argv[4]) : 50);
	if (err) {
		fprintf(stderr, "cannot start: %s\n", strerror(-err));
		return 1;
	}
	fprintf(stderr, "armed\n");
	while (o.compared < o.wanted && time(NULL) < end && !kill(o.pid, 0)) {
		if (kern_poll(o.kern, &h) > 0)
			finish_stop(&o, &h);
		else
			usleep(200);
	}
	attacher_free(o.attacher);
	failed = report(&o);
	kern_close(o.kern);
	kill(o.pid, SIGCONT);
	if (o.dwfl)
		dwfl_end(o.dwfl);
	return failed;
}
