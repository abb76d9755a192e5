/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Leaks at an even pace from `go` on: every 5 ms a block of 8 kB at one site, beside garbage at another. `tell`: what
 * was allocated so far; it goes on until `exit`.
 */
#include <poll.h>
#include <time.h>

#include "truth.h"

#define STEP_NS 5000000

static struct site leak = { .name = "s_leak" }, garbage = { .name = "s_garbage" };

SITE void s_leak(void)
{
	char *p = malloc(8192);

	memset(p, 1, 8192);
	KEEP(p);
	count_alloc(&leak, 8192);
}

SITE void s_garbage(void)
{
	void *p = malloc(3000);

	KEEP(p);
	free(p);
	count_alloc(&garbage, 3000);
	count_free(&garbage, 3000);
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static volatile int n_garbage = 3; /* one call of it in main, not three */

/* The harness has said something. */
static int is_spoken_to(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 2) > 0;
}

static int answer(void)
{
	char word[64] = "";
	size_t n = 0;

	while (n + 1 < sizeof(word) && read(STDIN_FILENO, word + n, 1) == 1 && word[n] != '\n')
		n++;
	word[n] = 0;
	if (strcmp(word, "tell"))
		return 0; /* exit, or nobody is there */
	tell(&leak);
	tell(&garbage);
	say("done");
	return 1;
}

int main(void)
{
	long begin;

	ready();
	hear("go");
	say("done");
	begin = now_ns();
	for (long steps = 0;;) {
		if (is_spoken_to() && !answer())
			return 0;
		for (; steps * STEP_NS < now_ns() - begin; steps++) {
			s_leak();
			for (int i = 0; i < n_garbage; i++)
				s_garbage();
		}
	}
}
