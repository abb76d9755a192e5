/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The reader of glibc heaps on memory that is built here, word by word, as malloc.c lays it out. What
 * real glibcs write is compared in tests/e2e/test_heap_reader.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/glibc_heap.h"
#include "alloc/glibc_layout.h"

#define PAGE 4096ull
#define DATA 0x7f0000001000ull
#define ARENA (DATA + 0x128)
#define MP (DATA + 0x1010) /* 40 bytes before sbrk_base */
#define CONST_AT 0x7f0000400000ull
#define BRK 0x555500000000ull
#define MAPPED 0x7f1000000000ull
#define HEAP2 0x7f2000000000ull /* aligned to 64 MiB */

struct region {
	uint64_t start, size;
	enum memory_kind kind;
	uint8_t *data, *state;
};

struct world {
	struct region r[5];
	struct memory_range ranges[5];
	struct target_memory memory;
	struct glibc_heap_opts opts;
	uint64_t now_ns, tick_ns;
	uint64_t at; /* where the next chunk goes */
	uint64_t prev_in_use;
	struct glibc_heap heap;
};

static struct region *region_of(struct world *w, uint64_t addr)
{
	size_t i;

	for (i = 0; i < 5; i++)
		if (addr >= w->r[i].start && addr < w->r[i].start + w->r[i].size)
			return &w->r[i];
	return NULL;
}

static size_t fake_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	struct region *r = region_of(ctx, addr);
	uint64_t at;

	if (!r)
		return 0;
	if (len > r->start + r->size - addr)
		len = r->start + r->size - addr;
	for (at = addr; at < addr + len; at++)
		assert_int_equal(r->state[(at - r->start) / PAGE], PAGE_RESIDENT);
	memcpy(out, r->data + (addr - r->start), len);
	return len;
}

static void fake_pages(void *ctx, uint64_t addr, size_t n, uint8_t *state)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct region *r = region_of(ctx, addr + i * PAGE);

		state[i] = r ? r->state[(addr + i * PAGE - r->start) / PAGE] : (uint8_t)PAGE_ABSENT;
	}
}

static uint64_t fake_now(void *ctx)
{
	struct world *w = ctx;

	return w->now_ns += w->tick_ns;
}

static void put(struct world *w, uint64_t addr, uint64_t value)
{
	struct region *r = region_of(w, addr);

	assert_non_null(r);
	memcpy(r->data + (addr - r->start), &value, 8);
}

static void put_ints(struct world *w, uint64_t addr, uint32_t a, uint32_t b)
{
	put(w, addr, (uint64_t)b << 32 | a);
}

static void put_arena(struct world *w, uint64_t addr, uint64_t top, uint64_t next, uint64_t system)
{
	uint64_t i, bin;

	for (i = 0; i < ARENA_N_BINS; i++) {
		bin = addr + ARENA_BINS + 16 * i;
		put(w, bin, bin - 16);
		put(w, bin + 8, bin - 16);
	}
	put(w, addr + ARENA_TOP, top);
	put(w, addr + ARENA_NEXT, next);
	put(w, addr + ARENA_SYSTEM_MEM, system);
}

static void begin_chunks(struct world *w, uint64_t at)
{
	w->at = at;
	w->prev_in_use = 1;
}

/* Returns the block (chunk + 16). */
static uint64_t chunk(struct world *w, uint64_t size, bool in_use)
{
	uint64_t at = w->at;

	put(w, at + 8, size | w->prev_in_use);
	w->at += size;
	if (!in_use)
		put(w, w->at, size);
	w->prev_in_use = in_use;
	return at + 16;
}

static uint64_t many(struct world *w, unsigned int n, uint64_t size)
{
	uint64_t first = w->at + 16;

	while (n--)
		chunk(w, size, true);
	return first;
}

static void end_chunks(struct world *w, uint64_t arena, uint64_t end)
{
	put(w, w->at + 8, (end - w->at) | w->prev_in_use);
	put(w, arena + ARENA_TOP, w->at);
}

static int setup(void **state)
{
	static const struct memory_range ranges[5] = {
		{ BRK, BRK + 33 * PAGE, MEMORY_BRK },
		{ DATA, DATA + 3 * PAGE, MEMORY_DATA },
		{ CONST_AT, CONST_AT + PAGE, MEMORY_CONST },
		{ MAPPED, MAPPED + 64 * PAGE, MEMORY_ANON },
		{ HEAP2, HEAP2 + 33 * PAGE, MEMORY_ANON },
	};
	struct world *w = calloc(1, sizeof(*w));
	size_t i;

	for (i = 0; i < 5; i++) {
		uint64_t size = ranges[i].end - ranges[i].start;

		w->r[i] = (struct region){ .start = ranges[i].start, .size = size, .kind = ranges[i].kind };
		w->r[i].data = calloc(1, size);
		w->r[i].state = malloc(size / PAGE);
		memset(w->r[i].state, PAGE_RESIDENT, size / PAGE);
	}
	memcpy(w->ranges, ranges, sizeof(ranges));
	w->memory = (struct target_memory){ w, PAGE, fake_read, fake_pages, fake_now };
	w->opts = (struct glibc_heap_opts){ .memory = &w->memory, .ranges = w->ranges, .n_ranges = 5 };
	put_arena(w, ARENA, 0, ARENA, 33 * PAGE);
	put_ints(w, MP + MP_N_MMAPS_2_35 - 4, 0, 0);
	put_ints(w, MP + 8, 65536, 9);
	put(w, MP + MP_SBRK_BASE, BRK);
	begin_chunks(w, BRK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	size_t i;

	glibc_heap_release(&w->heap);
	for (i = 0; i < 5; i++) {
		free(w->r[i].data);
		free(w->r[i].state);
	}
	free(w);
	return 0;
}

static const struct glibc_arena *look(struct world *w)
{
	assert_int_equal(glibc_heap_read(&w->heap, &w->opts), 0);
	return &w->heap.sum;
}

static void a_quiet_heap__is_told_apart_to_the_byte(void **state)
{
	struct world *w = *state;
	const struct glibc_arena *s;

	many(w, 10, 64);
	chunk(w, 4000, false);
	many(w, 7, 1008);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	s = look(w);
	assert_true(w->heap.is_trusted);
	assert_int_equal(s->in_use.bytes, 640 + 7056);
	assert_int_equal(s->in_use.blocks, 17);
	assert_int_equal(s->in_use.resident_bytes, 640 + 7056);
	assert_int_equal(s->free.bytes, 4000);
	assert_int_equal(s->free.blocks, 1);
	assert_int_equal(s->top.bytes, 33 * PAGE - 640 - 7056 - 4000);
	assert_int_equal(s->unread.bytes, 0);
	assert_int_equal(w->heap.mmapped_claimed, 0);
}

static void blocks__are_counted_by_size_and_by_their_vtable(void **state)
{
	struct world *w = *state;
	struct heap_class *k;
	struct heap_type *t;
	uint64_t first = many(w, 30, 208), i;
	size_t n;

	for (i = 0; i < 20; i++)
		put(w, first + i * 208, CONST_AT + 0x10);
	put(w, first + 25 * 208, CONST_AT + 0x11); /* not aligned: no pointer */
	put(w, first + 26 * 208, BRK + 0x20);	   /* a pointer to a heap is no type */
	chunk(w, 70000, true);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	look(w);
	k = census_classes(w->heap.census, &n);
	assert_int_equal(n, 2);
	assert_int_equal(k[0].chunk_bytes, 70000);
	assert_int_equal(k[1].chunk_bytes, 208);
	assert_int_equal(k[1].blocks, 30);
	free(k);
	t = census_types(w->heap.census, &n);
	assert_int_equal(n, 1);
	assert_int_equal(t[0].word, CONST_AT + 0x10);
	assert_int_equal(t[0].chunk_bytes, 208);
	assert_int_equal(t[0].blocks, 20);
	free(t);
}

static void a_thread_cache__is_free_memory(void **state, bool protects)
{
	struct world *w = *state;
	const struct glibc_arena *s;
	uint64_t tcache = chunk(w, TCACHE_CHUNK_BYTES, true), a = many(w, 5, 48), i;

	put(w, tcache, 3 << 16); /* counts[1]: chunks of 48 bytes */
	put(w, tcache + TCACHE_ENTRIES + 8, a);
	for (i = 0; i < 3; i++) {
		uint64_t at = a + i * 48, next = i < 2 ? at + 48 : 0;

		put(w, at, protects ? next ^ at >> 12 : next);
	}
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	s = look(w);
	assert_int_equal(s->cached.blocks, 3);
	assert_int_equal(s->cached.bytes, 144);
	assert_int_equal(s->in_use.blocks, 3);
	assert_int_equal(s->in_use.bytes, TCACHE_CHUNK_BYTES + 96);
	assert_string_equal(w->heap.layout, protects ? "" : "2.31");
}

static void a_thread_cache_with_plain_links__is_free_memory(void **state)
{
	a_thread_cache__is_free_memory(state, false);
}

static void a_thread_cache_with_protected_links__is_free_memory(void **state)
{
	a_thread_cache__is_free_memory(state, true);
}

static void a_thread_cache_whose_count_is_wrong__changes_nothing(void **state)
{
	struct world *w = *state;
	uint64_t tcache = chunk(w, TCACHE_CHUNK_BYTES, true), a = many(w, 5, 48);

	put(w, tcache, 2 << 16);
	put(w, tcache + TCACHE_ENTRIES + 8, a); /* a list of one, plain or protected */
	put(w, a, a >> 12);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	assert_int_equal(look(w)->cached.blocks, 0);
}

static void fastbins__are_free_memory(void **state)
{
	struct world *w = *state;
	uint64_t a = many(w, 6, 32);

	put(w, a, (a + 32 - 16) ^ a >> 12); /* links of fastbins point at chunks */
	put(w, a + 32, (a + 32) >> 12);
	put(w, ARENA + ARENA_FASTBINS, a - 16);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	assert_int_equal(look(w)->cached.blocks, 2);
	assert_int_equal(w->heap.sum.in_use.blocks, 4);
}

static void a_torn_chain__is_taken_up_again__and_its_gap_is_unread(void **state)
{
	struct world *w = *state;
	const struct glibc_arena *s;
	uint64_t bad;

	many(w, 10, 64);
	bad = many(w, 10, 512);
	many(w, 100, 80);
	put(w, bad + 3 * 512 - 8, 0xdeadbeefdeadbeef);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	s = look(w);
	assert_int_equal(s->unread.blocks, 1);
	assert_int_equal(s->unread.bytes, 1024); /* the chunk before, and the damaged one */
	assert_int_equal(s->in_use.blocks, 118);
	assert_int_equal(s->in_use.bytes + s->unread.bytes + s->top.bytes, 33 * PAGE);
}

static void a_swapped_page__is_not_read__and_said(void **state)
{
	struct world *w = *state;
	const struct glibc_arena *s;

	many(w, 33 * 40, 96);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	w->r[0].state[5] = PAGE_SWAPPED; /* fake_read fails the test when it is touched */
	s = look(w);
	assert_in_range(s->unread.bytes, PAGE - 96, PAGE + 192);
	assert_int_equal(s->in_use.bytes + s->unread.bytes + s->top.bytes, 33 * PAGE);
	assert_true(w->heap.is_trusted);
}

static void pages_never_touched__are_in_no_resident_sum(void **state)
{
	struct world *w = *state;
	const struct glibc_arena *s;

	chunk(w, 8 * PAGE, true);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	memset(w->r[0].state + 2, PAGE_ABSENT, 4);
	memset(w->r[0].state + 10, PAGE_ABSENT, 20);
	s = look(w);
	assert_int_equal(s->in_use.bytes, 8 * PAGE);
	assert_int_equal(s->in_use.resident_bytes, 4 * PAGE);
	assert_int_equal(s->top.resident_bytes, 5 * PAGE);
}

static void another_arena__is_read_through_its_heap(void **state)
{
	struct world *w = *state;
	uint64_t ar = HEAP2 + 48, first = (ar + ARENA_BYTES + 15) & ~15ull;

	end_chunks(w, ARENA, BRK + 33 * PAGE);
	put(w, ARENA + ARENA_NEXT, ar);
	put_arena(w, ar, 0, ARENA, 33 * PAGE);
	put(w, HEAP2 + HEAP_AR_PTR, ar);
	put(w, HEAP2 + HEAP_SIZE, 33 * PAGE);
	begin_chunks(w, first);
	many(w, 50, 1024);
	end_chunks(w, ar, HEAP2 + 33 * PAGE);
	look(w);
	assert_true(w->heap.is_trusted);
	assert_string_equal(w->heap.layout, "2.35");
	assert_int_equal(w->heap.n_arenas, 2);
	assert_int_equal(w->heap.arenas[1].in_use.bytes, 50 * 1024);
	assert_int_equal(w->heap.arenas[1].header.bytes, first - HEAP2);
	assert_int_equal(w->heap.sum.system_bytes, 66 * PAGE);
}

static void mapped_chunks__are_found_aligned_ones_and_neighbours_too(void **state)
{
	struct world *w = *state;

	end_chunks(w, ARENA, BRK + 33 * PAGE);
	put(w, MAPPED + 2 * PAGE + 8, 10 * PAGE | CHUNK_IS_MMAPPED);
	put(w, MAPPED + 12 * PAGE + 8, 3 * PAGE | CHUNK_IS_MMAPPED);
	put(w, MAPPED + 21 * PAGE - 16, PAGE - 16); /* aligned_alloc(4096, ...) at 20 */
	put(w, MAPPED + 21 * PAGE - 8, (4 * PAGE + 16) | CHUNK_IS_MMAPPED);
	put(w, MAPPED + 40 * PAGE + 8, 99 * PAGE | CHUNK_IS_MMAPPED); /* beyond its mapping: none */
	put(w, MP + MP_MMAPPED_MEM, 18 * PAGE);
	put(w, MP + MP_MAX_MMAPPED_MEM, 18 * PAGE);
	put_ints(w, MP + MP_N_MMAPS_2_35 - 4, 0, 3);
	look(w);
	assert_int_equal(w->heap.mmapped_claimed, 18 * PAGE);
	assert_int_equal(w->heap.mmapped.blocks, 3);
	assert_int_equal(w->heap.mmapped.bytes, 18 * PAGE);
	assert_true(w->heap.is_trusted);
}

static void blocks_since_the_attach__are_told_by_their_address(void **state)
{
	struct world *w = *state;
	struct address_set since = ADDRESS_SET_INIT;
	uint64_t a = many(w, 20, 64);

	address_set_add(&since, a + 3 * 64);
	address_set_add(&since, a + 9 * 64);
	address_set_add(&since, BRK + 5 * PAGE); /* no block of this heap */
	w->opts.since = &since;
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	assert_int_equal(look(w)->since.blocks, 2);
	assert_int_equal(w->heap.sum.since.bytes, 128);
	assert_int_equal(w->heap.sum.in_use.blocks, 20);
	address_set_release(&since);
}

static void without_an_arena__there_is_no_heap(void **state)
{
	struct world *w = *state;

	memset(w->r[1].data, 0, 3 * PAGE);
	assert_int_equal(glibc_heap_read(&w->heap, &w->opts), -ENOENT);
}

static void a_heap_that_disagrees_with_its_own_counters__is_not_trusted(void **state)
{
	struct world *w = *state;

	many(w, 10, 64);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	put(w, MP + MP_MMAPPED_MEM, 64 * PAGE); /* counted, but nowhere to be found */
	put(w, MP + MP_MAX_MMAPPED_MEM, 64 * PAGE);
	put_ints(w, MP + MP_N_MMAPS_2_35 - 4, 0, 1);
	look(w);
	assert_false(w->heap.is_trusted);
	assert_non_null(strstr(w->heap.reason, "could not be read"));
}

static void what_the_time_did_not_suffice_for__is_unread(void **state)
{
	struct world *w = *state;

	many(w, 33 * 40, 96);
	end_chunks(w, ARENA, BRK + 33 * PAGE);
	w->tick_ns = 1000;
	w->opts.budget_ns = 500;
	look(w);
	assert_false(w->heap.is_trusted);
	assert_non_null(strstr(w->heap.reason, "time allowed"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_quiet_heap__is_told_apart_to_the_byte),
		T(blocks__are_counted_by_size_and_by_their_vtable),
		T(a_thread_cache_with_plain_links__is_free_memory),
		T(a_thread_cache_with_protected_links__is_free_memory),
		T(a_thread_cache_whose_count_is_wrong__changes_nothing),
		T(fastbins__are_free_memory),
		T(a_torn_chain__is_taken_up_again__and_its_gap_is_unread),
		T(a_swapped_page__is_not_read__and_said),
		T(pages_never_touched__are_in_no_resident_sum),
		T(another_arena__is_read_through_its_heap),
		T(mapped_chunks__are_found_aligned_ones_and_neighbours_too),
		T(blocks_since_the_attach__are_told_by_their_address),
		T(without_an_arena__there_is_no_heap),
		T(a_heap_that_disagrees_with_its_own_counters__is_not_trusted),
		T(what_the_time_did_not_suffice_for__is_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
