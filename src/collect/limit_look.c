/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which limit a process will meet: joins the readers of /proc and of control groups to the decision of
 * model/limit.h; part of the collector.
 */
#include <stdlib.h>

#include "base/roots.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "proc/process.h"

struct candidates {
	struct limit *v;
	const char **names; /* borrowed */
	uint64_t *kills;
	size_t n;
};

static void add(struct candidates *c, struct limit l, const char *name, uint64_t kills)
{
	if (l.limit_bytes == UINT64_MAX)
		return;
	c->v[c->n] = l;
	c->names[c->n] = name;
	c->kills[c->n++] = kills;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A group may use swap as far as it, all above it and the machine have some. */
static void add_groups(struct candidates *c, const struct proc_groups *gs, const struct proc_meminfo *mem)
{
	uint64_t swap = mem->swap_free_bytes;
	size_t i;

	for (i = gs->n; i-- > 0;) { /* from the root */
		const struct proc_group *g = &gs->v[i];

		swap = least(swap, g->swap_left_bytes);
		if (g->max_bytes < mem->total_bytes)
			add(c, (struct limit){ LIMIT_GROUP_MAX, g->max_bytes, g->used_bytes, swap, g->kills_group },
			    g->name, g->oom_kills);
		if (g->high_bytes < mem->total_bytes)
			add(c, (struct limit){ LIMIT_GROUP_HIGH, g->high_bytes, g->used_bytes, 0, false }, g->name,
			    g->oom_kills);
	}
}

static void add_machine(struct candidates *c, const struct proc_meminfo *mem, uint64_t kills)
{
	uint64_t used = mem->total_bytes - least(mem->available_bytes, mem->total_bytes);

	add(c, (struct limit){ LIMIT_RAM, mem->total_bytes, used, mem->swap_free_bytes, false }, "RAM", kills);
	if (mem->is_commit_limited)
		add(c, (struct limit){ LIMIT_COMMIT, mem->commit_limit_bytes, mem->committed_bytes, 0, false },
		    "CommitLimit", kills);
}

static void add_rlimits(struct candidates *c, const struct proc_rlimits *r, uint64_t kills)
{
	add(c, (struct limit){ LIMIT_ADDRESS_SPACE, r->address_space_bytes, r->vm_size_bytes, 0, false },
	    "RLIMIT_AS", kills);
	add(c, (struct limit){ LIMIT_DATA, r->data_bytes, r->vm_data_bytes, 0, false }, "RLIMIT_DATA", kills);
}

static void take(struct collector *c, struct profile_facts *f, const struct candidates *all, bool can_be_killed)
{
	struct limit_outlook o = limit_outlook_of(all->v, all->n, can_be_killed);
	const struct limit *l;

	f->limit_bytes = UINT64_MAX;
	f->limit_kind = LIMIT_NONE;
	f->limit_end = LIMIT_ENDS_NOT;
	if (o.first == SIZE_MAX)
		return;
	l = &all->v[o.first];
	f->limit_kind = l->kind;
	f->limit_end = o.end;
	f->limit_bytes = l->limit_bytes;
	f->limit_used_bytes = l->used_bytes;
	f->limit_swap_bytes = o.swap_bytes;
	f->limit_slowed_bytes = o.slowed == SIZE_MAX ? 0 : all->v[o.slowed].limit_bytes;
	f->limit_name = profile_string(&c->profile, all->names[o.first]);
	f->oom_kills = all->kills[o.first];
}

void limit_facts_read(struct collector *c, pid_t pid, struct profile_facts *f)
{
	struct proc_rlimits r = { .address_space_bytes = UINT64_MAX, .data_bytes = UINT64_MAX };
	struct proc_groups gs = { 0 };
	struct candidates all = { 0 };
	struct proc_meminfo mem;
	size_t room;

	if (proc_meminfo_read(&mem, c->proc_root) || proc_groups_read(&gs, c->proc_root, CGROUP_ROOT, pid))
		goto out;
	proc_rlimits_read(&r, c->proc_root, pid);
	room = 2 * gs.n + 4;
	all.v = xcalloc(room, sizeof(*all.v));
	all.names = xcalloc(room, sizeof(*all.names));
	all.kills = xcalloc(room, sizeof(*all.kills));
	add_groups(&all, &gs, &mem);
	add_machine(&all, &mem, mem.oom_kills);
	add_rlimits(&all, &r, mem.oom_kills);
	take(c, f, &all, r.oom_score_adj > -1000);
out:
	free(all.v);
	free(all.names);
	free(all.kills);
	proc_groups_release(&gs);
}
