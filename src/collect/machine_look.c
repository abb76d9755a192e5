/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Looking at a whole machine; see machine_look.h. */
#include "collect/machine_look.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "model/profile.h"
#include "proc/machine_memory.h"
#include "proc/machine_scan.h"
#include "proc/process.h"

/* Looks come no faster than this, and take no more than a hundredth of one CPU's time. */
#define LOOK_NS (500 * NS_PER_MS)
#define LOOK_SHARE 100
/* ... but never less often: a floor needs its points. */
#define LONGEST_NS (10 * NS_PER_S)
#define GROUPS_NS NS_PER_S
/* Page tables of new workers in one look take no longer than this. */
#define ROLLUPS_NS (4 * NS_PER_MS)
/* A process that grows: younger ones are starting; slower ones, and growth of less, are nothing to go after. */
#define LEAST_AGE_S 2
#define LEAST_WATCHED_S 2.0
#define LEAST_RATE (16.0 * 1024)
#define LEAST_GROWTH (128.0 * 1024)
#define PART_OF_FASTEST 0.1
/* PSS is read again where the memory has changed by so much. */
#define CHANGED_BYTES (256.0 * 1024)

struct machine_look {
	char *proc_root, *cgroup_root;
	struct proc_scan scan;
	struct machine_watch w;
	uint64_t begin_ns, next_ns, next_groups_ns, cpu_ns;
	struct table tried;	   /* processes (their ids) that were marked */
	struct table known_groups; /* control groups (hash of the path) whose limits were looked for */
	pid_t own_pid;
};

static double time_of(const struct machine_look *l, uint64_t now_ns)
{
	return now_ns > l->begin_ns ? (double)(now_ns - l->begin_ns) * 1e-9 : 0;
}

/* ---- memory, processes ---- */

static void take_memory(struct machine_look *l, double t_s)
{
	struct proc_machine m;

	if (proc_machine_read(&m, l->proc_root))
		return;
	machine_watch_memory(&l->w, t_s, &(struct machine_memory){
		.total_bytes = m.total_bytes,
		.available_bytes = m.available_bytes,
		.swap_total_bytes = m.swap_total_bytes,
		.swap_free_bytes = m.swap_free_bytes,
		.shmem_bytes = m.shmem_bytes,
		.slab_bytes = m.slab_bytes,
		.slab_cache_bytes = m.slab_cache_bytes,
		.page_table_bytes = m.page_table_bytes,
		.stack_bytes = m.stack_bytes,
		.other_kernel_bytes = m.other_kernel_bytes,
		.hugetlb_bytes = m.hugetlb_bytes,
		.kept_free_bytes = m.kept_free_bytes,
		.oom_kills = m.oom_kills,
		.stall_10s = m.stall_10s,
	});
}

static void describe(struct machine_look *l, struct machine_proc *p, const struct proc_scanned *s)
{
	char host[48] = "";

	p->pid = s->pid;
	p->ppid = s->ppid;
	p->exe = s->exe;
	snprintf(p->name, sizeof(p->name), "%s", s->name);
	if (p->group_id && p->group_id == hash_bytes(s->cgroup, strlen(s->cgroup)))
		return;
	p->group_id = hash_bytes(s->cgroup, strlen(s->cgroup));
	proc_container_name(host, sizeof(host), l->proc_root, s->pid);
	proc_cgroup_short(p->group, sizeof(p->group), s->cgroup, host);
	if (!s->is_new)
		return;
	p->age_s = (double)s->start_age_ns * 1e-9;
	p->faulted_first_bytes = p->came ? 0 : s->page_faults * l->scan.page_bytes;
}

static void count_faults(struct machine_look *l, struct machine_proc *p, double t_s)
{
	struct proc_stat st;

	if (!proc_stat_read(&st, l->proc_root, p->pid))
		machine_proc_faulted(p, t_s, st.page_faults * l->scan.page_bytes);
}

static void roll_up(struct machine_look *l, struct machine_proc *p, double t_s)
{
	struct proc_rollup r;

	if (!proc_rollup_read(&r, l->proc_root, p->pid))
		machine_proc_rollup(p, t_s, r.pss_bytes, r.pss_shmem_bytes, r.private_bytes, r.all_bytes);
}

static bool is_worker(const struct machine_look *l, const struct proc_scanned *s)
{
	const struct proc_scanned *parent = proc_scan_find(&l->scan, s->ppid);

	return parent && s->exe && parent->exe == s->exe;
}

/* Without privileges, and in the short life of some, nothing can be read: then all of it counts as its own. */
static void roll_up_new_workers(struct machine_look *l, double t_s)
{
	uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	size_t i;

	for (i = 0; i < l->scan.n; i++) {
		const struct proc_scanned *s = &l->scan.v[i];
		struct machine_proc *p;

		if (s->has_ended || !is_worker(l, s))
			continue;
		p = machine_watch_proc(&l->w, s->id, t_s, true);
		if (p->has_pss)
			continue;
		roll_up(l, p, t_s);
		if (clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin > ROLLUPS_NS)
			return;
	}
}

static void take_processes(struct machine_look *l, double t_s)
{
	bool is_first = l->scan.n_looks == 1;
	size_t i;

	for (i = 0; i < l->scan.n; i++) {
		const struct proc_scanned *s = &l->scan.v[i];
		struct machine_proc *p;

		if (s->has_ended) {
			machine_watch_end(&l->w, s->id, t_s);
			continue;
		}
		p = machine_watch_proc(&l->w, s->id, t_s, !is_first);
		describe(l, p, s);
		machine_proc_take(p, t_s, s->anon_bytes + s->shmem_bytes + s->swap_bytes, s->shmem_bytes);
	}
	roll_up_new_workers(l, t_s);
	machine_watch_tidy(&l->w);
}

/* ---- control groups ---- */

/* own: how the process's group is called, if g is that; else "". */
static void take_group(struct machine_look *l, struct machine_proc *p, const struct proc_group *g, const char *own,
		       double t_s)
{
	size_t at;
	struct machine_watch_group *w;
	char path[160];

	if (g->max_bytes >= l->w.now.total_bytes)
		return;
	at = machine_watch_group(&l->w, g->id);
	w = &l->w.groups[at];
	if (!w->used.n) {
		snprintf(path, sizeof(path), "/%s", g->name);
		proc_cgroup_short(w->name, sizeof(w->name), path, "");
		if (*own)
			snprintf(w->name, sizeof(w->name), "%s", own);
		w->oom_kills_first = g->oom_kills;
	}
	w->read_s = t_s;
	w->limit_bytes = g->max_bytes;
	w->used_bytes = g->used_bytes;
	w->swap_left_bytes = g->swap_left_bytes;
	w->oom_kills = g->oom_kills;
	w->kills_group = g->kills_group;
	if (!w->used.n || w->used.v[w->used.n - 1].t_s < t_s)
		series_add(&w->used, t_s, (double)(g->used_bytes + g->swap_bytes));
	if (p->n_groups < MACHINE_PROC_GROUPS)
		p->groups[p->n_groups++] = at;
}

/* One process for each control group, and only for those with a limit after the first time. */
static void take_groups(struct machine_look *l, double t_s)
{
	struct table done = TABLE_INIT;
	struct proc_groups gs = { 0 };
	size_t i, k;

	l->w.groups_s = t_s;
	for (i = 0; i < l->w.n_procs; i++) {
		struct machine_proc *p = &l->w.procs[i];
		uint64_t *first = table_get(&done, p->group_id), *limits = table_get(&l->known_groups, p->group_id);

		if (p->has_ended || (limits && !*limits))
			continue;
		if (first) {
			memcpy(p->groups, l->w.procs[*first].groups, sizeof(p->groups));
			p->n_groups = l->w.procs[*first].n_groups;
			continue;
		}
		if (proc_groups_read(&gs, l->proc_root, l->cgroup_root, p->pid))
			continue;
		p->n_groups = 0;
		for (k = 0; k < gs.n; k++)
			take_group(l, p, &gs.v[k], k ? "" : p->group, t_s);
		*table_put(&l->known_groups, p->group_id, 0) = p->n_groups;
		*table_put(&done, p->group_id, 0) = i;
	}
	proc_groups_release(&gs);
	table_release(&done);
}

/* ---- when ---- */

static void look(struct machine_look *l, uint64_t now_ns)
{
	uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID), took;
	double t_s = time_of(l, now_ns);

	if (proc_scan_look(&l->scan))
		return;
	take_memory(l, t_s);
	take_processes(l, t_s);
	if (now_ns >= l->next_groups_ns) {
		take_groups(l, t_s);
		l->next_groups_ns = now_ns + GROUPS_NS;
	}
	took = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
	l->cpu_ns += took;
	took *= LOOK_SHARE;
	l->next_ns = now_ns + (took < LOOK_NS ? LOOK_NS : took > LONGEST_NS ? LONGEST_NS : took);
}

struct machine_look *machine_look_new(const char *proc_root, const char *cgroup_root)
{
	struct machine_look *l = xcalloc(1, sizeof(*l));

	l->proc_root = xstrdup(proc_root);
	l->cgroup_root = xstrdup(cgroup_root);
	l->own_pid = getpid();
	proc_scan_init(&l->scan, proc_root);
	l->begin_ns = clock_ns(CLOCK_MONOTONIC);
	look(l, l->begin_ns);
	if (l->scan.n && l->w.used.n)
		return l;
	log_error("%s: the processes and the memory of this machine cannot be read", proc_root);
	machine_look_free(l);
	return NULL;
}

void machine_look_free(struct machine_look *l)
{
	if (!l)
		return;
	proc_scan_release(&l->scan);
	machine_watch_release(&l->w);
	table_release(&l->known_groups);
	table_release(&l->tried);
	free(l->proc_root);
	free(l->cgroup_root);
	free(l);
}

bool machine_look_tick(struct machine_look *l, uint64_t now_ns)
{
	if (now_ns < l->next_ns)
		return false;
	look(l, now_ns);
	return true;
}

static bool has_changed(const struct machine_proc *p)
{
	return !p->has_pss || fabs(series_last(&p->memory) - series_at(&p->memory, p->rollup_s)) > CHANGED_BYTES;
}

void machine_look_fill(struct machine_look *l, struct profile *p, bool with_shares)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), begin;
	double t_s = time_of(l, now);
	size_t i;

	if (with_shares) {
		l->next_groups_ns = 0;
		look(l, now);
	}
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; with_shares && i < l->w.n_procs; i++) {
		struct machine_proc *q = &l->w.procs[i];

		if (q->has_ended)
			continue;
		count_faults(l, q, t_s);
		if (p->final || has_changed(q))
			roll_up(l, q, t_s);
	}
	l->cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
	machine_fill(p, &l->w);
	p->machine.cpu_share = t_s > 0 ? (double)l->cpu_ns * 1e-9 / t_s : 0;
}

/* ---- who grows ---- */

struct grower {
	pid_t pid;
	double rate;
};

static int by_rate(const void *a, const void *b)
{
	const struct grower *x = a, *y = b;

	if (x->rate != y->rate)
		return x->rate > y->rate ? -1 : 1;
	return x->pid < y->pid ? -1 : 1;
}

/* Of late: what grew hours ago and stopped is no grower, and what has just begun is one. */
static double rate_of(const struct machine_look *l, const struct machine_proc *p)
{
	double watched = l->w.window_s - p->first_s, seconds;
	double growth = machine_proc_late_growth(p, l->w.window_s, &seconds);

	if (p->has_ended || watched < LEAST_WATCHED_S || p->age_s + watched < LEAST_AGE_S || growth < LEAST_GROWTH ||
	    p->pid == l->own_pid)
		return 0;
	return growth / seconds < LEAST_RATE ? 0 : growth / seconds;
}

size_t machine_look_growers(const struct machine_look *l, pid_t *pids, size_t n)
{
	struct grower *g = xcalloc(l->w.n_procs + 1, sizeof(*g));
	size_t i, n_all = 0, n_out = 0;

	for (i = 0; i < l->w.n_procs; i++) {
		const struct machine_proc *p = &l->w.procs[i];
		double rate = rate_of(l, p);

		if (rate > 0)
			g[n_all++] = (struct grower){ table_get(&l->tried, p->id) ? 0 : p->pid, rate };
	}
	if (n_all)
		qsort(g, n_all, sizeof(*g), by_rate);
	for (i = 0; i < n_all && n_out < n; i++)
		if (g[i].pid && g[i].rate >= g[0].rate * PART_OF_FASTEST)
			pids[n_out++] = g[i].pid;
	free(g);
	return n_out;
}

static struct machine_proc *find(const struct machine_look *l, pid_t pid)
{
	size_t i;

	for (i = 0; i < l->w.n_procs; i++)
		if (l->w.procs[i].pid == pid && !l->w.procs[i].has_ended)
			return &l->w.procs[i];
	return NULL;
}

void machine_look_mark(struct machine_look *l, pid_t pid, enum machine_seen seen)
{
	struct machine_proc *p = find(l, pid);

	if (!p)
		return;
	p->seen = seen;
	*table_put(&l->tried, p->id, 0) = 1;
}

void machine_look_may_try(struct machine_look *l, pid_t pid)
{
	struct machine_proc *p = find(l, pid);

	if (p)
		table_remove(&l->tried, p->id);
}

pid_t machine_look_fastest_probed(const struct machine_look *l)
{
	double most = -1;
	pid_t pid = 0;
	size_t i;

	for (i = 0; i < l->w.n_procs; i++) {
		const struct machine_proc *p = &l->w.procs[i];

		if (p->seen <= SEEN_HEAP_AWAY || p->has_ended || rate_of(l, p) <= most)
			continue;
		most = rate_of(l, p);
		pid = p->pid;
	}
	return pid;
}

void machine_look_mark_all(struct machine_look *l, enum machine_seen seen)
{
	size_t i;

	for (i = 0; i < l->w.n_procs; i++)
		if (l->w.procs[i].seen > SEEN_HEAP_AWAY)
			l->w.procs[i].seen = seen;
}

size_t machine_look_n_probed(const struct machine_look *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->w.n_procs; i++)
		n += l->w.procs[i].seen > SEEN_HEAP_AWAY && !l->w.procs[i].has_ended;
	return n;
}

const struct machine_watch *machine_look_watch(const struct machine_look *l)
{
	return &l->w;
}
