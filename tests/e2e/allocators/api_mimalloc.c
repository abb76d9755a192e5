/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * mimalloc's own functions, with its heaps: what ends with a heap, and what outlives it.
 * Argument `destroy`: at the end a heap is destroyed with the blocks that it holds (s_destroyed).
 */
#include <mimalloc.h>

#include "forms.h"

#define TOO_MUCH ((size_t)1 << 62)

static mi_heap_t *heap;

static inline __attribute__((always_inline)) void *aligned(size_t size)
{
	void *p = NULL;

	CHECK(mi_posix_memalign(&p, 128, size) == 0);
	return p;
}

MAKE(s_malloc, mi_malloc(size), mi_free(p))
MAKE(s_zalloc, mi_zalloc(size), mi_free_size(p, size))
MAKE(s_calloc, mi_calloc(1, size), mi_free(p))
MAKE(s_mallocn, mi_mallocn(size, 1), mi_cfree(p))
MAKE(s_small, mi_malloc_small(size), mi_free(p))
MAKE(s_zalloc_small, mi_zalloc_small(size), mi_free(p))
MAKE(s_aligned, mi_malloc_aligned(size, 64), mi_free_aligned(p, 64))
MAKE(s_aligned_at, mi_malloc_aligned_at(size, 64, 8), mi_free(p))
MAKE(s_zalloc_aligned, mi_zalloc_aligned(size, 64), mi_free_size_aligned(p, size, 64))
MAKE(s_calloc_aligned, mi_calloc_aligned(1, size, 64), mi_free(p))
MAKE_64(s_aligned_alloc, mi_aligned_alloc(64, size), mi_free(p))
MAKE(s_memalign, mi_memalign(64, size), mi_free(p))
MAKE(s_posix_memalign, aligned(size), mi_free(p))
MAKE(s_valloc, mi_valloc(size), mi_free(p))
MAKE(s_pvalloc, mi_pvalloc(size), mi_free(p))
MAKE(s_new, mi_new(size), mi_free(p))
MAKE(s_new_n, mi_new_n(1, size), mi_free(p))
MAKE(s_new_nothrow, mi_new_nothrow(size), mi_free(p))
MAKE(s_new_aligned, mi_new_aligned(size, 64), mi_free(p))
MAKE(s_new_aligned_nothrow, mi_new_aligned_nothrow(size, 64), mi_free(p))
GROW(s_realloc, mi_malloc(size), mi_realloc(p, size), mi_free(p))
GROW(s_reallocn, mi_malloc(size), mi_reallocn(p, size / 3, 3), mi_free(p))
GROW(s_reallocarray, mi_malloc(size), mi_reallocarray(p, 3, size / 3), mi_free(p))
GROW(s_rezalloc, mi_zalloc(size), mi_rezalloc(p, size), mi_free(p))
GROW(s_recalloc, mi_zalloc(size), mi_recalloc(p, size / 3, 3), mi_free(p))
GROW(s_reallocf, mi_malloc(size), mi_reallocf(p, size), mi_free(p))
GROW(s_realloc_aligned, mi_malloc(size), mi_realloc_aligned(p, size, 64), mi_free(p))
GROW(s_new_realloc, mi_new(size), mi_new_realloc(p, size), mi_free(p))
GROW(s_new_reallocn, mi_new(size), mi_new_reallocn(p, 3, size / 3), mi_free(p))

MAKE(s_heap_malloc, mi_heap_malloc(heap, size), mi_free(p))
MAKE(s_heap_zalloc, mi_heap_zalloc(heap, size), mi_free(p))
MAKE(s_heap_calloc, mi_heap_calloc(heap, 1, size), mi_free(p))
MAKE(s_heap_mallocn, mi_heap_mallocn(heap, size, 1), mi_free(p))
MAKE(s_heap_small, mi_heap_malloc_small(heap, size), mi_free(p))
MAKE(s_heap_aligned, mi_heap_malloc_aligned(heap, size, 64), mi_free(p))
MAKE(s_heap_calloc_aligned, mi_heap_calloc_aligned(heap, 1, size, 64), mi_free(p))
GROW(s_heap_realloc, mi_heap_malloc(heap, size), mi_heap_realloc(heap, p, size), mi_free(p))
GROW(s_heap_reallocn, mi_heap_malloc(heap, size), mi_heap_reallocn(heap, p, 3, size / 3), mi_free(p))
GROW(s_heap_rezalloc, mi_heap_zalloc(heap, size), mi_heap_rezalloc(heap, p, size), mi_free(p))
GROW(s_heap_recalloc, mi_heap_zalloc(heap, size), mi_heap_recalloc(heap, p, 3, size / 3), mi_free(p))
GROW(s_heap_reallocf, mi_heap_malloc(heap, size), mi_heap_reallocf(heap, p, size), mi_free(p))
GROW(s_heap_realloc_aligned, mi_heap_malloc(heap, size), mi_heap_realloc_aligned(heap, p, size, 64),
     mi_free(p))

/* The block ends where it cannot grow. */
static struct site site_s_reallocf_fails = { "s_reallocf_fails", 0, 0, 0, 0 };

SITE void s_reallocf_fails(void)
{
	size_t much = TOO_MUCH;

	for (int i = 0; i < 5; i++) {
		void *p = mi_malloc(123);

		KEEP(p);
		count_alloc(&site_s_reallocf_fails, 123);
		KEEP(much);
		p = i % 2 ? mi_reallocf(p, much) : mi_heap_reallocf(heap, p, much);
		KEEP(p);
		CHECK(!p);
		count_free(&site_s_reallocf_fails, 123);
	}
}

/* In place or not at all. */
static struct site site_s_expand = { "s_expand", 0, 0, 0, 0 };

SITE void s_expand(void)
{
	for (size_t i = 0; i < 31; i++) {
		size_t size = 90 + i, more = i % 2 ? size + 1 : 100000;
		void *p = mi_malloc(size), *q;

		KEEP(p);
		count_alloc(&site_s_expand, size);
		q = mi_expand(p, more);
		KEEP(q);
		if (!q)
			continue;
		count_free(&site_s_expand, size);
		count_alloc(&site_s_expand, more);
	}
}

/* Blocks that outlive their heap, and are freed afterwards; sizes differ so that each counts. */
static struct site site_s_outlives = { "s_outlives", 0, 0, 0, 0 };

SITE void s_outlives(void)
{
	void *p[17];

	for (size_t i = 0; i < 17; i++) {
		p[i] = mi_heap_malloc(heap, 200 + i);
		KEEP(p[i]);
		count_alloc(&site_s_outlives, 200 + i);
	}
	mi_heap_delete(heap);
	for (size_t i = 0; i < 11; i++) {
		mi_free(p[i]);
		count_free(&site_s_outlives, 200 + i);
	}
	NO_TAIL();
}

/* They end here, and no profiler sees which. */
static struct site site_s_destroyed = { "s_destroyed", 0, 0, 0, 0 };

SITE void s_destroyed(void)
{
	for (size_t i = 0; i < 13; i++) {
		void *p = mi_heap_malloc(heap, 300 + i);

		KEEP(p);
		count_alloc(&site_s_destroyed, 300 + i);
	}
	mi_heap_destroy(heap);
	NO_TAIL();
}

#define ALL(X)                                                                                    \
	X(s_malloc) X(s_zalloc) X(s_calloc) X(s_mallocn) X(s_small) X(s_zalloc_small)             \
	X(s_aligned) X(s_aligned_at) X(s_zalloc_aligned) X(s_calloc_aligned) X(s_aligned_alloc)   \
	X(s_memalign) X(s_posix_memalign) X(s_valloc) X(s_pvalloc) X(s_new) X(s_new_n)            \
	X(s_new_nothrow) X(s_new_aligned) X(s_new_aligned_nothrow) X(s_realloc) X(s_reallocn)     \
	X(s_reallocarray) X(s_rezalloc) X(s_recalloc) X(s_reallocf) X(s_realloc_aligned)          \
	X(s_new_realloc) X(s_new_reallocn) X(s_heap_malloc) X(s_heap_zalloc) X(s_heap_calloc)     \
	X(s_heap_mallocn) X(s_heap_small) X(s_heap_aligned) X(s_heap_calloc_aligned)              \
	X(s_heap_realloc) X(s_heap_reallocn) X(s_heap_rezalloc) X(s_heap_recalloc)                \
	X(s_heap_reallocf) X(s_heap_realloc_aligned) X(s_reallocf_fails) X(s_expand)

int main(int argc, char **argv)
{
	(void)argv;
	heap = mi_heap_new();
	ready();
	hear("go");
	ALL(RUN)
	heap = mi_heap_new(); /* which is a block too, but of no site */
	s_outlives();
	heap = mi_heap_new();
	if (argc > 1)
		s_destroyed();
	ALL(TELL)
	TELL(s_outlives)
	if (argc > 1)
		TELL(s_destroyed)
	say("done");
	hear("exit");
	return 0;
}
