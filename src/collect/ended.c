/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Generations that have ended: what they had is taken for the last time, and then dropped. The profile keeps it; the
 * kernel's tables and the symbolizer have room for those that live, however many come and go in hours.
 *
 * Not at once: an address space may be taken down after its exit event, and names may wait for an interpreter that
 * starts. Not while a child of vfork still works in it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"

#define SETTLED_NS (2 * NS_PER_S)

void ended_note(struct collector *c, uint32_t gen)
{
	XGROW(c->ended, c->n_waiting, c->ended_cap);
	c->ended[c->n_waiting++] = (struct ended_process){ .gen = gen, .ns = clock_monotonic_ns() };
}

void ended_release(struct collector *c)
{
	free(c->ended);
	table_release(&c->going);
	shelf_release(&c->shelf);
}

static void note_gen(void *ctx, uint32_t gen)
{
	*table_put(ctx, gen, 0) = 1;
}

/* Those that somebody still needs. */
static int find_needed(const struct collector *c, struct table *needed)
{
	size_t i;

	for (i = c->first_raw; i < c->n_raw; i++)
		note_gen(needed, c->raw[i]->gen);
	return kern_read_followed(c->kern, note_gen, needed);
}

/* The tables' rows of one whose death is told of are few, and count on (evidence.c). */
static bool keeps_rows(const struct collector *c, uint32_t gen)
{
	const uint64_t *at = table_get(&c->profile.proc_ids, gen);

	return at && !proc_is_over(&c->profile.procs[*at]);
}

bool ended_goes(void *ctx, uint32_t gen)
{
	const struct collector *c = ctx;

	return table_get(&c->going, gen);
}

static void drop_rows(struct collector *c)
{
	size_t i;

	if (snapshot_take_totals(c) || resident_take_last(c))
		return;
	for (i = 0; i < c->going.cap; i++)
		if (c->going.slots[i].used == 1)
			kern_drop_totals(c->kern, (uint32_t)c->going.slots[i].key);
	if (snapshot_is_filtered(c->options))
		return; /* their blocks stay */
	kern_sweep_keyed(c->kern, ended_goes, c);
	shelf_take(c);
}

void ended_drop(struct collector *c)
{
	uint64_t now = clock_monotonic_ns();
	struct table needed = TABLE_INIT;
	size_t i, n = 0;

	table_release(&c->going);
	if (!c->n_waiting || find_needed(c, &needed))
		goto out;
	for (i = 0; i < c->n_waiting; i++) {
		struct ended_process e = c->ended[i];

		if (now - e.ns < SETTLED_NS || table_get(&needed, e.gen)) {
			c->ended[n++] = e;
			continue;
		}
		symbolizer_end_process(c->symbolizer, e.gen);
		if (!keeps_rows(c, e.gen))
			table_put(&c->going, e.gen, 1);
	}
	c->n_waiting = n;
	if (c->going.n)
		drop_rows(c);
out:
	table_release(&needed);
}
