/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Threads that allocate once: the first malloc of a thread makes an arena (64 MiB reserved,
 * trimmed, 132 KiB touched), which is no allocation of the program. Then blocks that
 * other threads free. The stress is in stress.c.
 */
#include <pthread.h>

#include "truth.h"

#define N_THREADS 4

static struct site first = { .name = "s_thread_first" };
static struct site over = { .name = "s_handed_over" };
static pthread_barrier_t started, finish;
static void *handed[101];

SITE void s_thread_first(void)
{
	void *p = malloc(1000);

	KEEP(p);
	CHECK(p);
}

static void *sleeper(void *arg)
{
	s_thread_first();
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&finish);
	return arg;
}

SITE void s_handed_over(void)
{
	for (size_t i = 0; i < 101; i++) {
		handed[i] = malloc(200 + i);
		KEEP(handed[i]);
		count_alloc(&over, 200 + i);
	}
}

static void *freer(void *arg)
{
	for (size_t i = 0; i < 83; i++)
		free(handed[i]);
	return arg;
}

int main(void)
{
	pthread_t threads[N_THREADS], other;

	pthread_barrier_init(&started, NULL, N_THREADS + 1);
	pthread_barrier_init(&finish, NULL, N_THREADS + 1);
	ready();
	hear("go");
	for (int i = 0; i < N_THREADS; i++) {
		CHECK(pthread_create(&threads[i], NULL, sleeper, NULL) == 0);
		count_alloc(&first, 1000);
	}
	pthread_barrier_wait(&started);
	s_handed_over();
	CHECK(pthread_create(&other, NULL, freer, NULL) == 0);
	pthread_join(other, NULL);
	for (size_t i = 0; i < 83; i++)
		count_free(&over, 200 + i);
	tell(&first);
	tell(&over);
	say("done");
	hear("exit");
	pthread_barrier_wait(&finish);
	return 0;
}
