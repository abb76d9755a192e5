/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * One thread only allocates, another one only frees, one block at a time: the block is mapped,
 * so that the kernel hands out the same address each time. The freeing thread frees the same
 * pointer from the same stack depth again and again, and each of these frees is a new one.
 */
#include <pthread.h>
#include <semaphore.h>

#include "truth.h"

#define N_ROUNDS 1009
#define SIZE 1000003

static struct site site = { .name = "s_pingpong" };
static sem_t full, empty;
static void *block;
static long n_same;

static void *consumer(void *arg)
{
	void *last = NULL;

	for (int i = 0; i < N_ROUNDS - 1; i++) {
		sem_wait(&full);
		n_same += block == last;
		last = block;
		free(block);
		sem_post(&empty);
	}
	return arg;
}

SITE void s_pingpong(void)
{
	for (int i = 0; i < N_ROUNDS; i++) {
		sem_wait(&empty);
		block = malloc(SIZE);
		KEEP(block);
		count_alloc(&site, SIZE);
		if (i < N_ROUNDS - 1)
			count_free(&site, SIZE);
		sem_post(&full);
	}
}

int main(void)
{
	pthread_t thread;

	sem_init(&full, 0, 0);
	sem_init(&empty, 0, 1);
	CHECK(pthread_create(&thread, NULL, consumer, NULL) == 0);
	ready();
	hear("go");
	s_pingpong();
	pthread_join(thread, NULL);
	tell(&site);
	say("value same_address %ld", n_same);
	say("done");
	hear("exit");
	return 0;
}
