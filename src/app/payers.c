/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See payers.h. */
#include "app/payers.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "model/profile.h"

struct payer *payers_find(const struct payers *l, uint32_t gen)
{
	const uint64_t *at = table_get(&l->by_gen, gen);

	return at ? &l->v[*at] : NULL;
}

static void take_out(struct payers *l, uint32_t gen)
{
	const uint64_t *found = table_get(&l->by_gen, gen);
	size_t at;

	if (!found)
		return;
	at = *found;
	table_remove(&l->by_gen, gen);
	spare_look_release(&l->v[at].spare);
	l->v[at] = l->v[--l->n];
	if (at < l->n)
		*table_put(&l->by_gen, l->v[at].gen, 0) = at;
	l->n_gone++;
}

struct payer *payers_get(struct payers *l, const struct profile *p, uint32_t gen, double purse_seconds)
{
	const uint64_t *proc = table_get(&p->proc_ids, gen);
	struct payer *w = payers_find(l, gen);

	if (proc && p->procs[*proc].state != PROC_RUNNING) {
		take_out(l, gen);
		return NULL;
	}
	if (w || !proc)
		return w;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n] = (struct payer){ .gen = gen, .tgid = p->procs[*proc].tgid, .purse.seconds = purse_seconds };
	table_put(&l->by_gen, gen, l->n);
	return &l->v[l->n++];
}

void payers_release(struct payers *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		spare_look_release(&l->v[i].spare);
	free(l->v);
	table_release(&l->by_gen);
}
