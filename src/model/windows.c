/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See windows.h. */
#include "model/windows.h"

#include <stdlib.h>
#include <string.h>

/* As in verdict.c: the first part of the window is warm-up. */
#define WARM_UP 0.1
/* Straight by itself: of so many moments in each half, with so few falls, and not dying out (as in verdict.c). */
#define LEAST_HALF 4
#define LEAST_TAU 0.9
#define DYING_RATIO 0.5
/* Grown in a part: by so much of the mean of all. */
#define LEAST_OF_MEAN 0.25

bool windows_is_due(const struct windows *w, double t_s)
{
	return !w->n || t_s >= w->v[w->n - 1].t_s + w->every_s;
}

static void thin_out(struct windows *w)
{
	size_t i;

	for (i = 0; i < w->n; i += 2)
		free(w->v[i].live);
	for (i = 0; 2 * i + 1 < w->n; i++)
		w->v[i] = w->v[2 * i + 1];
	w->n /= 2;
	w->every_s *= 2;
}

void windows_add(struct windows *w, double t_s, float *live, size_t n)
{
	if (n > WINDOWS_MOST_STACKS) {
		windows_release(w);
		free(live);
		return;
	}
	if (!w->n)
		w->every_s = 1;
	if (w->n == WINDOWS_MOMENTS)
		thin_out(w);
	w->v[w->n++] = (struct windows_moment){ t_s, live, n };
}

static double live_at(const struct windows_moment *m, size_t stack)
{
	return stack < m->n ? (double)m->live[stack] : 0;
}

/* Between two moments in proportion. */
static double value_at(const struct windows *w, size_t stack, double t_s, double end_s, double end_live)
{
	double from_s = 0, from = 0, to_s = end_s, to = end_live;
	size_t i;

	for (i = 0; i < w->n && w->v[i].t_s <= t_s; i++) {
		from_s = w->v[i].t_s;
		from = live_at(&w->v[i], stack);
	}
	if (i < w->n && w->v[i].t_s < end_s) {
		to_s = w->v[i].t_s;
		to = live_at(&w->v[i], stack);
	}
	return to_s > from_s ? from + (to - from) * (t_s - from_s) / (to_s - from_s) : to;
}

unsigned int windows_grown(const struct windows *w, size_t stack, double end_s, double end_live)
{
	double from_s = end_s * WARM_UP, width = (end_s - from_s) / WINDOWS_NR, last, start, least;
	unsigned int i, n = 0;

	if (w->n < WINDOWS_NR)
		return 0;
	last = start = value_at(w, stack, from_s, end_s, end_live);
	least = (end_live - start) / WINDOWS_NR * LEAST_OF_MEAN;
	if (least <= 0)
		return 0;
	for (i = 1; i <= WINDOWS_NR; i++) {
		double now = i < WINDOWS_NR ? value_at(w, stack, from_s + i * width, end_s, end_live) : end_live;

		n += now - last >= least;
		last = now;
	}
	return n;
}

/* Moments after the warm-up, and the end. */
static size_t points_of(const struct windows *w, size_t stack, double end_s, double end_live,
			struct series_point out[WINDOWS_MOMENTS + 1])
{
	size_t i, n = 0;

	for (i = 0; i < w->n && w->v[i].t_s < end_s; i++)
		if (w->v[i].t_s >= end_s * WARM_UP)
			out[n++] = (struct series_point){ w->v[i].t_s, live_at(&w->v[i], stack) };
	out[n++] = (struct series_point){ end_s, end_live };
	return n;
}

bool windows_rise(const struct windows *w, size_t stack, double end_s, double end_live, struct site_trend *out)
{
	struct series_point points[WINDOWS_MOMENTS + 1], *v = points;
	size_t n = points_of(w, stack, end_s, end_live, points), half;
	struct trend t;
	double first;

	*out = (struct site_trend){ 0 };
	if (n > FLOOR_POINTS) {
		v += n - FLOOR_POINTS;
		n = FLOOR_POINTS;
	}
	half = n / 2;
	if (half < LEAST_HALF)
		return false;
	trend_of(v, n, &t);
	first = slope_of(v, half);
	if (t.tau < LEAST_TAU || t.low <= 0 || first <= 0)
		return false;
	if (slope_of(v + half, n - half) <= first * DYING_RATIO)
		return false;
	*out = (struct site_trend){ t.slope, t.low, t.high, slope_of(v + half, n - half) / first };
	return true;
}

void windows_release(struct windows *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i].live);
	memset(w, 0, sizeof(*w));
}
