/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The malloc family as every allocator has it: glibc, musl, jemalloc, tcmalloc, mimalloc, shared or
 * static. What the standard leaves open is counted as this allocator answered it: realloc to nothing
 * frees, or gives an empty block. Special to one allocator: api_*.c.
 *
 * Argument `fork`: has a child first, which makes profilers of single processes think again.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define TOO_MUCH ((size_t)1 << 62)

static struct site sites[] = {
	{ .name = "s_malloc" },        { .name = "s_calloc" },        { .name = "s_realloc" },
	{ .name = "s_reallocarray" },  { .name = "s_posix_memalign" }, { .name = "s_aligned_alloc" },
	{ .name = "s_memalign" },      { .name = "s_valloc" },        { .name = "s_empty" },
	{ .name = "s_large" },         { .name = "s_failed" },        { .name = "s_kept" },
	{ .name = "s_zeroed" },        { .name = "s_vector" },        { .name = "s_early" },
	{ .name = "s_strdup" },
};

enum { MALLOC, CALLOC, REALLOC, REALLOCARRAY, POSIX_MEMALIGN, ALIGNED_ALLOC, MEMALIGN, VALLOC, EMPTY,
       LARGE, FAILED, KEPT, ZEROED, VECTOR, EARLY, STRDUP, N_SITES };

static void *early[11];

/* A block of the site; of every third one the end. */
static void keep(int site, size_t size, int i, void *p)
{
	KEEP(p);
	CHECK(p);
	memset(p, 1, size);
	count_alloc(&sites[site], size);
	if (i % 3)
		return;
	free(p);
	count_free(&sites[site], size);
}

SITE void s_malloc(void)
{
	for (int i = 0; i < 101; i++)
		keep(MALLOC, 17 + 13 * (size_t)i, i, malloc(17 + 13 * (size_t)i));
}

SITE void s_calloc(void)
{
	for (int i = 0; i < 97; i++)
		keep(CALLOC, 7 * (19 + (size_t)i), i, calloc(19 + (size_t)i, 7));
}

/* From nothing, up, down. */
SITE void s_realloc(void)
{
	for (int i = 0; i < 61; i++) {
		size_t size = 43 + 3 * (size_t)i;
		void *p = realloc(NULL, size), *q;

		KEEP(p);
		CHECK(p);
		count_alloc(&sites[REALLOC], size);
		q = realloc(p, 40 * size);
		KEEP(q);
		CHECK(q);
		count_free(&sites[REALLOC], size);
		count_alloc(&sites[REALLOC], 40 * size);
		p = realloc(q, size / 2);
		count_free(&sites[REALLOC], 40 * size);
		keep(REALLOC, size / 2, i, p);
	}
}

SITE void s_reallocarray(void)
{
	for (int i = 0; i < 59; i++) {
		size_t size = 31 + (size_t)i;
		void *p = reallocarray(NULL, 3, size);

		KEEP(p);
		CHECK(p);
		count_alloc(&sites[REALLOCARRAY], 3 * size);
		p = reallocarray(p, 5, size);
		count_free(&sites[REALLOCARRAY], 3 * size);
		keep(REALLOCARRAY, 5 * size, i, p);
	}
}

SITE void s_posix_memalign(void)
{
	for (int i = 0; i < 83; i++) {
		size_t size = 29 + 17 * (size_t)i;
		void *p = NULL;

		CHECK(posix_memalign(&p, 64u << i % 4, size) == 0);
		keep(POSIX_MEMALIGN, size, i, p);
	}
}

SITE void s_aligned_alloc(void)
{
	for (int i = 0; i < 79; i++)
		keep(ALIGNED_ALLOC, 128 + 64 * (size_t)i, i, aligned_alloc(64, 128 + 64 * (size_t)i));
}

SITE void s_memalign(void)
{
	for (int i = 0; i < 73; i++)
		keep(MEMALIGN, 31 + 19 * (size_t)i, i, memalign(32, 31 + 19 * (size_t)i));
}

SITE void s_valloc(void)
{
	for (int i = 0; i < 7; i++)
		keep(VALLOC, 37 + 23 * (size_t)i, i, valloc(37 + 23 * (size_t)i));
}

SITE void s_empty(void)
{
	for (int i = 0; i < 53; i++)
		keep(EMPTY, 0, i, malloc(0));
}

SITE void s_large(void)
{
	for (int i = 0; i < 7; i++)
		keep(LARGE, 300001 + 1000003 * (size_t)i, i, malloc(300001 + 1000003 * (size_t)i));
}

/* None of these is a block. */
SITE void s_failed(void)
{
	size_t much = TOO_MUCH, align = 3;
	void *p;

	for (int i = 0; i < 5; i++) {
		KEEP(much);
		p = malloc(much);
		KEEP(p);
		CHECK(!p);
		p = calloc(much, 8); /* overflows to 0 bytes */
		KEEP(p);
		CHECK(!p);
		p = (void *)0x1000;
		CHECK(posix_memalign(&p, align, 12345) == EINVAL);
		p = (void *)0x1000;
		CHECK(posix_memalign(&p, 64, much) == ENOMEM);
	}
}

/* Stays with this function whatever fails below. */
SITE void s_kept(void)
{
	size_t much = TOO_MUCH;

	for (int i = 0; i < 5; i++) {
		void *p = malloc(777), *q;

		KEEP(p);
		CHECK(p);
		count_alloc(&sites[KEPT], 777);
		KEEP(much);
		q = realloc(p, much);
		KEEP(q);
		CHECK(!q);
		q = reallocarray(p, much, 8);
		KEEP(q);
		CHECK(!q);
	}
}

SITE void s_zeroed(void)
{
	for (int i = 0; i < 13; i++) {
		size_t nothing = 0;
		void *p = malloc(333);

		KEEP(p);
		CHECK(p);
		count_alloc(&sites[ZEROED], 333);
		KEEP(nothing);
		p = realloc(p, nothing);
		KEEP(p);
		count_free(&sites[ZEROED], 333);
		if (p)
			count_alloc(&sites[ZEROED], 0);
	}
}

SITE void s_vector(void)
{
	void *p = NULL;

	for (size_t i = 1; i <= 500; i++) {
		p = realloc(p, 100 * i);
		KEEP(p);
		CHECK(p);
		if (i > 1)
			count_free(&sites[VECTOR], 100 * (i - 1));
		count_alloc(&sites[VECTOR], 100 * i);
	}
}

/* Blocks from before the profiler came: freed, and taken over by realloc. */
SITE void s_early(void)
{
	for (size_t i = 0; i < 11; i++) {
		if (i % 2) {
			free(early[i]);
			continue;
		}
		early[i] = realloc(early[i], 2000 + i);
		KEEP(early[i]);
		CHECK(early[i]);
		count_alloc(&sites[EARLY], 2000 + i);
	}
}

/* The C library's own call of malloc */
SITE void s_strdup(void)
{
	static const char text[] = "as long as this text and its end";

	for (int i = 0; i < 29; i++)
		keep(STRDUP, sizeof(text), i, strdup(text));
}

static void have_a_child(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	CHECK(child > 0 && waitpid(child, NULL, 0) == child);
	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
}

int main(int argc, char **argv)
{
	(void)argv;
	for (int i = 0; i < 11; i++) {
		early[i] = malloc(640);
		KEEP(early[i]);
	}
	ready();
	hear("go");
	if (argc > 1)
		have_a_child();
	s_malloc();
	s_calloc();
	s_realloc();
	s_reallocarray();
	s_posix_memalign();
	s_aligned_alloc();
	s_memalign();
	s_valloc();
	s_empty();
	s_large();
	s_failed();
	s_kept();
	s_zeroed();
	s_vector();
	s_early();
	s_strdup();
	free(NULL);
	for (int i = 0; i < N_SITES; i++)
		tell(&sites[i]);
	say("done");
	hear("exit");
	return 0;
}
