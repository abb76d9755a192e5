/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -pthread */
/*
 * heap_arenas THREADS BLOCKS [MIB_MAPPED]: fragments several arenas, then answers each line on stdin:
 * "stat": what glibc itself counts (mallinfo2 sums all arenas), with all threads at rest; "run": the
 * threads allocate and free for ever, "stat" then counts while they do; "quit". A running thread
 * allocates the size that it freed N_OWED blocks ago: what is in use stays the same to 0.1 %, so that a
 * count made a moment earlier or later is the truth for a reader that takes its time.
 * Prints "ready" first. Every answer is one line of numbers: arena fordblks uordblks hblks hblkhd
 * fsmblks.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_OWED 64

static pthread_barrier_t filled;
static atomic_int running;
static size_t n_blocks;

static uint32_t next_random(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

struct block {
	void *p;
	size_t size;
};

static size_t random_size(uint32_t *x)
{
	return next_random(x) % 100 < 90 ? next_random(x) % 600 + 1 : next_random(x) % 9000 + 1;
}

static struct block fresh(size_t size)
{
	struct block b = { malloc(size), size };

	memset(b.p, 0x5a, size);
	return b;
}

static void *work(void *arg)
{
	uint32_t x = (uint32_t)(uintptr_t)arg * 7919 + 1;
	struct block *v = calloc(n_blocks, sizeof(*v));
	size_t owed[N_OWED], i, k;

	for (i = 0; i < n_blocks; i++)
		v[i] = fresh(random_size(&x));
	for (i = 0; i < n_blocks; i++) /* holes: single blocks, and stretches */
		if (next_random(&x) % 3 == 0 || i % 1000 < 100) {
			free(v[i].p);
			v[i].p = NULL;
		}
	pthread_barrier_wait(&filled);
	while (!atomic_load(&running))
		usleep(1000);
	for (i = 0; i < n_blocks; i++)
		if (!v[i].p)
			v[i] = fresh(v[i].size);
	for (i = 0; i < N_OWED; i++)
		owed[i] = random_size(&x);
	for (k = 0;; k = (k + 1) % N_OWED) {
		size_t size = owed[k];

		i = next_random(&x) % n_blocks;
		owed[k] = v[i].size;
		free(v[i].p);
		v[i] = fresh(size);
	}
	return NULL;
}

static void stat_line(void)
{
#if __GLIBC_PREREQ(2, 33)
	struct mallinfo2 m = mallinfo2();
#else
	struct mallinfo old = mallinfo();
	struct {
		size_t arena, fordblks, uordblks, hblks, hblkhd, fsmblks;
	} m = { (unsigned int)old.arena, (unsigned int)old.fordblks, (unsigned int)old.uordblks,
		(unsigned int)old.hblks, (unsigned int)old.hblkhd,   (unsigned int)old.fsmblks };
#endif

	printf("%zu %zu %zu %zu %zu %zu\n", m.arena, m.fordblks, m.uordblks, m.hblks, m.hblkhd, m.fsmblks);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 3, i;
	size_t mapped = argc > 3 ? (size_t)atoi(argv[3]) : 0;
	pthread_t t;
	char line[32];

	n_blocks = argc > 2 ? strtoul(argv[2], NULL, 10) : 20011;
	pthread_barrier_init(&filled, NULL, (unsigned int)n + 1);
	for (i = 0; i < n; i++)
		pthread_create(&t, NULL, work, (void *)(uintptr_t)(i + 1));
	for (size_t k = 0; k < mapped; k++) { /* half touched, one aligned */
		char *p = k % 7 == 3 ? aligned_alloc(4096, 1 << 20) : malloc(1 << 20);

		memset(p, 1, 1 << 19);
	}
	for (i = 0; i < 5003; i++) { /* the main arena too: tcache, fastbins and holes */
		void *a = malloc((size_t)(i % 90) + 1), *b = malloc(64), *c = malloc(2000);

		memset(a, 1, 1);
		if (i % 2)
			free(a);
		if (i % 3)
			free(c);
		(void)b;
	}
	pthread_barrier_wait(&filled);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		if (!strcmp(line, "run\n"))
			atomic_store(&running, 1);
		stat_line();
	}
	return 0;
}
