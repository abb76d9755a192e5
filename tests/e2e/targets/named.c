/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/* Threads of different names, and two of the same, that allocate at one site: how much each name holds. */
#include "truth.h"

#include <pthread.h>

static struct worker {
	const char *name;
	int n;
	pthread_t thread;
} workers[] = { { "alpha", 10, 0 }, { "beta two", 25, 0 }, { "twin", 3, 0 }, { "twin", 4, 0 } };

static struct site by_name[] = { { .name = "alpha" }, { .name = "beta_two" }, { .name = "twin" } };

SITE void s_hold(int n)
{
	for (int i = 0; i < n; i++) {
		void *p = malloc(1000);

		KEEP(p);
	}
	NO_TAIL();
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), w->name);
	s_hold(w->n);
	return NULL;
}

int main(void)
{
	size_t i;

	ready();
	hear("go");
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		for (int k = 0; k < workers[i].n; k++)
			count_alloc(&by_name[i < 3 ? i : 2], 1000);
	}
	for (i = 0; i < 3; i++)
		tell(&by_name[i]);
	say("done");
	hear("exit");
	return 0;
}
