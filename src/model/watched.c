/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Spans in which frees were watched; see watched.h. */
#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "model/watched.h"

/* None seen of those that are expected: up to three are, in 95 of 100 cases. */
#define UNSEEN 3
/* Of a span. */
#define MOST_PACE 1024

void watched_begin(struct watched_spans *w, uint32_t begin_ms)
{
	w->is_open = true;
	w->begin_ms = begin_ms;
	w->n_pace = 0;
	w->pace_ms = 0;
}

/* Every second one only, from here on too. */
static void thin_out(struct watched_spans *w)
{
	size_t i;

	for (i = 0; i < w->n_pace / 2; i++)
		w->pace[i] = w->pace[2 * i + 1];
	w->n_pace /= 2;
	w->pace_ms = w->pace_ms ? 2 * w->pace_ms : 2 * (w->pace[w->n_pace - 1].at_ms - w->begin_ms) / MOST_PACE;
}

void watched_note(struct watched_spans *w, uint32_t at_ms, double allocs)
{
	struct watched_pace *last = w->n_pace ? &w->pace[w->n_pace - 1] : NULL;
	uint32_t before_ms = w->n_pace > 1 ? last[-1].at_ms : w->begin_ms;

	if (!w->is_open || allocs <= 0)
		return;
	if (last && at_ms - before_ms < w->pace_ms) {
		*last = (struct watched_pace){ at_ms, last->allocs + allocs };
		return;
	}
	allocs += last ? last->allocs : 0;
	if (w->n_pace == MOST_PACE)
		thin_out(w);
	XGROW(w->pace, w->n_pace, w->pace_cap);
	w->pace[w->n_pace++] = (struct watched_pace){ at_ms, allocs };
}

/* When half of the allocs had been made; of the time where none are known. */
static uint32_t middle_of(const struct watched_spans *w, uint32_t end_ms)
{
	struct watched_pace before = { w->begin_ms, 0 }, p = { end_ms, 0 };
	double half = w->n_pace ? w->pace[w->n_pace - 1].allocs / 2 : 0;
	size_t i;

	if (half <= 0)
		return w->begin_ms + (end_ms - w->begin_ms) / 2;
	for (i = 0; i < w->n_pace; i++, before = p) {
		p = w->pace[i];
		if (p.allocs >= half)
			break;
	}
	if (p.at_ms > end_ms)
		p.at_ms = end_ms;
	if (p.at_ms <= before.at_ms)
		return p.at_ms;
	return before.at_ms +
	       (uint32_t)((double)(p.at_ms - before.at_ms) * (half - before.allocs) / (p.allocs - before.allocs) + 0.5);
}

void watched_end(struct watched_spans *w, uint32_t end_ms)
{
	struct watched_span s = { .begin_ms = w->begin_ms, .end_ms = end_ms };

	if (!w->is_open)
		return;
	w->is_open = false;
	if (end_ms <= s.begin_ms || (w->n && w->v[w->n - 1].end_ms > s.begin_ms))
		return;
	s.middle_ms = middle_of(w, end_ms);
	XGROW(w->v, w->n, w->cap);
	w->v[w->n++] = s;
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
	return birth_ms < w->v[low].middle_ms;
}

void watched_release(struct watched_spans *w)
{
	free(w->v);
	free(w->pace);
	*w = (struct watched_spans){ 0 };
}

double watched_may_stay(double born, double unmet_early)
{
	double most = 2 * (unmet_early + 2 * sqrt(unmet_early) + UNSEEN);

	return most < born ? most : born;
}
