/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See class_parts.h. */
#include "collect/class_parts.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "collect/collector_internal.h"

static uint64_t class_key(uint32_t of, uint32_t size_class)
{
	return (uint64_t)of << 32 | size_class;
}

uint32_t class_parts_class_of(uint64_t size)
{
	uint64_t chunk = (size + 8 + 15) & ~15ULL;

	return mp_size_class((chunk < 32 ? 32 : chunk) - 8);
}

void class_parts_add(struct class_parts *a, uint32_t stack, const struct mp_block *b, uint64_t weight)
{
	uint32_t class = class_parts_class_of(b->size_bytes), proc = a->c->profile.stacks[stack].proc;
	uint64_t key = class_key(stack, class), *at = table_get(&a->part_of, key);

	if (!at) {
		XGROW(a->v, a->n, a->cap);
		a->v[a->n] = (struct class_part){ .stack = stack, .size_class = class };
		at = table_put(&a->part_of, key, a->n++);
	}
	a->v[*at].bytes += b->size_bytes * weight;
	a->v[*at].blocks += weight;
	a->v[*at].variance += (double)(weight * (weight - 1));
	*table_put(&a->live_of, class_key(proc, class), 0) += b->size_bytes * weight;
}

/* Frees of a class belong to those that make blocks of it, by what lives of each. Not more than lives. */
static void note_share(void *ctx, const struct mp_old_key *key, const struct mp_old_free *o)
{
	struct class_parts *a = ctx;
	const uint64_t *proc = table_get(&a->c->profile.proc_ids, key->gen);

	if (proc)
		*table_put(&a->old_of, class_key((uint32_t)*proc, key->size_class), 0) += o->bytes;
}

int class_parts_by_class(const void *a, const void *b)
{
	const struct heap_rise *x = a, *y = b;

	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return x->size_class < y->size_class ? -1 : x->size_class > y->size_class;
}

struct heap_rise *class_parts_rise(const struct class_parts *a, const struct class_part *part)
{
	struct heap_rise wanted = { .proc = a->c->profile.stacks[part->stack].proc, .size_class = part->size_class };

	return a->n_rises ? bsearch(&wanted, a->rises, a->n_rises, sizeof(wanted), class_parts_by_class) : NULL;
}

/* Does no more of it live than the heap has? Then older blocks that were freed are left out already. */
static bool is_corrected(const struct class_parts *a, const struct class_part *part)
{
	const struct heap_rise *r = a->has_corrected ? class_parts_rise(a, part) : NULL;

	return r && r->replaced <= 0;
}

int class_parts_give_old(struct class_parts *a)
{
	int err = kern_read_old_frees(a->c->kern, note_share, a);
	size_t i;

	if (err)
		return err;
	for (i = 0; i < a->n; i++) {
		const struct class_part *part = &a->v[i];
		struct profile_stack *s = &a->c->profile.stacks[part->stack];
		uint64_t key = class_key(s->proc, part->size_class);
		const uint64_t *old = table_get(&a->old_of, key), *live = table_get(&a->live_of, key);
		double share = old && live && *live ? (double)*old / (double)*live : 0;

		if (is_corrected(a, part))
			continue;
		share = share < 1 ? share : 1;
		s->old_bytes += (uint64_t)((double)part->bytes * share);
		s->old_blocks += (uint64_t)((double)part->blocks * share);
	}
	return 0;
}

void class_parts_release(struct class_parts *a)
{
	free(a->v);
	free(a->rises);
	table_release(&a->part_of);
	table_release(&a->live_of);
	table_release(&a->old_of);
}
