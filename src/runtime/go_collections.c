/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How often Go has collected its garbage, from runtime.memstats (src/runtime/mstats.go, 1.7 to 1.24): somewhere in it
 * are, in this order, when the last collection ended (ns since 1970), the pauses' sum, rings of 256 pauses and of 256
 * ends, and the number of collections. What precedes them differs by version, so they are looked for by what holds
 * there alone: the end in the ring at the place that the number gives is that of the last collection. Every collection
 * is a full one.
 */
#include <errno.h>

#include "runtime/go.h"

#define WORDS 1536 /* of memstats that are looked through; the number is the 965th in 1.19 */
#define TRIES 5	   /* it may collect meanwhile */
#define RING 256
#define ENDS (2 + RING)	 /* words from the last collection's end to the ring of ends */
#define NUMBER (2 + 2 * RING)
#define YEAR_2010 1262304000000000000ull
#define YEAR_2100 4102444800000000000ull

static bool is_time(uint64_t ns)
{
	return ns > YEAR_2010 && ns < YEAR_2100;
}

/* Word i is when the last one ended. */
static bool is_last_end(const uint64_t *v, size_t i)
{
	uint32_t n = (uint32_t)v[i + NUMBER];

	return is_time(v[i]) && n && v[i + ENDS + (n + RING - 1) % RING] == v[i];
}

static int count(const struct runtime *r, uint64_t memstats, uint64_t *full)
{
	uint64_t v[WORDS];
	bool has_time = false;
	size_t i, n = WORDS;

	while (n > NUMBER && !runtime_read(&r->process, memstats, v, n * sizeof(v[0])))
		n -= 64; /* the program's data ends */
	if (n <= NUMBER)
		return -ENOTSUP;
	for (i = 0; i + NUMBER < n; i++) {
		if (is_last_end(v, i)) {
			*full = (uint32_t)v[i + NUMBER];
			return 0;
		}
		has_time |= is_time(v[i]);
	}
	*full = 0;
	return has_time ? -ESTALE : 0; /* none has ended yet; or it is another layout */
}

int go_count_collections(const struct runtime *r, uint64_t memstats, uint64_t *full)
{
	int err = -ENOTSUP, i;

	for (i = 0; memstats && i < TRIES; i++) {
		err = count(r, memstats, full);
		if (err != -ESTALE)
			break;
	}
	return err;
}
