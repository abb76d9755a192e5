/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Of blocks whose end may have been missed: which have ended, as the heap itself tells (alloc/glibc_block.h). For
 * processes whose allocator is glibc's. Part of survival.c.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc/allocator.h"
#include "alloc/glibc_block.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "model/overlap.h"
#include "proc/maps.h"
#include "proc/memory.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* glibc's heap, and no other allocator's. */
static bool is_glibc(const struct proc_maps *maps)
{
	bool libc = false;
	size_t i;

	for (i = 0; i < maps->n; i++) {
		if (maps->v[i].ino && alloc_is_allocator_library(base_name(maps->v[i].path)))
			return false;
		libc |= maps->v[i].ino && alloc_is_libc(base_name(maps->v[i].path));
	}
	return libc;
}

/* Where blocks may lie: at brk, all parts of which are one, or in the heap of a thread's arena. */
static bool range_of(const struct proc_maps *maps, size_t *i, struct memory_range *range)
{
	const struct proc_map *m = &maps->v[*i];

	*range = (struct memory_range){ m->start, m->end, MEMORY_BRK };
	if (!strcmp(m->path, "[heap]")) {
		while (*i + 1 < maps->n && !strcmp(maps->v[*i + 1].path, "[heap]"))
			range->end = maps->v[++*i].end;
		return true;
	}
	range->kind = MEMORY_ANON;
	return !m->ino && m->read && m->write && !m->shared && (!*m->path || !strncmp(m->path, "[anon:", 6));
}

static size_t read_memory(void *ctx, uint64_t addr, void *out, size_t len)
{
	return proc_memory_read(ctx, addr, out, len);
}

static void read_pages(void *ctx, uint64_t addr, size_t n, uint8_t *state)
{
	_Static_assert((int)PROC_PAGE_RESIDENT == (int)PAGE_RESIDENT, "one set of states");
	proc_memory_pages(ctx, addr, n, state);
}

static void mark_ended(struct overlap_block *v, struct glibc_block *of, size_t n_of, const struct proc_maps *maps,
		       struct proc_memory *m)
{
	struct target_memory memory = { .ctx = m, .page_bytes = m->page_bytes, .read = read_memory, .pages = read_pages };
	struct memory_range range;
	size_t i;

	for (i = 0; i < maps->n; i++)
		if (range_of(maps, &i, &range))
			glibc_blocks_ended(&memory, &range, of, n_of);
	for (i = 0; i < n_of; i++)
		if (of[i].has_ended)
			v[of[i].at].has_ended = v[of[i].at].by_look = 1;
}

static void look_at_process(struct collector *c, const struct profile_proc *p, struct overlap_block *v,
			    struct glibc_block *of, size_t n_of)
{
	struct proc_maps maps = { 0 };
	struct proc_memory m;

	if (p->state != PROC_RUNNING || proc_memory_open(&m, c->proc_root, p->tgid))
		return;
	if (!proc_maps_read(&maps, c->proc_root, p->tgid) && is_glibc(&maps))
		mark_ended(v, of, n_of, &maps, &m);
	proc_maps_release(&maps);
	proc_memory_close(&m);
}

static int by_process(const void *a, const void *b, void *ctx)
{
	const struct glibc_block *x = a, *y = b;
	const struct overlap_block *v = ctx;

	if (v[x->at].gen != v[y->at].gen)
		return v[x->at].gen < v[y->at].gen ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Every so many of those that were born before, or since then. */
static size_t take_some(struct glibc_block *of, const struct overlap_block *v, size_t n, uint32_t since_ms, bool young, size_t first,
			size_t every)
{
	size_t i, n_of = 0;

	for (i = 0; i < n; i++)
		if (!v[i].has_ended && (v[i].birth_ms >= since_ms) == young && first++ % every == 0)
			of[n_of++] = (struct glibc_block){ .addr = v[i].addr, .size_bytes = v[i].size_bytes, .at = i };
	return n_of;
}

static size_t parts_for(size_t n, size_t most)
{
	return most && n > most ? (n + most - 1) / most : 1; /* most 0: all */
}

void survival_look_at_heap(struct collector *c, struct overlap_block *v, size_t n, uint32_t young_ms, size_t most)
{
	struct glibc_block *of = xcalloc(n + 1, sizeof(*of));
	size_t turn = (size_t)c->n_heap_looks++, i, end, n_of, n_young = 0;

	for (i = 0; i < n; i++)
		n_young += !v[i].has_ended && v[i].birth_ms >= young_ms;
	n_of = take_some(of, v, n, young_ms, true, turn, parts_for(n_young, most));
	n_of += take_some(of + n_of, v, n, young_ms, false, turn, parts_for(n - n_young, n_of < most / 2 ? most - n_of : most / 2));
	qsort_r(of, n_of, sizeof(*of), by_process, v);
	for (i = 0; i < n_of; i = end) {
		uint32_t gen = v[of[i].at].gen;
		const uint64_t *proc = table_get(&c->profile.proc_ids, gen);

		for (end = i; end < n_of && v[of[end].at].gen == gen; end++)
			;
		if (proc)
			look_at_process(c, &c->profile.procs[*proc], v, of + i, end - i);
	}
	free(of);
}
