/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See class_looks.h. */
#include "model/class_looks.h"

#include <stdlib.h>
#include <string.h>

#include "model/series.h"

/* As in verdict.c: the first part of the window is warm-up. */
#define WARM_UP 0.1
/* Three full collections between them. */
#define LEAST_LOOKS 4
#define LEAST_SPAN 0.5
/* Rises: nearly all pairs of looks do. */
#define LEAST_TAU 0.9
/* Fewer come and go at any moment. */
#define LEAST_OBJECTS 100
/* Second half of the looks by the first: what fills as 1 - e^-t has far less, what grows as the root of time 0.71 and less. */
#define STRAIGHT_LOW 0.8
#define STRAIGHT_HIGH 1.6
/* To decide alone what the memory does. Bytes per second: slower is not told from nothing. */
#define DECIDING_LOOKS 6
#define DECIDING_UNTIL 0.85
#define LEAST_RATE 4096

_Static_assert(CLASS_LOOKS <= FLOOR_POINTS, "a trend is of so many points");

bool class_looks_is_due(const struct class_looks *l, double t_s, uint64_t full)
{
	const struct class_look *last = l->n ? &l->v[l->n - 1] : NULL;

	return last ? full > last->full && t_s >= last->t_s + l->every_s : full > 0;
}

static void thin_out(struct class_looks *l)
{
	size_t i;

	for (i = 0; i < l->n; i += 2)
		free(l->v[i].objects);
	for (i = 0; 2 * i + 1 < l->n; i++)
		l->v[i] = l->v[2 * i + 1];
	l->n /= 2;
	l->every_s *= 2;
}

void class_looks_add(struct class_looks *l, const struct class_look *look)
{
	if (look->n > CLASS_LOOKS_MOST) {
		class_looks_release(l);
		free(look->objects);
		return;
	}
	if (!l->n)
		l->every_s = 1;
	if (l->n == CLASS_LOOKS)
		thin_out(l);
	l->v[l->n++] = *look;
}

/* Rises in nearly all pairs, and as fast at the end as at the beginning? */
static bool is_straight(const struct series_point *v, size_t n, struct trend *t, double *ratio)
{
	size_t half = n / 2;
	double first;

	trend_of(v, n, t);
	if (t->tau < LEAST_TAU || t->low <= 0)
		return false;
	first = slope_of(v, half);
	*ratio = first > 0 ? slope_of(v + half, n - half) / first : 0;
	return *ratio >= STRAIGHT_LOW && *ratio <= STRAIGHT_HIGH;
}

static double objects_at(const struct class_look *look, size_t class)
{
	return class < look->n ? (double)look->objects[class] : 0;
}

/* The class with the most growth of those from..to-1 that rise straight; *grown 0: none. */
static size_t find_class(const struct class_look *looks, size_t n, size_t from, size_t to, double *grown)
{
	struct series_point points[CLASS_LOOKS];
	size_t class, best = 0, i;
	struct trend t;
	double ratio;

	*grown = 0;
	for (class = from; class < to && class < looks[n - 1].n; class++) {
		double more = objects_at(&looks[n - 1], class) - objects_at(&looks[0], class);

		if (more < LEAST_OBJECTS || more <= *grown)
			continue;
		for (i = 0; i < n; i++)
			points[i] = (struct series_point){ looks[i].t_s, objects_at(&looks[i], class) };
		if (!is_straight(points, n, &t, &ratio))
			continue;
		*grown = more;
		best = class;
	}
	return best;
}

bool class_looks_rise(const struct class_looks *l, double window_s, struct class_rise *out)
{
	struct series_point bytes[CLASS_LOOKS];
	const struct class_look *looks = l->v, *last;
	size_t n = l->n, i;
	struct trend t;
	double grown;

	*out = (struct class_rise){ 0 };
	for (; n && looks->t_s < window_s * WARM_UP; looks++)
		n--;
	if (n < LEAST_LOOKS)
		return false;
	last = &looks[n - 1];
	if (last->t_s - looks->t_s < window_s * LEAST_SPAN)
		return false;
	for (i = 0; i < n; i++)
		bytes[i] = (struct series_point){ looks[i].t_s, looks[i].bytes };
	if (!is_straight(bytes, n, &t, &out->ratio))
		return false;
	out->class = find_class(looks, n, l->n_parts, last->n, &grown);
	if (!(grown > 0))
		out->class = find_class(looks, n, 0, l->n_parts, &grown);
	out->objects = (uint64_t)grown;
	out->full = last->full - looks->full;
	out->looks = (uint32_t)n;
	out->until_s = last->t_s;
	out->rate = t.slope;
	out->low = t.low;
	out->high = t.high;
	return out->objects > 0;
}

bool class_rise_decides(const struct class_rise *r, double window_s)
{
	return r->objects && r->looks >= DECIDING_LOOKS && r->until_s >= window_s * DECIDING_UNTIL && r->low > LEAST_RATE;
}

void class_looks_release(struct class_looks *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].objects);
	memset(l, 0, sizeof(*l));
}
