/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See heap_rise.h. */
#include "model/heap_rise.h"

#include <math.h>

#define DEVIATIONS 2
/* A class with fewer blocks tells nothing of the scale, nor does one in which more is made that does not stay. */
#define LEAST_BLOCKS 20
#define KEPT_PART 0.9
/* More than this is no matter of scale. */
#define MOST_SCALE 2

/* What the next class has more than was made in it. */
static double take_from(struct heap_rise *next, double wanted)
{
	double more = fmin(wanted, fmax(0, next->grown - next->claimed));

	next->grown -= more;
	return more;
}

void heap_rise_find_replaced(struct heap_rise *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		double missing = v[i].claimed - fmax(0, v[i].grown);

		if (missing > 0 && i + 1 < n && v[i + 1].proc == v[i].proc && v[i + 1].size_class == v[i].size_class + 1)
			missing -= take_from(&v[i + 1], missing);
		v[i].replaced = missing > DEVIATIONS * sqrt(v[i].variance) ? missing : 0;
	}
}

double heap_rise_scale(const struct heap_rise *v, size_t n)
{
	double claimed = 0, grown = 0, variance = 0, scale;
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].claimed < LEAST_BLOCKS || v[i].kept < KEPT_PART * v[i].claimed)
			continue;
		claimed += v[i].claimed;
		variance += v[i].variance;
		grown += v[i].grown * v[i].seen;
	}
	scale = claimed > 0 ? grown / claimed : 1;
	return scale > MOST_SCALE || scale < 1 + DEVIATIONS * sqrt(variance) / fmax(1, claimed) ? 1 : scale;
}
