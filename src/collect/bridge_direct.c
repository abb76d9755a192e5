/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Mappings that the program itself has made since the attach, as a row of the bridge: where they are is known by the vm
 * plane's intervals, what of them is resident by the page tables. Part of the bridge.
 *
 * Only in mappings that smaps shows as anonymous now, and only what nothing closer claims (a walked heap, a stack, a
 * runtime's heap): a record may be behind what smaps shows. Nothing where the vm plane is off.
 */
#include <stdlib.h>

#include "base/xalloc.h"
#include "collect/bridge_internal.h"
#include "collect/vm_plane.h"

struct claim_list {
	const struct bridge_look *l;
	struct bridge_claim *v;
	size_t n, cap;
};

static void add(struct claim_list *list, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	XGROW(list->v, list->n, list->cap);
	list->v[list->n++] = (struct bridge_claim){ start, end, BRIDGE_DIRECT_SINCE };
}

static void take_range(void *ctx, uint32_t stack, uint64_t start, uint64_t end)
{
	struct claim_list *list = ctx;

	if (list->l->c->profile.stacks[stack].proc == list->l->b->proc)
		add(list, start, end);
}

/* What of from[] lies in anonymous mappings; all are sorted. */
static void keep_anonymous(struct claim_list *out, const struct claim_list *from)
{
	const struct proc_maps *maps = &out->l->smaps.maps;
	size_t i, k, first = 0;

	for (i = 0; i < from->n; i++) {
		while (first < maps->n && maps->v[first].end <= from->v[i].start)
			first++;
		for (k = first; k < maps->n && maps->v[k].start < from->v[i].end; k++) {
			const struct proc_map *m = &maps->v[k];
			enum bridge_row row = bridge_row_of(out->l, m);

			if (row == BRIDGE_DIRECT || row == BRIDGE_OTHER_HEAP)
				add(out, from->v[i].start > m->start ? from->v[i].start : m->start,
				    from->v[i].end < m->end ? from->v[i].end : m->end);
		}
	}
}

/* ... and is not claimed. */
static void keep_unclaimed(struct claim_list *out, const struct claim_list *from)
{
	const struct bridge_look *l = out->l;
	size_t i, k, first = 0;

	for (i = 0; i < from->n; i++) {
		uint64_t at = from->v[i].start, end = from->v[i].end;

		while (first < l->n_claims && l->claims[first].end <= at)
			first++;
		for (k = first; k < l->n_claims && l->claims[k].start < end; k++) {
			add(out, at, l->claims[k].start);
			at = l->claims[k].end > at ? l->claims[k].end : at;
		}
		add(out, at, end);
	}
}

void bridge_claim_direct(struct bridge_look *l)
{
	struct claim_list all = { .l = l }, anonymous = { .l = l }, ours = { .l = l };
	size_t i;

	vm_plane_each(l->c, take_range, &all);
	keep_anonymous(&anonymous, &all);
	keep_unclaimed(&ours, &anonymous);
	if (ours.n) {
		l->claims = xreallocarray(l->claims, l->n_claims + ours.n, sizeof(*l->claims));
		for (i = 0; i < ours.n; i++)
			l->claims[l->n_claims++] = ours.v[i];
		qsort(l->claims, l->n_claims, sizeof(*l->claims), bridge_claims_by_start);
	}
	free(all.v);
	free(anonymous.v);
	free(ours.v);
}
