/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A program that does little but allocate: requests that build and drop a few objects, a cache of the last
 * ones, and a site that keeps one allocation in a hundred for ever.
 *
 *	saturated COUNTER [REST_US [DEPTH]]     rests so long before each request, which so many calls lead to
 *
 * COUNTER is a file that it maps: the first 8 bytes are the requests served so far, the next the bytes leaked, then the
 * ns of CPU within the requests that it rested before.
 * Words on stdin: `fast` (no rests from now on), `slow`, `exit`.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string>
#include <sys/mman.h>
#include <time.h>
#include <vector>

#include "truth.h"

#define CACHE 256

struct progress {
	volatile uint64_t requests, leaked_bytes, request_ns;
};

struct node {
	struct node *next;
	char key[40];
};

static std::string *cache[CACHE];
static struct node *kept;

SITE void s_leak(struct progress *p)
{
	struct node *n = new node;

	n->next = kept;
	kept = n;
	p->leaked_bytes += sizeof(*n);
}

SITE void s_cache(uint64_t n)
{
	delete cache[n % CACHE];
	cache[n % CACHE] = new std::string(100 + n % 13, 'c');
}

SITE uint64_t s_request(uint64_t n)
{
	std::vector<std::string> words;
	uint64_t sum = 0;

	for (int i = 0; i < 16; i++)
		words.emplace_back(24 + (n + i) % 60, (char)n);
	for (const std::string &w : words)
		for (char c : w)
			sum = sum * 31 + (unsigned char)c;
	return sum;
}

/* About 25 allocations: so that one in a hundred is kept, every fourth request keeps one. */
SITE void s_serve(struct progress *p)
{
	uint64_t n = p->requests;
	uint64_t sum = s_request(n);

	KEEP(sum);
	s_cache(n);
	if (n % 4 == 0)
		s_leak(p);
	p->requests = n + 1;
}

SITE void s_deep(struct progress *p, int depth)
{
	if (depth > 0)
		s_deep(p, depth - 1);
	else
		s_serve(p);
	NO_TAIL();
}

static bool hear_word(char *word)
{
	struct pollfd in = { .fd = 0, .events = POLLIN, .revents = 0 };
	ssize_t n;

	if (poll(&in, 1, 0) <= 0)
		return false;
	n = read(0, word, 63);
	word[n > 0 ? n : 0] = '\0';
	return true;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Without what the kernel takes to put the thread to sleep and to wake it: ten times as much as a request. */
static void serve_after_rest(struct progress *p, long rest_us, int depth)
{
	struct timespec t = { rest_us / 1000000, rest_us % 1000000 * 1000 };
	uint64_t begin;

	nanosleep(&t, NULL);
	begin = cpu_ns();
	s_deep(p, depth);
	p->request_ns = p->request_ns + cpu_ns() - begin;
}

int main(int argc, char **argv)
{
	char word[64] = "";
	long rest_us = argc > 2 ? atol(argv[2]) : 0, rest = rest_us;
	int depth = argc > 3 ? atoi(argv[3]) : 0, fd;
	struct progress *p;

	CHECK(argc > 1);
	fd = open(argv[1], O_RDWR);
	CHECK(fd >= 0);
	p = (struct progress *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	ready();
	for (uint64_t i = 0;; i++) {
		if (rest)
			serve_after_rest(p, rest, depth);
		else
			s_deep(p, depth);
		if ((!rest && i % 4096) || !hear_word(word))
			continue;
		if (!strncmp(word, "fast", 4))
			rest = 0;
		else if (!strncmp(word, "slow", 4))
			rest = rest_us;
		else
			return 0;
	}
}
