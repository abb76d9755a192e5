/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * memprobe top: looks at the run's figures once a second, keeps their history, and lets the view draw it; see top.h.
 * Owns the choice of terminal or reports, the time between looks, and what keys ask of the run.
 */
#include "app/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/session_internal.h"
#include "app/top_files.h"
#include "app/top_guard.h"
#include "app/top_screen.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "model/history.h"
#include "render/machine_text.h"
#include "render/top_view.h"
#include "render/verdict_text.h"

#define LOOK_NS NS_PER_S
/* Looks take no more than a tenth of one CPU, but come at least so often. */
#define LOOK_SHARE 10
#define LOOK_MOST_NS (5 * NS_PER_S)
/* The verdict needs a look at every block: seldom, and no more than a fiftieth. */
#define VERDICT_NS (5 * NS_PER_S)
#define VERDICT_SHARE 50
/* Before, it would say nothing; what replaces older blocks is told sooner. */
#define VERDICT_LEAST_NS (8 * NS_PER_S)
#define EVIDENCE_NS (2 * NS_PER_S)
/* What processes share is read from their page tables. */
#define SHARES_NS (10 * NS_PER_S)
#define REPORT_NS (5 * NS_PER_S)
/* A message stays in its line for so long. */
#define MESSAGE_NS (60 * NS_PER_S)

struct top {
	const struct options *o;
	struct top_state state;
	struct top_canvas canvas;
	struct history history;
	struct buf who, verdict, message;
	uint64_t next_ns, next_verdict_ns, next_shares_ns, message_ns;
	int signal_fd;
	bool is_open, was_away; /* the screen is to be drawn anew */
};

/* ---- what is said ---- */

static void say(struct top *t, const char *text)
{
	buf_reset(&t->message);
	buf_adds(&t->message, text);
	t->message_ns = clock_monotonic_ns();
}

static void look_for_messages(struct top *t)
{
	char line[256];

	if (top_guard_message(line, sizeof(line)))
		say(t, line);
	else if (t->message.len && clock_monotonic_ns() - t->message_ns > MESSAGE_NS)
		say(t, "");
}

static void name_target(struct top *t, const struct profile *p)
{
	const struct options *o = t->o;

	buf_reset(&t->who);
	if (t->history.machine.is_there)
		buf_adds(&t->who, profile_str(p, p->host));
	else if (p->n_procs == 1)
		buf_addf(&t->who, "%s %d", profile_str(p, p->procs[0].comm), p->procs[0].tgid);
	else if (o->n_comms)
		buf_addf(&t->who, "-n %s", o->comms[0].text);
	else if (o->n_cgroups)
		buf_addf(&t->who, "-c %s", o->cgroups[0]);
	else if (o->n_pids)
		buf_addf(&t->who, "%d and its children", (int)o->pids[0]);
	else
		buf_adds(&t->who, profile_str(p, p->host));
}

/* ---- looks ---- */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* And what it leads to: "...: 97 % is one call site: #1 SessionCache::insert". */
static void add_first_line(struct buf *out, const char *text)
{
	size_t n = strcspn(text, "\n"), skip;

	buf_add(out, text, n);
	if (!n || text[n - 1] != ':' || !text[n])
		return;
	skip = strspn(text + n + 1, " ");
	buf_addc(out, ' ');
	buf_add(out, text + n + 1 + skip, strcspn(text + n + 1 + skip, "\n"));
}

/* Of the machine it costs nothing, and its words are those of the rows of the same look. */
static void take_headline(struct top *t, const struct profile *p)
{
	struct buf b = BUF_INIT;

	machine_add_head(&b, p);
	buf_reset(&t->verdict);
	add_first_line(&t->verdict, b.data);
	buf_release(&b);
}

/* The first line of what the report would say. */
static int judge(struct top *t, struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	uint64_t begin = clock_monotonic_ns(), cpu = cpu_ns(), took;
	bool is_early = p->window_ns < VERDICT_LEAST_NS;
	uint64_t least = is_early ? EVIDENCE_NS : VERDICT_NS;
	struct buf b = BUF_INIT;
	struct render_opts r;
	int err = collector_judge(s->collector);

	if (err)
		return err;
	history_add_evidence(&t->history, p);
	output_render_options(t->o, &r);
	if (!p->machine.is_there && !is_early) {
		verdict_add(&b, p, &r);
		buf_reset(&t->verdict);
		add_first_line(&t->verdict, b.data);
	}
	buf_release(&b);
	p->has_verdict = false; /* it is of this moment: not for a recording of a later one */
	took = (cpu_ns() - cpu) * VERDICT_SHARE;
	t->next_verdict_ns = begin + (took > least ? took : least);
	return 0;
}

static int look(struct top *t, struct session *s)
{
	uint64_t begin = clock_monotonic_ns(), least = t->o->interval_ns ? t->o->interval_ns : LOOK_NS, cpu = cpu_ns(), took;
	bool with_shares = s->machine && begin >= t->next_shares_ns;
	int err = session_look(s, with_shares);

	if (with_shares)
		t->next_shares_ns = begin + SHARES_NS;
	if (!err && begin >= t->next_verdict_ns && collector_profile(s->collector)->window_ns >= EVIDENCE_NS)
		err = judge(t, s);
	if (err)
		return err;
	history_add(&t->history, collector_profile(s->collector));
	if (collector_profile(s->collector)->machine.is_there)
		take_headline(t, collector_profile(s->collector));
	if (s->machine)
		history_add_members(&t->history, machine_look_watch(s->machine), t->state.open_tree);
	name_target(t, collector_profile(s->collector));
	took = (cpu_ns() - cpu) * LOOK_SHARE;
	took = took < LOOK_MOST_NS ? took : LOOK_MOST_NS;
	t->next_ns = begin + (took > least ? took : least);
	return 0;
}

static void draw(struct top *t, struct session *s)
{
	const struct top_data d = { .p = collector_profile(s->collector), .h = &t->history,
				    .who = t->who.data, .verdict = t->verdict.data, .message = t->message.data };

	top_screen_size(&t->canvas.width, &t->canvas.height);
	top_view_draw(&t->canvas, &d, &t->state);
}

/* ---- keys ---- */

static void take_probes(struct session *s, pid_t pid, struct buf *said)
{
	int err = machine_unprobe(s, pid);

	if (!err)
		buf_addf(said, "process %d: its heap probes are taken out; what they saw stays", pid);
	else if (err == -ENOENT)
		buf_addf(said, "process %d: its heap probes have been taken out", pid);
	else
		buf_addf(said, "process %d: its heap probes cannot be taken out just now", pid);
}

/* The process under the cursor: its heap is watched from now on, or no longer. */
static void add_probes(struct top *t, struct session *s, struct buf *said)
{
	const struct top_list *l = &t->state.lists[TOP_PROCESSES];
	int err;

	if (!s->machine) {
		buf_adds(said, "h is for the whole machine: here every process has the probes that were asked for");
		return;
	}
	if (t->state.depth != TOP_PROCESSES || !l->pid) {
		buf_adds(said, "h puts heap probes into the process under the cursor, and takes them out again");
		return;
	}
	if (l->opens != TOP_NONE) {
		take_probes(s, l->pid, said);
		return;
	}
	err = machine_probe(s, l->pid);
	if (!err)
		buf_addf(said, "process %d: heap probes are in place", l->pid);
	else if (err == -EAGAIN)
		buf_adds(said, "others are just getting their heap probes: again in a moment");
	else if (err == -ENOSPC)
		buf_addf(said, "as many processes as may have heap probes: sudo memprobe top -p %d", l->pid);
	else
		buf_addf(said, "process %d: no heap probes: %s", l->pid,
			 err == -ENOENT ? "no allocator is found in it" : strerror(-err));
}

static void act(struct top *t, struct session *s, enum top_action action)
{
	const struct profile *p = collector_profile(s->collector);
	struct buf said = BUF_INIT;

	switch (action) {
	case TOP_QUIT:
		s->want_end = true;
		break;
	case TOP_MARK:
		history_set_mark(&t->history);
		s->want_mark = true;
		break;
	case TOP_SAVE:
		top_save_recording(p, &said);
		break;
	case TOP_FLAME:
		top_save_flame(p, &said);
		break;
	case TOP_HEAP:
		add_probes(t, s, &said);
		break;
	case TOP_TREE:
		if (s->machine)
			history_add_members(&t->history, machine_look_watch(s->machine), t->state.open_tree);
		if (!s->machine || !t->state.lists[TOP_PROCESSES].tree)
			buf_adds(&said, "+ opens the processes of a tree, on the whole machine");
		break;
	default:
		break;
	}
	if (said.len)
		say(t, said.data);
	buf_release(&said);
}

/* All that were pressed; true: there were some. */
static bool take_keys(struct top *t, struct session *s)
{
	bool any = false;
	int key;

	while ((key = top_screen_key()) >= 0 && !s->want_end) {
		act(t, s, top_key(&t->state, (unsigned int)key));
		draw(t, s); /* the next key is meant for what the last one shows */
		any = true;
	}
	return any;
}

/* The terminal is gone: nobody will press q. */
static bool has_hung_up(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* ---- signals ---- */

static int open_signals(struct top *t, struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signal_fd < 0 ? -errno : session_watch(s, t->signal_fd);
}

/* True: the screen must be drawn again. */
static bool take_signals(struct top *t)
{
	struct signalfd_siginfo si;
	bool any = false;

	while (read(t->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		top_screen_resize();
		any = true;
	}
	return any;
}

/* ---- a run's user interface ---- */

static int begin(void *ctx, struct session *s)
{
	struct top *t = ctx;
	int err = open_signals(t, s);

	if (!err)
		err = session_watch(s, STDIN_FILENO);
	if (!err)
		err = top_screen_open();
	if (err) {
		log_error("top: the terminal cannot be used: %s", strerror(-err));
		return err;
	}
	t->is_open = true;
	t->canvas.utf8 = top_screen_is_utf8();
	return 0;
}

static int tick(void *ctx, struct session *s)
{
	struct top *t = ctx;
	bool changed = take_signals(t) || t->was_away;
	int err = 0;

	t->was_away = false;

	if (has_hung_up())
		s->want_end = true;
	if (!t->history.now.v || (!t->state.is_paused && clock_monotonic_ns() >= t->next_ns)) {
		err = look(t, s);
		changed = true;
	}
	if (s->want_snapshot) { /* SIGUSR1: there is no place for a report now */
		s->want_snapshot = false;
		act(t, s, TOP_SAVE);
		changed = true;
	}
	changed |= take_keys(t, s);
	if (!changed)
		return err;
	look_for_messages(t);
	draw(t, s);
	top_screen_draw(&t->canvas);
	return err;
}

static void suspend(void *ctx, void (*stand_still)(void))
{
	struct top *t = ctx;

	top_screen_suspend(stand_still);
	t->was_away = true;
}

static void end(void *ctx)
{
	struct top *t = ctx;

	if (t->is_open)
		top_screen_close();
	if (t->signal_fd >= 0)
		close(t->signal_fd);
	t->is_open = false;
	t->signal_fd = -1;
}

static int reports_instead(const struct options *o, const char *why)
{
	struct options as_reports = *o;
	char time[24];

	as_reports.verb = VERB_PROFILE;
	as_reports.renderer = renderer_by_name("report");
	if (!as_reports.interval_ns)
		as_reports.interval_ns = REPORT_NS;
	log_warn("top: %s: a report each %s instead", why, units_format_duration(time, as_reports.interval_ns));
	return session_run(&as_reports);
}

int top_run(const struct options *o)
{
	struct top t = { .o = o, .state = TOP_STATE_INIT, .who = BUF_INIT, .verdict = BUF_INIT,
			 .message = BUF_INIT, .signal_fd = -1 };
	const struct session_ui ui = { .ctx = &t, .begin = begin, .tick = tick, .suspend = suspend, .end = end };
	const char *why;
	int status;

	t.state.own_pid = getpid();
	if (!top_guard_open(&why))
		return reports_instead(o, why);
	status = session_run_ui(o, &ui);
	top_guard_close();
	history_release(&t.history);
	top_canvas_release(&t.canvas);
	buf_release(&t.who);
	buf_release(&t.verdict);
	buf_release(&t.message);
	return status;
}
