/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Forked workers and what they share; see workers.h. Pure. */
#include "model/workers.h"

void workers_add(struct workers *w, const struct sharing *s)
{
	int i;

	if (!s->is_there[0] || !s->is_there[1])
		return;
	w->n++;
	for (i = 0; i < 2; i++) {
		w->shared[i] += s->shared_bytes[i];
		w->own[i] += s->private_bytes[i];
	}
}

bool workers_advice(const struct workers *w)
{
	uint64_t fell = w->shared[0] > w->shared[1] ? w->shared[0] - w->shared[1] : 0;

	return w->n && fell > w->shared[0] / 8 && fell >= w->n * WORKERS_FELL_BYTES;
}
