/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A thread per request, 307 of them: each frees what it allocated, but for one block. glibc frees what then lies in the
 * thread's cache once more when it ends. And 11 blocks from before the attach are freed by the program, which count.
 */
#include <pthread.h>

#include "truth.h"

#define N_REQUESTS 307
#define N_OLD 11
#define N_BLOCKS 7

static struct site kept = { .name = "s_thread_kept" };
static void *old[N_OLD];

SITE void s_thread_kept(void)
{
	void *p = malloc(1009);

	KEEP(p);
	CHECK(p);
	count_alloc(&kept, 1009);
}

static void *request(void *arg)
{
	void *p[N_BLOCKS];

	for (size_t i = 0; i < N_BLOCKS; i++) {
		p[i] = malloc(900);
		KEEP(p[i]);
	}
	for (size_t i = 0; i < N_BLOCKS; i++)
		free(p[i]);
	s_thread_kept();
	return arg;
}

int main(void)
{
	pthread_t thread;

	for (size_t i = 0; i < N_OLD; i++) {
		old[i] = malloc(5000);
		KEEP(old[i]);
	}
	ready();
	hear("go");
	for (int i = 0; i < N_REQUESTS; i++) {
		CHECK(pthread_create(&thread, NULL, request, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	for (size_t i = 0; i < N_OLD; i++)
		free(old[i]);
	tell(&kept);
	say("done");
	hear("exit");
	return 0;
}
