/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See series.h. */
#include "model/series.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Of the normal distribution: 95 % lie within. */
#define Z_95 1.96

static void halve(struct series *s)
{
	size_t i;

	for (i = 0; i + 1 < s->n; i += 2)
		s->v[i / 2] = s->v[i].bytes <= s->v[i + 1].bytes ? s->v[i] : s->v[i + 1];
	s->n /= 2;
	s->every *= 2;
}

/* Doubles from 16 points on: most series are short. */
static void make_room(struct series *s)
{
	if (!s->v)
		s->every = 1;
	if (!s->v || (s->n >= 16 && s->n < SERIES_MOST && !(s->n & (s->n - 1))))
		s->v = xreallocarray(s->v, s->n < 16 ? 16 : 2 * s->n, sizeof(*s->v));
}

void series_add(struct series *s, double t_s, double bytes)
{
	make_room(s);
	if (s->skipped && s->n) {
		if (bytes < s->v[s->n - 1].bytes)
			s->v[s->n - 1] = (struct series_point){ t_s, bytes };
	} else {
		if (s->n == SERIES_MOST)
			halve(s);
		s->v[s->n++] = (struct series_point){ t_s, bytes };
	}
	s->skipped = (s->skipped + 1) % s->every;
}

void series_release(struct series *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

double series_at(const struct series *s, double t_s)
{
	size_t i;

	if (!s->n)
		return 0;
	for (i = s->n; i-- > 1;)
		if (s->v[i].t_s <= t_s)
			return s->v[i].bytes;
	return s->v[0].bytes;
}

double series_last(const struct series *s)
{
	return s->n ? s->v[s->n - 1].bytes : 0;
}

void series_range(const struct series *s, double from_s, double to_s, double *lowest,
		  double *highest)
{
	size_t i;

	*lowest = INFINITY;
	*highest = -INFINITY;
	for (i = 0; i < s->n; i++) {
		if (s->v[i].t_s < from_s || s->v[i].t_s > to_s)
			continue;
		*lowest = fmin(*lowest, s->v[i].bytes);
		*highest = fmax(*highest, s->v[i].bytes);
	}
	if (*lowest > *highest)
		*lowest = *highest = 0;
}

size_t series_floor(const struct series *s, double from_s, double to_s, struct series_point *out,
		    size_t n)
{
	double width = (to_s - from_s) / (double)n;
	size_t i, part, last = SIZE_MAX, n_out = 0;

	if (width <= 0)
		return 0;
	for (i = 0; i < s->n; i++) {
		const struct series_point *p = &s->v[i];

		if (p->t_s < from_s || p->t_s > to_s)
			continue;
		part = (size_t)((p->t_s - from_s) / width);
		part = part < n ? part : n - 1;
		if (part != last)
			out[n_out++] = *p;
		else if (p->bytes < out[n_out - 1].bytes)
			out[n_out - 1] = *p;
		last = part;
	}
	return n_out;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void trend_of(const struct series_point *v, size_t n, struct trend *t)
{
	double slopes[FLOOR_POINTS * (FLOOR_POINTS - 1) / 2], ups = 0, off;
	size_t i, j, n_slopes = 0, low, high;

	*t = (struct trend){ .n = n };
	if (n < 4)
		return;
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++) {
			if (v[j].t_s <= v[i].t_s)
				continue;
			slopes[n_slopes] = (v[j].bytes - v[i].bytes) / (v[j].t_s - v[i].t_s);
			ups += (slopes[n_slopes] > 0) - (slopes[n_slopes] < 0);
			n_slopes++;
		}
	if (!n_slopes)
		return;
	qsort(slopes, n_slopes, sizeof(slopes[0]), by_size);
	off = Z_95 * sqrt((double)n * (double)(n - 1) * (double)(2 * n + 5) / 18) / 2;
	low = (double)n_slopes / 2 > off ? (size_t)((double)n_slopes / 2 - off) : 0;
	high = (size_t)ceil((double)n_slopes / 2 + off);
	t->tau = ups / (double)n_slopes;
	t->slope = n_slopes % 2 ? slopes[n_slopes / 2]
				: (slopes[n_slopes / 2 - 1] + slopes[n_slopes / 2]) / 2;
	t->low = slopes[low];
	t->high = slopes[high < n_slopes ? high : n_slopes - 1];
}

double slope_of(const struct series_point *v, size_t n)
{
	double t = 0, b = 0, tt = 0, tb = 0;
	size_t i;

	if (n < 2)
		return 0;
	for (i = 0; i < n; i++) {
		t += v[i].t_s / (double)n;
		b += v[i].bytes / (double)n;
	}
	for (i = 0; i < n; i++) {
		tt += (v[i].t_s - t) * (v[i].t_s - t);
		tb += (v[i].t_s - t) * (v[i].bytes - b);
	}
	return tt > 0 ? tb / tt : 0;
}

unsigned int series_falls(const struct series *s, double from_s, double to_s, double least)
{
	double lowest = INFINITY, highest = -INFINITY;
	bool has_risen = false;
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < s->n; i++) {
		double b = s->v[i].bytes;

		if (s->v[i].t_s < from_s || s->v[i].t_s > to_s)
			continue;
		if (has_risen) {
			highest = fmax(highest, b);
			if (b > highest - least)
				continue;
			n++;
			has_risen = false;
			lowest = b;
		} else {
			lowest = fmin(lowest, b);
			if (b < lowest + least)
				continue;
			has_risen = true;
			highest = b;
		}
	}
	return n;
}
