/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A program under load that never stops: two threads allocate and free all the time. On
 * `rate` it tells the pairs per thread and second of the last fifth of a second; on `alloc` a site
 * allocates beside the load and tells; on `quiet` and `loud` the load pauses and goes on; on `pairs` it tells
 * all pairs so far; `fork` makes a child that ends at once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define N_THREADS 2
#define N_SLOTS 32

struct load {
	atomic_long pairs;
	atomic_bool idle;
};

static struct load loads[N_THREADS];
static atomic_bool quiet, stop;
static struct site marked = { .name = "s_marked" };

SITE void s_load(void **slot, size_t size)
{
	free(*slot);
	*slot = malloc(size);
	KEEP(*slot);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void *run(void *arg)
{
	struct load *l = arg;
	void *slots[N_SLOTS] = { 0 };

	for (size_t i = 0; !atomic_load(&stop); i++) {
		s_load(&slots[i % N_SLOTS], 32 + i % 7 * 100);
		atomic_fetch_add(&l->pairs, 1);
		while (atomic_load(&quiet) && !atomic_load(&stop)) {
			atomic_store(&l->idle, true);
			pause_ms(1);
		}
		atomic_store(&l->idle, false);
	}
	return NULL;
}

SITE void s_marked(void)
{
	for (size_t i = 0; i < 211; i++) {
		void *p = malloc(1000 + i);

		KEEP(p);
		count_alloc(&marked, 1000 + i);
		if (i % 3 == 0) {
			free(p);
			count_free(&marked, 1000 + i);
		}
	}
}

static void tell_rate(void)
{
	long before = atomic_load(&loads[0].pairs), after;
	struct timespec a, b;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &a);
	pause_ms(200);
	after = atomic_load(&loads[0].pairs);
	clock_gettime(CLOCK_MONOTONIC, &b);
	seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	say("value rate %.0f", (double)(after - before) / seconds);
}

static void make_child(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void hush(void)
{
	atomic_store(&quiet, true);
	for (int i = 0; i < N_THREADS; i++)
		while (!atomic_load(&loads[i].idle))
			pause_ms(1);
}

/* One command line into word. */
static void next_command(char *word, size_t size)
{
	for (size_t n = 0; n < size; n++) {
		if (read(STDIN_FILENO, &word[n], 1) != 1)
			_exit(0);
		if (word[n] == '\n') {
			word[n] = 0;
			return;
		}
	}
	_exit(97);
}

int main(void)
{
	pthread_t threads[N_THREADS];
	char word[16];

	for (int i = 0; i < N_THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, run, &loads[i]) == 0);
	ready();
	for (;;) {
		next_command(word, sizeof(word));
		if (!strcmp(word, "rate"))
			tell_rate();
		else if (!strcmp(word, "quiet"))
			hush();
		else if (!strcmp(word, "loud"))
			atomic_store(&quiet, false);
		else if (!strcmp(word, "pairs"))
			say("value pairs %ld", atomic_load(&loads[0].pairs) + atomic_load(&loads[1].pairs));
		else if (!strcmp(word, "fork"))
			make_child();
		else if (!strcmp(word, "exit"))
			break;
		else
			s_marked();
		if (!strcmp(word, "go"))
			tell(&marked);
		say("done");
	}
	atomic_store(&stop, true);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
