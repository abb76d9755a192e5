/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One look at the heap of a running process; see heap_look.h. */
#include "collect/heap_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/allocator.h"
#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"

/* What the callbacks get. */
struct look_ctx {
	struct proc_memory memory;
	const struct heap_look_opts *o;
	unsigned int asked;
	bool is_over;
};

/* Asking is a system call; the reader looks at the time after each few blocks. */
#define ASK_EACH 64
#define LONG_PAST ((uint64_t)1 << 62)

static size_t look_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	return proc_memory_read(&((struct look_ctx *)ctx)->memory, addr, out, len);
}

static void look_pages(void *ctx, uint64_t addr, size_t n, uint8_t *state)
{
	_Static_assert((int)PROC_PAGE_RESIDENT == (int)PAGE_RESIDENT, "one set of states");
	proc_memory_pages(&((struct look_ctx *)ctx)->memory, addr, n, state);
}

static uint64_t look_now_ns(void *ctx)
{
	struct look_ctx *l = ctx;

	if (l->o->is_over && l->asked++ % ASK_EACH == 0)
		l->is_over |= l->o->is_over(l->o->ctx);
	return clock_monotonic_ns() + (l->is_over ? LONG_PAST : 0);
}

static struct target_memory memory_of(struct look_ctx *l)
{
	return (struct target_memory){
		.ctx = l,
		.page_bytes = l->memory.page_bytes,
		.read = look_read,
		.pages = look_pages,
		.now_ns = look_now_ns,
	};
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_private_data(const struct proc_map *m)
{
	return m->ino && m->read && m->write && !m->shared;
}

/* The allocator's own state lies in libc, or in the program when that is static. */
static bool has_libc(const struct proc_maps *maps)
{
	size_t i;

	for (i = 0; i < maps->n; i++)
		if (is_private_data(&maps->v[i]) && alloc_is_libc(base_name(maps->v[i].path)))
			return true;
	return false;
}

static bool kind_of(const struct proc_map *m, bool with_libc, enum memory_kind *kind)
{
	if (!strcmp(m->path, "[heap]"))
		*kind = MEMORY_BRK;
	else if (!m->ino && m->read && m->write && !m->shared &&
		 (!*m->path || !strncmp(m->path, "[anon:", 6)))
		*kind = MEMORY_ANON;
	else if (is_private_data(m) && (!with_libc || alloc_is_libc(base_name(m->path))))
		*kind = MEMORY_DATA;
	else if (m->ino && m->read && !m->write && !m->exec && !m->shared)
		*kind = MEMORY_CONST;
	else
		return false;
	return true;
}

static struct memory_range *ranges_of(const struct proc_maps *maps, size_t *n)
{
	struct memory_range *v = xcalloc(maps->n + 1, sizeof(*v));
	bool with_libc = has_libc(maps);
	enum memory_kind kind;
	size_t i;

	*n = 0;
	for (i = 0; i < maps->n; i++)
		if (kind_of(&maps->v[i], with_libc, &kind))
			v[(*n)++] = (struct memory_range){ maps->v[i].start, maps->v[i].end, kind };
	return v;
}

int heap_look(struct glibc_heap *out, const struct heap_look_opts *o)
{
	struct glibc_heap_opts opts = { .since = o->since, .budget_ns = o->budget_ns };
	struct memory_range *ranges;
	struct target_memory memory;
	struct look_ctx l = { .o = o };
	int err = proc_memory_open(&l.memory, o->proc_root, o->pid);

	*out = (struct glibc_heap){ 0 };
	if (err)
		return err;
	ranges = ranges_of(o->maps, &opts.n_ranges);
	memory = memory_of(&l);
	opts.ranges = ranges;
	opts.memory = &memory;
	err = glibc_heap_read(out, &opts);
	free(ranges);
	proc_memory_close(&l.memory);
	return err;
}
