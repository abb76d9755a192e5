/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See ghosts.h. */
#include "model/ghosts.h"

/* A stack whose met bytes are less than this part of all says nothing about the ratio. */
#define TELLING_PART 0.01
/* Stacks of one size differ by so much: one's blocks have had more time to be met than another's. */
#define SPREAD 3
/* Of the blocks that ended, more were not missed for good. */
#define MOST_MISSED 0.1
#define STEPS 50

double ghosts_stay(const struct ghosts_stack *s, double ratio)
{
	double stay = s->unmet - ratio * s->met;

	return stay > 0 ? stay : 0;
}

/*
 * How many take a place unseen for each that is seen there or found to have ended. Where looks found them
 * all, nothing is known of that: as if there were no looks.
 */
static double unseen_odds(const struct ghosts_stack *v, size_t n, double seen)
{
	double met = 0, looked = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		met += v[i].met;
		looked += v[i].looked;
	}
	return (1 - seen) / seen * (met > 0 && looked < met ? (met - looked) / met : 1);
}

/* The ratio that follows from what stays when it is so much. */
static double ratio_after(const struct ghosts_stack *v, size_t n, double odds, double ratio)
{
	double born = 0, stay = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		born += v[i].born;
		stay += ghosts_stay(&v[i], ratio);
	}
	return born > 0 ? stay / born * odds : 0;
}

static double least_seen(const struct ghosts_stack *v, size_t n)
{
	double met = 0, least = -1;
	size_t i;

	for (i = 0; i < n; i++)
		met += v[i].met;
	for (i = 0; i < n; i++)
		if (v[i].met > 0 && v[i].met >= met * TELLING_PART && (least < 0 || v[i].unmet < least * v[i].met))
			least = v[i].unmet / v[i].met;
	return least > 0 ? least : 0;
}

double ghosts_ratio(const struct ghosts_stack *v, size_t n, double seen)
{
	double low = 0, high = SPREAD * least_seen(v, n), mid, odds;
	int i;

	if (seen <= 0 || seen >= 1)
		return 0;
	odds = unseen_odds(v, n, seen);
	if (ratio_after(v, n, odds, high) >= high)
		return high;
	/* the more ghosts, the less stays, the fewer ghosts: one ratio agrees with itself */
	for (i = 0; i < STEPS; i++) {
		mid = (low + high) / 2;
		if (ratio_after(v, n, odds, mid) > mid)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static double room(const struct ghosts_claim *c)
{
	double most = MOST_MISSED * c->ended;

	return (most < c->claimed ? most : c->claimed) - c->ghosts;
}

double ghosts_beyond(struct ghosts_claim *v, size_t n, double beyond)
{
	double ended, part, more;
	size_t i, round;

	for (i = 0; i < n; i++)
		v[i].ghosts = 0;
	/* each round at least one stack has all that it can have, or all is given */
	for (round = 0; round < n && beyond > 0; round++) {
		for (ended = 0, i = 0; i < n; i++)
			ended += room(&v[i]) > 0 ? v[i].ended : 0;
		if (ended <= 0)
			break;
		for (part = beyond / ended, i = 0; i < n; i++) {
			more = room(&v[i]) > part * v[i].ended ? part * v[i].ended : room(&v[i]);
			v[i].ghosts += more;
			beyond -= more;
		}
		if (beyond < 1)
			break;
	}
	return beyond > 0 ? beyond : 0;
}
