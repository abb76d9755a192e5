/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A run that looks at the whole machine: all processes from /proc (machine_look.h), and heap probes in the few that
 * grow fastest, by links that no other process pays for. Part of the session.
 *
 * The window begins at once, with no probe. The first processes that grow are chosen together, after CHOOSE_NS: their
 * calls are counted for COUNT_NS, which decides how closely they can be watched, and they are armed. Where only bursts
 * would be left, the busiest lose their probes, but never the fastest grower. What grows later is joined as long as
 * there is room, on the rung that holds then.
 *
 * Bursts are for one process alone: what is seen in them stands for the rest by how much that one works in them
 * (model/ladder.h), which two programs would spoil for each other (by 7 times, beside one that makes 90 000 calls/s).
 * So the fastest grower keeps its probes then, and the others lose them. The budget is that of each process, and 2 % of
 * all CPUs together (budget.c).
 */
#include <errno.h>
#include <string.h>

#include "app/session_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"

#define MAX_PROBED 4
#define MAX_FIRST 3 /* what grows later wants a place too */
#define CHOOSE_NS (3 * NS_PER_S)

int machine_start(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	uint64_t now;

	s->machine = machine_look_new(PROC_ROOT, CGROUP_ROOT);
	if (!s->machine)
		return STATUS_FAILED;
	session_new_attacher(s, true);
	s->budget = budget_new(s->kern, s->o, p);
	now = clock_monotonic_ns();
	budget_start(s->budget, now);
	kern_arm(s->kern);
	s->armed_ns = kern_armed_ns(s->kern);
	log_info("looking at %zu processes; heap probes go to those that grow fastest, at most %d",
		 machine_look_watch(s->machine)->n_procs, MAX_PROBED);
	return STATUS_OK;
}

static enum machine_seen seen_now(const struct profile_watch *w)
{
	if (w->rung == RUNG_AWAY)
		return SEEN_HEAP_AWAY;
	if (rung_is_gated(w->rung) || w->n_steps)
		return SEEN_HEAP_BURSTS;
	return w->interval_bytes ? SEEN_HEAP_SAMPLED : SEEN_HEAP_EXACT;
}

/* Heap probes into one process, its own links. 0, or why it has none. */
static int probe(struct session *s, pid_t pid)
{
	unsigned int before = attacher_n_probes(s->attacher);
	int err = targets_probe(s, pid);
	/* links for all, where another tracer has made them necessary, may be there already */
	bool has_new = !err && (attacher_n_probes(s->attacher) > before || (before && attacher_is_wide(s->attacher)));

	if (err)
		log_debug("process %d: no heap probes: %s", (int)pid, strerror(-err));
	machine_look_mark(s->machine, pid, has_new ? SEEN_HEAP_EXACT : SEEN_PROC);
	return has_new ? 0 : err ? err : -ENOENT;
}

/* How many of those that grow have probes now that had none. */
static unsigned int probe_growers(struct session *s, size_t most)
{
	size_t n_probed = machine_look_n_probed(s->machine), n, i;
	unsigned int n_new = 0;
	pid_t pids[MAX_PROBED];

	if (n_probed >= most)
		return 0;
	n = machine_look_growers(s->machine, pids, most - n_probed);
	for (i = 0; i < n; i++)
		n_new += !probe(s, pids[i]);
	return n_new;
}

/* They are watched from now on. */
static void begin_new(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (!p->procs[i].begin_ns)
			p->procs[i].begin_ns = clock_monotonic_ns() - s->armed_ns;
}

/* Links for all are nobody's own. */
static void detach(struct session *s, pid_t pid)
{
	if (attacher_is_wide(s->attacher))
		return;
	kern_detach_process(s->kern, pid);
	attacher_forget_process(s->attacher, pid);
}

void machine_ended(void *ctx, pid_t pid)
{
	struct session *s = ctx;

	if (s->machine)
		detach(s, pid);
}

/* No more heap probes; what was seen until now stays. */
static void drop(struct session *s, struct profile_proc *p)
{
	detach(s, p->tgid);
	kern_drop(s->kern, p->tgid, p->gen);
	budget_forget(s->budget, p->gen);
	machine_look_mark(s->machine, p->tgid, s->has_chosen ? SEEN_HEAP_AWAY : SEEN_PROC);
	collector_drop(s->collector, p->gen);
}

/* True when others had to go. */
static bool keep_fastest(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	pid_t fastest = machine_look_fastest_probed(s->machine);
	bool any = false;
	size_t i;

	if (!rung_is_gated(p->watch.rung) || !fastest)
		return false;
	for (i = 0; i < p->n_procs; i++) {
		if (p->procs[i].state != PROC_RUNNING || p->procs[i].tgid == fastest)
			continue;
		drop(s, &p->procs[i]);
		any = true;
	}
	return any;
}

/*
 * Before arming: the one that makes most calls goes, until what is left can be watched throughout, or the fastest
 * grower is alone. True when one has gone.
 */
static bool drop_busiest(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	pid_t fastest = machine_look_fastest_probed(s->machine);
	struct profile_proc *busiest = NULL;
	size_t i;

	if (!rung_is_gated(p->watch.rung) || !fastest)
		return false;
	for (i = 0; i < p->n_procs; i++) {
		struct profile_proc *q = &p->procs[i];

		if (q->state != PROC_RUNNING || q->tgid == fastest)
			continue;
		if (!busiest || budget_calls(s->budget, q->gen) > budget_calls(s->budget, busiest->gen))
			busiest = q;
	}
	if (busiest)
		drop(s, busiest);
	return busiest;
}

/* They went for the sake of the fastest, and not of their calls: when its bursts are over they may have probes. */
static void forgive_dropped(struct session *s)
{
	struct profile *p = collector_profile(s->collector);
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_DROPPED)
			machine_look_may_try(s->machine, p->procs[i].tgid);
}

/* Their calls have been counted. */
static void arm(struct session *s, uint64_t now_ns)
{
	const char *load = s->o->sample_auto ? budget_choose(s->budget, now_ns) : "";

	while (s->o->sample_auto && drop_busiest(s))
		load = budget_choose_again(s->budget);
	if (rung_is_gated(collector_profile(s->collector)->watch.rung))
		forgive_dropped(s);
	s->choose_ns = 0;
	s->has_chosen = true;
	begin_new(s);
	budget_start(s->budget, clock_monotonic_ns());
	kern_arm(s->kern);
	session_tell_armed(s, machine_look_n_probed(s->machine), load);
}

/* The first: nothing is counted while they are attached one after the other. */
static void choose(struct session *s, uint64_t now_ns)
{
	if (now_ns - s->armed_ns < CHOOSE_NS)
		return;
	kern_count_calls(s->kern);
	if (!probe_growers(s, MAX_FIRST)) {
		kern_arm(s->kern);
		return;
	}
	now_ns = clock_monotonic_ns();
	if (s->o->sample_auto)
		budget_count_begin(s->budget, now_ns);
	s->choose_ns = now_ns + COUNT_NS;
}

static void go_on(struct session *s)
{
	if (rung_is_gated(collector_profile(s->collector)->watch.rung)) {
		keep_fastest(s);
	} else if (probe_growers(s, MAX_PROBED)) {
		begin_new(s);
		session_tell_armed(s, machine_look_n_probed(s->machine), "");
	}
}

void machine_tick(struct session *s, uint64_t now_ns)
{
	if (!s->machine)
		return;
	if (s->choose_ns && now_ns >= s->choose_ns)
		arm(s, now_ns);
	if (!machine_look_tick(s->machine, now_ns) || s->choose_ns || !(s->o->planes & PLANE_HEAP))
		return;
	if (!s->has_chosen)
		choose(s, now_ns);
	else
		go_on(s);
}

int machine_probe(struct session *s, pid_t pid)
{
	int err;

	if (s->choose_ns || kern_gate_is_shut(s->kern))
		return -EAGAIN;
	if (machine_look_n_probed(s->machine) >= MAX_PROBED)
		return -ENOSPC;
	if (!s->has_chosen)
		kern_count_calls(s->kern);
	err = probe(s, pid);
	if (s->has_chosen) {
		if (!err)
			begin_new(s);
	} else if (err) {
		kern_arm(s->kern);
	} else {
		if (s->o->sample_auto)
			budget_count_begin(s->budget, clock_monotonic_ns());
		s->choose_ns = clock_monotonic_ns() + COUNT_NS;
	}
	return err;
}

static int drop_pid(struct session *s, pid_t pid)
{
	struct profile *p = collector_profile(s->collector);
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		if (p->procs[i].tgid != pid || p->procs[i].state != PROC_RUNNING)
			continue;
		drop(s, &p->procs[i]);
		return 0;
	}
	return -ENOENT;
}

int machine_unprobe(struct session *s, pid_t pid)
{
	if (s->choose_ns || kern_gate_is_shut(s->kern) || attacher_is_wide(s->attacher))
		return -EAGAIN;
	return drop_pid(s, pid);
}

void machine_leave(struct session *s, pid_t pid)
{
	if (!s->choose_ns && !drop_pid(s, pid))
		log_info("the first thread of process %d has ended: its heap probes are taken away", (int)pid);
}

void machine_report(struct session *s, bool with_shares)
{
	struct profile *p = collector_profile(s->collector);

	if (!s->machine)
		return;
	machine_look_mark_all(s->machine, seen_now(&p->watch));
	machine_look_fill(s->machine, p, with_shares);
	p->cost.n_processes = p->machine.n_probed;
}
