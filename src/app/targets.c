/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which processes are profiled when memprobe attaches to running ones, at the start and later.
 *
 * The kernel side takes every fork of a process that is followed into its set; what was forked before is
 * found in /proc, by looking until a look finds nothing new. Links of single processes, which cost nobody
 * else anything, are used for few processes that have no children; a first child makes them wide, since its
 * probes would not fire. Starting, events and output are not here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/room_check.h"
#include "app/session_internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"

/* More targets than this share inode-wide links: each pid-scoped link costs every target. */
#define MAX_SCOPED_PIDS 4

struct members {
	pid_t *v;
	size_t n, cap;
};

/*
 * Make a process a target. -EEXIST: it is one. -ESRCH: it has ended; its number may be another's by the time
 * that it is entered, so it is looked at before and after.
 */
static int follow(struct session *s, pid_t pid, uint32_t flags)
{
	struct proc_status status;
	struct proc_stat before, after;
	uint32_t gen;
	int err;

	err = proc_stat_read(&before, PROC_ROOT, pid);
	if (!err)
		err = kern_follow(s->kern, pid, flags, &gen);
	if (err)
		return err;
	if (proc_stat_read(&after, PROC_ROOT, pid) || after.start_ticks != before.start_ticks ||
	    proc_status_read(&status, PROC_ROOT, pid) || !status.has_memory) {
		kern_unfollow(s->kern, pid, gen);
		return -ESRCH;
	}
	collector_add_process(s->collector, gen, pid);
	return 0;
}

static void add_member(struct members *m, pid_t pid)
{
	XGROW(m->v, m->n, m->cap);
	m->v[m->n++] = pid;
}

/* Living descendants, until a look finds nothing new. Their later children are the kernel side's. */
static void follow_descendants(struct session *s, struct members *m)
{
	pid_t *pids;
	size_t n, i;
	bool more = true;

	while (more && !proc_descendants(&pids, &n, PROC_ROOT, s->o->pids, s->o->n_pids)) {
		more = false;
		for (i = 0; i < n; i++) {
			if (pids[i] == getpid() || follow(s, pids[i], MP_PROC_FOLLOW))
				continue;
			add_member(m, pids[i]);
			more = true;
		}
		free(pids);
	}
}

/* The main thread has ended, others live on: a link bound to this process would never fire. */
static bool has_lost_leader(pid_t pid)
{
	struct proc_status st;

	return !proc_status_read(&st, PROC_ROOT, pid) && st.state == 'Z' && st.has_memory;
}

/* A process that has children will have more, and their first allocations are to count. */
static bool can_scope(const struct session *s, const struct members *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (has_lost_leader(m->v[i]))
			return false;
	return m->n <= MAX_SCOPED_PIDS && m->n <= s->o->n_pids;
}

static int attach_members(struct session *s, const struct members *m)
{
	size_t i;
	int err;

	for (i = 0; i < m->n; i++) {
		err = attacher_add_process(s->attacher, m->v[i]);
		if (err == -EACCES) {
			log_error("process %d: cannot read its mappings: %s", (int)m->v[i],
				  geteuid() ? "run with sudo, or add CAP_SYS_PTRACE" :
					      "not even as root: it is protected, or this root is a container's");
			return STATUS_PRIVILEGE;
		}
	}
	return session_has_probes(s, "-p");
}

static bool is_member(const struct members *m, pid_t pid)
{
	size_t i;

	for (i = 0; i < m->n && m->v[i] != pid; i++)
		;
	return i < m->n;
}

/* Is there room for probes in the targets, and, where links are wide, in all others? An exit status. */
static int check_room(const struct members *m, bool is_wide)
{
	struct members others = { 0 };
	int status = room_check(m->v, m->n, true);
	pid_t *pids;
	size_t n, i;

	if (status || !is_wide || proc_list(&pids, &n, PROC_ROOT))
		return status;
	for (i = 0; i < n; i++)
		if (!is_member(m, pids[i]))
			add_member(&others, pids[i]);
	room_check(others.v, others.n, false);
	free(others.v);
	free(pids);
	return STATUS_OK;
}

static int attach_pids(struct session *s)
{
	const struct options *o = s->o;
	uint32_t flags = o->no_follow ? 0 : MP_PROC_FOLLOW;
	struct members m = { 0 };
	int status = STATUS_NO_TARGET;
	size_t i;
	int err;

	for (i = 0; i < o->n_pids; i++) {
		err = follow(s, o->pids[i], flags);
		if (!err)
			add_member(&m, o->pids[i]);
		else if (err == -ESRCH)
			log_warn("process %d ended before it could be probed", (int)o->pids[i]);
	}
	if (m.n && flags)
		follow_descendants(s, &m);
	session_new_attacher(s, can_scope(s, &m));
	if (m.n)
		status = check_room(&m, attacher_is_wide(s->attacher));
	if (m.n && !status)
		status = attach_members(s, &m);
	free(m.v);
	return status ? status : session_arm(s);
}

/* ---- by name and control group ---- */

static bool is_selected(const struct session *s, pid_t pid)
{
	struct proc_status st;
	size_t i;

	if (s->o->n_comms && !proc_status_read(&st, PROC_ROOT, pid))
		for (i = 0; i < s->o->n_comms; i++)
			if (comm_pattern_matches(&s->o->comms[i].pattern, st.comm))
				return true;
	for (i = 0; i < s->o->n_cgroups; i++)
		if (proc_cgroup_has(&s->cgroups[i], PROC_ROOT, pid))
			return true;
	return false;
}

/* Those that live now. The caller frees m->v. */
static void list_selected(const struct session *s, struct members *m)
{
	pid_t *pids;
	size_t n, i;

	*m = (struct members){ 0 };
	if (proc_list(&pids, &n, PROC_ROOT))
		return;
	for (i = 0; i < n; i++)
		if (pids[i] != getpid() && is_selected(s, pids[i]))
			add_member(m, pids[i]);
	free(pids);
}

static int find_cgroup(struct session *s, size_t i)
{
	const char *text = s->o->cgroups[i];
	int err = proc_cgroup_find(&s->cgroups[i], PROC_ROOT, CGROUP_ROOT, text);

	if (!err)
		return STATUS_OK;
	if (err == -ENOTUNIQ)
		log_error("-c %s: the ids of several containers begin so: give more digits", text);
	else if (err == -EOPNOTSUPP)
		log_error("-c %s: a hierarchy without a controller: give the path below another one", text);
	else
		log_error("-c %s: no such control group, and no container whose id begins so", text);
	return STATUS_NO_TARGET;
}

static int no_member(const struct session *s)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < s->o->n_comms; i++)
		buf_addf(&b, "%s%s", i ? "," : "-n ", s->o->comms[i].text);
	for (i = 0; i < s->o->n_cgroups; i++)
		buf_addf(&b, "%s-c %s", b.len ? " " : "", s->o->cgroups[i]);
	log_error("%s: no such process", b.data);
	buf_release(&b);
	return STATUS_NO_TARGET;
}

static bool is_selective(const struct session *s)
{
	return s->o->n_comms || s->o->n_cgroups;
}

int targets_find(struct session *s)
{
	struct members m;
	size_t i;
	int status = STATUS_OK;

	for (i = 0; i < s->o->n_cgroups && !status; i++)
		status = find_cgroup(s, i);
	if (status || !is_selective(s))
		return status;
	list_selected(s, &m);
	free(m.v);
	return m.n ? STATUS_OK : no_member(s);
}

void targets_select(const struct session *s, struct kern_opts *ko)
{
	size_t i;

	ko->n_patterns = s->o->n_comms;
	for (i = 0; i < s->o->n_comms; i++)
		ko->patterns[i] = s->o->comms[i].pattern;
	ko->n_cgroups = s->o->n_cgroups;
	for (i = 0; i < s->o->n_cgroups; i++)
		ko->cgroups[i] = s->cgroups[i].key;
}

void targets_release(struct session *s)
{
	size_t i;

	for (i = 0; i < s->o->n_cgroups; i++)
		proc_cgroup_release(&s->cgroups[i]);
}

/* What begins or execs while we look is the kernel side's. */
static int attach_selected(struct session *s)
{
	struct members m;
	size_t i, n = 0;
	int err, status;

	session_new_attacher(s, false);
	list_selected(s, &m);
	status = check_room(&m, true);
	for (i = 0; i < m.n && !status; i++) {
		err = attacher_add_process(s->attacher, m.v[i]);
		if (!err)
			err = follow(s, m.v[i], MP_PROC_SELECTED);
		n += !err || err == -EEXIST;
	}
	free(m.v);
	if (status)
		return status;
	if (!n)
		return no_member(s);
	status = session_has_probes(s, s->o->n_comms ? "-n" : "-c");
	return status ? status : session_arm(s);
}

static int attach_all(struct session *s)
{
	pid_t *pids;
	size_t n, i;
	int err, status;

	session_new_attacher(s, false);
	if (proc_list(&pids, &n, PROC_ROOT))
		return STATUS_FAILED;
	room_check(pids, n, false);
	for (i = 0; i < n; i++) {
		if (pids[i] == getpid() || attacher_add_process(s->attacher, pids[i]))
			continue;
		err = follow(s, pids[i], MP_PROC_FOLLOW);
		if (err && err != -ESRCH && err != -EEXIST)
			break;
	}
	free(pids);
	status = session_has_probes(s, "whole machine");
	return status ? status : session_arm(s);
}

int targets_probe(struct session *s, pid_t pid)
{
	int err;

	if (has_lost_leader(pid) || room_check(&pid, 1, true))
		return -EOPNOTSUPP;
	err = follow(s, pid, 0);
	return err ? err : attacher_add_process(s->attacher, pid);
}

int targets_attach(struct session *s)
{
	if (s->looks_at_machine)
		return machine_start(s);
	if (is_selective(s))
		return attach_selected(s);
	return s->o->n_pids ? attach_pids(s) : attach_all(s);
}

/* Links of single processes fire neither in a child nor after another thread's exec. */
static void widen(struct session *s, const struct mp_ev_proc *e)
{
	bool by_exec = e->what == MP_PROC_EXEC;

	if (attacher_is_wide(s->attacher) || s->looks_at_machine)
		return;
	attacher_widen(s->attacher);
	if (by_exec)
		log_info("another thread than the first called exec: attached again, for every process that "
			 "maps the same objects; what was allocated meanwhile was not seen");
	else
		log_info("process %u has a child: attached again, for every process that maps the same objects; "
			 "what this child allocated in its first %.1f ms was not seen",
			 e->parent_tgid, (double)(clock_monotonic_ns() - e->time_ns) / 1e6);
}

void targets_watch_leaders(struct session *s)
{
	const struct profile *p = collector_profile(s->collector);
	size_t i;

	if (!s->attacher || attacher_is_wide(s->attacher))
		return;
	for (i = 0; i < p->n_procs; i++) {
		if (p->procs[i].state != PROC_RUNNING || p->procs[i].end_ns || !has_lost_leader(p->procs[i].tgid))
			continue;
		if (s->looks_at_machine) {
			machine_leave(s, p->procs[i].tgid);
			continue;
		}
		attacher_widen(s->attacher);
		log_info("the first thread of process %d has ended: attached again, for every process that maps the same objects",
			 (int)p->procs[i].tgid);
		return;
	}
}

void targets_on_proc(struct session *s, const struct mp_ev_proc *e)
{
	bool by_other_thread = e->what == MP_PROC_EXEC && e->parent_tgid != e->tgid;

	if (!s->attacher)
		return;
	if (e->what == MP_PROC_FORK || e->what == MP_PROC_VFORK || by_other_thread)
		widen(s, e);
	/* what was mapped before the process became ours; the rest comes as mapping events */
	if (e->gen && (e->what == MP_PROC_EXEC || e->what == MP_PROC_NEW || !e->old_gen))
		attacher_add_process(s->attacher, (pid_t)e->tgid);
}
