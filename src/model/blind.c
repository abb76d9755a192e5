/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See blind.h. The verdict's bounds are those of verdict.c. */
#include "model/blind.h"

#include <math.h>

#include "base/units.h"
#include "model/profile.h"

#define LEAST_RATE 4096.0
#define LEAST_RATE_S 60
#define WARM_UP 0.1
#define DEVIATIONS 3
/* The mean tau of a slope that passes the verdict's 0.6 in four runs of five. */
#define WANTED_TAU 0.75
#define LEAST_POINTS 4

/* Mean of Kendall's tau of n points with noise of deviation 1 on a line that rises by `step` from one to the next. */
static double mean_tau(size_t n, double step)
{
	double sum = 0, pairs = 0;
	size_t d;

	for (d = 1; d < n; d++) {
		sum += (double)(n - d) * erf((double)d * step / 2); /* 2 Phi(d step / sqrt 2) - 1 */
		pairs += (double)(n - d);
	}
	return sum / pairs;
}

static double wanted_step(size_t n)
{
	double low = 0, high = 8;
	int i;

	for (i = 0; i < 40; i++) {
		double mid = (low + high) / 2;

		if (mean_tau(n, mid) < WANTED_TAU)
			low = mid;
		else
			high = mid;
	}
	return high;
}

/* Of the points from their line. */
static double noise_of(const struct series_point *v, size_t n)
{
	double slope = slope_of(v, n), mean = 0, t = 0, sum = 0, off;
	size_t i;

	for (i = 0; i < n; i++) {
		mean += v[i].bytes / (double)n;
		t += v[i].t_s / (double)n;
	}
	for (i = 0; i < n; i++) {
		off = v[i].bytes - mean - slope * (v[i].t_s - t);
		sum += off * off;
	}
	return n > 2 ? sqrt(sum / (double)(n - 2)) : 0;
}

void blind_of(const struct series *memory, double window_s, double step_bytes, struct blind *b)
{
	struct series_point floor[FLOOR_POINTS];
	size_t n = series_floor(memory, window_s * WARM_UP, window_s, floor, FLOOR_POINTS), half = n / 2;
	double least = LEAST_RATE, apart;

	*b = (struct blind){ 0 };
	if (window_s <= 0)
		return;
	if (window_s > LEAST_RATE_S)
		least *= LEAST_RATE_S / window_s;
	b->site_rate = fmax(least, DEVIATIONS * DEVIATIONS * step_bytes / window_s);
	if (half < LEAST_POINTS)
		return;
	apart = (floor[n - 1].t_s - floor[half].t_s) / (double)(n - half - 1);
	if (apart > 0)
		b->memory_rate = fmax(LEAST_RATE, wanted_step(n - half) * noise_of(floor + half, n - half) / apart);
}

double blind_longer(double window_s)
{
	static const double windows[] = { 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400 };
	size_t i;

	for (i = 0; i + 1 < sizeof(windows) / sizeof(windows[0]) && windows[i] < 10 * window_s; i++)
		;
	return windows[i];
}

/* In bursts a block stands for all that came while none was looked at: as if one in so many of its size were drawn. */
static double step_of(const struct profile *p)
{
	const struct profile_stack *top = profile_top_grower(p);
	double blocks = top ? (double)totals_live_blocks(&top->t) : 0, step = 0;
	size_t i;

	if (p->watch.rung == RUNG_SAMPLED)
		step = p->watch.interval_bytes;
	for (i = 0; i < p->watch.n_steps; i++)
		step = p->watch.steps[i].to == RUNG_SAMPLED ? fmax(step, p->watch.steps[i].interval_bytes) : step;
	if (rung_is_gated(p->watch.rung) && p->watch.open_share > 0 && p->watch.open_share < 1 && blocks > 0)
		step = fmax(step, (double)totals_live_bytes(&top->t) / blocks * (1 / p->watch.open_share - 1));
	return step;
}

void profile_blind(struct profile *p)
{
	blind_of(&p->memory, (double)p->window_ns / NS_PER_S, step_of(p), &p->blind);
}
