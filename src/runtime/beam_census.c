/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang processes and their memory, read from outside while they run; see beam_layout.h.
 *
 * Three rows for each: its heap, its old heap, the binaries of more than 64 bytes that it holds (each counted once, with
 * the first process that has it). Up to 100 processes have rows of their own, of more those of one name share them.
 * Without binaries the rows add up to erlang:memory(processes), but for messages that wait outside a heap. A process
 * that collects at that moment is left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"
#include "runtime/beam_layout.h"

#define MOST_ROWS 100
#define MOST_BINARIES 1000000 /* of one process */
#define HEADER_BINARY 0x20    /* low six bits of a ProcBin: erl_term.h, REFC_BINARY_SUBTAG << 2 */
#define TABLE_ENTRY 12	      /* bytes of the process table for each process that there may be */

struct group {
	char *name;
	uint64_t processes, heap, old_heaps, old_heap, binaries, binary;
};

struct census {
	struct runtime *r;
	bool by_name;
	struct group *v;
	size_t n, cap;
	struct table by_hash; /* of a name -> its group; 0 for processes of their own */
	struct table seen;    /* binaries */
};

static uint64_t hash_text(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return h;
}

static struct group *group_of(struct census *c, const struct beam_process *p)
{
	struct buf name = BUF_INIT;
	uint32_t number = (uint32_t)(p->id >> 4) & 0xfffffff;
	const uint64_t *at;
	uint64_t hash;

	if (!c->by_name)
		buf_addf(&name, "<0.%u.%u> ", number & 0x7fff, number >> 15);
	if (!beam_process_name(c->r, p, &name))
		buf_adds(&name, "(no name)");
	hash = hash_text(name.data);
	at = table_get(&c->by_hash, hash);
	if (at) {
		buf_release(&name);
		return &c->v[*at];
	}
	table_put(&c->by_hash, hash, c->n);
	XGROW(c->v, c->n, c->cap);
	c->v[c->n++] = (struct group){ .name = xstrdup(name.data) };
	buf_release(&name);
	return &c->v[c->n - 1];
}

/* The list of what a process holds outside its heap: {header, size, next, ...}, binaries among it with their block. */
static void add_binaries(struct census *c, uint64_t at, struct group *g)
{
	uint64_t w[4], block[3];
	unsigned int n;

	for (n = 0; at && n < MOST_BINARIES && !(at & 7); n++, at = w[2]) {
		if (!runtime_read(&c->r->process, at, w, sizeof(w)))
			return;
		if ((w[0] & 0x3f) != HEADER_BINARY || table_get(&c->seen, w[3]))
			continue;
		/* Binary: flags, reference count, size */
		if (!runtime_read(&c->r->process, w[3], block, sizeof(block)) || block[2] < w[1] || !block[1] || block[1] > 1 << 30)
			return;
		table_put(&c->seen, w[3], 1);
		g->binaries++;
		g->binary += block[2];
	}
}

static void add_process(void *ctx, const struct beam_process *p)
{
	struct census *c = ctx;
	struct group *g = group_of(c, p);
	const struct beam *b = c->r->state;

	g->processes++;
	g->heap += p->hend - p->heap + b->layout->struct_bytes;
	if (p->old_heap && p->old_hend - p->old_heap < (uint64_t)1 << 40) {
		g->old_heaps++;
		g->old_heap += p->old_hend - p->old_heap;
	}
	add_binaries(c, p->off_heap, g);
	add_binaries(c, p->writable, g); /* those that may still grow have a list of their own */
}

static void count(void *ctx, const struct beam_process *p)
{
	(void)ctx;
	(void)p;
}

static void add_row(struct runtime_census *out, const struct group *g, const char *what, uint64_t objects, uint64_t bytes)
{
	char *name;

	if (!objects)
		return;
	name = xasprintf("%s: %s", g->name, what);
	runtime_census_add(out, name, objects, bytes);
	free(name);
}

int beam_census(struct runtime *r, struct runtime_census *out)
{
	const struct beam *b = r->state;
	struct census c = { .r = r };
	uint32_t max = 0;
	size_t i;

	if (!r->has_census)
		return -ENOTSUP;
	c.by_name = beam_each_process(r, count, NULL) > MOST_ROWS;
	if (!beam_each_process(r, add_process, &c))
		return -ESRCH;
	for (i = 0; i < c.n; i++) {
		add_row(out, &c.v[i], "heap", c.v[i].processes, c.v[i].heap);
		add_row(out, &c.v[i], "old heap", c.v[i].old_heaps, c.v[i].old_heap);
		add_row(out, &c.v[i], "binaries", c.v[i].binaries, c.v[i].binary);
		free(c.v[i].name);
	}
	if (runtime_read(&r->process, b->processes + b->layout->table_max, &max, sizeof(max)))
		runtime_census_add(out, "[table of processes]", 1, (uint64_t)max * TABLE_ENTRY);
	out->what = "Erlang processes, and binaries that they hold";
	free(c.v);
	table_release(&c.by_hash);
	table_release(&c.seen);
	return 0;
}
