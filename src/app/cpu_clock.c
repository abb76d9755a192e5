/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See cpu_clock.h. */
#include "app/cpu_clock.h"

#include <time.h>

#include "base/units.h"

/* CPUCLOCK_SCHED, of a process or (4) a thread; 0 when it has ended. */
static uint64_t read_clock(int32_t pid, uint32_t kind)
{
	struct timespec t;

	if (clock_gettime((clockid_t)(~(uint32_t)pid << 3 | 2 | kind), &t))
		return 0;
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/*
 * A process's clock lags by up to a tick for each thread that runs, which would take milliseconds of work out of a
 * burst that is hardly longer. Reading a thread's own clock brings its part up to date (6.18, posix-cpu-timers.c); most
 * work in their first thread.
 */
uint64_t cpu_clock_ns(int32_t tgid)
{
	read_clock(tgid, 4);
	return read_clock(tgid, 0);
}
