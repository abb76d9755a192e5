/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Is a BEAM laid out as a row of beam.c's table says? Where its schedulers, its code and its processes are, and the
 * proof on the living process: return addresses on the stacks of its processes, and those processes, have names. A
 * layout that is off by a word has none.
 */
#include <errno.h>
#include <string.h>

#include "runtime/beam_layout.h"
#include "symbol/elf_find.h"

#define MOST_BSS_PAGES 64
#define MOST_CODE ((uint64_t)4 << 30) /* from the first piece of code to the last */
#define MOST_STUBS 2
#define CHECKED 100 /* return addresses, of which so many in a hundred must have names: */
#define MUST_RESOLVE 90
#define LEAST_REGISTERED 5 /* init, logger, application_controller... */
#define LEAST_CHECKED 10 /* there are more than forty processes when a system has started */

struct check {
	struct runtime *r;
	unsigned int n, named; /* return addresses */
	uint64_t stubs[MOST_STUBS];
	unsigned int n_stubs;
	unsigned int processes, processes_named, registered, not_noted, going;
};

/* The outermost function of each process returns to one place, which is the JIT's own: that one has no name. */
static bool is_stub(struct check *c, uint64_t pc)
{
	unsigned int i;

	for (i = 0; i < c->n_stubs; i++)
		if (c->stubs[i] == pc)
			return true;
	if (c->n_stubs == MOST_STUBS)
		return false;
	c->stubs[c->n_stubs++] = pc;
	return true;
}

static void check_stack(void *ctx, const struct beam_process *p)
{
	struct check *c = ctx;
	const struct beam *b = c->r->state;
	struct buf name = BUF_INIT;
	uint64_t w[64];
	size_t n = (p->hend - p->stop) / 8, i;

	c->processes++;
	c->not_noted += !beam_learn_notes(c->r, p);
	c->registered += beam_registered_name(c->r, p, &name);
	c->processes_named += beam_process_name(c->r, p, &name);
	c->going += runtime_word(&c->r->process, p->addr + b->layout->goes_on) - b->code < b->code_bytes;
	if (n > 64)
		n = 64;
	if (!runtime_read(&c->r->process, p->stop, w, n * 8))
		n = 0;
	for (i = 0; i < n && c->n < CHECKED; i++) {
		if (w[i] & 3 || w[i] - b->code >= b->code_bytes)
			continue;
		buf_reset(&name);
		if (beam_name_pc(c->r, w[i], &name)) {
			c->named++;
			c->n++;
		} else if (!is_stub(c, w[i])) {
			c->n++;
		}
	}
	buf_release(&name);
}

/* Scheduler i of an array: its record says its own kind and number. */
static bool is_scheduler(const struct runtime *r, uint64_t base, uint32_t type, uint32_t number)
{
	const struct beam_layout *l = ((const struct beam *)r->state)->layout;
	uint64_t no = 0;
	uint32_t t = 0, dirty = 0;

	if (!runtime_read(&r->process, base + l->type, &t, sizeof(t)) || !runtime_read(&r->process, base + l->number, &no, sizeof(no)) ||
	    !runtime_read(&r->process, base + l->dirty_number, &dirty, sizeof(dirty)))
		return false;
	return t == type && (type ? !no && (dirty & 0xffff) == number : no == number);
}

/* The distance from one record to the next: there are always ten dirty I/O schedulers, unless asked otherwise. */
static uint64_t find_stride(const struct runtime *r, uint64_t base, uint32_t type)
{
	uint64_t step;

	for (step = 1024; step < 1 << 18; step += 64)
		if (is_scheduler(r, base + step, type, 2))
			return is_scheduler(r, base + 2 * step, type, 3) || type < 2 ? step : 0;
	return 0;
}

static bool find_schedulers(struct runtime *r, struct runtime_object *o)
{
	struct beam *b = r->state;
	struct runtime_process *p = &r->process;

	b->schedulers = runtime_word(p, runtime_symbol(p, o, "erts_aligned_scheduler_data"));
	b->dirty_cpu = runtime_word(p, runtime_symbol(p, o, "erts_aligned_dirty_cpu_scheduler_data"));
	b->dirty_io = runtime_word(p, runtime_symbol(p, o, "erts_aligned_dirty_io_scheduler_data"));
	if (!b->schedulers || !is_scheduler(r, b->schedulers, 0, 1))
		return false;
	b->n_schedulers = runtime_word(p, runtime_symbol(p, o, "erts_no_schedulers"));
	b->stride = b->dirty_io ? find_stride(r, b->dirty_io, 2) : 0;
	if (!b->stride)
		b->stride = find_stride(r, b->schedulers, 0);
	if (!b->dirty_cpu || !is_scheduler(r, b->dirty_cpu, 1, 1))
		b->dirty_cpu = 0;
	if (!b->dirty_io || !is_scheduler(r, b->dirty_io, 2, 1))
		b->dirty_io = 0;
	return true;
}

/* The loop of dirty schedulers; left out where it has no symbol. */
static void find_dirty_main(struct runtime *r, struct runtime_object *o)
{
	struct beam *b = r->state;
	struct elf_symbol sym;

	if (!runtime_object_open(&r->process, o) || !elf_find_symbol(o->elf, "erts_dirty_process_main", &sym))
		return;
	b->dirty_main = sym.vaddr + o->bias;
	b->dirty_main_end = b->dirty_main + sym.size_bytes;
}

/* Memory files that are mapped twice (erts 13), or nameless executable mappings. */
bool beam_find_code(struct runtime *r)
{
	struct beam *b = r->state;
	uint64_t end = 0;
	size_t i;

	b->n_pieces = 0;
	for (i = 0; i < r->process.maps.n && b->n_pieces < BEAM_MOST_PIECES; i++) {
		const struct proc_map *m = &r->process.maps.v[i];

		if (!m->exec || (m->path[0] && strncmp(m->path, "/memfd:", 7)))
			continue;
		if (b->n_pieces && m->end - b->pieces[0].start > MOST_CODE)
			break;
		b->pieces[b->n_pieces++] = (struct beam_range){ m->start, m->end };
		end = m->end;
	}
	if (!b->n_pieces)
		return false;
	b->code = b->pieces[0].start;
	b->code_bytes = end - b->code;
	return true;
}

static bool is_range_table(const struct runtime *r, const uint64_t *t)
{
	const struct beam *b = r->state;
	uint64_t start;

	if (t[1] <= 20 || t[1] >= BEAM_MOST_RANGES || t[2] < t[1] || t[2] >= 1 << 20 || t[0] < 1 << 16 || t[0] & 7 || t[3] < t[0] ||
	    t[3] >= t[0] + 16 * t[2])
		return false;
	start = runtime_word(&r->process, t[0]);
	return start - b->code < b->code_bytes;
}

/* 0: not in this page */
static uint64_t find_in_page(const struct runtime *r, uint64_t page)
{
	uint64_t w[4096 / 8 + 12];
	size_t i;

	if (!runtime_read(&r->process, page, w, sizeof(w)))
		return 0;
	for (i = 0; i < 4096 / 8; i++)
		if (is_range_table(r, w + i) && is_range_table(r, w + i + 4) && is_range_table(r, w + i + 8))
			return page + 8 * i;
	return 0;
}

/* It has no symbol: three tables in a row, in the same section as a variable that has one. */
static bool find_range_table(struct runtime *r, struct runtime_object *o)
{
	struct beam *b = r->state;
	uint64_t near = runtime_symbol(&r->process, o, "erts_atom_table") & ~0xfffULL, i;

	for (i = 0; i < MOST_BSS_PAGES && !b->range_table; i++) {
		b->range_table = find_in_page(r, near + i * 4096);
		if (!b->range_table)
			b->range_table = find_in_page(r, near - i * 4096);
	}
	return b->range_table != 0;
}

const char *beam_find(struct runtime *r, struct runtime_object *o, int *err)
{
	struct beam *b = r->state;
	struct check c = { .r = r };

	if (!b->layout)
		return "the layout of this release is not known here";
	b->notes = b->noted = 0;
	b->processes = runtime_symbol(&r->process, o, "erts_proc");
	b->atoms = runtime_symbol(&r->process, o, "erts_atom_table");
	b->code_index = runtime_symbol(&r->process, o, "the_active_code_index");
	if (!b->processes || !b->atoms || !b->code_index)
		return "its binary does not export erts_proc, erts_atom_table and the_active_code_index";
	*err = -EAGAIN; /* it may not have begun */
	if (!beam_find_code(r))
		return "it has no JIT code";
	find_dirty_main(r, o);
	if (!find_schedulers(r, o))
		return "its schedulers are not laid out as known here";
	if (!find_range_table(r, o) || !beam_read_ranges(r))
		return "its table of code was not found";
	beam_each_process(r, check_stack, &c);
	if (c.n < LEAST_CHECKED || c.processes < LEAST_CHECKED || c.registered < LEAST_REGISTERED)
		return "it has too few Erlang processes to check their layout, or they are not laid out as known here";
	*err = 0;
	if (c.named * 100 < c.n * MUST_RESOLVE)
		return "the return addresses on its stacks are not those of its functions: not laid out as known here";
	if (c.processes_named * 100 < c.processes * MUST_RESOLVE)
		return "its processes have no names: not laid out as known here";
	if (c.going * 100 < c.processes * MUST_RESOLVE)
		return "where its processes go on was not found: not laid out as known here";
	if (c.not_noted * 100 > c.processes * (100 - MUST_RESOLVE))
		return "what proc_lib notes of the processes that it starts was not found: not laid out as known here";
	return NULL;
}
