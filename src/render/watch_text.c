/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See watch_text.h. Pure. */
#include "render/watch_text.h"

#include "base/units.h"
#include "render/verdict_internal.h"

static void add_rung(struct buf *out, const struct profile_watch *w, enum rung r, uint32_t interval_bytes)
{
	switch (r) {
	case RUNG_SAMPLED:
		buf_addf(out, "sampled every %u KiB", interval_bytes / 1024);
		break;
	case RUNG_BURSTS:
	case RUNG_BRIEF:
		buf_addf(out, "%s, %.*f %% of the time", rung_name(r), w->open_share < 0.095 ? 1 : 0,
			 w->open_share * 100);
		break;
	case RUNG_AWAY:
		buf_addf(out, "no more: even 1 %% of the time the probes would cost %.*f %% of its CPU; --sample off insists",
			 w->least_share < 0.0995 ? 1 : 0, w->least_share * 100);
		break;
	default:
		buf_adds(out, "exact");
	}
}

void watch_add_how(struct buf *out, const struct profile *p)
{
	const struct profile_watch *w = &p->watch;
	char at[24];
	size_t i;

	if (watch_is_exact(p)) {
		buf_adds(out, "every malloc and free counted, nothing sampled");
		return;
	}
	if (!w->n_steps && rung_is_gated(w->rung))
		buf_adds(out, "watched ");
	for (i = 0; i < w->n_steps; i++) {
		add_rung(out, w, w->steps[i].from, i ? w->steps[i - 1].interval_bytes : w->interval_bytes);
		buf_addf(out, " until %s, then ", units_format_duration(at, w->steps[i].time_ns));
	}
	add_rung(out, w, w->rung, w->interval_bytes);
	if (w->rung == RUNG_AWAY)
		return;
	if (w->rung != RUNG_SAMPLED && w->too_much > 0) {
		buf_adds(out, " (proportions only: all together would be ");
		verdict_add_brief(out, w->too_much);
		buf_adds(out, " times what is mapped, and is scaled down to it)");
	} else if (w->rung != RUNG_SAMPLED && w->slowdown >= LADDER_ROUGH)
		buf_addf(out, " (%.0f times slower in them: amounts are right in proportion, their scale within a factor of a few)",
			 w->slowdown);
	else
		buf_adds(out, w->rung == RUNG_SAMPLED ? " (so: +/-)" : " (so: about)");
}

static void add_percent(struct buf *out, double share)
{
	buf_addf(out, "est. %.*f %%", share < 0.095 ? 1 : 0, share * 100);
}

double watch_counted_work(const struct profile_watch *w)
{
	/* older recordings know the queue only */
	return ladder_counted_work(w->work, w->taken > w->delay_armed ? w->taken : w->delay_armed);
}

void watch_add_cost(struct buf *out, const struct profile *p)
{
	const struct profile_watch *w = &p->watch;
	double counted = watch_counted_work(w);
	bool is_light = w->work < 0.8 * counted;

	if (w->share <= 0)
		return;
	if (is_light) {
		add_percent(out, w->share * w->work);
		buf_adds(out, " of one CPU");
	} else {
		add_percent(out, w->share);
		buf_adds(out, " of its CPU");
	}
	if (w->is_fixed)
		buf_adds(out, " (no budget: --sample)");
	else if (is_light)
		buf_addf(out, " (budget %.3g %%: it works little)", w->budget * counted * 100);
	else
		buf_addf(out, " (budget %.3g %%)", w->budget * 100);
}

void watch_add_outside(struct buf *out, const struct profile *p)
{
	const struct profile_watch *w = &p->watch;

	if (w->cpu_before < 0 || w->cpu_armed < 0)
		return;
	buf_addf(out, "its CPU %.2f before, %.2f while armed", w->cpu_before, w->cpu_armed);
	if (w->delay_before >= 0 && w->delay_armed >= 0)
		buf_addf(out, "; waiting for a CPU %.2f and %.2f", w->delay_before, w->delay_armed);
}
