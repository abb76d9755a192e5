/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See heap_rise.h. */
#include "model/heap_rise.h"

#include <math.h>

#define DEVIATIONS 2

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
		double missing = v[i].claimed - fmax(0, v[i].grown) - DEVIATIONS * sqrt(v[i].variance);

		if (missing > 0 && i + 1 < n && v[i + 1].proc == v[i].proc && v[i + 1].size_class == v[i].size_class + 1)
			missing -= take_from(&v[i + 1], missing);
		v[i].replaced = fmax(0, missing);
	}
}
