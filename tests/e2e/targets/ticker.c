/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Allocates a block every 25 microseconds from its first instruction of main on, for 20 milliseconds, and
 * tells when: `arg PID T T T...`, in microseconds since the start.
 */
#include <time.h>

#include "truth.h"

#define N 800
#define STEP_NS 25000

static long at_us[N];
static char line[N * 6 + 32];

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

SITE void s_tick(void)
{
	void *p = malloc(48);

	KEEP(p);
}

int main(void)
{
	long start = now_ns();
	int n = 0, len;

	for (int i = 0; i < N; i++) {
		while (now_ns() < start + i * STEP_NS)
			;
		at_us[n++] = (now_ns() - start) / 1000;
		s_tick();
	}
	len = sprintf(line, "arg %d", (int)getpid());
	for (int i = 0; i < n; i++)
		len += sprintf(line + len, " %ld", at_us[i]);
	line[len++] = '\n';
	return write(STDOUT_FILENO, line, (size_t)len) == len ? 0 : 1;
}
