/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where CPython keeps its objects of up to 512 bytes (pymalloc): arenas of 1 MiB, from mmap, cut into pools of 16 KiB at
 * multiples of that, each for blocks of one size. A pool is known by its head; the same in 3.11, 3.12 and 3.13
 * (Include/internal/pycore_obmalloc.h: struct pool_header; 64-bit builds). Pools that are free and were used are among
 * them; those that never were are not resident.
 */
#include <errno.h>

#include "runtime/cpython.h"

#define POOL ((uint64_t)16 << 10)
#define ARENA ((uint64_t)1 << 20)
#define HEAD_BYTES 48u
#define ALIGNMENT 16u
#define SIZE_CLASSES 32u
/* 4 GiB of mappings are looked at, and no more. */
#define MOST_POOLS ((uint64_t)1 << 18)

struct pool_head {
	uint32_t count, unused;
	uint64_t free_block, next, previous;
	uint32_t arena, size_class;
	uint32_t next_offset, most_offset;
};

static bool is_in_pool(uint64_t addr, uint64_t pool)
{
	return !addr || (addr >= pool + HEAD_BYTES && addr < pool + POOL && !(addr % ALIGNMENT));
}

/* next_offset: of the first block that never was handed out; most_offset: of the last that fits. */
bool cpython_is_pool(const void *head, uint64_t addr)
{
	const struct pool_head *h = head;
	uint32_t size = (h->size_class + 1) * ALIGNMENT;

	return h->size_class < SIZE_CLASSES && h->most_offset == POOL - size && h->next_offset >= HEAD_BYTES + size &&
	       h->next_offset <= POOL && (h->next_offset - HEAD_BYTES) % size == 0 &&
	       h->count <= (POOL - HEAD_BYTES) / size && is_in_pool(h->free_block, addr) && !(h->next & 7) && !(h->previous & 7);
}

static bool may_be_an_arena(const struct proc_map *m)
{
	return !m->ino && m->read && m->write && !m->shared && !m->exec && m->path[0] != '[' && m->end - m->start >= ARENA;
}

static void look_into(struct runtime_ranges *out, const struct runtime_process *p, const struct proc_map *m)
{
	struct pool_head h;
	uint64_t at;

	_Static_assert(sizeof(h) == HEAD_BYTES, "as it lies in memory");
	for (at = (m->start + POOL - 1) & ~(POOL - 1); at + POOL <= m->end; at += POOL)
		if (runtime_read_resident(p, at, &h, sizeof(h)) && cpython_is_pool(&h, at))
			runtime_ranges_add(out, at, at + POOL);
}

int cpython_pools(struct runtime *r, struct runtime_ranges *out)
{
	int err = runtime_process_refresh(&r->process);
	const struct proc_maps *maps = &r->process.maps;
	uint64_t bytes = 0;
	size_t i;

	if (err)
		return err;
	for (i = 0; i < maps->n; i++)
		bytes += may_be_an_arena(&maps->v[i]) ? maps->v[i].end - maps->v[i].start : 0;
	if (bytes / POOL > MOST_POOLS)
		return -E2BIG;
	for (i = 0; i < maps->n; i++)
		if (may_be_an_arena(&maps->v[i]))
			look_into(out, &r->process, &maps->v[i]);
	return out->n ? 0 : -ENOTSUP;
}
