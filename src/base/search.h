/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where in an array that is sorted by one uint64_t member of its elements.
 *
 *	starts of v: 10 20 20 30
 *	FIRST_ABOVE(v, 4, start, 9)  = 0	what holds 9 begins nowhere
 *	FIRST_ABOVE(v, 4, start, 20) = 3	what holds 20 is v[2], if it reaches so far
 *	FIRST_ABOVE(v, 4, start, 99) = 4
 */
#ifndef MEMPROBE_BASE_SEARCH_H
#define MEMPROBE_BASE_SEARCH_H

#include <stddef.h>
#include <stdint.h>

static inline size_t first_above(const void *v, size_t n, size_t element_bytes, size_t offset, uint64_t limit)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (*(const uint64_t *)((const char *)v + mid * element_bytes + offset) <= limit)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Index of the first of the n elements whose member is above limit; n when there is none. v may be NULL with n 0. */
#define FIRST_ABOVE(v, n, member, limit)                                                                          \
	({                                                                                                        \
		_Static_assert(sizeof((v)->member) == sizeof(uint64_t), #member " is no uint64_t");               \
		first_above(v, n, sizeof(*(v)), offsetof(__typeof__(*(v)), member), limit);                       \
	})

#endif
