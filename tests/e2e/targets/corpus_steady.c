/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -lm */
/*
 * Programs that do not leak, though some of them grow for a while: what each may hold has a bound that it reaches
 * within a minute or two of its start, or reached before. tests/e2e/corpus/table.py says which, and which of them no
 * rule of the verdict was made on.
 */
#include <math.h>
#include <pthread.h>
#include <sys/mman.h>

#include "corpus.h"

/* ---- caches ---- */

#define MOST_ENTRIES 20000
static void *entries[MOST_ENTRIES];
static size_t n_entries;

/* Replaces what was at i. */
SITE void s_entry(size_t i, size_t size)
{
	free(entries[i]);
	entries[i] = filled(size);
}

static void fill(size_t n, size_t low, size_t high)
{
	for (n_entries = 0; n_entries < n; n_entries++)
		s_entry(n_entries, low + draw() % (high - low));
}

static void requests_only(long step)
{
	(void)step;
}

static void start_full(void)
{
	fill(4000, 1500, 2500);
}

static void full_cache(long step)
{
	int i;

	(void)step;
	for (i = 0; i < 4; i++)
		s_entry(draw() % n_entries, 1500 + draw() % 1000);
}

/* 6000 entries, ten of them replaced per second: each lives for ten minutes. */
static void start_long_lived(void)
{
	fill(6000, 500, 3500);
}

static void long_lived_cache(long step)
{
	static size_t oldest;

	if (step % 10 == 0)
		s_entry(oldest++ % n_entries, 500 + draw() % 3000);
}

/* A key that is there is left alone: fills as 1 - e^(-t / 8 s). */
static void filling(long step)
{
	int i;

	(void)step;
	for (i = 0; i < 5; i++) {
		size_t at = draw() % 4000;

		if (!entries[at])
			s_entry(at, 5000);
	}
}

/* Straight up until it is full, after 15 to 40 s; then the least recently used goes. */
static void lru(long step)
{
	static size_t oldest, n;
	int i;

	(void)step;
	if (!n)
		n = (size_t)draw_between(200 * 15, 200 * 40);
	for (i = 0; i < 2; i++)
		s_entry(oldest++ % n, 1000 + draw() % 2000);
}

/* 100 come per second, and each goes after 15 to 25 s (the same for all). */
static void ttl(long step)
{
	static size_t at, n;

	(void)step;
	if (!n)
		n = (size_t)draw_between(1500, 2500);
	s_entry(at++ % n, 1000 + draw() % 5000);
}

/* What has been seen before is known by then: of all that is asked for ever less is new (Heaps' law). */
static void interning(long step)
{
	static size_t asked;
	int i;

	(void)step;
	for (i = 0; i < 20; i++) {
		size_t known = (size_t)(40 * sqrt((double)++asked));

		if (known > n_entries && n_entries < MOST_ENTRIES)
			s_entry(n_entries++, 400 + draw() % 300);
	}
}

/* ---- rounds ---- */

static void drop_all(void)
{
	while (n_entries) {
		free(entries[--n_entries]);
		entries[n_entries] = NULL;
	}
}

/* Up by 1 MiB in each tenth of a second, down to nothing every two seconds. */
static void teeth(long step)
{
	if (step % 200 == 0)
		drop_all();
	if (step % 10 == 0)
		s_entry(n_entries++, 1048576);
}

/* 12000 entries of 900 bytes, each lives for three minutes; and teeth. */
static void start_below_teeth(void)
{
	fill(12000, 900, 901);
}

static void cache_below_teeth(long step)
{
	static size_t oldest;
	static double left;

	for (due(&left, 60e3); left >= 900; left -= 900)
		s_entry(oldest++ % n_entries, 900);
	s_tooth(step);
}

/* Every 12 s a job: six seconds of results, held until it ends. */
static void batch(long step)
{
	static long phase = -1;

	if (phase < 0)
		phase = (long)draw_between(0, 1200);
	step = (step + phase) % 1200;
	if (step < 600)
		s_entry(n_entries++, 30000 + draw() % 20000);
	else
		drop_all();
}

/* Chunks of an arena that is reset every nine seconds, but keeps a few of them. */
static void arena(long step)
{
	while (step % 900 == 0 && n_entries > 8) {
		free(entries[--n_entries]);
		entries[n_entries] = NULL;
	}
	if (step % 5 == 0)
		s_entry(n_entries++, 65536);
}

/* The next segment of a log each 0.1 s; when there are 100, the oldest goes. */
static void log_segments(long step)
{
	static size_t at;

	if (step % 10 == 0)
		s_entry(at++ % 100, 40000 + draw() % 30000);
}

static void start_log(void)
{
	fill(100, 40000, 70000);
}

/* As many sessions as the wave of visitors brings, up and down in 40 s. */
static void wave(long step)
{
	size_t wanted = (size_t)(3000 + 2500 * sin((double)step * STEP_S * 2 * M_PI / 40 + rate_factor * 30));
	int i;

	for (i = 0; i < 20 && n_entries < wanted; i++)
		s_entry(n_entries++, 500 + draw() % 1500);
	for (i = 0; i < 20 && n_entries > wanted; i++) {
		free(entries[--n_entries]);
		entries[n_entries] = NULL;
	}
}

/* A queue whose length wanders, and is drawn back to a thousand. */
static void queue(long step)
{
	int i, in = (int)(draw() % 21), out = (int)(draw() % 21) + (n_entries > 1000) - (n_entries < 1000);

	(void)step;
	for (i = 0; i < in && n_entries < MOST_ENTRIES; i++)
		s_entry(n_entries++, 1000 + draw() % 3000);
	for (i = 0; i < out && n_entries; i++) {
		free(entries[--n_entries]);
		entries[n_entries] = NULL;
	}
}

/* ---- what comes to an end ---- */

/* Buffers of 64 KiB: twice as many every 40 s, until there are 512. */
static void pool(long step)
{
	size_t wanted;

	if (step % 100)
		return;
	wanted = (size_t)32 << ((step + (long)(rate_factor * 2000)) / 4000);
	while (n_entries < wanted && n_entries < 512)
		s_entry(n_entries++, 65536);
}

/* 25 s of loading, then nothing but work. */
static void start_up(long step)
{
	int i;

	for (i = 0; i < 4 && step < 2500 * rate_factor; i++)
		s_entry(n_entries++, 200 + draw() % 4000);
}

/* A vector that doubles when it is full, is emptied at 2^20 elements and filled again. */
SITE void s_push(uint64_t value)
{
	static uint64_t *v;
	static size_t n, size;

	if (n == size) {
		size = size ? 2 * size : 64;
		v = realloc(v, size * sizeof(*v));
		CHECK(v);
	}
	v[n++] = value;
	if (n == 1 << 20)
		n = 0;
}

static void vector(long step)
{
	int i;

	(void)step;
	for (i = 0; i < 150 * rate_factor; i++)
		s_push((uint64_t)i);
}

static void *worker(void *arg)
{
	void *buffer = filled((uintptr_t)arg), *held = NULL;

	KEEP(buffer);
	for (;;) {
		free(held);
		held = filled(2000);
		usleep(100000);
	}
	return NULL;
}

/* One more worker every two to four seconds, until there are twelve. */
static void thread_pool(long step)
{
	static long next, n;
	pthread_t t;

	if (step < next || n == 12)
		return;
	next = step + (long)draw_between(200, 400);
	n++;
	CHECK(!pthread_create(&t, NULL, worker, (void *)(uintptr_t)(200000 + draw() % 100000)));
}

/* Windows of a file, as it were: 256 KiB of memory each; of more than 40 to 100 the oldest is unmapped. */
static void mapped_pool(long step)
{
	static size_t at, n;

	if (!n)
		n = (size_t)draw_between(40, 100);
	if (step % 25)
		return;
	if (entries[at % n])
		CHECK(!munmap(entries[at % n], 262144));
	entries[at % n] = mmap(NULL, 262144, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(entries[at % n] != MAP_FAILED);
	memset(entries[at++ % n], 1, 262144);
}

/* An index is made anew all the time, in 8 to 16 s; the one before is dropped when the next is complete. */
static void rebuilt(long step)
{
	static size_t n;
	size_t i;

	(void)step;
	if (!n)
		n = (size_t)draw_between(4 * 800, 4 * 1600);
	for (i = 0; i < 4; i++) {
		s_entry(n_entries++, 500 + draw() % 1000);
		if (n_entries < 2 * n)
			continue;
		for (; n_entries > n; n_entries--) {
			free(entries[n_entries - n - 1]);
			entries[n_entries - n - 1] = entries[n_entries - 1];
			entries[n_entries - 1] = NULL;
		}
	}
}

/* Of blocks of all sizes one in a hundred stays a good while: holes that nothing fits into. */
static void fragments(long step)
{
	void *gone[100];
	size_t i;

	(void)step;
	for (i = 0; i < 100; i++)
		gone[i] = filled(16 + draw() % (draw() % 16 ? 500 : 40000));
	s_entry(draw() % 3000, 16 + draw() % 3000);
	for (i = 0; i < 100; i++)
		free(gone[i]);
}

static void start_fragments(void)
{
	fill(3000, 16, 3016);
}

static const struct shape shapes[] = {
	{ "requests", NULL, requests_only },
	{ "full-cache", start_full, full_cache },
	{ "long-lived-cache", start_long_lived, long_lived_cache },
	{ "filling", NULL, filling },
	{ "lru", NULL, lru },
	{ "ttl", NULL, ttl },
	{ "interning", NULL, interning },
	{ "teeth", NULL, teeth },
	{ "cache-below-teeth", start_below_teeth, cache_below_teeth },
	{ "batch", NULL, batch },
	{ "arena", NULL, arena },
	{ "log-segments", start_log, log_segments },
	{ "wave", NULL, wave },
	{ "queue", NULL, queue },
	{ "pool", NULL, pool },
	{ "start-up", NULL, start_up },
	{ "vector", NULL, vector },
	{ "thread-pool", NULL, thread_pool },
	{ "fragments", start_fragments, fragments },
	{ "mapped-pool", NULL, mapped_pool },
	{ "rebuilt", NULL, rebuilt },
};

int main(int argc, char **argv)
{
	return corpus_main(shapes, sizeof(shapes) / sizeof(shapes[0]), argc, argv);
}
