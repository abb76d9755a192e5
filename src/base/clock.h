/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The clock of durations and deadlines. What can be tested without waiting takes the time as an argument instead. */
#ifndef MEMPROBE_BASE_CLOCK_H
#define MEMPROBE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/units.h"

static inline uint64_t clock_monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif
