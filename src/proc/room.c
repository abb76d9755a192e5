/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is left below memory limits; see room.h. Depends on base and process.h. */
#include "proc/room.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "proc/process.h"

static uint64_t left_of(const struct proc_group *g)
{
	/* file_bytes has shared memory in it, which is not dropped */
	uint64_t cache = g->file_bytes > g->shmem_bytes ? g->file_bytes - g->shmem_bytes : 0;
	uint64_t kept = g->current_bytes > cache ? g->current_bytes - cache : 0;

	return g->max_bytes > kept ? g->max_bytes - kept : 0;
}

static void add_group(struct proc_rooms *r, const struct proc_group *g)
{
	struct proc_room *room;
	size_t i;

	for (i = 0; i < r->n && r->v[i].id != g->id; i++)
		;
	if (i == r->n) {
		XGROW(r->v, r->n, r->cap);
		r->v[r->n++] = (struct proc_room){ .id = g->id };
	}
	room = &r->v[i];
	snprintf(room->name, sizeof(room->name), "%s", g->name);
	room->limit_bytes = g->max_bytes;
	room->left_bytes = left_of(g);
	room->n_processes++;
}

int proc_rooms_add(struct proc_rooms *r, const char *proc_root, const char *cgroup_root, pid_t pid)
{
	struct proc_groups gs = { 0 };
	int err = proc_groups_read(&gs, proc_root, cgroup_root, pid);
	size_t i;

	for (i = 0; i < gs.n; i++)
		if (gs.v[i].max_bytes != UINT64_MAX)
			add_group(r, &gs.v[i]);
	proc_groups_release(&gs);
	return err;
}

const struct proc_room *proc_rooms_least(const struct proc_rooms *r)
{
	const struct proc_room *least = NULL;
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!least || r->v[i].left_bytes < least->left_bytes)
			least = &r->v[i];
	return least;
}

void proc_rooms_release(struct proc_rooms *r)
{
	free(r->v);
	*r = (struct proc_rooms){ 0 };
}
