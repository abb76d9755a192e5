/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Torn stacks: six threads on one CPU, thread i always allocates at depth 10 + 7 i. A walker whose scratch another
 * thread overwrites would show other stacks. Runs for argv[1] rounds, keeps nothing; last line `done`.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define N 6

static long rounds;

__attribute__((noinline)) static void s_torn(void)
{
	for (long i = 0; i < rounds; i++) {
		void *p = malloc(32);

		__asm__ volatile("" ::"r"(p) : "memory");
		free(p);
	}
}

__attribute__((noinline)) static void deeper(int depth)
{
	if (depth)
		deeper(depth - 1);
	else
		s_torn();
	__asm__ volatile("" ::: "memory");
}

static void *run(void *arg)
{
	deeper(10 + 7 * (int)(long)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[N];
	cpu_set_t one;
	char line[16];

	rounds = argc > 1 ? atol(argv[1]) : 100000;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (long i = 0; i < N; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : 1;
}
