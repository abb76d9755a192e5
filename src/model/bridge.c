/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Rows that sum to the resident memory; see bridge.h. */
#include "model/bridge.h"

#define MANY_ARENAS 4
#define MUCH_FREE_PERCENT 10
#define MUCH_TO_TRIM_BYTES ((uint64_t)16 << 20)

static void add_claimed(int64_t *rows, const struct bridge_claim *c, uint64_t resident_bytes)
{
	if (c->row < BRIDGE_N_MEASURED)
		rows[c->row] += (int64_t)resident_bytes;
}

/* The parts of one mapping, in turns: not claimed, claimed. at: index of the first claim that may touch it. */
static void add_parts(int64_t *rows, const struct bridge_map *m, const struct bridge_claim *claims,
		      size_t n_claims, size_t at, bridge_resident_fn resident, void *ctx)
{
	uint64_t from = m->start;

	for (; at < n_claims && claims[at].start < m->end; at++) {
		const struct bridge_claim *c = &claims[at];
		uint64_t start = c->start > from ? c->start : from, end = c->end < m->end ? c->end : m->end;

		if (start >= end)
			continue;
		if (start > from)
			rows[m->row] += (int64_t)resident(ctx, from, start);
		add_claimed(rows, c, resident(ctx, start, end));
		from = end;
	}
	if (from < m->end)
		rows[m->row] += (int64_t)resident(ctx, from, m->end);
}

void bridge_add_maps(int64_t *rows, const struct bridge_map *maps, size_t n_maps, const struct bridge_claim *claims,
		     size_t n_claims, bridge_resident_fn resident, void *ctx)
{
	size_t i, at = 0;

	for (i = 0; i < n_maps; i++) {
		const struct bridge_map *m = &maps[i];

		rows[BRIDGE_RSS] += (int64_t)m->rss_bytes;
		while (at < n_claims && claims[at].end <= m->start)
			at++;
		if (at == n_claims || claims[at].start >= m->end)
			rows[m->row] += (int64_t)m->rss_bytes;
		else if (claims[at].start <= m->start && claims[at].end >= m->end)
			add_claimed(rows, &claims[at], m->rss_bytes);
		else if (m->rss_bytes) /* much may be set aside: whole GiB without a page */
			add_parts(rows, m, claims, n_claims, at, resident, ctx);
	}
}

void bridge_finish(int64_t *rows)
{
	size_t i;

	rows[BRIDGE_UNEXPLAINED] = rows[BRIDGE_RSS];
	for (i = 0; i < BRIDGE_N_MEASURED; i++)
		rows[BRIDGE_UNEXPLAINED] -= rows[i];
}

enum bridge_advice bridge_advice_of(const struct bridge *b)
{
	int64_t kept = b->now[BRIDGE_HEAP_KEPT];
	int64_t heap = kept + b->now[BRIDGE_HEAP_BEFORE] + b->now[BRIDGE_HEAP_SINCE];

	if (b->heap != BRIDGE_HEAP_GLIBC || kept * 100 <= heap * MUCH_FREE_PERCENT)
		return BRIDGE_ADVICE_NONE;
	if (b->trim_bytes >= MUCH_TO_TRIM_BYTES && b->trim_bytes * 100 > (uint64_t)heap * MUCH_FREE_PERCENT)
		return BRIDGE_ADVICE_TRIM;
	return b->n_arenas > MANY_ARENAS && (uint64_t)kept >= MUCH_TO_TRIM_BYTES ? BRIDGE_ADVICE_ARENAS
										  : BRIDGE_ADVICE_NONE;
}
