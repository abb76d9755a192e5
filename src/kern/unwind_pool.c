/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* First fit over a sorted list of free extents; see unwind_pool.h. */
#include "kern/unwind_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/xalloc.h"

#define CHUNK_WORDS (UW_CHUNK_PAGES * UW_PAGE_WORDS)
#define CHUNK_BYTES ((size_t)CHUNK_WORDS * 4)

void unwind_pool_open(struct unwind_pool *p, int map_fd, uint64_t max_bytes)
{
	uint64_t n = max_bytes / CHUNK_BYTES;

	*p = (struct unwind_pool){ .map_fd = map_fd, .max_chunks = 1 };
	if (n > 1)
		p->max_chunks = n < UW_MAX_TABLE_CHUNKS ? (uint32_t)n : UW_MAX_TABLE_CHUNKS;
}

void unwind_pool_release(struct unwind_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->n_chunks; i++)
		munmap(p->chunks[i], CHUNK_BYTES);
	free(p->unused.v);
	free(p->resting.v);
	*p = (struct unwind_pool){ 0 };
}

static void add_extent(struct pool_list *l, struct pool_extent e)
{
	if (!e.n)
		return;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = e;
}

static int add_chunk(struct unwind_pool *p)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	uint32_t slot = p->n_chunks;
	void *words;
	int fd, err;

	if (slot >= p->max_chunks)
		return -ENOSPC;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "uw_chunk", 4, sizeof(struct uw_page), UW_CHUNK_PAGES,
			    &opts);
	if (fd < 0)
		return fd;
	words = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = words == MAP_FAILED ? -errno : 0;
	if (!err)
		err = bpf_map_update_elem(p->map_fd, &slot, &fd, BPF_ANY);
	close(fd); /* the outer map holds it */
	if (err) {
		if (words != MAP_FAILED)
			munmap(words, CHUNK_BYTES);
		return err;
	}
	p->chunks[slot] = words;
	p->n_chunks++;
	add_extent(&p->unused, (struct pool_extent){ slot * CHUNK_WORDS, CHUNK_WORDS });
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct pool_extent *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Neighbours become one, across chunks too. */
static void merge(struct pool_list *l)
{
	size_t i, o = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_first);
	for (i = 1; i < l->n; i++) {
		if (l->v[o].first + l->v[o].n == l->v[i].first)
			l->v[o].n += l->v[i].n;
		else
			l->v[++o] = l->v[i];
	}
	l->n = o + 1;
}

static bool take_unused(struct pool_list *l, uint32_t n, struct pool_extent *out)
{
	size_t i;

	merge(l);
	for (i = 0; i < l->n; i++) {
		struct pool_extent *e = &l->v[i];

		if (e->n < n)
			continue;
		*out = (struct pool_extent){ e->first, n };
		e->first += n;
		e->n -= n;
		if (!e->n)
			*e = l->v[--l->n];
		return true;
	}
	return false;
}

bool unwind_pool_take(struct unwind_pool *p, uint32_t n, struct pool_extent *out)
{
	while (!take_unused(&p->unused, n, out))
		if (add_chunk(p))
			return false;
	return true;
}

void unwind_pool_give_back(struct unwind_pool *p, struct pool_extent e)
{
	add_extent(&p->resting, e);
}

void unwind_pool_wake(struct unwind_pool *p)
{
	size_t i;

	for (i = 0; i < p->resting.n; i++)
		add_extent(&p->unused, p->resting.v[i]);
	p->resting.n = 0;
}

void unwind_pool_put(struct unwind_pool *p, uint32_t at, uint32_t word)
{
	p->chunks[at / CHUNK_WORDS][at % CHUNK_WORDS] = word;
}

uint64_t unwind_pool_max_words(const struct unwind_pool *p)
{
	return (uint64_t)p->max_chunks * CHUNK_WORDS;
}
