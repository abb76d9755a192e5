/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the programs of the verdict's corpus share (corpus_leaks.c, corpus_steady.c, corpus_throws.cc): the clock that
 * their shapes go by, chance, and the work that they do meanwhile.
 *
 *	corpus_leaks SHAPE SEED LOAD
 *
 * A shape takes a step each 10 ms, so that its rate does not hang on the machine (a tenth of a second that got no CPU is
 * not made up for, as that would be a slope of its own); SEED draws its sizes, phases and rate (by up to a fifth). The
 * rest of the step is requests, until LOAD percent of one CPU are used: each allocates two blocks, works on them for 10
 * to 200 us (by the seed), and frees one at once and one after later requests.
 */
#ifndef MEMPROBE_TEST_CORPUS_H
#define MEMPROBE_TEST_CORPUS_H

#include <stdint.h>
#include <time.h>

#include "truth.h"

#define STEP_NS 10000000
#define STEP_S 0.01
#define MOST_BEHIND_S 0.1
#define IN_FLIGHT 64

struct shape {
	const char *name;
	void (*start)(void); /* before `ready`; may be NULL */
	void (*step)(long step);
};

static uint64_t chance;
static double rate_factor;
static int request_loops;
static void *in_flight[IN_FLIGHT];

/* xorshift64* */
static inline uint32_t draw(void)
{
	chance ^= chance >> 12;
	chance ^= chance << 25;
	chance ^= chance >> 27;
	return (uint32_t)((chance * 2685821657736338717ULL) >> 32);
}

/* From low to high. */
static inline double draw_between(double low, double high)
{
	return low + (high - low) * ((double)draw() / 4294967296.0);
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double own_cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Bytes that are to be allocated in this step so that `rate` bytes per second come to be. */
static inline double due(double *left, double rate)
{
	*left += rate * rate_factor * STEP_S;
	return *left;
}

static inline void *filled(size_t size)
{
	void *p = malloc(size);

	CHECK(p);
	memset(p, 1, size);
	KEEP(p);
	return p;
}

SITE void s_request(void)
{
	size_t at = draw() % IN_FLIGHT, size = 64 + draw() % 4000;
	unsigned char *now = (unsigned char *)filled(64 + draw() % 1000);
	volatile uint32_t sum = 0;
	int i;

	free(in_flight[at]);
	in_flight[at] = filled(size);
	for (i = 0; i < request_loops; i++)
		sum += now[(uint32_t)i % 64] * (uint32_t)i;
	free(now);
}

/* 10 MB in three seconds, all gone then. */
SITE void s_tooth(long step)
{
	static void *tooth[300];
	size_t at = (size_t)(step % 300), i;

	for (i = 0; !at && i < 300; i++) {
		free(tooth[i]);
		tooth[i] = NULL;
	}
	tooth[at] = filled(33000);
}

static inline void work_until(double cpu_end, double wall_end)
{
	s_request();
	while (own_cpu_seconds() < cpu_end && seconds() < wall_end)
		s_request();
}

static inline void begin(uint64_t seed)
{
	int i;

	chance = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	for (i = 0; i < 8; i++)
		draw();
	rate_factor = draw_between(0.8, 1.2);
	request_loops = 7000 << draw() % 5;
	for (i = 0; i < IN_FLIGHT; i++)
		in_flight[i] = filled(64 + draw() % 4000);
}

/* For ever. */
static inline void run_shape(const struct shape *shape, uint64_t seed, double load_percent)
{
	struct timespec at;
	long step;

	begin(seed);
	if (shape->start)
		shape->start();
	ready();
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (step = 0;; step++) {
		double cpu = own_cpu_seconds(), wall = seconds();

		shape->step(step);
		work_until(cpu + STEP_S * load_percent / 100, wall + STEP_S);
		if (seconds() - (double)at.tv_sec - (double)at.tv_nsec * 1e-9 > MOST_BEHIND_S)
			clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += STEP_NS;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
}

static inline int corpus_main(const struct shape *shapes, size_t n, int argc, char **argv)
{
	size_t i;

	CHECK(argc == 4);
	for (i = 0; i < n; i++)
		if (!strcmp(shapes[i].name, argv[1]))
			run_shape(&shapes[i], strtoull(argv[2], NULL, 10), atof(argv[3]));
	CHECK(!"no such shape");
	return 1;
}

#endif
