/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Every allocation function of the C library, one site each, in one thread: what it
 * returns, what it does when it fails, and what realloc does to the block that it takes.
 * Counts are prime, so that no two sites or mistakes add up to the same figures.
 * Not here: threads, other allocators, C++.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/resource.h>

#include "truth.h"

#define SITES(X)                                                                                  \
	X(s_malloc)                                                                               \
	X(s_calloc)                                                                               \
	X(s_reallocarray)                                                                         \
	X(s_posix_memalign)                                                                       \
	X(s_aligned_alloc) X(s_memalign) X(s_valloc) X(s_pvalloc) X(s_malloc_zero)                \
		X(s_malloc_fail) X(s_calloc_fail) X(s_calloc_overflow) X(s_memalign_fail) X(      \
			s_memalign_nomem) X(s_realloc_null) X(s_realloc_grow) X(s_realloc_shrink) \
			X(s_realloc_origin) X(s_realloc_taker) X(s_realloc_kept)                  \
				X(s_realloc_failing) X(s_realloc_zero) X(s_realloc_zeroer)        \
					X(s_realloc_old) X(s_realloc_mmap_chain) X(s_malloc_1m)   \
						X(s_malloc_64m) X(s_calloc_300k) X(s_mmap_churn)  \
							X(s_raised_threshold) X(s_free_elsewhere) \
								X(s_freer) X(s_reallocarray_fail) \
									X(s_vector)

DEFINE_SITES();

static void *before_attach[7];
/* else the compiler calls malloc for realloc(NULL, n) */
static void *volatile null;

/* n blocks of first, first + step, ... bytes by `call`; all but the first `freed` stay. */
#define MANY(name, n, first, step, freed, call)                                    \
	SITE void name(void)                                                       \
	{                                                                          \
		size_t left = (freed);                                             \
		for (size_t i = 0, size = (first); i < (n); i++, size += (step)) { \
			void *p = call;                                            \
			KEEP(p);                                                   \
			CHECK(p);                                                  \
			count_alloc(S(name), size);                                \
			if (left) {                                                \
				left--;                                            \
				free(p);                                           \
				count_free(S(name), size);                         \
			}                                                          \
		}                                                                  \
	}

static void *checked_posix_memalign(size_t align, size_t size) __attribute__((always_inline));
static inline void *checked_posix_memalign(size_t align, size_t size)
{
	void *p = NULL;

	CHECK(posix_memalign(&p, align, size) == 0);
	return p;
}

MANY(s_malloc, 101, 17, 13, 29, malloc(size))
MANY(s_calloc, 97, 19, 11, 31, calloc(size, 1))
MANY(s_reallocarray, 89, 23, 7, 37, reallocarray(null, 1, size))
MANY(s_posix_memalign, 83, 29, 17, 41, checked_posix_memalign(64, size))
MANY(s_aligned_alloc, 79, 128, 64, 43, aligned_alloc(64, size))
MANY(s_memalign, 73, 31, 19, 47, memalign(32, size))
MANY(s_valloc, 7, 37, 23, 3, valloc(size))
MANY(s_pvalloc, 5, 41, 29, 2, pvalloc(size))
MANY(s_malloc_zero, 53, 0, 0, 11, malloc(size))
MANY(s_realloc_null, 71, 43, 3, 13, realloc(null, size))
MANY(s_malloc_1m, 10, 1 << 20, 0, 0, malloc(size))
MANY(s_malloc_64m, 2, 64 << 20, 0, 1, malloc(size))
MANY(s_calloc_300k, 10, 300000, 0, 0, calloc(1, size))
MANY(s_mmap_churn, 11, 300000, 0, 11, malloc(size))

SITE void s_malloc_fail(void)
{
	for (int i = 0; i < 7; i++) {
		size_t size = (size_t)1 << (40 + i);
		void *p;

		KEEP(size);
		p = malloc(size);
		KEEP(p);
		CHECK(!p);
	}
}

SITE void s_calloc_fail(void)
{
	size_t size = (size_t)1 << 41;
	void *p;

	KEEP(size);
	p = calloc(3, size);
	KEEP(p);
	CHECK(!p);
}

/* 2 * (SIZE_MAX / 2 + 8) is 14 modulo 2^64: a profiler that multiplies sees a small block */
SITE void s_calloc_overflow(void)
{
	size_t size = SIZE_MAX / 2 + 8;
	void *p;

	KEEP(size);
	p = calloc(size, 2);
	KEEP(p);
	CHECK(!p);
}

/* both products overflow, the second one to 0, which is no realloc to 0 bytes */
SITE void s_reallocarray_fail(void)
{
	size_t sizes[] = { SIZE_MAX / 2 + 8, SIZE_MAX / 2 + 1 };

	for (int i = 0; i < 2; i++) {
		void *p = malloc(7), *q;

		KEEP(p);
		count_alloc(S(s_reallocarray_fail), 7);
		KEEP(sizes[i]);
		q = reallocarray(p, sizes[i], 2);
		KEEP(q);
		CHECK(!q);
	}
}

/* M5: the pointer in memory looks like a block, the call has failed */
SITE void s_memalign_fail(void)
{
	for (int i = 0; i < 3; i++) {
		void *p = (void *)0xdeadbeef000;
		size_t align = 3;

		KEEP(align);
		CHECK(posix_memalign(&p, align, 12345) == EINVAL);
		KEEP(p);
	}
}

SITE void s_memalign_nomem(void)
{
	void *p = before_attach[0];
	size_t size = (size_t)1 << 42;

	KEEP(size);
	CHECK(posix_memalign(&p, 64, size) == ENOMEM);
	KEEP(p);
}

static void *realloc_to(struct site *s, void *p, size_t old, size_t size)
{
	void *q = realloc(p, size);

	KEEP(q);
	CHECK(q);
	count_free(s, old);
	count_alloc(s, size);
	return q;
}

SITE void s_realloc_grow(void)
{
	for (size_t i = 0; i < 13; i++) {
		void *p = malloc(100 + i);

		KEEP(p);
		count_alloc(S(s_realloc_grow), 100 + i);
		realloc_to(S(s_realloc_grow), p, 100 + i, 1000 + i);
	}
}

SITE void s_realloc_shrink(void)
{
	for (size_t i = 0; i < 17; i++) {
		void *p = malloc(2000 + i);

		KEEP(p);
		count_alloc(S(s_realloc_shrink), 2000 + i);
		realloc_to(S(s_realloc_shrink), p, 2000 + i, 50 + i);
	}
}

/* One function allocates, another one takes the block over. */
SITE void *s_realloc_origin(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(S(s_realloc_origin), size);
	return p;
}

SITE void s_realloc_taker(void *p, size_t old, size_t size)
{
	void *q = realloc(p, size);

	KEEP(q);
	CHECK(q);
	count_free(S(s_realloc_origin), old);
	count_alloc(S(s_realloc_taker), size);
}

/* M6: the block stays with the function that allocated it */
SITE void *s_realloc_kept(void)
{
	void *p = malloc(7777);

	KEEP(p);
	count_alloc(S(s_realloc_kept), 7777);
	return p;
}

SITE void s_realloc_failing(void *p)
{
	size_t size = (size_t)1 << 46;
	void *q;

	KEEP(size);
	q = realloc(p, size);
	KEEP(q);
	CHECK(!q);
}

SITE void *s_realloc_zero(void)
{
	void *p = malloc(4321);

	KEEP(p);
	count_alloc(S(s_realloc_zero), 4321);
	return p;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-result"
SITE void s_realloc_zeroer(void *p)
{
	size_t zero = 0;
	void *q;

	KEEP(zero);
	q = realloc(p, zero);
	KEEP(q);
	CHECK(!q); /* glibc frees */
	count_free(S(s_realloc_zero), 4321);
}
#pragma GCC diagnostic pop

/* Blocks from before the attach become counted ones when they are reallocated. */
SITE void s_realloc_old(void)
{
	for (size_t i = 0; i < 5; i++) {
		void *q = realloc(before_attach[i], 3000 + i);

		KEEP(q);
		CHECK(q);
		count_alloc(S(s_realloc_old), 3000 + i);
	}
	free(before_attach[5]);
	free(before_attach[6]);
	NO_TAIL();
}

/* M1c: through mmap and mremap and back to nothing */
SITE void s_realloc_mmap_chain(void)
{
	for (int i = 0; i < 10; i++) {
		void *p = malloc(1000);

		KEEP(p);
		count_alloc(S(s_realloc_mmap_chain), 1000);
		p = realloc_to(S(s_realloc_mmap_chain), p, 1000, 1 << 20);
		p = realloc_to(S(s_realloc_mmap_chain), p, 1 << 20, 3 << 20);
		free(p);
		count_free(S(s_realloc_mmap_chain), 3 << 20);
	}
}

/* M1b: after this free glibc takes megabytes from the heap, by brk */
SITE void s_raised_threshold(void)
{
	void *p = malloc(20 << 20);

	KEEP(p);
	count_alloc(S(s_raised_threshold), 20 << 20);
	free(p);
	count_free(S(s_raised_threshold), 20 << 20);
	for (int i = 0; i < 10; i++) {
		p = malloc(1 << 20);
		KEEP(p);
		CHECK(p);
		count_alloc(S(s_raised_threshold), 1 << 20);
	}
}

SITE void *s_free_elsewhere(void)
{
	void *p = malloc(999);

	KEEP(p);
	count_alloc(S(s_free_elsewhere), 999);
	return p;
}

SITE void s_freer(void *p)
{
	free(p);
	count_free(S(s_free_elsewhere), 999);
	free(NULL);
	NO_TAIL();
}

/* A growing vector: 1000 rounds, one block. */
SITE void s_vector(void)
{
	void *p = NULL;

	for (size_t i = 1; i <= 1000; i++) {
		p = realloc(p, 100 * i);
		KEEP(p);
		CHECK(p);
		if (i > 1)
			count_free(S(s_vector), 100 * (i - 1));
		count_alloc(S(s_vector), 100 * i);
	}
}

static void allocate(void)
{
	s_malloc();
	s_calloc();
	s_reallocarray();
	s_posix_memalign();
	s_aligned_alloc();
	s_memalign();
	s_valloc();
	s_pvalloc();
	s_malloc_zero();
	s_malloc_fail();
	s_calloc_fail();
	s_calloc_overflow();
	s_reallocarray_fail();
	s_memalign_fail();
	s_memalign_nomem();
	s_malloc_1m();
	s_malloc_64m();
	s_calloc_300k();
	s_mmap_churn();
	s_raised_threshold();
}

static void reallocate(void)
{
	s_realloc_null();
	s_realloc_grow();
	s_realloc_shrink();
	for (size_t i = 0; i < 19; i++)
		s_realloc_taker(s_realloc_origin(100 + i), 100 + i, 5000 + i);
	for (int i = 0; i < 3; i++)
		s_realloc_failing(s_realloc_kept());
	for (int i = 0; i < 7; i++)
		s_realloc_zeroer(s_realloc_zero());
	s_realloc_old();
	s_realloc_mmap_chain();
	for (int i = 0; i < 23; i++)
		s_freer(s_free_elsewhere());
	s_vector();
}

int main(void)
{
	struct rlimit limit = { 1UL << 30, 1UL << 30 };

	setrlimit(RLIMIT_AS, &limit);
	for (int i = 0; i < 7; i++) {
		before_attach[i] = malloc(640);
		KEEP(before_attach[i]);
	}
	ready();
	hear("go");
	allocate();
	reallocate();
	for (int i = 0; i < N_SITES; i++)
		tell(&sites[i]);
	say("done");
	hear("exit");
	return 0;
}
