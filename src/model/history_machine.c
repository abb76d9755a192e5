/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The rows of a whole machine over successive snapshots; see history.h. A row's bytes are read now and then (PSS), its
 * growth each time: what is kept over time is what it had at first, plus the growth. Rows that are among the largest no
 * more are forgotten. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/history.h"

static uint32_t id_of(const struct machine_row *r)
{
	return r->kind == MACHINE_TREE ? (uint32_t)r->pid : HISTORY_KIND | (uint32_t)r->kind;
}

static struct history_tree *find_tree(const struct history *h, uint32_t id)
{
	size_t i;

	for (i = 0; i < h->n_trees; i++)
		if (h->trees[i].id == id)
			return &h->trees[i];
	return NULL;
}

/* One that is new in the list has a past all the same: its growth since the start. */
static struct history_tree *begin_tree(struct history *h, const struct machine_row *r)
{
	struct history_tree *t;

	XGROW(h->trees, h->n_trees, h->trees_cap);
	t = &h->trees[h->n_trees++];
	*t = (struct history_tree){ .id = id_of(r), .first_bytes = (double)(r->bytes - r->growth_bytes) };
	series_add(&t->bytes, 0, t->first_bytes);
	return t;
}

static void forget_others(struct history *h)
{
	size_t i, n = 0;

	for (i = 0; i < h->n_trees; i++) {
		if (h->trees[i].is_there)
			h->trees[n++] = h->trees[i];
		else
			series_release(&h->trees[i].bytes);
	}
	h->n_trees = n;
}

void history_add_machine(struct history *h, const struct profile *p)
{
	double t_s = (double)p->window_ns * 1e-9;
	size_t i;

	h->machine = p->machine;
	for (i = 0; i < h->n_trees; i++)
		h->trees[i].is_there = false;
	for (i = 0; i < p->machine.n_rows; i++) {
		const struct machine_row *r = &p->machine.rows[i];
		struct history_tree *t = find_tree(h, id_of(r));

		if (!t)
			t = begin_tree(h, r);
		t->row = *r;
		t->is_there = true;
		series_add(&t->bytes, t_s, t->first_bytes + (double)r->growth_bytes);
	}
	forget_others(h);
}

/* Bytes of one process so many seconds ago; what it began with when it is younger. */
static double bytes_at(const struct machine_proc *p, double t_s)
{
	return p->memory.n ? series_at(&p->memory, t_s) : 0;
}

void history_add_members(struct history *h, const struct machine_watch *w, int32_t pid)
{
	const double spans[] = { [HISTORY_RECENT] = history_seconds(h, HISTORY_RECENT),
				 [HISTORY_START] = history_seconds(h, HISTORY_START) };
	size_t *root = xcalloc(w->n_procs + 1, sizeof(*root)), i;

	h->n_members = 0;
	machine_roots(w, root);
	for (i = 0; i < w->n_procs && h->n_members < HISTORY_MEMBERS; i++) {
		const struct machine_proc *p = &w->procs[i];
		struct history_member *m = &h->members[h->n_members];
		double now = machine_proc_bytes(p);

		if (p->has_ended || w->procs[root[i]].pid != pid)
			continue;
		*m = (struct history_member){ .pid = p->pid, .bytes = now, .seen = p->seen };
		snprintf(m->name, sizeof(m->name), "%s", p->name);
		m->grown[HISTORY_RECENT] = now - bytes_at(p, w->window_s - spans[HISTORY_RECENT]);
		m->grown[HISTORY_START] = now - bytes_at(p, w->window_s - spans[HISTORY_START]);
		h->n_members++;
	}
	free(root);
}

void history_release_machine(struct history *h)
{
	size_t i;

	for (i = 0; i < h->n_trees; i++)
		series_release(&h->trees[i].bytes);
	free(h->trees);
}
