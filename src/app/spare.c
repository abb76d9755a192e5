/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* CPU time to spare; see spare.h. */
#include "app/spare.h"

#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "model/ladder.h"
#include "proc/cpu_idle.h"
#include "proc/process.h"

/* Looked at so often: a file to read per thread. */
#define LOOK_NS (200 * NS_PER_MS)

struct spare {
	const char *proc_root;
	struct cpu_idle idle;
	uint64_t idle_at_ns;
};

struct spare *spare_new(const char *proc_root)
{
	struct spare *s = xcalloc(1, sizeof(*s));

	s->proc_root = proc_root;
	return s;
}

void spare_free(struct spare *s)
{
	if (!s)
		return;
	cpu_idle_release(&s->idle);
	free(s);
}

/* Of the CPUs that it may run on, read once for all processes. UINT64_MAX: not known. */
static uint64_t idle_ns_of(struct spare *s, pid_t pid, uint64_t now_ns)
{
	uint64_t ns;

	if (s->idle_at_ns != now_ns && !cpu_idle_read(&s->idle, s->proc_root))
		s->idle_at_ns = now_ns;
	return s->idle_at_ns == now_ns && !cpu_idle_of(&s->idle, pid, &ns) ? ns : UINT64_MAX;
}

static const struct proc_thread_times *time_of(const struct spare_look *l, pid_t tid, size_t hint)
{
	size_t i;

	if (hint < l->n_threads && l->threads[hint].tid == tid) /* as listed the last time, mostly */
		return &l->threads[hint];
	for (i = 0; i < l->n_threads; i++)
		if (l->threads[i].tid == tid)
			return &l->threads[i];
	return NULL;
}

/* A thread that came or went in between takes its time with it. */
static void compare_threads(const struct spare_look *before, const struct spare_look *now, struct spare_found *f)
{
	double all = 0, most = 0;
	size_t i;

	f->waited = 0;
	for (i = 0; i < now->n_threads; i++) {
		const struct proc_thread_times *t = &now->threads[i], *was = time_of(before, t->tid, i);
		double waited, busy;

		if (!was || t->waited_ns < was->waited_ns || t->ran_ns < was->ran_ns)
			continue;
		waited = (double)(t->waited_ns - was->waited_ns) * 1e-9;
		busy = waited + (double)(t->ran_ns - was->ran_ns) * 1e-9;
		f->waited += waited;
		all += busy;
		most = busy > most ? busy : most;
	}
	f->busiest = all > 0 ? most / all : 1;
}

bool spare_look(struct spare *s, struct spare_look *l, pid_t pid, uint64_t now_ns, uint64_t cpu_ns, struct spare_found *f)
{
	struct spare_look before = *l, now = { .at_ns = now_ns, .cpu_ns = cpu_ns };
	double used, idle;

	if (now_ns - before.at_ns < LOOK_NS ||
	    proc_thread_times_read(&now.threads, &now.n_threads, s->proc_root, pid))
		return false;
	now.idle_ns = idle_ns_of(s, pid, now_ns);
	*l = now;
	compare_threads(&before, &now, f);
	free(before.threads);
	if (!before.at_ns)
		return false;
	f->dt = (double)(now_ns - before.at_ns) * 1e-9;
	f->taken = f->waited;
	if (now.idle_ns == UINT64_MAX || before.idle_ns == UINT64_MAX || now.idle_ns < before.idle_ns ||
	    cpu_ns < before.cpu_ns)
		return true;
	used = (double)(cpu_ns - before.cpu_ns) * 1e-9;
	idle = (double)(now.idle_ns - before.idle_ns) * 1e-9;
	f->taken = ladder_taken(f->dt, used, f->waited, idle, f->busiest);
	return true;
}

void spare_look_release(struct spare_look *l)
{
	free(l->threads);
	*l = (struct spare_look){ 0 };
}
