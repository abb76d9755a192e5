/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Snapshots of one process for the symbolizer; see sym_process.h. Depends on base and proc. */
#include "symbol/sym_process.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"

#define MAX_SKIP 1024

struct sym_process *sym_process_new(uint32_t gen, uint64_t serial, pid_t pid)
{
	struct sym_process *p = xcalloc(1, sizeof(*p));

	p->gen = gen;
	p->serial = serial;
	p->pid = p->ns_pid = pid;
	return p;
}

void sym_process_free(struct sym_process *p)
{
	if (!p)
		return;
	proc_maps_release(&p->maps);
	perf_map_release(&p->perf_map);
	table_release(&p->cache);
	table_release(&p->files);
	free(p);
}

static int identify(struct sym_process *p, const char *proc_root)
{
	struct proc_status status;
	struct proc_stat stat;
	struct timespec now;
	uint64_t now_ns;
	int err = proc_status_read(&status, proc_root, p->pid);

	if (!err)
		err = proc_stat_read(&stat, proc_root, p->pid);
	if (err)
		return err;
	if (p->is_identified && p->start_ticks != stat.start_ticks)
		return -ESRCH; /* the PID is another process's by now */
	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
	p->is_identified = true;
	p->start_ticks = stat.start_ticks;
	p->ns_pid = status.ns_pid;
	p->owner.uid = status.uid;
	p->owner.not_before_ns = now_ns > stat.start_age_ns ? now_ns - stat.start_age_ns : 0;
	return 0;
}

/* Overlapping mappings under which an address means the same code. */
static bool is_same_code(const struct proc_map *a, const struct proc_map *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       (!a->ino || a->start - a->offset == b->start - b->offset);
}

/* Names of addresses in the range no longer hold. */
static void forget_names(struct sym_process *p)
{
	table_release(&p->cache);
}

static struct proc_map take_map(struct proc_map *m)
{
	struct proc_map taken = *m;

	m->path = NULL;
	return taken;
}

/* Both lists are sorted and free of overlaps; an old mapping of code goes on where nothing new
 * lies. */
static void merge(struct sym_process *p, struct proc_maps *new)
{
	struct proc_maps *old = &p->maps, merged = { 0 };
	size_t i = 0, j = 0;
	bool changed = false;

	while (i < old->n || j < new->n) {
		struct proc_map *o = i < old->n ? &old->v[i] : NULL;
		struct proc_map *n = j < new->n ? &new->v[j] : NULL;

		XGROW(merged.v, merged.n, merged.cap);
		if (o && n && o->start < n->end && n->start < o->end) {
			changed |= (o->exec || n->exec) && !is_same_code(o, n);
			if (o->end <= n->end)
				i++;
			else
				merged.v[merged.n++] = take_map(n), j++;
		} else if (o && (!n || o->end <= n->start)) {
			if (o->exec && o->ino)
				merged.v[merged.n++] = take_map(o);
			i++;
		} else {
			merged.v[merged.n++] = take_map(n), j++;
		}
	}
	proc_maps_release(old);
	proc_maps_release(new);
	*old = merged;
	if (changed)
		forget_names(p);
}

int sym_process_snapshot(struct sym_process *p, const char *proc_root)
{
	struct proc_maps maps = { 0 };
	int err = identify(p, proc_root);

	if (!err)
		err = proc_maps_read(&maps, proc_root, p->pid);
	if (err)
		return err;
	merge(p, &maps);
	table_release(&p->files); /* what could not be opened may be by now */
	return 0;
}

bool sym_process_refresh(struct sym_process *p, const char *proc_root, uint64_t addr)
{
	if (p->is_superseded || p->pid <= 0)
		return false;
	if (p->skip) {
		p->skip--;
		return false;
	}
	if (sym_process_snapshot(p, proc_root)) {
		p->skip = MAX_SKIP;
		return false;
	}
	if (proc_maps_find(&p->maps, addr)) {
		p->fruitless = 0;
		return true;
	}
	p->fruitless++;
	p->skip = p->fruitless < 10 ? 1u << p->fruitless : MAX_SKIP;
	return true;
}

void sym_process_copy(struct sym_process *p, const struct sym_process *parent)
{
	size_t i;

	proc_maps_release(&p->maps);
	for (i = 0; i < parent->maps.n; i++) {
		XGROW(p->maps.v, p->maps.n, p->maps.cap);
		p->maps.v[p->maps.n] = parent->maps.v[i];
		p->maps.v[p->maps.n++].path = xstrdup(parent->maps.v[i].path);
	}
}

void sym_process_add_map(struct sym_process *p, const struct proc_map *m)
{
	const struct proc_map *first = proc_maps_find(&p->maps, m->start);
	const struct proc_map *last = proc_maps_find(&p->maps, m->end - 1);

	if ((first && !is_same_code(first, m)) || (last && !is_same_code(last, m)))
		forget_names(p);
	proc_maps_add(&p->maps, m);
}

/* One that grows all the time may be large: where reading takes a millisecond, it takes a tenth of the time at most. */
bool sym_process_refresh_perf_map(struct sym_process *p, const char *proc_root)
{
	uint64_t begin = clock_monotonic_ns(), end;

	if (!p->is_identified || p->is_superseded || begin < p->perf_map_next_ns ||
	    !perf_map_refresh(&p->perf_map, proc_root, p->pid, p->ns_pid, &p->owner))
		return false;
	end = clock_monotonic_ns();
	if (end - begin > NS_PER_MS)
		p->perf_map_next_ns = end + 9 * (end - begin);
	p->n_perf_maps++;
	return true;
}
