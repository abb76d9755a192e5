/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Blocks by the words around them: in memory that is built here, and in this process's own heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc/glibc_block.h"

#define START 0x10000ull
#define BYTES 0x4000
#define N 8

static uint8_t memory[BYTES];
static bool absent;

static size_t fake_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	(void)ctx;
	memcpy(out, memory + (addr - START), len);
	return len;
}

static void fake_pages(void *ctx, uint64_t addr, size_t n, uint8_t *state)
{
	(void)ctx;
	(void)addr;
	memset(state, absent ? PAGE_ABSENT : PAGE_RESIDENT, n);
}

static const struct target_memory fake = { .page_bytes = 4096, .read = fake_read, .pages = fake_pages };
static const struct memory_range heap = { START, START + BYTES, MEMORY_BRK };

static void word(uint64_t at, uint64_t value)
{
	memcpy(memory + (at - START), &value, sizeof(value));
}

/* N chunks of 1008 bytes, all in use, for blocks of 1000. */
static void lay_out(struct glibc_block *v)
{
	size_t i;

	memset(memory, 0, sizeof(memory));
	absent = false;
	for (i = 0; i <= N; i++) {
		uint64_t chunk = START + 0x100 + i * 1008;

		word(chunk + 8, 1008 | 1);
		if (i < N)
			v[i] = (struct glibc_block){ .addr = chunk + 16, .size_bytes = 1000, .at = i };
	}
}

static void blocks_that_are_as_they_were__may_live(void **state)
{
	struct glibc_block v[N];

	(void)state;
	lay_out(v);
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 0);
}

static void a_chunk_of_another_size__is_another_block(void **state)
{
	struct glibc_block v[N];

	(void)state;
	lay_out(v);
	word(v[1].addr - 8, 1136 | 1); /* larger */
	word(v[3].addr - 8, 64 | 1);   /* smaller */
	word(v[5].addr - 8, 1024 | 1); /* a rest too small for a chunk stays with it */
	word(v[5].addr - 8 + 1024, 33);
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 2);
	assert_true(v[1].has_ended && v[3].has_ended && !v[5].has_ended);
}

static void a_chunk_whose_next_one_says_it_is_free__has_ended(void **state)
{
	struct glibc_block v[N];

	(void)state;
	lay_out(v);
	word(v[4].addr - 8 + 1008, 1008); /* without PREV_INUSE */
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 1);
	assert_true(v[4].has_ended);
}

/* A block of 5000 bytes whose chunk has 8064 now; what the size word behind it says. */
static size_t ended_of_a_large_one(uint64_t next_size)
{
	struct glibc_block v[N];

	lay_out(v);
	v[0].size_bytes = 5000;
	word(v[0].addr - 8, 8064 | 1);
	word(v[0].addr - 8 + 8064, next_size);
	return glibc_blocks_ended(&fake, &heap, v, 1);
}

static void a_large_block_that_is_larger_now__may_have_grown(void **state)
{
	(void)state;
	assert_int_equal(ended_of_a_large_one(32 | 1), 0);
}

/* Freed together with those behind it, or one that is larger lies there: then it is in use. */
static void a_large_block_whose_larger_chunk_is_free__has_ended(void **state)
{
	(void)state;
	assert_int_equal(ended_of_a_large_one(32), 1);
}

static void what_is_no_heap_of_glibc__tells_nothing(void **state)
{
	struct glibc_block v[N];
	size_t i;

	(void)state;
	lay_out(v);
	for (i = 0; i < N; i++)
		word(v[i].addr - 8, 0x3132333435363738ull + i);
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 0);
	for (i = 0; i < N; i++)
		assert_false(v[i].has_ended);
}

static void what_is_not_resident_or_elsewhere__is_left_alone(void **state)
{
	struct glibc_block v[N], far = { .addr = START + 2 * BYTES, .size_bytes = 10 };

	(void)state;
	lay_out(v);
	word(v[1].addr - 8, 64 | 1);
	absent = true;
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 0);
	assert_int_equal(glibc_blocks_ended(&fake, &heap, &far, 1), 0);
}

static size_t own_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	(void)ctx;
	memcpy(out, (const void *)(uintptr_t)addr, len);
	return len;
}

static int by_address(const void *a, const void *b)
{
	const struct glibc_block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* A heap of a thread's arena lies in one part of so much, aligned to it. */
#define HEAP_BYTES (64ull << 20)

/*
 * Of 4000 living blocks of all sizes none is called ended; of those freed and coalesced, most. arg: enum memory_kind *.
 */
static void *real_heap(void *arg)
{
	static struct glibc_block v[4000];
	static void *blocks[4000];
	struct target_memory own = { .page_bytes = 4096, .read = own_read, .pages = fake_pages };
	struct memory_range range = { .kind = *(enum memory_kind *)arg };
	size_t i, n = 0, ended;

	absent = false;
	srand(3);
	for (i = 0; i < 4000; i++) {
		size_t bytes = (size_t)(rand() % 3000) + 1;

		blocks[i] = i % 7 ? malloc(bytes) : memalign(64, bytes);
		v[i] = (struct glibc_block){ .addr = (uint64_t)(uintptr_t)blocks[i], .size_bytes = bytes, .at = i };
		if (i % 5 == 0)
			free(malloc((size_t)(rand() % 2000) + 1));
	}
	qsort(v, 4000, sizeof(*v), by_address);
	range.start = v[0].addr - 16;
	range.end = range.kind == MEMORY_BRK ? (uint64_t)(uintptr_t)sbrk(0) : (v[0].addr | (HEAP_BYTES - 1)) + 1;
	assert_int_equal(glibc_blocks_ended(&own, &range, v, 4000), 0);
	for (i = 0; i < 4000; i++)
		if (i % 4 == 0 && v[i].size_bytes > 1200) {
			free(blocks[v[i].at]);
			blocks[v[i].at] = NULL;
			n++;
		}
	ended = glibc_blocks_ended(&own, &range, v, 4000);
	assert_true(ended > n * 9 / 10);
	for (i = 0; i < 4000; i++)
		assert_false(v[i].has_ended && blocks[v[i].at]);
	for (i = 0; i < 4000; i++)
		free(blocks[i]);
	return NULL;
}

static void no_living_block_of_a_real_heap__is_called_ended(void **state)
{
	enum memory_kind kind = MEMORY_BRK;

	(void)state;
	real_heap(&kind);
}

static void no_living_block_of_a_threads_heap__is_called_ended(void **state)
{
	enum memory_kind kind = MEMORY_ANON;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, real_heap, &kind), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_threads_heap__is_not_the_main_one_and_has_neighbours_with_a_mapping_of_their_own(void **state)
{
	struct memory_range thread = { START, START + BYTES, MEMORY_ANON };
	struct glibc_block v[N];
	size_t i;

	(void)state;
	lay_out(v);
	assert_int_equal(glibc_blocks_ended(&fake, &thread, v, N), 0); /* chunks of the main arena: not told */
	for (i = 0; i < N; i++)
		word(v[i].addr - 8, 1008 | 4 | 1);
	assert_int_equal(glibc_blocks_ended(&fake, &heap, v, N), 0);
	word(v[2].addr - 8, 1136 | 4 | 1);
	v[3].size_bytes = 200000;
	word(v[3].addr - 8, 200704 | 2); /* by mmap */
	assert_int_equal(glibc_blocks_ended(&fake, &thread, v, N), 1);
	assert_true(v[2].has_ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_that_are_as_they_were__may_live),
		cmocka_unit_test(a_chunk_of_another_size__is_another_block),
		cmocka_unit_test(a_chunk_whose_next_one_says_it_is_free__has_ended),
		cmocka_unit_test(a_large_block_that_is_larger_now__may_have_grown),
		cmocka_unit_test(a_large_block_whose_larger_chunk_is_free__has_ended),
		cmocka_unit_test(what_is_no_heap_of_glibc__tells_nothing),
		cmocka_unit_test(what_is_not_resident_or_elsewhere__is_left_alone),
		cmocka_unit_test(no_living_block_of_a_real_heap__is_called_ended),
		cmocka_unit_test(no_living_block_of_a_threads_heap__is_called_ended),
		cmocka_unit_test(a_threads_heap__is_not_the_main_one_and_has_neighbours_with_a_mapping_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
