/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Eight threads at full speed: malloc, realloc and free at random, small and mapped sizes,
 * a third of the blocks freed by another thread, so that addresses travel between threads
 * as fast as the allocator lets them. Each thread counts for itself; the sums are the truth.
 */
#include <pthread.h>

#include "truth.h"

#define N_THREADS 8
#define N_SLOTS 61
#define N_QUEUE 256
#define N_ROUNDS 50000

enum { MALLOC, REALLOC, N_SITES };

struct block {
	void *p;
	size_t size;
	int site;
};

struct worker {
	unsigned long seed;
	struct site sites[N_SITES];
	struct block slots[N_SLOTS];
};

static struct worker workers[N_THREADS];
static struct block queue[N_QUEUE];
static unsigned int n_queue;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned long draw(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

static size_t draw_size(struct worker *w)
{
	unsigned long r = draw(w);

	return r % 997 ? 1 + r / 1000 % 1500 : 200000 + r / 1000 % 1000;
}

SITE void s_stress_malloc(struct worker *w, struct block *b)
{
	b->size = draw_size(w);
	b->p = malloc(b->size);
	KEEP(b->p);
	CHECK(b->p);
	b->site = MALLOC;
	count_alloc(&w->sites[MALLOC], b->size);
}

SITE void s_stress_realloc(struct worker *w, struct block *b)
{
	size_t size = draw_size(w);

	b->p = realloc(b->p, size);
	KEEP(b->p);
	CHECK(b->p);
	if (b->size)
		count_free(&w->sites[b->site], b->size);
	b->size = size;
	b->site = REALLOC;
	count_alloc(&w->sites[REALLOC], size);
}

SITE void s_stress_free(struct worker *w, struct block *b)
{
	count_free(&w->sites[b->site], b->size);
	free(b->p);
	*b = (struct block){ 0 };
}

/* Give b away; whoever takes it from the queue frees it. */
static void hand_over(struct worker *w, struct block *b)
{
	struct block taken = { 0 };

	pthread_mutex_lock(&queue_lock);
	if (n_queue == N_QUEUE) {
		unsigned int at = draw(w) % N_QUEUE;

		taken = queue[at];
		queue[at] = *b;
	} else {
		queue[n_queue++] = *b;
	}
	pthread_mutex_unlock(&queue_lock);
	*b = (struct block){ 0 };
	if (taken.p)
		s_stress_free(w, &taken);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < N_ROUNDS; i++) {
		struct block *b = &w->slots[draw(w) % N_SLOTS];

		if (!b->p)
			s_stress_malloc(w, b);
		else if (draw(w) % 3 == 0)
			s_stress_realloc(w, b);
		else if (draw(w) % 2)
			hand_over(w, b);
		else
			s_stress_free(w, b);
	}
	return NULL;
}

static void add(struct site *sum, const struct site *s)
{
	sum->live_bytes += s->live_bytes;
	sum->live_blocks += s->live_blocks;
	sum->alloc_bytes += s->alloc_bytes;
	sum->alloc_blocks += s->alloc_blocks;
}

int main(void)
{
	struct site sum[N_SITES] = { { .name = "s_stress_malloc" },
				     { .name = "s_stress_realloc" } };
	pthread_t threads[N_THREADS];

	ready();
	hear("go");
	for (unsigned long i = 0; i < N_THREADS; i++) {
		workers[i].seed = 88172645463325252UL + i * 7919;
		CHECK(pthread_create(&threads[i], NULL, run, &workers[i]) == 0);
	}
	for (int i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
		for (int j = 0; j < N_SITES; j++)
			add(&sum[j], &workers[i].sites[j]);
	}
	for (int j = 0; j < N_SITES; j++)
		tell(&sum[j]);
	say("done");
	hear("exit");
	return 0;
}
