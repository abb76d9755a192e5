/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The one decision on who grows, of which the headline, the rows and the outlook are made; see machine.h. Pure. */
#include <math.h>
#include <stddef.h>

#include "base/units.h"
#include "model/machine.h"

/* In a window that is too short for a verdict: growth of so much is worth a name. */
#define LEAST_UNDECIDED (1 * (int64_t)MIB)
/* One that grows for certain goes before one of so many times the growth that may be at its end. */
#define CERTAIN 4

double machine_seconds_to(double room, double rate)
{
	return rate > 0 ? fmax(0, room) / rate : -1;
}

/* Something that can be acted on: a tree, the kernel, shared memory. */
static bool can_grow(const struct machine_row *r)
{
	return (r->kind == MACHINE_TREE && !r->has_ended) || r->kind == MACHINE_KERNEL || r->kind == MACHINE_SHMEM;
}

static bool grows(const struct machine_row *r, enum trend_word w)
{
	return can_grow(r) && r->word == w && r->growth_bytes > (w == TREND_UNDECIDED ? LEAST_UNDECIDED : 0);
}

static double weight_of(const struct machine_row *r)
{
	double growth = (double)r->growth_bytes;

	if (grows(r, TREND_GROWING))
		return growth * CERTAIN;
	return grows(r, TREND_LEVELS_OFF) || grows(r, TREND_UNDECIDED) ? growth : 0;
}

static const struct machine_row *grower_of(const struct machine *m)
{
	const struct machine_row *most = NULL;
	size_t i;

	for (i = 0; i < m->n_rows; i++)
		if (weight_of(&m->rows[i]) > (most ? weight_of(most) : 0))
			most = &m->rows[i];
	return most;
}

static bool makes_most(const struct machine *m, const struct machine_row *r)
{
	const struct machine_row *used = machine_row_of(m, MACHINE_USED);

	return used && r->growth_bytes > used->growth_bytes / 2;
}

void machine_headline(const struct machine *m, struct machine_headline *out)
{
	const struct machine_row *g = grower_of(m);

	*out = (struct machine_headline){ .word = m->used.word, .grower = g };
	if (!g || g->word == m->used.word)
		return;
	if (m->used.word != TREND_GROWING || (g->word == TREND_LEVELS_OFF && makes_most(m, g)))
		out->word = g->word;
}

const char *machine_row_word(const struct machine *m, const struct machine_row *r)
{
	if (r->has_ended)
		return "ended";
	if (r->kind == MACHINE_TREE && r->age_s > 0 && r->age_s < m->window_s && r->word != TREND_GROWING)
		return "started";
	return trend_name(r->word);
}

/* As fast as RAM filled; where that is drowned in noise, as fast as what grows for certain. */
static void take_rate(struct machine *m)
{
	size_t i;

	if (m->used.word == TREND_GROWING) {
		m->rate = m->used.rate;
		m->low = m->used.low;
		m->high = m->used.high;
		return;
	}
	for (i = 0; i < m->n_rows && m->used.word != TREND_SHRINKING; i++) {
		const struct machine_row *r = &m->rows[i];

		if (!grows(r, TREND_GROWING))
			continue;
		m->rate += r->rate;
		m->low += r->low;
		m->high += r->high;
	}
}

void machine_fill_outlook(struct machine *m)
{
	double room = (double)m->now.available_bytes + (double)m->now.swap_free_bytes;
	struct machine_headline h;

	machine_headline(m, &h);
	m->rate = m->low = m->high = 0;
	if (h.word == TREND_GROWING)
		take_rate(m);
	m->full_s = machine_seconds_to(room, m->rate);
	m->full_low_s = machine_seconds_to(room, m->high);
	m->full_high_s = machine_seconds_to(room, m->low);
}
