/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing the reader of glibc heaps: a small heap that makes sense, over which the input writes words
 * ({u16 place, u64 value} each; the high bits of the value choose where it is to point). The reader must come
 * to an end, read nothing outside the mappings, and no part may be resident with more than it has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/glibc_heap.h"
#include "alloc/glibc_layout.h"

#define PAGE 4096ull
#define N_PAGES 8
#define N_REGIONS 4

static const uint64_t starts[N_REGIONS] = { 0x555500000000, 0x7f0000001000, 0x7f1000000000, 0x7f2000000000 };
static uint8_t image[N_REGIONS][N_PAGES * PAGE];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fake_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < N_REGIONS; i++) {
		uint64_t at = addr - starts[i];

		if (at >= sizeof(image[i]))
			continue;
		if (len > sizeof(image[i]) - at)
			len = sizeof(image[i]) - at;
		memcpy(out, image[i] + at, len);
		return len;
	}
	abort(); /* of no mapping */
}

static void fake_pages(void *ctx, uint64_t addr, size_t n, uint8_t *state)
{
	size_t i, k;

	(void)ctx;
	memset(state, PAGE_ABSENT, n);
	for (k = 0; k < n; k++)
		for (i = 0; i < N_REGIONS; i++)
			if (addr + k * PAGE - starts[i] < sizeof(image[i]) && (addr / PAGE + k) % 7 != 6)
				state[k] = PAGE_RESIDENT;
}

static uint64_t fake_now(void *ctx)
{
	return ++*(uint64_t *)ctx;
}

static void put(unsigned int region, uint64_t at, uint64_t value)
{
	memcpy(image[region] + at % (sizeof(image[0]) - 7), &value, 8);
}

static void make_arena(unsigned int region, uint64_t at, uint64_t top, uint64_t next)
{
	uint64_t i, bin;

	for (i = 0; i < ARENA_N_BINS; i++) {
		bin = at + ARENA_BINS + 16 * i;
		put(region, bin, starts[region] + bin - 16);
		put(region, bin + 8, starts[region] + bin - 16);
	}
	put(region, at + ARENA_TOP, top);
	put(region, at + ARENA_NEXT, next);
	put(region, at + ARENA_SYSTEM_MEM, sizeof(image[0]));
}

static void make_heap(void)
{
	uint64_t at, second = 48;

	memset(image, 0, sizeof(image));
	make_arena(1, 64, starts[0] + 0x6000, starts[3] + second);
	make_arena(3, second, starts[3] + 0x6000, starts[1] + 64);
	put(3, HEAP_AR_PTR, starts[3] + second);
	put(3, HEAP_SIZE, sizeof(image[3]));
	for (at = 0; at < 0x6000; at += 0x290)
		put(0, at + 8, 0x291);
	for (at = 2256; at < 0x6000; at += 64)
		put(3, at + 8, 65 | CHUNK_NON_MAIN);
	put(2, 8, 2 * PAGE | CHUNK_IS_MMAPPED);
}

static void check_part(const struct heap_part *p)
{
	if (p->resident_bytes > p->bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum memory_kind kinds[N_REGIONS] = { MEMORY_BRK, MEMORY_DATA, MEMORY_ANON, MEMORY_ANON };
	struct memory_range ranges[N_REGIONS];
	uint64_t now = 0, value;
	struct target_memory m = { &now, PAGE, fake_read, fake_pages, fake_now };
	struct glibc_heap_opts o = { .memory = &m, .ranges = ranges, .n_ranges = N_REGIONS, .budget_ns = 1000 };
	struct glibc_heap h;
	uint16_t place;
	size_t i;

	make_heap();
	for (i = 0; i < N_REGIONS; i++)
		ranges[i] = (struct memory_range){ starts[i], starts[i] + sizeof(image[i]), kinds[i] };
	for (; size >= 10; data += 10, size -= 10) {
		memcpy(&place, data, 2);
		memcpy(&value, data + 2, 8);
		if (value >> 62)
			value = starts[value >> 60 & 3] + (value & 0x7fff);
		put(place >> 14, (uint64_t)(place & 0x3fff) * 8, value);
	}
	if (!glibc_heap_read(&h, &o)) {
		check_part(&h.sum.in_use);
		check_part(&h.sum.free);
		check_part(&h.sum.top);
		check_part(&h.sum.unread);
		check_part(&h.mmapped);
	}
	glibc_heap_release(&h);
	return 0;
}
