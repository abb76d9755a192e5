/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One run; see session.h. Finding targets and starting COMMAND is in start.c. */
#include "app/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/session_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/debuginfod.h"
#include "proc/process.h"

/* The ring is read at least this often: the kernel side wakes us only when it fills. */
#define TICK_MS 50
/* Naming stacks never keeps the ring waiting for longer. */
#define RESOLVE_BUDGET_NS (5 * NS_PER_MS)
/* Snapshots that follow one another faster have no table of where the memory is. */
#define BRIDGE_INTERVAL_NS (5 * NS_PER_S)
/* Blocks of processes that have ended leave the table so often. */
#define SWEEP_NS (10 * NS_PER_S)
#define REAP_NS NS_PER_S
#define DEFAULT_DURATION_NS (30 * NS_PER_S)

/* ---- events ---- */

static void on_stack(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n)
{
	struct session *s = ctx;

	collector_on_stack(s->collector, e, frames, n);
}

static void on_runtime(void *ctx, const struct mp_ev_runtime *e)
{
	struct session *s = ctx;

	collector_on_runtime(s->collector, e);
}

static void on_object(void *ctx, const struct mp_ev_object *e)
{
	struct session *s = ctx;

	kern_unwind_announced(s->kern, e);
}

static void on_maps_wanted(void *ctx, pid_t pid)
{
	struct session *s = ctx;

	kern_maps_changed(s->kern, pid);
}

static void on_vm(void *ctx, const struct mp_ev_vm *e)
{
	struct session *s = ctx;

	collector_on_vm(s->collector, e);
}

static void on_death(void *ctx, const struct mp_ev_death *e)
{
	struct session *s = ctx;

	collector_on_death(s->collector, e);
}

static void on_map(void *ctx, pid_t pid, const struct proc_map *m)
{
	struct session *s = ctx;

	collector_on_map(s->collector, pid, m);
	if (m->exec)
		kern_maps_changed(s->kern, pid);
	if (!s->attacher || !m->exec || !m->ino || !collector_gen_of(s->collector, pid))
		return;
	kern_unwind_forget(s->kern); /* other code may have been there before */
	attacher_add_map(s->attacher, pid, m);
}

static void on_map_exec(void *ctx, pid_t pid)
{
	struct session *s = ctx;

	collector_on_exec(s->collector, pid);
}

static void on_map_lost(void *ctx, uint64_t n)
{
	struct session *s = ctx;

	collector_note_lost_maps(s->collector, n);
}

static void poll_maps(struct session *s)
{
	const struct mapwatch_handlers h = { .ctx = s, .map = on_map, .exec = on_map_exec,
					     .lost = on_map_lost };

	mapwatch_poll(s->mapwatch, &h);
}

static void on_proc(void *ctx, const struct mp_ev_proc *e)
{
	struct session *s = ctx;

	poll_maps(s); /* what was mapped before belongs to the image before */
	if (e->what == MP_PROC_STOPPED) {
		s->n_stops++;
		return;
	}
	collector_on_proc(s->collector, e);
	if (e->what == MP_PROC_EXIT) {
		kern_maps_drop(s->kern, (pid_t)e->tgid);
		machine_ended(s, (pid_t)e->tgid);
	}
	targets_on_proc(s, e);
}

void session_poll(struct session *s)
{
	const struct kern_handlers h = { .ctx = s, .runtime = on_runtime, .stack = on_stack, .proc = on_proc,
					.object = on_object, .maps = on_maps_wanted, .vm = on_vm,
					.death = on_death };

	kern_poll(s->kern, &h);
	poll_maps(s);
	s->runtimes_ns = collector_poll_runtimes(s->collector);
	s->names_wait = !collector_resolve(s->collector, RESOLVE_BUDGET_NS);
}

/* ---- output ---- */

/* It takes a while: not in quick succession. */
static bool wants_bridge(const struct session *s, bool final)
{
	return final || !s->o->interval_ns || s->o->interval_ns >= BRIDGE_INTERVAL_NS;
}

static void end_preliminary(struct session *s)
{
	preliminary_free(s->preliminary);
	s->preliminary = NULL;
}

static void note_probes(struct session *s)
{
	struct profile *p = collector_profile(s->collector);

	p->cost.n_probes = attacher_n_probes(s->attacher);
	p->objects.n_probes = attacher_n_births(s->attacher);
}

/*
 * The run goes on without the file that cannot be written, while there is another, somebody who watches, or COMMAND,
 * which would end with it. Whoever has left (-EPIPE) has seen enough.
 */
static int note_output_error(struct session *s, int err)
{
	if (!err || err == -EPIPE)
		return err;
	s->output_err = err;
	if (!s->ui && !s->o->command && !output_works(s->output) && !recorder_works(s->recorder))
		s->want_end = true;
	return 0;
}

static int snapshot(struct session *s, bool final)
{
	struct profile *p = collector_profile(s->collector);
	struct render_opts r;
	int err, rec_err;

	s->n_interrupts_before = s->n_interrupts;
	note_probes(s);
	budget_report(s->budget, clock_monotonic_ns());
	err = collector_snapshot(s->collector, final);
	machine_report(s, true);
	if (!err && wants_bridge(s, final))
		err = collector_bridge(s->collector);
	if (err)
		return err;
	if (final)
		end_preliminary(s);
	output_render_options(s->o, &r);
	err = output_write(s->output, p, &r);
	rec_err = recorder_add(s->recorder, p, clock_monotonic_ns(), 0);
	if (!err)
		err = rec_err;
	if (final)
		output_summary(s->output, p, &r);
	return note_output_error(s, err);
}

int session_look(struct session *s, bool with_shares)
{
	int err;

	note_probes(s);
	budget_report(s->budget, clock_monotonic_ns());
	err = collector_snapshot(s->collector, false);
	machine_report(s, with_shares);
	return err;
}

/* A snapshot for the recording alone. */
static int record(struct session *s, bool final)
{
	struct profile *p = collector_profile(s->collector);
	uint64_t begin = clock_monotonic_ns(), now;
	int err;

	note_probes(s);
	budget_report(s->budget, begin);
	err = collector_snapshot(s->collector, final);
	machine_report(s, final);
	now = clock_monotonic_ns();
	return err ? err : note_output_error(s, recorder_add(s->recorder, p, now, now - begin));
}

/* The report tells live heap at each mark, and what was born between them and lives. 0, -ENOSPC: no more, or -errno. */
static int set_mark(struct session *s)
{
	int err = collector_mark(s->collector);

	if (err == -ENOSPC)
		log_warn("%d marks are set already: this one is not", PROFILE_MAX_MARKS);
	if (!err)
		log_info("mark %zu set", collector_profile(s->collector)->n_marks);
	return err;
}

/* COMMAND stands still at its exit: where its memory is, while it is there. */
static int look_at_exit(struct session *s)
{
	int err = 0;

	s->n_interrupts_before = s->n_interrupts;
	if (command_wait_stopped(&s->command))
		err = collector_bridge_last(s->collector, s->command.pid);
	command_continue(&s->command);
	return err;
}

/* ---- the loop ---- */

/* nohup has said so. */
static bool is_ignored(int signal_number)
{
	struct sigaction now;

	return !sigaction(signal_number, NULL, &now) && now.sa_handler == SIG_IGN;
}

static int open_signals(struct session *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!is_ignored(SIGHUP)) /* the terminal is gone: the recording is not */
		sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	if (session_can_suspend())
		sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

void session_read_signals(struct session *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGINT:
		case SIGTERM:
		case SIGHUP:
			s->n_interrupts++;
			break;
		case SIGUSR1:
			s->want_snapshot = true;
			break;
		case SIGUSR2:
			s->want_mark = true;
			break;
		case SIGTSTP:
			s->want_stop = true;
			break;
		}
	}
}

/* Wait for events, a signal, or until the deadline; at most one tick. */
void session_wait(struct session *s, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns();
	struct epoll_event ev[4];
	int ms = TICK_MS;

	if (deadline_ns <= now || s->names_wait)
		ms = 0;
	else if ((deadline_ns - now) / NS_PER_MS < TICK_MS)
		ms = (int)((deadline_ns - now) / NS_PER_MS) + 1;
	epoll_wait(s->epoll_fd, ev, 4, ms);
	session_read_signals(s);
}

int session_watch(struct session *s, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int open_epoll(struct session *s)
{
	unsigned int i;
	int err, fd;

	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	err = session_watch(s, s->signal_fd);
	if (!err)
		err = session_watch(s, kern_event_fd(s->kern));
	for (i = 0; !err && (fd = mapwatch_fd(s->mapwatch, i)) >= 0; i++)
		err = session_watch(s, fd);
	return err;
}

static uint64_t end_of_run(const struct session *s)
{
	const struct options *o = s->o;
	uint64_t duration = o->has_duration ? o->duration_ns : DEFAULT_DURATION_NS;

	if (o->has_duration ? !o->duration_ns : (o->command || o->interval_ns || s->ui))
		return UINT64_MAX;
	return duration > UINT64_MAX - s->armed_ns ? UINT64_MAX : s->armed_ns + duration;
}

/* All that was asked for has ended. */
static bool targets_ended(struct session *s)
{
	if (s->o->command)
		return command_has_ended(&s->command) && !collector_n_running(s->collector);
	return s->o->n_pids && !collector_n_running(s->collector);
}

/* When what is to be done next; UINT64_MAX: never. */
struct deadlines {
	uint64_t end, snapshot, mark, sweep, reap;
	uint64_t budget; /* it wants to be looked at */
};

static void set_deadlines(const struct session *s, struct deadlines *d)
{
	const struct options *o = s->o;

	*d = (struct deadlines){
		.end = end_of_run(s),
		.snapshot = o->interval_ns && !s->ui ? s->armed_ns + o->interval_ns : UINT64_MAX,
		.mark = o->mark_ns ? s->armed_ns + o->mark_ns : UINT64_MAX,
		.sweep = s->armed_ns + SWEEP_NS,
		.reap = s->armed_ns + REAP_NS,
	};
}

static uint64_t next_deadline(const struct session *s, const struct deadlines *d)
{
	uint64_t next = d->end < d->snapshot ? d->end : d->snapshot;

	next = d->budget < next ? d->budget : next;
	return s->runtimes_ns < next ? s->runtimes_ns : next;
}

/*
 * Who is probed, how closely, and what the verdict needs. Looking and attaching take their time: returns the time
 * after.
 */
static uint64_t look_after_probes(struct session *s, struct deadlines *d)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= d->reap || kern_gate_is_shut(s->kern))
		targets_watch_leaders(s);
	if (now >= d->reap) {
		collector_reap(s->collector, machine_ended, s);
		d->reap = now + REAP_NS;
	}
	attacher_watch_others(s->attacher); /* before the gate opens */
	machine_tick(s, now);
	now = clock_monotonic_ns();
	if (now >= d->budget && !s->choose_ns)
		d->budget = budget_tick(s->budget, now);
	collector_look(s->collector);
	return now;
}

static int mark_when_due(struct session *s, struct deadlines *d, uint64_t now)
{
	int err;

	if (!s->want_mark && now < d->mark)
		return 0;
	s->want_mark = false;
	err = set_mark(s);
	while (d->mark <= now)
		d->mark += s->o->mark_ns;
	if (err != -ENOSPC)
		return err;
	d->mark = UINT64_MAX; /* nor will any other be: said once */
	return 0;
}

static int draw_preliminary_when_due(struct session *s, uint64_t now)
{
	int err;

	if (now < preliminary_due_ns(s->preliminary) || s->names_wait)
		return 0;
	err = session_look(s, false);
	if (!err)
		preliminary_draw(s->preliminary, collector_profile(s->collector), now, clock_monotonic_ns());
	return err;
}

static int snapshot_when_due(struct session *s, struct deadlines *d, uint64_t now)
{
	int err;

	if (now < d->snapshot && !s->want_snapshot)
		return 0;
	s->want_snapshot = false;
	err = snapshot(s, false);
	while (d->snapshot <= now)
		d->snapshot += s->o->interval_ns;
	return err;
}

/* Until the run ends; what it saw last is not told yet. */
static int loop(struct session *s)
{
	struct deadlines d;
	uint64_t now;
	int err = 0;

	set_deadlines(s, &d);
	preliminary_begin(s->preliminary, s->armed_ns, d.end);
	while (!err && !s->n_interrupts && !s->want_end) {
		session_wait(s, next_deadline(s, &d));
		session_poll(s);
		if (s->want_stop)
			session_suspend(s);
		if (s->n_stops > s->n_exit_stops) {
			s->n_exit_stops = s->n_stops;
			err = look_at_exit(s);
		}
		now = look_after_probes(s, &d);
		if (now >= d.end || targets_ended(s))
			break;
		if (now >= d.sweep) {
			collector_sweep(s->collector);
			d.sweep = now + SWEEP_NS;
		}
		if (!err)
			err = mark_when_due(s, &d, now);
		if (!err)
			err = draw_preliminary_when_due(s, now);
		if (!err && s->ui)
			err = s->ui->tick(s->ui->ctx, s);
		if (!err)
			err = snapshot_when_due(s, &d, now);
		if (!err && now >= recorder_due_ns(s->recorder) && !s->names_wait)
			err = record(s, false);
	}
	return err;
}

static int run_loop(struct session *s)
{
	int err = s->ui ? s->ui->begin(s->ui->ctx, s) : 0;

	if (!err)
		err = loop(s);
	if (s->ui)
		s->ui->end(s->ui->ctx);
	session_poll(s);
	if (err && err != -EPIPE)
		return err;
	err = err ? record(s, true) : snapshot(s, true); /* -EPIPE: the reader has seen enough */
	return err && err != -EPIPE ? err : s->output_err;
}

static int exit_status(struct session *s, int err)
{
	const struct profile *p = collector_profile(s->collector);

	if (err)
		return STATUS_FAILED;
	if (s->n_interrupts > 1)
		return STATUS_ABORTED;
	if (s->o->strict && profile_lost_events(p))
		return STATUS_INCOMPLETE;
	if (session_check_fired(s))
		return STATUS_FAILED;
	return s->o->command ? command_exit_status(&s->command) : STATUS_OK;
}

static void close_session(struct session *s)
{
	if (s->o->command)
		command_kill(&s->command);
	targets_release(s);
	budget_free(s->budget);
	machine_look_free(s->machine);
	recorder_free(s->recorder);
	collector_free(s->collector);
	debuginfod_free(s->debuginfod);
	attacher_free(s->attacher);
	mapwatch_close(s->mapwatch);
	kern_close(s->kern);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
}

int session_run(const struct options *o)
{
	return session_run_ui(o, NULL);
}

int session_run_ui(const struct options *o, const struct session_ui *ui)
{
	struct session s = { .o = o, .ui = ui, .epoll_fd = -1, .signal_fd = -1 };
	int status, err, rec_err;

	status = session_check_targets(&s);
	if (status)
		return status;
	if (o->debuginfod) {
		s.debuginfod = debuginfod_new();
		if (!s.debuginfod)
			return STATUS_FAILED;
	}
	err = output_open(&s.output, o);
	if (err)
		return err == -ENOTTY ? STATUS_USAGE : STATUS_FAILED;
	s.looks_at_machine = (ui || (o->verb == VERB_PROFILE && output_shows_machine(s.output))) &&
			     options_whole_machine(o) && o->planes != PLANE_HEAP;
	err = open_signals(&s);
	status = err ? STATUS_FAILED : session_open(&s);
	if (!status && open_epoll(&s))
		status = STATUS_FAILED;
	if (!status)
		session_describe(&s);
	if (!status)
		status = session_attach(&s);
	if (!status) {
		s.recorder = recorder_new(o, s.output, collector_profile(s.collector));
		s.preliminary = ui ? NULL : preliminary_new(o);
		err = run_loop(&s);
		end_preliminary(&s);
		rec_err = recorder_finish(s.recorder);
		err = err ? err : rec_err;
		status = exit_status(&s, err);
	} else {
		err = -ECANCELED;
	}
	if (output_close(s.output, !err) && !err)
		status = STATUS_FAILED;
	close_session(&s);
	return status;
}
