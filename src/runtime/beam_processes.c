/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang processes as records in memory: each of the table that ERTS keeps of them, its fields, its name; see
 * beam_layout.h. What is read while it changes is left out, never guessed. Their memory and what they hold is
 * beam_census.c, their collections beam_collections.c.
 */
#include <string.h>

#include "proc/process.h"
#include "runtime/beam_layout.h"

#define PID_TAG 3 /* low four bits of the id of a process */

/* False: it is none, or changes at this moment. */
static bool read_process(const struct runtime *r, uint64_t addr, struct beam_process *p)
{
	const struct beam *b = r->state;
	const struct beam_layout *l = b->layout;
	uint8_t raw[1024];

	if (!addr || addr & 7 || !runtime_read(&r->process, addr, raw, l->size_bytes))
		return false;
#define FIELD(name, offset) memcpy(&p->name, raw + (offset), sizeof(p->name))
	p->addr = addr;
	FIELD(id, 0);
	FIELD(htop, l->htop);
	FIELD(stop, l->stop);
	FIELD(heap, l->heap);
	FIELD(hend, l->hend);
	FIELD(old_heap, l->old_heap);
	FIELD(old_hend, l->old_hend);
	FIELD(off_heap, l->off_heap);
	FIELD(writable, l->writable);
	FIELD(referred_words, l->off_heap + 8);
	FIELD(gen_gcs, l->gen_gcs);
	FIELD(most_gcs, l->gen_gcs + 2);
#undef FIELD
	return (p->id & 15) == PID_TAG && p->heap < p->hend && p->heap <= p->htop && p->htop < p->stop && p->stop <= p->hend &&
	       p->old_heap <= p->old_hend && !(p->hend & 7) && !(p->stop & 7);
}

/* Of a part of their table, from one address to another. */
static size_t each_in_part(const struct runtime *r, uint64_t from, uint64_t to, void (*f)(void *ctx, const struct beam_process *p),
			   void *ctx)
{
	uint64_t part[512], n, i;
	struct beam_process p;
	size_t found = 0;

	for (; from < to; from += 8 * n) {
		n = (to - from) / 8 < 512 ? (to - from) / 8 : 512;
		if (!n || !runtime_read(&r->process, from, part, 8 * n))
			break;
		for (i = 0; i < n; i++) {
			if (!part[i] || !read_process(r, part[i], &p))
				continue;
			found++;
			f(ctx, &p);
		}
	}
	return found;
}

/* It has room for a quarter of a million; what was never used is not in memory. */
size_t beam_each_process(const struct runtime *r, void (*f)(void *ctx, const struct beam_process *p), void *ctx)
{
	const struct beam *b = r->state;
	uint64_t table = runtime_word(&r->process, b->processes + b->layout->table), page = r->process.memory.page_bytes;
	uint64_t at, end, n, i;
	uint8_t state[512];
	size_t found = 0;
	uint32_t max;

	if (!table || table & 7 || !runtime_read(&r->process, b->processes + b->layout->table_max, &max, sizeof(max)) || max > 1u << 27)
		return 0;
	end = table + 8ULL * max;
	for (at = table & ~(page - 1); at < end; at += n * page) {
		n = (end - at + page - 1) / page < sizeof(state) ? (end - at + page - 1) / page : sizeof(state);
		proc_memory_pages(&r->process.memory, at, n, state);
		for (i = 0; i < n; i++) {
			uint64_t first = at + i * page, last = first + page;

			if (state[i] == PROC_PAGE_RESIDENT)
				found += each_in_part(r, first < table ? table : first, last > end ? end : last, f, ctx);
		}
	}
	return found;
}

bool beam_registered_name(const struct runtime *r, const struct beam_process *p, struct buf *out)
{
	const struct beam *b = r->state;
	uint64_t reg = runtime_word(&r->process, p->addr + b->layout->reg);

	return reg && runtime_word(&r->process, reg + b->layout->reg_process) == p->addr &&
	       beam_add_name(r, runtime_word(&r->process, reg + b->layout->reg_name), out);
}

bool beam_process_name(const struct runtime *r, const struct beam_process *p, struct buf *out)
{
	const struct beam *b = r->state;
	uint64_t initial[3], noted[3];

	if (beam_registered_name(r, p, out))
		return true;
	if (!runtime_read(&r->process, p->addr + b->layout->initial, initial, sizeof(initial)))
		return false;
	if ((initial[0] << 32 | initial[1]) == b->notes && beam_noted_call(r, p->addr, noted))
		return beam_add_call(r, noted[0], noted[1], noted[2], out);
	return beam_add_call(r, initial[0], initial[1], initial[2], out);
}
