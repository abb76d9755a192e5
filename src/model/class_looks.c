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
/*
 * Second half of the looks by the first: what fills as 1 - e^-t has far less, what grows as the root of time 0.71 and
 * less.
 */
#define STRAIGHT_LOW 0.8
#define STRAIGHT_HIGH 1.6
/* Of what came early, and for what is gone of older ones. */
#define STAYED 0.9
/* More may come than before: what had more to do. That those that came before are not replaced is known. */
#define FASTER 3
#define LEAST_EARLY 50
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

/* What came until the first, came until the next one; the first one ends. */
static void join(struct class_look *first, struct class_look *next)
{
	size_t i;

	for (i = 0; i < first->n; i++) {
		next->v[i].came += first->v[i].came;
		next->v[i].stayed += first->v[i].stayed;
	}
	free(first->v);
}

static void thin_out(struct class_looks *l)
{
	size_t i;

	for (i = 0; 2 * i + 1 < l->n; i++) {
		join(&l->v[2 * i], &l->v[2 * i + 1]);
		l->v[i] = l->v[2 * i + 1];
	}
	l->n /= 2;
	l->every_s *= 2;
}

void class_looks_add(struct class_looks *l, const struct class_look *look)
{
	size_t i, k;

	if (look->n > CLASS_LOOKS_MOST) {
		class_looks_release(l);
		free(look->v);
		return;
	}
	if (!l->n)
		l->every_s = 1;
	if (l->n == CLASS_LOOKS)
		thin_out(l);
	l->v[l->n++] = *look;
	for (k = 0; k < l->n; k++)
		for (i = 0; i < l->v[k].n; i++)
			l->v[k].v[i].stayed = 0;
}

void class_looks_count(struct class_looks *l, size_t class, const uint32_t *since)
{
	uint32_t number = 0;
	size_t k;

	for (k = 0; k < l->n; k++) {
		struct class_look *look = &l->v[k];
		float n = 0;

		for (; number < look->number; number++)
			n += (float)since[number];
		if (class >= look->n)
			continue;
		look->v[class].stayed += n;
		if (k == l->n - 1)
			look->v[class].came += n;
	}
}

/* Rises in nearly all pairs; *ratio: of the slope of the second half by that of the first, 0 where that does not rise. */
static bool rises(const struct series_point *v, size_t n, struct trend *t, double *ratio)
{
	size_t half = n / 2;
	double first;

	trend_of(v, n, t);
	if (t->tau < LEAST_TAU || t->low <= 0)
		return false;
	first = slope_of(v, half);
	*ratio = first > 0 ? slope_of(v + half, n - half) / first : 0;
	return true;
}

/* As fast at the end as at the beginning? */
static bool is_straight(const struct series_point *v, size_t n, struct trend *t, double *ratio)
{
	return rises(v, n, t, ratio) && *ratio >= STRAIGHT_LOW && *ratio <= STRAIGHT_HIGH;
}

/* As many come as before, or more? */
static bool keeps_coming(const struct series_point *v, size_t n, struct trend *t, double *ratio)
{
	return rises(v, n, t, ratio) && *ratio >= STRAIGHT_LOW && *ratio <= FASTER;
}

static struct class_count count_at(const struct class_look *look, size_t class)
{
	return class < look->n ? look->v[class] : (struct class_count){ 0 };
}

static double objects_at(const struct class_look *look, size_t class)
{
	return (double)count_at(look, class).objects;
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
			points[i] = (struct series_point){ looks[i].of_s, objects_at(&looks[i], class) };
		if (!is_straight(points, n, &t, &ratio))
			continue;
		*grown = more;
		best = class;
	}
	return best;
}

/* Those after the warm-up: *n of them; NULL: they do not tell of the window. */
static const struct class_look *looks_of(const struct class_looks *l, double window_s, size_t *n)
{
	const struct class_look *looks = l->v;

	for (*n = l->n; *n && looks->of_s < window_s * WARM_UP; looks++)
		--*n;
	return *n >= LEAST_LOOKS && looks[*n - 1].of_s - looks->of_s >= window_s * LEAST_SPAN ? looks : NULL;
}

bool class_looks_rise(const struct class_looks *l, double window_s, struct class_rise *out)
{
	struct series_point bytes[CLASS_LOOKS];
	const struct class_look *looks, *last;
	struct trend t;
	double grown;
	size_t n, i;

	*out = (struct class_rise){ 0 };
	looks = looks_of(l, window_s, &n);
	if (!looks)
		return false;
	last = &looks[n - 1];
	for (i = 0; i < n; i++)
		bytes[i] = (struct series_point){ looks[i].of_s, looks[i].bytes };
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

/* Does a class stay? Born 0: it does not. Its rate is that of its objects. */
static struct class_stay stay_of(const struct class_look *looks, size_t n, size_t class)
{
	const struct class_look *first = looks, *last = &looks[n - 1];
	double middle_s = (first->of_s + last->of_s) / 2, early = 0, alive = 0, born = 0;
	struct class_count now = count_at(last, class);
	struct series_point points[CLASS_LOOKS];
	struct class_stay s = { .class = class, .full = last->full - first->full };
	struct trend t;
	size_t i;

	points[0] = (struct series_point){ first->of_s, 0 };
	for (i = 1; i < n; i++) {
		struct class_count c = count_at(&looks[i], class);

		born += (double)c.stayed;
		points[i] = (struct series_point){ looks[i].of_s, born };
		early += looks[i].of_s <= middle_s ? (double)c.came : 0;
		alive += looks[i].of_s <= middle_s ? (double)c.stayed : 0;
	}
	if (born < LEAST_OBJECTS || early < LEAST_EARLY || alive < STAYED * early ||
	    (double)now.objects - objects_at(first, class) < STAYED * born || !keeps_coming(points, n, &t, &s.ratio))
		return s;
	s.born = (uint64_t)born;
	s.early = (uint64_t)early;
	s.alive = (uint64_t)alive;
	s.rate = t.slope * (double)now.bytes / (double)now.objects;
	return s;
}

bool class_looks_stay(const struct class_looks *l, double window_s, struct class_stay *out)
{
	const struct class_look *looks;
	double rate = 0;
	size_t n, class;

	*out = (struct class_stay){ 0 };
	looks = looks_of(l, window_s, &n);
	if (!looks || !looks->number || looks[n - 1].t_s < window_s * DECIDING_UNTIL)
		return false;
	for (class = l->n_parts; class < looks[n - 1].n; class++) {
		struct class_stay s = stay_of(looks, n, class);

		rate += s.rate;
		if (s.born > out->born)
			*out = s;
	}
	out->rate = rate;
	return out->born > 0;
}

bool class_looks_tell(const struct class_looks *l, double window_s)
{
	size_t n;
	const struct class_look *looks = looks_of(l, window_s, &n);

	return looks && n >= DECIDING_LOOKS && looks[n - 1].t_s >= window_s * DECIDING_UNTIL;
}

void class_looks_release(struct class_looks *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].v);
	memset(l, 0, sizeof(*l));
}
