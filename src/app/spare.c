/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* CPU time to spare; see spare.h. */
#include "app/spare.h"

#include <stdlib.h>

#include "base/units.h"
#include "base/xalloc.h"
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

bool spare_look(struct spare *s, struct spare_look *l, pid_t pid, uint64_t now_ns, uint64_t cpu_ns, double *dt,
		double *waited, double *taken)
{
	struct spare_look before = *l, now = { .at_ns = now_ns, .cpu_ns = cpu_ns };
	double used, idle;

	if (now_ns - before.at_ns < LOOK_NS || proc_run_delay_read(&now.waited_ns, s->proc_root, pid))
		return false;
	now.idle_ns = idle_ns_of(s, pid, now_ns);
	*l = now;
	/* a thread that has ended takes its time in queues with it */
	if (!before.at_ns || now.waited_ns < before.waited_ns)
		return false;
	*dt = (double)(now_ns - before.at_ns) * 1e-9;
	*waited = *taken = (double)(now.waited_ns - before.waited_ns) * 1e-9;
	if (now.idle_ns == UINT64_MAX || before.idle_ns == UINT64_MAX || now.idle_ns < before.idle_ns ||
	    cpu_ns < before.cpu_ns)
		return true;
	used = (double)(cpu_ns - before.cpu_ns) * 1e-9;
	idle = (double)(now.idle_ns - before.idle_ns) * 1e-9;
	if (*dt - used - *waited > idle && *waited > 0)
		*taken += (*dt - used - *waited - idle) * *waited / (*waited + used);
	return true;
}
