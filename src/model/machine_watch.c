/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is known of all processes while a run looks at the machine; see machine.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/machine.h"

/* A process that ended is forgotten when it never had more, nor grew by more. */
#define MATTERS_BYTES (16.0 * 1024 * 1024)
/* Of those that ended, so many are kept at most: the largest. */
#define MOST_ENDED 256

static void release_proc(struct machine_proc *p)
{
	series_release(&p->memory);
	series_release(&p->shmem);
}

void machine_watch_release(struct machine_watch *w)
{
	size_t i;

	for (i = 0; i < w->n_procs; i++)
		release_proc(&w->procs[i]);
	for (i = 0; i < w->n_groups; i++)
		series_release(&w->groups[i].used);
	free(w->procs);
	free(w->groups);
	table_release(&w->by_id);
	series_release(&w->used);
	series_release(&w->kernel);
	series_release(&w->shmem);
	*w = (struct machine_watch){ 0 };
}

uint64_t machine_used_bytes(const struct machine_memory *m)
{
	uint64_t ram = m->total_bytes > m->available_bytes ? m->total_bytes - m->available_bytes : 0;
	uint64_t swap = m->swap_total_bytes > m->swap_free_bytes ? m->swap_total_bytes - m->swap_free_bytes : 0;

	return ram + swap;
}

void machine_watch_memory(struct machine_watch *w, double t_s, const struct machine_memory *m)
{
	if (!w->used.n)
		w->first = *m;
	w->now = *m;
	w->window_s = t_s;
	series_add(&w->used, t_s, (double)machine_used_bytes(m));
	series_add(&w->kernel, t_s,
		   (double)(m->slab_bytes + m->page_table_bytes + m->stack_bytes + m->other_kernel_bytes));
	series_add(&w->shmem, t_s, (double)m->shmem_bytes);
}

struct machine_proc *machine_watch_proc(struct machine_watch *w, uint64_t id, double t_s, bool came)
{
	const uint64_t *at = table_get(&w->by_id, id);
	struct machine_proc *p;

	if (at)
		return &w->procs[*at];
	XGROW(w->procs, w->n_procs, w->procs_cap);
	p = &w->procs[w->n_procs];
	*p = (struct machine_proc){ .id = id, .first_s = t_s, .came = came };
	*table_put(&w->by_id, id, 0) = w->n_procs++;
	w->n_came += came;
	return p;
}

/* The first point, and where it changes. */
static void take(struct series *s, double t_s, double bytes)
{
	if (!s->n || series_last(s) != bytes)
		series_add(s, t_s, bytes);
}

static void take_late(struct machine_proc *p, double t_s, double bytes)
{
	p->now_bytes = bytes;
	if (p->n_late && t_s - p->late[p->n_late - 1].t_s < MACHINE_LATE_STEP_S)
		return;
	if (p->n_late == MACHINE_LATE_POINTS)
		memmove(p->late, p->late + 1, --p->n_late * sizeof(p->late[0]));
	p->late[p->n_late++] = (struct series_point){ t_s, bytes };
}

double machine_proc_late_growth(const struct machine_proc *p, double t_s, double *seconds)
{
	*seconds = p->n_late ? t_s - p->late[0].t_s : 0;
	return p->n_late ? p->now_bytes - p->late[0].bytes : 0;
}

void machine_proc_take(struct machine_proc *p, double t_s, uint64_t bytes, uint64_t shmem)
{
	take_late(p, t_s, (double)bytes);
	take(&p->memory, t_s, (double)bytes);
	if (shmem || p->shmem.n)
		take(&p->shmem, t_s, (double)shmem);
}

void machine_proc_rollup(struct machine_proc *p, double t_s, uint64_t pss, uint64_t pss_shmem, uint64_t private_bytes,
			 uint64_t all)
{
	p->pss_bytes = pss;
	p->pss_shmem_bytes = pss_shmem;
	p->private_bytes = private_bytes;
	p->shared = all > private_bytes ? (double)(all - private_bytes) : 0;
	p->rollup_s = t_s;
	if (!p->has_pss) {
		p->rollup_first_s = t_s;
		p->shared_first = p->shared;
	}
	p->has_pss = true;
}

void machine_proc_faulted(struct machine_proc *p, double t_s, uint64_t bytes)
{
	p->faulted_bytes = bytes;
	p->faulted_s = t_s;
	if (p->seen == SEEN_PROC)
		p->seen = SEEN_FAULTS;
}

/* ---- processes that end ---- */

static double highest_of(const struct series *s)
{
	double lowest, highest;

	series_range(s, -INFINITY, INFINITY, &lowest, &highest);
	return highest;
}

void machine_watch_end(struct machine_watch *w, uint64_t id, double t_s)
{
	const uint64_t *at = table_get(&w->by_id, id);
	struct machine_proc *p;

	if (!at)
		return;
	p = &w->procs[*at];
	p->has_ended = true;
	p->end_s = t_s;
	w->n_went++;
}

static bool is_less(const struct machine_proc *a, const struct machine_proc *b)
{
	return highest_of(&a->memory) < highest_of(&b->memory);
}

/* The smallest of those that ended; n_procs: none. */
static size_t smallest_ended(const struct machine_watch *w, size_t *n_ended)
{
	size_t i, smallest = w->n_procs;

	*n_ended = 0;
	for (i = 0; i < w->n_procs; i++) {
		if (!w->procs[i].has_ended)
			continue;
		++*n_ended;
		if (smallest == w->n_procs || is_less(&w->procs[i], &w->procs[smallest]))
			smallest = i;
	}
	return smallest;
}

static void forget(struct machine_watch *w, size_t i)
{
	table_remove(&w->by_id, w->procs[i].id);
	release_proc(&w->procs[i]);
	w->procs[i] = w->procs[--w->n_procs];
	if (i < w->n_procs)
		*table_put(&w->by_id, w->procs[i].id, 0) = i;
}

void machine_watch_tidy(struct machine_watch *w)
{
	size_t i = 0, n_ended;

	while (i < w->n_procs) {
		const struct machine_proc *p = &w->procs[i];

		if (p->has_ended && p->seen <= SEEN_FAULTS && highest_of(&p->memory) < MATTERS_BYTES)
			forget(w, i);
		else
			i++;
	}
	for (i = smallest_ended(w, &n_ended); n_ended > MOST_ENDED; i = smallest_ended(w, &n_ended))
		forget(w, i);
}

size_t machine_watch_group(struct machine_watch *w, uint64_t id)
{
	size_t i;

	for (i = 0; i < w->n_groups; i++)
		if (w->groups[i].id == id)
			return i;
	XGROW(w->groups, w->n_groups, w->groups_cap);
	w->groups[w->n_groups] = (struct machine_watch_group){ .id = id, .limit_bytes = UINT64_MAX };
	return w->n_groups++;
}

/* ---- figures of one process ---- */

double machine_proc_bytes(const struct machine_proc *p)
{
	return p->has_ended ? 0 : series_last(&p->memory);
}

double machine_proc_growth(const struct machine_proc *p)
{
	double first = p->came || !p->memory.n ? 0 : p->memory.v[0].bytes;

	return machine_proc_bytes(p) - first;
}

/* ---- trees ---- */

/* Of one program and one control group: its workers. */
static bool is_worker_of(const struct machine_proc *child, const struct machine_proc *parent)
{
	return child != parent && child->exe && child->exe == parent->exe && child->group_id == parent->group_id &&
	       parent->pid > 1;
}

void machine_roots(const struct machine_watch *w, size_t *root)
{
	struct table by_pid = TABLE_INIT;
	const uint64_t *at;
	size_t i, up;
	unsigned int steps;

	for (i = 0; i < w->n_procs; i++) /* a number may be used twice: the living one last */
		if (w->procs[i].has_ended)
			*table_put(&by_pid, (uint64_t)w->procs[i].pid, 0) = i;
	for (i = 0; i < w->n_procs; i++)
		if (!w->procs[i].has_ended)
			*table_put(&by_pid, (uint64_t)w->procs[i].pid, 0) = i;
	for (i = 0; i < w->n_procs; i++) {
		root[i] = i;
		for (steps = 0; steps < 64; steps++) {
			up = root[i];
			at = table_get(&by_pid, (uint64_t)w->procs[up].ppid);
			if (!at || !is_worker_of(&w->procs[up], &w->procs[*at]))
				break;
			root[i] = *at;
		}
	}
	table_release(&by_pid);
}
