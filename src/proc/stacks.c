/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which parts of which mappings are threads' stacks; see smaps.h. Depends on base and maps.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"
#include "proc/smaps.h"

#define MAX_GUARD_BYTES (1 * MIB)
#define DEFAULT_STACK_BYTES (8 * MIB)
#define ABOVE_POINTER_BYTES (64 * KIB) /* thread descriptor, TLS, outermost frames */

struct stacks {
	struct proc_stack *v;
	size_t n, cap;
};

/* Sleeping: "NR ARG0 ... ARG5 SP PC"; blocked otherwise: "-1 SP PC"; "running" */
static bool stack_pointer(const char *text, uint64_t *sp)
{
	unsigned long long a[9];
	int n = sscanf(text, "%lld %llx %llx %llx %llx %llx %llx %llx %llx", (long long *)&a[0], &a[1],
		       &a[2], &a[3], &a[4], &a[5], &a[6], &a[7], &a[8]);

	if (n != 9 && n != 3)
		return false;
	*sp = n == 9 ? a[7] : a[1];
	return true;
}

static bool is_anonymous(const struct proc_map *m)
{
	return !m->ino && m->read && m->write && !m->shared && (!*m->path || m->path[1] == 'a');
}

/* The guard that pthread_create puts below a stack. */
static bool has_guard(const struct proc_maps *maps, const struct proc_map *m, uint64_t *guard_bytes)
{
	const struct proc_map *g = m - 1;

	if (m == maps->v || g->end != m->start || g->read || g->write || g->ino ||
	    g->end - g->start > MAX_GUARD_BYTES)
		return false;
	*guard_bytes = g->end - g->start;
	return true;
}

static void add(struct stacks *s, uint64_t start, uint64_t end)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].start == start)
			return;
	XGROW(s->v, s->n, s->cap);
	s->v[s->n++] = (struct proc_stack){ start, end };
}

static void add_by_pointer(struct stacks *s, const struct proc_maps *maps, uint64_t sp)
{
	const struct proc_map *m = proc_maps_find(maps, sp);
	uint64_t guard = 0, end;

	if (!m || !is_anonymous(m))
		return;
	has_guard(maps, m, &guard);
	end = m->start + DEFAULT_STACK_BYTES - guard;
	if (sp >= end)
		end = sp + ABOVE_POINTER_BYTES;
	add(s, m->start, end < m->end ? end : m->end);
}

static void add_threads(struct stacks *s, const struct proc_maps *maps, const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/task", proc_root, (int)pid), name[64];
	struct buf text = BUF_INIT;
	DIR *d = opendir(path);
	struct dirent *e;
	uint64_t sp;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == pid)
			continue;
		snprintf(name, sizeof(name), "task/%.32s/syscall", e->d_name);
		if (!proc_read_text(&text, proc_root, pid, name) && stack_pointer(text.data, &sp))
			add_by_pointer(s, maps, sp);
	}
	if (d)
		closedir(d);
	buf_release(&text);
	free(path);
}

static void add_by_shape(struct stacks *s, const struct proc_maps *maps)
{
	uint64_t guard;
	size_t i;

	for (i = 1; i < maps->n; i++) {
		const struct proc_map *m = &maps->v[i];

		if (is_anonymous(m) && has_guard(maps, m, &guard) &&
		    m->end - m->start + guard == DEFAULT_STACK_BYTES)
			add(s, m->start, m->end);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct proc_stack *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int proc_stacks_find(struct proc_stack **v, size_t *n, const struct proc_maps *maps, const char *proc_root,
		     pid_t pid)
{
	struct stacks s = { 0 };

	add_threads(&s, maps, proc_root, pid);
	add_by_shape(&s, maps);
	if (s.n)
		qsort(s.v, s.n, sizeof(*s.v), by_start);
	*v = s.v;
	*n = s.n;
	return 0;
}
