/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Leaks at the pace that is asked for, from its start on, and calls its allocator for nothing as often as it is told.
 *
 *	paced BYTES-PER-SECOND CALLS-PER-SECOND
 *	harness: tell	target: site s_leak, done
 *	harness: loud	target: done; from now on it makes so many calls
 */
#include <poll.h>
#include <time.h>

#include "truth.h"

#define BLOCK 16384u

static struct site leak = { .name = "s_leak" };

SITE void s_leak(void)
{
	char *p = malloc(BLOCK);

	CHECK(p);
	memset(p, 1, BLOCK);
	KEEP(p);
	count_alloc(&leak, BLOCK);
}

SITE void s_garbage(void)
{
	void *p = malloc(100);

	KEEP(p);
	free(p);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int is_spoken_to(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 2) > 0;
}

static int answer(int *is_loud)
{
	char word[64] = "";
	size_t n = 0;

	while (n + 1 < sizeof(word) && read(STDIN_FILENO, word + n, 1) == 1 && word[n] != '\n')
		n++;
	word[n] = 0;
	if (!strcmp(word, "loud"))
		*is_loud = 1;
	else if (strcmp(word, "tell"))
		return 0; /* exit, or nobody is there */
	tell(&leak);
	say("done");
	return 1;
}

int main(int argc, char **argv)
{
	double pace = argc > 1 ? atof(argv[1]) : 1e6, calls = argc > 2 ? atof(argv[2]) : 0, begin = now_s(), last = begin;
	int is_loud = 0;

	ready();
	for (;;) {
		double now = now_s();

		if (is_spoken_to() && !answer(&is_loud))
			return 0;
		while ((double)leak.alloc_bytes < (now - begin) * pace)
			s_leak();
		for (double due = is_loud ? (now - last) * calls : 0; due >= 1; due--)
			s_garbage();
		last = now;
	}
}
