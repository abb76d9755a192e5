/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang processes and their memory, read from outside while they run; see beam_layout.h.
 *
 * Of each: its heap (with its own record), its old heap, and the binaries of more than 64 bytes that it holds, each
 * counted once, with the first process that has it. Without binaries they add up to erlang:memory(processes), but
 * for messages that wait outside a heap. A process that collects at that moment is left out. Bounded in time:
 * a node of very many processes is told in part, and that it is.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "runtime/beam_layout.h"

#define MOST_BINARIES 1000000 /* of one process */
#define MOST_SIZE ((uint64_t)1 << 47) /* of one binary */
#define TABLE_ENTRY 12	      /* bytes of the process table for each process that there may be */
#define MOST_NS (2 * NS_PER_S)
#define BINARIES_A_CHECK 1000 /* of the time */

/*
 * ErtsPTabReadOnlyData from pix_mask on: erl_ptab.h. All 0: as in OTP 25, where an id is 28 bits of serial << 15 |
 * number.
 */
struct places {
	uint64_t mask, line_mask, in_line_mask;
	uint32_t line_shift, in_line_shift;
};

struct census {
	struct runtime *r;
	struct runtime_census *out;
	struct table seen; /* binaries */
	uint64_t end_ns;
	bool is_over; /* that time: the rest is left out */
	uint64_t n_old_heaps, n_elements; /* of the lists, for checks of the time */
	struct places places;
};

/*
 * As struct holder has it. ERTS lets neighbours in number be in different cache lines: from OTP 26 on an id's low bits
 * are a place, of which the number is made; 28 bits are the number, what is above them the serial.
 */
static uint64_t number_of(const struct places *p, uint64_t id)
{
	if (!p->mask)
		return (id & 0xfffffff) >> 15 << HOLDER_NUMBER_BITS | (id & 0x7fff);
	return (id & ~p->mask) | (id >> (p->line_shift & 63) & p->line_mask) | (id & p->in_line_mask) << (p->in_line_shift & 63);
}

static uint32_t name_of(struct census *c, const struct beam_process *p)
{
	struct buf name = BUF_INIT;
	uint32_t id;

	if (!beam_process_name(c->r, p, &name))
		buf_adds(&name, "(no name)");
	id = intern_id(&c->out->holder_names, name.data);
	buf_release(&name);
	return id;
}

/* One of four words that were read, by its offset in bytes. */
static uint64_t word_at(const uint64_t w[4], uint32_t offset)
{
	return w[offset / 8 % 4];
}

/*
 * The list of what a process holds outside its heap: {header, ..., next, ...}, binaries among it with their block.
 * False: it was cut; of a process that runs meanwhile that is usual.
 */
static bool add_binaries(struct census *c, uint64_t at, struct holder *h)
{
	const struct beam_layout *l = ((const struct beam *)c->r->state)->layout;
	struct runtime_census *out = c->out;
	uint64_t w[4], in_block[4], block;
	unsigned int n;

	for (n = 0; at; n++, at = w[2]) {
		if (n == MOST_BINARIES || (++c->n_elements % BINARIES_A_CHECK == 0 && clock_monotonic_ns() > c->end_ns)) {
			out->is_cut = true;
			return false;
		}
		if (at & 7 || !runtime_read(&c->r->process, at, w, sizeof(w)))
			return false;
		block = word_at(w, l->binary_block);
		if ((w[0] & 0x3f) != l->binary_header || table_get(&c->seen, block))
			continue;
		if (!runtime_read(&c->r->process, block, in_block, sizeof(in_block)) || word_at(in_block, l->block_size) > MOST_SIZE ||
		    (l->binary_size && word_at(in_block, l->block_size) < word_at(w, l->binary_size)) ||
		    !word_at(in_block, l->block_references) || word_at(in_block, l->block_references) > 1 << 30)
			return false;
		table_put(&c->seen, block, 1);
		XGROW(out->held, out->n_held, out->held_cap);
		out->held[out->n_held++] = (struct held_block){ block, (uint32_t)out->n_holders };
		h->binaries++;
		h->binary_bytes += word_at(in_block, l->block_size);
	}
	return true;
}

static void add_process(void *ctx, const struct beam_process *p)
{
	struct census *c = ctx;
	struct runtime_census *out = c->out;
	const struct beam *b = c->r->state;
	struct holder h = { .id = number_of(&c->places, p->id >> 4) };

	if (c->is_over || (out->n_holders % 64 == 63 && clock_monotonic_ns() > c->end_ns)) {
		c->is_over = out->is_partial = out->is_cut = true;
		return;
	}
	h.name = name_of(c, p);
	h.heap_bytes = p->hend - p->heap + b->layout->struct_bytes;
	if (p->old_heap && p->old_hend - p->old_heap < (uint64_t)1 << 40) {
		c->n_old_heaps++;
		h.old_heap_bytes = p->old_hend - p->old_heap;
	}
	/* those that may still grow have a list of their own */
	if (!add_binaries(c, p->off_heap, &h) || !add_binaries(c, p->writable, &h))
		out->is_partial = true;
	XGROW(out->holders, out->n_holders, out->holders_cap);
	out->holders[out->n_holders++] = h;
}

static void add_sums(struct census *c)
{
	const struct beam *b = c->r->state;
	struct holder sum = { 0 };
	uint32_t max = 0;
	size_t i;

	for (i = 0; i < c->out->n_holders; i++) {
		sum.heap_bytes += c->out->holders[i].heap_bytes;
		sum.old_heap_bytes += c->out->holders[i].old_heap_bytes;
		sum.binaries += c->out->holders[i].binaries;
		sum.binary_bytes += c->out->holders[i].binary_bytes;
	}
	runtime_census_add(c->out, "heaps", c->out->n_holders, sum.heap_bytes);
	runtime_census_add(c->out, "old heaps", c->n_old_heaps, sum.old_heap_bytes);
	runtime_census_add(c->out, "binaries", sum.binaries, sum.binary_bytes);
	if (runtime_read(&c->r->process, b->processes + b->layout->table_max, &max, sizeof(max)))
		runtime_census_add(c->out, "[table of processes]", 1, (uint64_t)max * TABLE_ENTRY);
}

int beam_census(struct runtime *r, struct runtime_census *out)
{
	struct census c = { .r = r, .out = out, .end_ns = clock_monotonic_ns() + MOST_NS };
	const struct beam *b = r->state;

	if (!r->has_census)
		return -ENOTSUP;
	if (b->layout->id_mask && !runtime_read(&r->process, b->processes + b->layout->id_mask, &c.places, sizeof(c.places)))
		return -ESRCH;
	if (!beam_each_process(r, add_process, &c))
		return -ESRCH;
	add_sums(&c);
	out->what = "Erlang processes, and binaries that they hold";
	table_release(&c.seen);
	return 0;
}
