/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Blocks of known age: a tight churner whose blocks live for milliseconds, and a growing
 * vector whose block was born at `go` and is reallocated a second and a half later.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "truth.h"

#define N_CHURN 20000

static struct site old = { .name = "s_old_vector" }, young = { .name = "s_young" };
static atomic_bool stop;
static void *list[N_CHURN];

SITE void s_churner(void)
{
	for (int i = 0; i < N_CHURN; i++) {
		list[i] = malloc(32);
		KEEP(list[i]);
	}
	for (int i = 0; i < N_CHURN; i++)
		free(list[i]);
	NO_TAIL();
}

static void *churn(void *arg)
{
	while (!atomic_load(&stop))
		s_churner();
	return arg;
}

SITE void *s_old_vector(void *p, size_t from, size_t to)
{
	for (size_t size = from; size <= to; size += 100) {
		p = realloc(p, size);
		KEEP(p);
		CHECK(p);
		if (size > 100)
			count_free(&old, size - 100);
		count_alloc(&old, size);
	}
	return p;
}

SITE void s_young(void)
{
	for (int i = 0; i < 11; i++) {
		void *p = malloc(4000);

		KEEP(p);
		count_alloc(&young, 4000);
	}
}

int main(void)
{
	pthread_t thread;
	void *p;

	ready();
	hear("go");
	CHECK(pthread_create(&thread, NULL, churn, NULL) == 0);
	p = s_old_vector(NULL, 100, 50000);
	nanosleep(&(struct timespec){ 1, 500000000 }, NULL);
	s_old_vector(p, 50100, 100000);
	s_young();
	tell(&old);
	tell(&young);
	say("done");
	hear("exit");
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	return 0;
}
