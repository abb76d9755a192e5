/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What workers share; see workers_look.h. */
#include "collect/workers_look.h"

#include "proc/machine_memory.h"
#include "proc/process.h"

/* Of more processes nothing is read, nor is it of larger ones when they begin: events wait meanwhile. */
#define MOST_PROCESSES 16
#define MOST_BYTES (4ULL << 30)

static void look(struct collector *c, struct profile_proc *p, int when)
{
	struct sharing *s = &p->sharing;
	struct proc_rollup r;

	if (proc_rollup_read(&r, c->proc_root, p->tgid))
		return;
	s->is_there[when] = true;
	s->private_bytes[when] = r.private_bytes;
	s->shared_bytes[when] = r.all_bytes > r.private_bytes ? r.all_bytes - r.private_bytes : 0;
	s->pss_bytes[when] = r.pss_bytes;
}

void workers_begin(struct collector *c, uint32_t proc)
{
	struct profile_proc *p = &c->profile.procs[proc], *parent;
	struct proc_status st;
	const uint64_t *at;

	if (options_whole_machine(c->options) || c->profile.n_procs > MOST_PROCESSES || proc_status_read(&st, c->proc_root, p->tgid))
		return;
	at = table_get(&c->profile.proc_ids, collector_gen_of(c, st.ppid));
	if (!at || *at == proc || st.rss_anon_bytes > MOST_BYTES)
		return;
	p->parent = (uint32_t)*at;
	parent = &c->profile.procs[p->parent];
	look(c, p, 0);
	if (!parent->sharing.is_there[0])
		look(c, parent, 0);
}

void workers_end(struct collector *c)
{
	size_t i;

	for (i = 0; i < c->profile.n_procs; i++)
		if (c->profile.procs[i].sharing.is_there[0] && c->profile.procs[i].state == PROC_RUNNING)
			look(c, &c->profile.procs[i], 1);
}
