/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Intervals of addresses in a sorted array; see intervals.h. An operation cuts the intervals at its two ends first,
 * and then deals with whole ones. A process has at most 65530 mappings (vm.max_map_count), mostly a few hundred.
 */
#include "model/intervals.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "base/xalloc.h"

/* ---- the ledger ---- */

void vm_ledger_release(struct vm_ledger *l)
{
	free(l->stacks);
	table_release(&l->index_of);
	*l = (struct vm_ledger){ 0 };
}

static uint32_t stack_of(struct vm_ledger *l, uint32_t gen, const struct vm_new *m)
{
	const uint64_t *at = table_get(&l->index_of, m->hash);

	if (at)
		return (uint32_t)*at;
	XGROW(l->stacks, l->n, l->cap);
	l->stacks[l->n] = (struct vm_stack){ .hash = m->hash, .gen = gen, .is_thread_stack = m->is_thread_stack };
	table_put(&l->index_of, m->hash, l->n);
	return (uint32_t)l->n++;
}

/* ---- life cycle ---- */

void vm_space_init(struct vm_space *s, struct vm_ledger *l, uint32_t gen)
{
	*s = (struct vm_space){ .ledger = l, .gen = gen };
	XGROW(s->mappings, s->n_mappings, s->mappings_cap);
	s->mappings[s->n_mappings++] = (struct vm_mapping){ 0 };
}

void vm_space_release(struct vm_space *s)
{
	free(s->v);
	free(s->mappings);
	*s = (struct vm_space){ 0 };
}

void vm_space_freeze(struct vm_space *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
}

void vm_space_fork(struct vm_space *s, const struct vm_space *parent)
{
	size_t i;

	for (i = 0; i < parent->n; i++) {
		XGROW(s->v, s->n, s->cap);
		s->v[s->n] = parent->v[i];
		s->v[s->n++].mapping = VM_UNCOUNTED;
	}
	s->brk = parent->brk;
}

/* ---- the array ---- */

/* Index of the first interval that ends behind addr. */
static size_t index_at(const struct vm_space *s, uint64_t addr)
{
	return FIRST_ABOVE(s->v, s->n, end, addr);
}

static void insert(struct vm_space *s, size_t at, const struct vm_interval *i)
{
	XGROW(s->v, s->n, s->cap);
	memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof(*s->v));
	s->v[at] = *i;
	s->n++;
}

/* No interval lies across addr afterwards; the index of the first at or behind it. */
static size_t cut(struct vm_space *s, uint64_t addr)
{
	size_t at = index_at(s, addr);
	struct vm_interval right;

	if (at == s->n || s->v[at].start >= addr)
		return at;
	right = s->v[at];
	right.start = addr;
	s->v[at].end = addr;
	insert(s, at + 1, &right);
	return at + 1;
}

const struct vm_interval *vm_find_next(const struct vm_space *s, uint64_t addr)
{
	size_t at = index_at(s, addr);

	return at < s->n ? &s->v[at] : NULL;
}

const struct vm_interval *vm_find(const struct vm_space *s, uint64_t addr)
{
	const struct vm_interval *i = vm_find_next(s, addr);

	return i && i->start <= addr ? i : NULL;
}

bool vm_find_gap(const struct vm_space *s, uint64_t *start, uint64_t end, uint64_t *gap_end)
{
	size_t at = index_at(s, *start);

	for (; at < s->n && s->v[at].start <= *start; at++)
		*start = s->v[at].end;
	*gap_end = at < s->n && s->v[at].start < end ? s->v[at].start : end;
	return *start < end;
}

/* ---- counting ---- */

/* So many bytes of a mapping are not there any more. */
static void count_end(struct vm_space *s, const struct vm_interval *i)
{
	struct vm_mapping *m = &s->mappings[i->mapping];
	struct vm_stack *st;
	uint64_t bytes = i->end - i->start;

	if (i->mapping == VM_UNCOUNTED)
		return;
	st = &s->ledger->stacks[m->stack];
	if (i->is_reserved) {
		st->reserved_bytes -= bytes;
		m->reserved_bytes -= bytes;
	} else {
		st->free_bytes += bytes;
		m->bytes -= bytes;
	}
	if (m->bytes || m->reserved_bytes)
		return;
	st->free_blocks++;
	st->birth_sum_ms -= m->birth_ms;
	m->next_free = s->first_free;
	s->first_free = i->mapping;
}

/* A mapping of that many bytes begins: its number. */
static uint32_t count_begin(struct vm_space *s, uint64_t bytes, const struct vm_new *n)
{
	struct vm_mapping m = { .birth_ms = n->birth_ms };
	struct vm_stack *st;
	uint32_t id = s->first_free;

	if (!n->hash)
		return VM_UNCOUNTED;
	m.stack = stack_of(s->ledger, s->gen, n);
	st = &s->ledger->stacks[m.stack];
	st->alloc_blocks++;
	st->birth_sum_ms += m.birth_ms;
	if (n->is_reserved) {
		st->reserved_bytes += bytes;
		m.reserved_bytes = bytes;
	} else {
		st->alloc_bytes += bytes;
		m.bytes = bytes;
	}
	if (id) {
		s->first_free = s->mappings[id].next_free;
	} else {
		XGROW(s->mappings, s->n_mappings, s->mappings_cap);
		id = (uint32_t)s->n_mappings++;
	}
	s->mappings[id] = m;
	return id;
}

/* ---- operations ---- */

void vm_unmap(struct vm_space *s, uint64_t start, uint64_t end)
{
	size_t first, last, i;

	if (start >= end)
		return;
	first = cut(s, start);
	last = cut(s, end);
	for (i = first; i < last; i++)
		count_end(s, &s->v[i]);
	memmove(&s->v[first], &s->v[last], (s->n - last) * sizeof(*s->v));
	s->n -= last - first;
}

void vm_map(struct vm_space *s, uint64_t start, uint64_t end, const struct vm_new *m)
{
	struct vm_interval i = { .start = start, .end = end, .is_reserved = m->is_reserved, .is_shm = m->is_shm };

	if (start >= end)
		return;
	vm_unmap(s, start, end);
	i.mapping = count_begin(s, end - start, m);
	insert(s, index_at(s, start), &i);
}

uint64_t vm_fill(struct vm_space *s, uint64_t start, uint64_t end)
{
	uint64_t gap_end, bytes = 0;

	while (start < end && vm_find_gap(s, &start, end, &gap_end)) {
		vm_map(s, start, gap_end, &(struct vm_new){ 0 });
		bytes += gap_end - start;
		start = gap_end;
	}
	return bytes;
}

static void commit(struct vm_space *s, struct vm_interval *i, bool is_reserved)
{
	struct vm_mapping *m = &s->mappings[i->mapping];
	uint64_t bytes = i->end - i->start;
	struct vm_stack *st;

	if (i->is_reserved == is_reserved)
		return;
	i->is_reserved = is_reserved;
	if (i->mapping == VM_UNCOUNTED)
		return;
	st = &s->ledger->stacks[m->stack];
	if (is_reserved) {
		st->free_bytes += bytes;
		st->reserved_bytes += bytes;
		m->bytes -= bytes;
		m->reserved_bytes += bytes;
	} else {
		st->alloc_bytes += bytes;
		st->reserved_bytes -= bytes;
		m->bytes += bytes;
		m->reserved_bytes -= bytes;
	}
}

void vm_protect(struct vm_space *s, uint64_t start, uint64_t end, bool is_reserved)
{
	uint64_t gap = start, gap_end;
	size_t first, last, i;

	if (start >= end)
		return;
	if (vm_find_gap(s, &gap, end, &gap_end))
		end = gap;
	first = cut(s, start);
	last = cut(s, end);
	for (i = first; i < last; i++)
		commit(s, &s->v[i], is_reserved);
}

void vm_move(struct vm_space *s, uint64_t old, uint64_t old_bytes, uint64_t at, uint64_t bytes, bool keep_old,
	     const struct vm_new *m)
{
	const struct vm_interval *from = vm_find(s, old);
	struct vm_new moved = *m;

	if (from) {
		moved.is_reserved = from->is_reserved;
		moved.is_shm = from->is_shm;
	}
	if (from && from->mapping != VM_UNCOUNTED) {
		moved.birth_ms = s->mappings[from->mapping].birth_ms;
		moved.is_thread_stack = s->ledger->stacks[s->mappings[from->mapping].stack].is_thread_stack;
	}
	if (!keep_old)
		vm_unmap(s, old, old + old_bytes);
	vm_map(s, at, at + bytes, &moved);
}
