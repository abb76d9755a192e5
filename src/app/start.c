/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The start of a run: checks that give clear errors before anything is loaded, the facts of t = 0,
 * probes on all targets (disarmed), COMMAND held until it can be probed, arming.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "alloc/allocator.h"
#include "app/limits.h"
#include "app/room_check.h"
#include "app/session_internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "proc/process.h"
#include "symbol/elf_file.h"

static int check_pid(pid_t pid)
{
	struct proc_status st;
	int err = proc_status_read(&st, PROC_ROOT, pid);

	if (err == -EACCES) {
		log_error("process %d: %s: run with sudo", (int)pid, strerror(-err));
		return STATUS_PRIVILEGE;
	}
	if (err) {
		log_error("process %d: no such process", (int)pid);
		return STATUS_NO_TARGET;
	}
	if (st.tgid != pid) {
		log_error("process %d is a thread of process %d: use -p %d", (int)pid, (int)st.tgid,
			  (int)st.tgid);
		return STATUS_NO_TARGET;
	}
	if (!st.has_memory) {
		log_error("process %d (%s) has no memory of its own: a %s", (int)pid, st.comm,
			  st.state == 'Z' ? "zombie" : "kernel thread");
		return STATUS_NO_TARGET;
	}
	if (pid == getpid()) {
		log_error("process %d is memprobe itself", (int)pid);
		return STATUS_NO_TARGET;
	}
	return STATUS_OK;
}

/* The numbers in /proc and those of the kernel's calls must be the same processes. */
static int check_proc(void)
{
	char self[16];
	ssize_t n = readlink(PROC_ROOT "/self", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		if (atoi(self) == getpid())
			return STATUS_OK;
	}
	log_error(PROC_ROOT " %s: mount it for this one (unshare --mount-proc; nsenter with -m)",
		  n > 0 ? "shows another PID namespace than memprobe's" : "is not mounted");
	return STATUS_FAILED;
}

int session_check_targets(struct session *s)
{
	size_t i;
	int status = check_proc();

	for (i = 0; i < s->o->n_pids && !status; i++)
		status = check_pid(s->o->pids[i]);
	return status ? status : targets_find(s);
}

/* The facts of t = 0, from /proc alone. */
static void print_facts(pid_t pid)
{
	char rss[16], swap[16], limit[16];
	struct proc_status st;
	struct proc_limit l;

	if (log_level < LOG_NORMAL || proc_status_read(&st, PROC_ROOT, pid))
		return;
	units_format_size(rss, st.rss_bytes);
	units_format_size(swap, st.swap_bytes);
	if (proc_limit_read(&l, PROC_ROOT, CGROUP_ROOT, pid)) {
		log_info("%s %d: RSS %s, swap %s, %u threads", st.comm, (int)pid, rss, swap,
			 st.n_threads);
		return;
	}
	units_format_size(limit, l.limit_bytes);
	log_info("%s %d: RSS %s, swap %s, %u thread%s, limit %s (%s), %llu OOM kill%s", st.comm,
		 (int)pid, rss, swap, st.n_threads, st.n_threads == 1 ? "" : "s", limit, l.name,
		 (unsigned long long)l.oom_kills, l.oom_kills == 1 ? "" : "s");
}

/* Known only to those who have read the manual: for comparison, and a way out. */
static bool wants_frame_pointers(void)
{
	const char *unwinder = getenv("MEMPROBE_UNWINDER");

	return unwinder && !strcmp(unwinder, "frame-pointers");
}

/* The same: the vm plane by system calls, as where the kernel has nothing better. */
static bool wants_calls(void)
{
	const char *way = getenv("MEMPROBE_VM");

	return way && !strcmp(way, "calls");
}

static void poll_events(void *ctx)
{
	session_poll(ctx);
}

/* A ^C while the last look goes on ends that too. */
static bool is_over(void *ctx)
{
	struct session *s = ctx;

	session_read_signals(s);
	return s->n_interrupts > s->n_interrupts_before;
}

int session_open(struct session *s)
{
	const struct options *o = s->o;
	struct mp_shape shapes[MP_MAX_SHAPES];
	const struct alloc_function *f;
	struct kern_opts ko;
	struct collector_opts co;
	size_t n, i;
	int err;

	if (kern_check_rights())
		return STATUS_PRIVILEGE;
	for (i = 0; i < o->n_pids; i++)
		print_facts(o->pids[i]);
	f = alloc_functions(&n);
	for (i = 0; i < n; i++)
		shapes[i] = f[i].shape;
	s->max_memory_bytes = o->max_memory_bytes ? o->max_memory_bytes : limits_max_memory(PROC_ROOT, CGROUP_ROOT);
	if (room_check_own(s->max_memory_bytes))
		return STATUS_FAILED;
	ko = (struct kern_opts){
		.max_memory_bytes = s->max_memory_bytes,
		.scope_all = options_whole_machine(o) && !s->looks_at_machine,
		.shapes = shapes,
		.n_shapes = n,
		.frame_pointers = wants_frame_pointers(),
		.threads = o->threads,
		.rss = o->planes & PLANE_RSS,
		.vm = o->planes & PLANE_VM,
		.vm_by_calls = wants_calls(),
		.objects = o->objects,
	};
	ko.new_limit_bytes = limits_throwing_new(PROC_ROOT);
	targets_select(s, &ko);
	limits_raise_files(&s->files);
	err = kern_open(&s->kern, &ko);
	if (err)
		return err == -EPERM || err == -EOPNOTSUPP ? STATUS_PRIVILEGE : STATUS_FAILED;
	co = (struct collector_opts){ .kern = s->kern, .options = o, .proc_root = PROC_ROOT, .poll = poll_events,
				      .is_over = is_over, .poll_ctx = s, .debuginfod = s->debuginfod };
	s->collector = collector_new(&co);
	kern_vm_begin(s->kern);
	mapwatch_open(&s->mapwatch);
	return STATUS_OK;
}

/* By the kernel's older filter a link of one process does not see its other threads: then links are for all. */
void session_new_attacher(struct session *s, bool pid_scoped)
{
	bool sees_threads = kern_sees_threads(s->kern);
	struct attacher_opts ao = {
		.kern = s->kern,
		.proc_root = PROC_ROOT,
		.at_entry = s->o->at_entry,
		.pid_scoped = pid_scoped && sees_threads,
		.planes = s->o->planes,
		.objects = s->o->objects,
	};

	if (pid_scoped && !sees_threads)
		log_info("a probe for one process sees only its first thread on this kernel (before 6.10): probes are for every "
			 "process that maps the same objects");
	s->attacher = attacher_new(&ao);
}

/* How often do the targets allocate? Decides how closely they are watched. COMMAND is seen from its first call on. */
static const char *count_calls(struct session *s)
{
	uint64_t end = clock_monotonic_ns() + COUNT_NS;

	if (s->o->command || !s->o->sample_auto || !(s->o->planes & PLANE_HEAP))
		return "";
	budget_count_begin(s->budget, clock_monotonic_ns());
	while (clock_monotonic_ns() < end && !s->n_interrupts && collector_n_running(s->collector)) {
		session_wait(s, end);
		session_poll(s);
		attacher_watch_others(s->attacher);
	}
	return budget_choose(s->budget, clock_monotonic_ns());
}

void session_tell_armed(const struct session *s, size_t n_processes, const char *load)
{
	log_info("armed: %u probes in %zu process%s; %s, %s%s", attacher_n_probes(s->attacher), n_processes,
		 n_processes == 1 ? "" : "es", kern_attach_kind(s->kern), kern_unwinder(s->kern), load);
}

int session_arm(struct session *s)
{
	size_t n = collector_n_running(s->collector);
	const char *load;

	if (session_check_probes(s))
		return STATUS_FAILED;
	s->budget = budget_new(s->kern, s->o, collector_profile(s->collector));
	load = count_calls(s);
	if (s->n_interrupts)
		return STATUS_ABORTED;
	budget_start(s->budget, clock_monotonic_ns());
	bystanders_start(s->collector);
	kern_arm(s->kern);
	s->armed_ns = kern_armed_ns(s->kern);
	collector_profile(s->collector)->cost.n_processes = (uint32_t)n;
	session_tell_armed(s, n, load);
	return STATUS_OK;
}

/* Nothing is mapped in any of the processes any more: a zombie has no memory either. */
static bool have_ended(const struct profile *p)
{
	struct proc_maps maps = { 0 };
	bool ended = true;
	size_t i;

	for (i = 0; i < p->n_procs && ended; i++)
		ended = proc_maps_read(&maps, PROC_ROOT, p->procs[i].tgid) == -ESRCH;
	proc_maps_release(&maps);
	return ended;
}

int session_has_probes(struct session *s, const char *who)
{
	unsigned int n_objects = attacher_n_objects(s->attacher);
	const char *path;

	if (attacher_n_probes(s->attacher) || !(s->o->planes & PLANE_HEAP))
		return STATUS_OK;
	if (attacher_error(s->attacher) == -ESRCH && have_ended(collector_profile(s->collector))) {
		log_error("%s: ended before it could be probed", who);
		return STATUS_NO_TARGET;
	}
	if (attacher_error(s->attacher))
		return attacher_error(s->attacher) == -EPERM ? STATUS_PRIVILEGE : STATUS_FAILED;
	if (attacher_n_denied(s->attacher, &path)) {
		log_error("%s: %s: Permission denied: whether it has an allocator cannot be seen: run with "
			  "sudo, or add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", who, path);
		return STATUS_PRIVILEGE;
	}
	if (!n_objects && have_ended(collector_profile(s->collector))) {
		log_error("%s: ended before it could be probed", who);
		return STATUS_NO_TARGET;
	}
	if (s->o->planes & (PLANE_RSS | PLANE_VM)) {
		log_warn("%s: no allocator found in %u object%s (a program in Go has its own): watched are its mappings and the "
			 "pages that it touches first", who, n_objects, n_objects == 1 ? "" : "s");
		return STATUS_OK;
	}
	log_error("%s: no allocator found in %u object%s: nothing to attach to (looked for malloc and "
		  "the other entry points in every executable mapping)",
		  who, n_objects, n_objects == 1 ? "" : "s");
	return STATUS_NO_TARGET;
}

/* ---- COMMAND ---- */

/* Wait for the next stop of COMMAND. false: it ended, failed to exec, or we were interrupted. */
static bool wait_for_stop(struct session *s)
{
	unsigned int seen = s->n_stops;
	int err;

	while (s->n_stops == seen) {
		session_wait(s, UINT64_MAX);
		session_poll(s);
		if (s->n_interrupts)
			return false;
		err = command_exec_error(&s->command);
		if (err) {
			log_error("cannot run %s: %s", s->o->command[0], strerror(err));
			return false;
		}
		if (s->n_stops == seen && command_has_ended(&s->command))
			return false;
	}
	return command_wait_stopped(&s->command);
}

/* Is m of the program itself? */
static bool is_program(const struct session *s, const struct proc_map *m)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), PROC_ROOT "/%d/exe", (int)s->command.pid);
	return !stat(path, &st) && st.st_ino == m->ino;
}

struct function_site {
	const char *wanted;
	uint64_t offset;
	bool is_libc;
	char *path; /* owned */
};

static int find_function(void *ctx, const struct elf_symbol *sym)
{
	struct function_site *l = ctx;

	if (!strcmp(sym->name, l->wanted))
		l->offset = sym->offset;
	else if (!strcmp(sym->name, "__libc_start_main"))
		l->is_libc = true;
	return 0;
}

/* In COMMAND's code that is mapped now. Libraries come before the program when that is asked for too. */
static bool find_site(struct session *s, struct function_site *l, bool in_program)
{
	struct proc_maps maps = { 0 };
	struct elf_file *f;
	size_t i;
	int fd;

	if (proc_maps_read(&maps, PROC_ROOT, s->command.pid))
		return false;
	for (i = 0; i < maps.n && !l->path; i++) {
		if (!maps.v[i].exec || !maps.v[i].ino || is_program(s, &maps.v[i]) != in_program)
			continue;
		fd = proc_map_open(PROC_ROOT, s->command.pid, &maps.v[i]);
		if (fd < 0 || elf_file_open(&f, fd))
			continue;
		l->is_libc = false;
		l->offset = 0;
		elf_file_each_function(f, find_function, l);
		elf_file_close(f);
		if (l->offset)
			l->path = proc_map_attach_path(PROC_ROOT, s->command.pid, &maps.v[i]);
	}
	proc_maps_release(&maps);
	return l->path;
}

/*
 * Put the second stop into ld.so: any mapped object but the program itself that has _dl_debug_state (a static program
 * has its own, and never calls it). musl: the C library is its own loader.
 */
static bool hook_loader(struct session *s)
{
	struct function_site l = { .wanted = "_dl_debug_state" };
	bool hooked = find_site(s, &l, false);

	/* glibc's loader calls it before and after it has mapped the libraries, musl's only after */
	if (hooked && kern_attach_loader(s->kern, l.path, l.offset, l.is_libc ? 1 : 2, s->command.pid))
		hooked = false;
	free(l.path);
	return hooked;
}

/*
 * The last stop, when COMMAND exits, so that the report can tell where its memory was. Without it (a program that exits
 * by a system call of its own, a death by a signal) there is no such table.
 */
static void hook_exit(struct session *s)
{
	struct function_site l = { .wanted = "_Exit" };

	if ((find_site(s, &l, false) || find_site(s, &l, true)) &&
	    kern_hold_exit(s->kern, l.path, l.offset, s->command.pid))
		log_debug("%s: its exit is not seen in time to look at it", s->o->command[0]);
	free(l.path);
}

static int attach_command(struct session *s)
{
	bool hooked;
	int status;

	session_new_attacher(s, false);
	if (command_start(&s->command, s->o->command, s->o->user, &s->files))
		return STATUS_FAILED;
	if (kern_hold(s->kern, s->command.pid))
		return STATUS_FAILED;
	command_release(&s->command);
	if (!wait_for_stop(s))
		return s->n_interrupts ? STATUS_ABORTED : STATUS_NO_TARGET;
	hooked = hook_loader(s);
	if (hooked) {
		command_continue(&s->command);
		if (!wait_for_stop(s))
			return STATUS_NO_TARGET;
		kern_detach_loader(s->kern);
	}
	attacher_add_process(s->attacher, s->command.pid);
	status = session_has_probes(s, s->o->command[0]);
	if (!status)
		hook_exit(s);
	if (!status)
		status = session_arm(s);
	s->n_exit_stops = s->n_stops;
	if (!status)
		command_continue(&s->command);
	return status;
}

void session_describe(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	struct buf line = BUF_INIT;
	struct utsname u;

	uname(&u);
	options_command_line(&line, s->o);
	p->host = profile_string(p, u.nodename);
	p->kernel = profile_string(p, u.release);
	p->command_line = profile_string(p, line.data);
	p->planes = s->o->planes;
	p->objects.is_there = s->o->objects;
	buf_release(&line);
	p->cost.attach_kind = profile_string(p, kern_attach_kind(s->kern));
	p->cost.system_call_ns = kern_vm_call_ns(s->kern);
	p->cost.unwinder = profile_string(p, kern_unwinder(s->kern));
	p->cost.max_memory_bytes = s->max_memory_bytes;
}

int session_attach(struct session *s)
{
	if (s->o->command)
		return attach_command(s);
	return targets_attach(s);
}
