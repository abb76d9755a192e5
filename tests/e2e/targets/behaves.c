/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A program whose memory behaves in the way that its argument names, for ever; see `ways`. In steps of 10 ms, so that a
 * look at it a thousand steps later tells how fast it really grew: the answer to `go` is what each site holds then.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "truth.h"

#define STEPS_PER_SECOND 100
#define MIB 1048576
#define N_KEYS 4000

static struct site kept = { .name = "s_keep" };
static void *table[N_KEYS];
static size_t sizes[N_KEYS];
static uint32_t seed = 12345;

static uint32_t next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* What stays, or replaces what was at i. */
SITE void s_keep(size_t i, size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	memset(p, 1, size);
	count_alloc(&kept, size);
	if (table[i]) {
		count_free(&kept, sizes[i]);
		free(table[i]);
	}
	table[i] = p;
	sizes[i] = size;
}

/* One in `every` is forgotten. */
SITE void s_forget(int n, size_t size, int every)
{
	static int count;
	int i;

	for (i = 0; i < n; i++) {
		void *p = malloc(size);

		KEEP(p);
		memset(p, 1, size);
		if (++count % every)
			free(p);
	}
}

static void churn(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		void *p = malloc(100 + next() % 4000);

		KEEP(p);
		free(p);
	}
}

static void leak(long step)
{
	(void)step;
	churn();
	s_forget(2, 2048, 1); /* 400 KiB/s */
}

/* The site of the leak makes 500 times as much garbage. */
static void leak_in_garbage(long step)
{
	(void)step;
	s_forget(100, 4096, 500); /* 80 KiB/s */
}

static void steady(long step)
{
	(void)step;
	churn();
}

/* Full before `ready`, then each entry is replaced now and then. */
static void full_cache(long step)
{
	int i;

	churn();
	for (i = 0; step < 0 && i < N_KEYS; i++)
		s_keep((size_t)i, 2000);
	for (i = 0; i < 4; i++)
		s_keep(next() % N_KEYS, 2000);
}

static void full_cache_of_all_sizes(long step)
{
	int i;

	churn();
	for (i = 0; step < 0 && i < N_KEYS; i++)
		s_keep((size_t)i, 64 + next() % 4000);
	for (i = 0; i < 4; i++)
		s_keep(next() % N_KEYS, 64 + next() % 4000);
}

/* A key that is there is left alone: fills as 1 - e^(-t / 8 s). */
static void filling(long step)
{
	int i;

	(void)step;
	churn();
	for (i = 0; i < 5; i++) {
		size_t at = next() % N_KEYS;

		if (!table[at])
			s_keep(at, 5000);
	}
}

/* Rises by 1 MiB in each step of 0.1 s, and falls to nothing every 2 s. */
static void teeth(long step)
{
	size_t tooth = (size_t)(step / 10 % 20), i;

	churn();
	if (step % 10)
		return;
	for (i = 0; !tooth && table[i]; i++) {
		free(table[i]);
		table[i] = NULL;
	}
	s_keep(tooth, MIB);
}

/* Ten children in a second, as of a server that forks for each request: each keeps 100 KiB, and ends half a step later. */
static void requests(long step)
{
	size_t i;

	churn();
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (step < 0 || step % 10 || fork())
		return;
	for (i = 0; i < 25; i++)
		s_keep(i, 4096);
	usleep(50000);
	_exit(0);
}

static const struct {
	const char *name;
	void (*step)(long step);
} ways[] = {
	{ "leak", leak }, { "leak_in_garbage", leak_in_garbage }, { "steady", steady }, { "full_cache", full_cache },
	{ "full_cache_of_all_sizes", full_cache_of_all_sizes }, { "filling", filling }, { "teeth", teeth },
	{ "requests", requests },
};

static bool is_asked(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

int main(int argc, char **argv)
{
	struct timespec at;
	size_t way;
	long step;

	for (way = 0; way < sizeof(ways) / sizeof(ways[0]) && argc > 1 && strcmp(ways[way].name, argv[1]); way++)
		;
	CHECK(argc > 1 && way < sizeof(ways) / sizeof(ways[0]));
	ways[way].step(-1);
	ready();
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (step = 0; !is_asked(); step++) {
		ways[way].step(step);
		at.tv_nsec += 1000000000 / STEPS_PER_SECOND;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
	return 0;
}
