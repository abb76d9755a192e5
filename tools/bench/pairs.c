/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Pairs of malloc and free at a call depth, timed.
 *
 *	pairs DEPTH PAIRS        waits for a line on stdin before each round; prints ns per pair; ends with stdin
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

__attribute__((noinline)) static long work(long n)
{
	double begin = now_ns();
	long i;

	for (i = 0; i < n; i++) {
		void *p = malloc(64);

		__asm__ volatile("" ::"r"(p) : "memory");
		free(p);
	}
	printf("%.1f\n", (now_ns() - begin) / (double)n);
	fflush(stdout);
	return n;
}

__attribute__((noinline)) static long deeper(int depth, long n)
{
	long r = depth ? deeper(depth - 1, n) : work(n);

	__asm__ volatile("" ::"r"(r) : "memory");
	return r;
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc != 3)
		return 2;
	while (fgets(line, sizeof(line), stdin))
		deeper(atoi(argv[1]), atol(argv[2]));
	return 0;
}
