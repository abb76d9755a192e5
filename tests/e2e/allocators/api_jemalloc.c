/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * jemalloc's own functions: mallocx and its family. With -DPREFIX=_rjem_ as in Rust programs and
 * static builds; the C library's malloc is then another allocator in the process, and both are used.
 */
#include "forms.h"

#ifndef PREFIX
#define PREFIX
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define JE(name) JOIN(PREFIX, name)

void *JE(malloc)(size_t size);
void *JE(calloc)(size_t n, size_t size);
void *JE(realloc)(void *p, size_t size);
int JE(posix_memalign)(void **out, size_t alignment, size_t size);
void *JE(aligned_alloc)(size_t alignment, size_t size);
void *JE(memalign)(size_t alignment, size_t size);
void *JE(valloc)(size_t size);
void JE(free)(void *p);
void *JE(mallocx)(size_t size, int flags);
void *JE(rallocx)(void *p, size_t size, int flags);
size_t JE(xallocx)(void *p, size_t size, size_t extra, int flags);
size_t JE(sallocx)(const void *p, int flags);
size_t JE(nallocx)(size_t size, int flags);
void JE(dallocx)(void *p, int flags);
void JE(sdallocx)(void *p, size_t size, int flags);

#define ALIGN_64 6 /* MALLOCX_LG_ALIGN(6) */
#define ZERO 0x40  /* MALLOCX_ZERO */

static inline __attribute__((always_inline)) void *aligned(size_t size)
{
	void *p = NULL;

	CHECK(JE(posix_memalign)(&p, 128, size) == 0);
	return p;
}

MAKE(s_je_malloc, JE(malloc)(size), JE(free)(p))
MAKE(s_je_calloc, JE(calloc)(1, size), JE(free)(p))
MAKE(s_je_posix_memalign, aligned(size), JE(free)(p))
MAKE_64(s_je_aligned_alloc, JE(aligned_alloc)(64, size), JE(free)(p))
MAKE(s_je_memalign, JE(memalign)(64, size), JE(free)(p))
MAKE(s_je_valloc, JE(valloc)(size), JE(free)(p))
GROW(s_je_realloc, JE(malloc)(size), JE(realloc)(p, size), JE(free)(p))
MAKE(s_mallocx, JE(mallocx)(size, 0), JE(dallocx)(p, 0))
MAKE(s_mallocx_aligned, JE(mallocx)(size, ALIGN_64 | ZERO), JE(sdallocx)(p, size, ALIGN_64))
GROW(s_rallocx, JE(mallocx)(size, 0), JE(rallocx)(p, size, 0), JE(dallocx)(p, 0))
MAKE(s_system, malloc(size), free(p))
GROW(s_system_realloc, malloc(size), realloc(p, size), free(p))

/* What was asked for: all of it if the block got that large, else what it got. */
static struct site site_s_xallocx = { "s_xallocx", 0, 0, 0, 0 };

static size_t resize(void *p, size_t old, size_t size, size_t extra) __attribute__((always_inline));
static inline size_t resize(void *p, size_t old, size_t size, size_t extra)
{
	size_t got = JE(xallocx)(p, size, extra, 0);

	KEEP(got);
	if (got < size)
		return old;
	size = got < size + extra ? got : size + extra;
	count_free(&site_s_xallocx, old);
	count_alloc(&site_s_xallocx, size);
	return size;
}

SITE void s_xallocx(void)
{
	for (size_t i = 0; i < 29; i++) {
		size_t size = 100 + i, now;
		void *p = JE(mallocx)(size, 0);

		KEEP(p);
		CHECK(p);
		count_alloc(&site_s_xallocx, size);
		now = resize(p, size, 112, 0);   /* in the same size class */
		now = resize(p, now, 70000, 0);  /* cannot */
		now = resize(p, now, 90, 1000);  /* gets less than all */
		now = resize(p, now, 101, 4);    /* gets all */
		CHECK(JE(sallocx)(p, 0) >= now && JE(nallocx)(now, 0) >= now);
		if (i % 3)
			continue;
		JE(sdallocx)(p, now, 0);
		count_free(&site_s_xallocx, now);
	}
}

/* Large blocks grow in place where the pages behind them are free. */
static struct site site_s_xallocx_large = { "s_xallocx_large", 0, 0, 0, 0 };

SITE void s_xallocx_large(void)
{
	for (size_t i = 0; i < 7; i++) {
		size_t size = 100000 + i, got;
		void *p = JE(mallocx)(size, 0);

		KEEP(p);
		CHECK(p);
		count_alloc(&site_s_xallocx_large, size);
		got = JE(xallocx)(p, 30000, 0, 0); /* shrinks */
		CHECK(got >= 30000);
		count_free(&site_s_xallocx_large, size);
		count_alloc(&site_s_xallocx_large, 30000);
		got = JE(xallocx)(p, 60000, 0, 0); /* may grow again */
		if (got < 60000)
			continue;
		count_free(&site_s_xallocx_large, 30000);
		count_alloc(&site_s_xallocx_large, 60000);
	}
}

static void *before[5];

/* Of blocks from before the profiler came */
static struct site site_s_xallocx_old = { "s_xallocx_old", 0, 0, 0, 0 };

SITE void s_xallocx_old(void)
{
	for (size_t i = 0; i < 5; i++)
		if (JE(xallocx)(before[i], 500 + i, 0, 0) >= 500 + i)
			count_alloc(&site_s_xallocx_old, 500 + i);
}

#define ALL(X)                                                                                    \
	X(s_je_malloc) X(s_je_calloc) X(s_je_posix_memalign) X(s_je_aligned_alloc)                \
	X(s_je_memalign) X(s_je_valloc) X(s_je_realloc) X(s_mallocx) X(s_mallocx_aligned)         \
	X(s_rallocx) X(s_xallocx) X(s_xallocx_large) X(s_xallocx_old) X(s_system)                 \
	X(s_system_realloc)

int main(void)
{
	for (int i = 0; i < 5; i++)
		before[i] = JE(mallocx)(512, 0);
	ready();
	hear("go");
	ALL(RUN)
	JE(free)(NULL);
	ALL(TELL)
	say("done");
	hear("exit");
	return 0;
}
