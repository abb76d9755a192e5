/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Spans in which frees were watched; see watched.h. */
#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "model/watched.h"

/* None seen of those that are expected: up to three are, in 95 of 100 cases. */
#define UNSEEN 3

void watched_add(struct watched_spans *w, uint32_t begin_ms, uint32_t end_ms)
{
	if (end_ms <= begin_ms || (w->n && w->v[w->n - 1].end_ms > begin_ms))
		return;
	XGROW(w->v, w->n, w->cap);
	w->v[w->n++] = (struct watched_span){ begin_ms, end_ms };
}

bool watched_long(const struct watched_spans *w, uint32_t birth_ms)
{
	size_t low = 0, high = w->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (w->v[mid].end_ms <= birth_ms)
			low = mid + 1;
		else
			high = mid;
	}
	/* of no span: it is watched still */
	if (low == w->n || birth_ms < w->v[low].begin_ms)
		return true;
	return birth_ms - w->v[low].begin_ms < (w->v[low].end_ms - w->v[low].begin_ms) / 2;
}

void watched_release(struct watched_spans *w)
{
	free(w->v);
	*w = (struct watched_spans){ 0 };
}

double watched_may_stay(double born, double unmet_early)
{
	double most = 2 * (unmet_early + 2 * sqrt(unmet_early) + UNSEEN);

	return most < born ? most : born;
}
