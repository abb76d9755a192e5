/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See verdict.h. The bounds are from 34 measured series (there), or stated here. */
#include "model/verdict.h"

#include <math.h>

#include "model/windows.h"

/* Below this window no slope is told. */
#define LEAST_WINDOW_S 8
/* The first part of the window is warm-up. */
#define WARM_UP 0.1
#define Z_95 1.96
/* Slower than this is not told from nothing. Bytes per second in a minute; of the heap, less in longer windows. */
#define LEAST_RATE 4096.0
#define LEAST_RATE_S 60
#define LEAST_TAU 0.6
/* Last half's slope by the first half's: at most this, and it dies out. */
#define DYING_RATIO 0.5
/* What dies out is slower still in the last quarter than in the one before; what got less to do for a while is not. */
#define DYING_STILL 0.85
/*
 * ... and over no less than this. In a few seconds a program that only leaks slows down as well: a collector has ever more to
 * look through (a Ruby that keeps 2 GiB within 8 s was told to end near 2.5).
 */
#define DYING_WINDOW_S 15
/* Straight: between these. */
#define STRAIGHT_LOW 0.7
#define STRAIGHT_HIGH 1.6
/* Below this, and for certain slower than before: what grows as the root of time has 0.61 to 0.71. */
#define SLOWING_RATIO 0.8
/* With fewer parts than this no floor is told from its teeth. */
#define LEAST_PARTS 8
/* A fall of this part of the swing, and of so many bytes, is a tooth. */
#define TOOTH_PART 0.3
#define TOOTH_BYTES 262144.0
/* A floor that moves by less than this part of the swing: where the teeth were met. */
#define TEETH_DRIFT 0.05
/* Flat: what could hide is less than this, or than this part of the whole per second (1 % per
 * minute). */
#define FLAT_RATE 20480.0
#define FLAT_PART 0.01 / 60
/* Nearly there: 5 % of what is left. */
#define NEARLY 0.05
/* A cohort: enough blocks, and so many alive; the others' when they die. */
#define COHORT_BLOCKS 20
#define COHORT_ALIVE 0.9
/*
 * ... where full collections show that objects stay: of a site that keeps all, brief bursts have told as little as
 * 0.68.
 */
#define COHORT_COLLECTED 0.6
#define OTHERS_ALIVE 0.5
/*
 * Objects that stay, of less than this part of the growth, are not what grows. The blocks beside their slots are not
 * all known.
 */
#define STAYS_SHARE 0.1
/* In use from before, by the rate times the age: about as much, or far less. */
#define HISTORY_LOW 0.67
#define HISTORY_HIGH 1.5
#define HISTORY_RECENT 0.25
/* A site that is told to hold more than so many times what the memory grew by is not told rightly. */
#define BELIEVABLE 2
/* A process is past its start when it is so old at the end of the window. */
#define START_SECONDS 60
#define SITE_SHARE 0.5
/* Growth of which the heap at both ends shows less than this is an estimate's. */
#define CONFIRMED_PART 0.25
#define LEAST_COLLECTIONS 3
/* ... until what they leave tells by itself (DECIDING_LOOKS of class_looks.c) */
#define HIDDEN_COLLECTIONS 6
/* An undecided run is told to take a window that is a good deal longer, and no longer than this. */
#define LONGEST_WINDOW_S 3600

const char *trend_name(enum trend_word w)
{
	static const char *const names[] = {
		"UNDECIDED", "FLAT", "SAW-TOOTH", "LEVELS OFF", "SHRINKING", "GROWING", "LEAK",
	};

	return names[w];
}

/* ---- one series ---- */

static bool rises(const struct trend *t, double least)
{
	return t->low > least && t->tau > LEAST_TAU;
}

/* The last half of the floor: as what is slowed down by something else, or as what comes to an end? */
static bool is_dying(const struct series_point *last, size_t n)
{
	double before = slope_of(last, n / 2);

	return before > 0 && slope_of(last + n / 2, n - n / 2) <= before * DYING_STILL;
}

/* Each half of the window adds `ratio` times what the one before did, for ever. */
static void level_off(struct growth *g, double now, double half_s)
{
	double left;

	g->word = TREND_LEVELS_OFF;
	g->level = now;
	if (g->ratio <= 0 || g->rate <= 0)
		return;
	left = g->rate * half_s * g->ratio / (1 - g->ratio);
	g->level = now + left;
	g->seconds = half_s * log(NEARLY) / log(g->ratio);
}

/* In few and large steps: between them it is flat, and yet it does not stand. */
static double stepped(const struct series_point *floor, size_t n)
{
	return (floor[n - 1].bytes - floor[0].bytes) / (floor[n - 1].t_s - floor[0].t_s);
}

static void stands(const struct series_point *floor, size_t n, const struct trend *last, struct growth *g)
{
	double most = fmax(FLAT_RATE, fabs(floor[n - 1].bytes) * FLAT_PART);

	if (g->falls >= 2)
		g->word = TREND_SAW_TOOTH;
	else if (last->high < most && stepped(floor, n) < most)
		g->word = TREND_FLAT;
	else
		g->doubt = DOUBT_NOISE;
}

/* Parts no shorter than a tooth, if that leaves enough of them. */
static size_t floor_parts(const struct growth *g)
{
	return g->falls >= LEAST_PARTS && g->falls < FLOOR_POINTS ? g->falls : FLOOR_POINTS;
}

/* It rose in the first half, stopped, and did not fall back. */
static bool has_stopped(const struct series_point *floor, size_t n, const struct trend *first,
			const struct trend *last, double first_slope)
{
	double start = floor[0].bytes, middle = floor[n / 2 - 1].bytes;

	return rises(first, LEAST_RATE) && last->high < first_slope * DYING_RATIO &&
	       floor[n - 1].bytes > middle - (middle - start) / 4;
}

static void growth_above(const struct series *s, double window_s, double least, struct growth *g)
{
	struct series_point floor[FLOOR_POINTS];
	double from = window_s * WARM_UP, lowest, highest, first_slope;
	struct trend all, first, last;
	size_t n, half;

	*g = (struct growth){ .ratio = -1 };
	series_range(s, from, window_s, &lowest, &highest);
	g->swing = highest - lowest;
	g->falls = series_falls(s, from, window_s, fmax(TOOTH_BYTES, TOOTH_PART * g->swing));
	n = series_floor(s, from, window_s, floor, floor_parts(g));
	half = n / 2;
	if (window_s < LEAST_WINDOW_S || half < 4) {
		g->doubt = DOUBT_SHORT;
		return;
	}
	trend_of(floor, n, &all);
	trend_of(floor, half, &first);
	trend_of(floor + half, n - half, &last);
	g->rate = last.slope;
	g->low = last.low;
	g->high = last.high;
	first_slope = slope_of(floor, half);
	if (first_slope > least && first.low > 0)
		g->ratio = slope_of(floor + half, n - half) / first_slope;
	g->slows = g->ratio >= 0 &&
		   (g->ratio < STRAIGHT_LOW || (g->ratio < SLOWING_RATIO && last.high < first.low));
	if (rises(&last, least) && all.slope * (window_s - from) > TEETH_DRIFT * g->swing) {
		g->word = TREND_GROWING;
		if (g->ratio >= 0 && g->ratio <= DYING_RATIO && window_s >= DYING_WINDOW_S &&
		    is_dying(floor + half, n - half))
			level_off(g, floor[n - 1].bytes, window_s * (1 - WARM_UP) / 2);
	} else if (has_stopped(floor, n, &first, &last, first_slope)) {
		level_off(g, floor[n - 1].bytes, 0);
	} else if (all.high < -LEAST_RATE && all.tau < -LEAST_TAU &&
		   all.slope * (window_s - from) < -TEETH_DRIFT * g->swing) {
		g->word = TREND_SHRINKING;
	} else {
		stands(floor, n, &last, g);
	}
}

void growth_of(const struct series *s, double window_s, struct growth *g)
{
	growth_above(s, window_s, LEAST_RATE, g);
}

/* ---- the process ---- */

static void take_growth(struct verdict *v, bool by_heap)
{
	const struct growth *g = by_heap ? &v->heap : &v->memory;

	v->by_heap = by_heap;
	v->word = g->word;
	v->doubt = g->doubt;
	v->rate = g->rate;
	v->low = g->low;
	v->high = g->high;
	v->level = g->level;
	v->seconds = g->seconds;
	v->ratio = g->ratio;
}

static double rate_of(const struct growth *g)
{
	return g->word == TREND_GROWING || g->word == TREND_LEVELS_OFF ? g->rate : 0;
}

/*
 * What was drawn by chance in the last half of the window adds to the interval: half of the variance, over half of the
 * window.
 */
static void widen(struct growth *g, double deviation, double window_s)
{
	double more = Z_95 * deviation * sqrt(0.5) / (window_s * (1 - WARM_UP) / 2);

	g->low -= more;
	g->high += more;
	if (g->word != TREND_GROWING || g->low > 0)
		return;
	g->word = TREND_UNDECIDED;
	g->doubt = DOUBT_NOISE;
}

/*
 * Teeth, or what else goes up and down, may hide a growth in the sum that is plain to see in the sites that make it.
 * Not where garbage is collected: there every site goes up until it is.
 */
static void look_below_teeth(const struct verdict_input *in, double least, struct growth *g)
{
	double half, first = 0, second = 0; /* rates in the two halves of the window */
	struct site_trend sum = { 0 };
	bool is_straight = true;
	size_t i;

	if (in->is_collected || (g->word != TREND_SAW_TOOTH && g->doubt != DOUBT_NOISE))
		return;
	for (i = 0; i < in->n_sites; i++) {
		const struct verdict_site *s = &in->sites[i];
		double replaced = in->knows_replaced ? s->old_freed_bytes / in->window_s : 0;

		if (s->is_mapping || s->alone.low <= 0 || s->early_alive < COHORT_ALIVE * s->early_blocks)
			continue;
		sum.rate += s->alone.rate - replaced;
		sum.low += s->alone.low - replaced;
		sum.high += s->alone.high - replaced;
		half = 2 * s->alone.rate / (1 + fmax(s->alone.ratio, 0));
		first += half - replaced;
		second += half * s->alone.ratio - replaced;
		is_straight &= s->alone.ratio >= 0;
	}
	if (sum.low <= least)
		return;
	g->word = TREND_GROWING;
	g->doubt = DOUBT_NONE;
	g->rate = sum.rate;
	g->low = sum.low;
	g->high = sum.high;
	g->ratio = is_straight && first > 0 ? fmax(second, 0) / first : -1;
	g->slows = g->ratio >= 0 && g->ratio < STRAIGHT_LOW;
}

/* What came in the place of older blocks came evenly. */
static void take_replaced(struct growth *g, double bytes_per_s)
{
	g->rate -= bytes_per_s;
	g->low -= bytes_per_s;
	g->high -= bytes_per_s;
	if ((g->word != TREND_GROWING && g->word != TREND_LEVELS_OFF) || g->low > 0)
		return;
	g->word = TREND_UNDECIDED;
	g->doubt = DOUBT_NOISE;
}

static void look_at_heap(const struct verdict_input *in, struct growth *g)
{
	double least = LEAST_RATE * fmin(1, LEAST_RATE_S / in->window_s);

	growth_above(in->heap, in->window_s, least, g);
	if (in->knows_replaced && in->replaced_bytes > 0)
		take_replaced(g, in->replaced_bytes / in->window_s);
	look_below_teeth(in, least, g);
	if (in->heap_deviation > 0 && in->window_s > 0)
		widen(g, in->heap_deviation, in->window_s);
}

/* In the window, of a heap that was nothing at its begin. */
static double rise_of(const struct verdict_input *in, const struct growth *g)
{
	return g->word == TREND_LEVELS_OFF ? g->level : rate_of(g) * in->window_s;
}

/*
 * The heap tells more (what is freed there may stay resident), unless most of the growth is elsewhere; or unless it is
 * estimated, seems to die out, and the memory says otherwise: then the estimate changed, as at a step of the ladder.
 * Nor where the heap itself has not so much more at the end: what replaces older blocks does not come evenly.
 */
static bool is_by_heap(const struct verdict_input *in, const struct verdict *v)
{
	if (in->heap_deviation > 0 && v->heap.word == TREND_LEVELS_OFF && v->memory.word == TREND_GROWING)
		return false;
	if (in->knows_replaced && in->net_bytes < CONFIRMED_PART * rise_of(in, &v->heap))
		return false;
	if (!in->counts_older && !in->knows_replaced && in->memory && in->memory->n &&
	    rate_of(&v->memory) < rate_of(&v->heap) / 2)
		return false; /* it may replace older blocks, whose ends were not seen */
	return rate_of(&v->memory) < 2 * rate_of(&v->heap) ||
	       (v->heap.word != TREND_UNDECIDED && rate_of(&v->memory) <= LEAST_RATE);
}

/* Brief bursts leave no series of the heap. Where the memory swings, its sites may be known to grow all the same. */
static void look_below_memory(const struct verdict_input *in, struct verdict *v)
{
	struct growth below = v->memory;

	look_below_teeth(in, LEAST_RATE, &below);
	if (below.word != TREND_GROWING || v->memory.word == TREND_GROWING)
		return;
	v->heap = below;
	take_growth(v, true);
}

static void choose_series(const struct verdict_input *in, struct verdict *v)
{
	bool has_heap = in->heap && in->heap->n, has_memory = in->memory && in->memory->n;

	if (has_heap)
		look_at_heap(in, &v->heap);
	if (has_memory)
		growth_of(in->memory, in->window_s, &v->memory);
	if (has_memory && in->is_outside && v->heap.word != TREND_GROWING) {
		take_growth(v, false);
		return;
	}
	take_growth(v, has_heap && (!has_memory || is_by_heap(in, v)));
	if (!has_heap && has_memory)
		look_below_memory(in, v);
}

/* What was there early, still is. */
static bool keeps(const struct verdict_site *s, double part)
{
	return s->early_alive >= part * s->early_blocks;
}

size_t verdict_sites(const struct verdict *v, double window_s, const struct verdict_site *sites, size_t n,
		     size_t out[VERDICT_SITES])
{
	double growth = v->rate * window_s, net = 0;
	size_t i, count = 0;

	for (i = 0; i < n && count < VERDICT_SITES && growth > 0; i++) {
		bool is_too_much = !v->by_heap && sites[i].net_bytes > BELIEVABLE * growth;

		if (v->by_classes && (!sites[i].early_blocks || !keeps(&sites[i], COHORT_COLLECTED)))
			continue; /* not collected yet */
		if (is_too_much && !sites[i].is_mapping)
			return 0;
		if (sites[i].is_mapping && (v->by_heap || is_too_much))
			continue; /* reserved for later, most likely */
		out[count++] = i;
		net += sites[i].net_bytes;
		if (net >= SITE_SHARE * growth)
			return count;
	}
	return 0;
}

/* They keep what they make: each, and enough of it. */
static bool is_cohort(const struct verdict_input *in, const size_t *at, size_t n)
{
	double early = 0, others = in->blocks, alive = in->alive;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct verdict_site *s = &in->sites[at[i]];

		if (!keeps(s, in->classes.objects ? COHORT_COLLECTED : COHORT_ALIVE))
			return false;
		early += s->early_blocks;
		others -= s->blocks;
		alive -= s->alive;
	}
	return early >= COHORT_BLOCKS && (others < COHORT_BLOCKS || alive <= OTHERS_ALIVE * others);
}

static void look_at_sites(const struct verdict_input *in, struct verdict *v)
{
	double growth = v->rate * in->window_s, net = 0, old = 0, live = 0;
	size_t at[VERDICT_SITES], n, i;
	bool grew = true;

	n = verdict_sites(v, in->window_s, in->sites, in->n_sites, at);
	for (i = 0; i < n; i++) {
		const struct verdict_site *s = &in->sites[at[i]];

		net += s->net_bytes;
		old += s->old_freed_bytes;
		live += s->live_bytes;
		grew &= s->grew_in >= WINDOWS_NR;
	}
	if (!n && in->n_sites)
		net = in->sites[0].net_bytes;
	v->site_share = growth > 0 ? fmin(1, fmax(0, net) / growth) : 0;
	if (!n) {
		v->but |= BUT_NO_SITE;
		return;
	}
	if (is_cohort(in, at, n))
		v->why |= WHY_COHORT;
	if (grew)
		v->why |= WHY_WINDOWS;
	if (old > live * (1 - COHORT_ALIVE))
		v->but |= BUT_REPLACES;
}

static void look_at_history(const struct verdict_input *in, struct verdict *v)
{
	double rate = v->rate * (v->site_share >= SITE_SHARE ? v->site_share : 1);

	if (in->uptime_s + in->window_s <= START_SECONDS)
		v->but |= BUT_YOUNG;
	if (in->uptime_s <= in->window_s)
		return; /* what is in use is from the start itself */
	v->history_bytes = rate * in->uptime_s;
	if (in->before_bytes < v->history_bytes * HISTORY_RECENT)
		v->but |= BUT_RECENT;
	else if (in->before_bytes > v->history_bytes * HISTORY_LOW &&
		 in->before_bytes < v->history_bytes * HISTORY_HIGH)
		v->why |= WHY_HISTORY;
}

static unsigned int n_bits(unsigned int bits)
{
	return (unsigned int)__builtin_popcount(bits);
}

static unsigned int collections_seen(const struct verdict_input *in, const struct verdict *v)
{
	return in->counts_collections ? in->collections : v->by_heap ? v->heap.falls : v->memory.falls;
}

/* Without collections a heap that is collected grows as a leaking one does. */
static bool awaits_collections(const struct verdict_input *in, const struct verdict *v)
{
	return in->is_collected && v->word == TREND_GROWING && collections_seen(in, v) < LEAST_COLLECTIONS &&
	       !(v->why & WHY_COHORT);
}

/* ... and one whose memory is resident leaks into that. */
static bool may_hide(const struct verdict_input *in, const struct verdict *v)
{
	bool stands = v->word == TREND_LEVELS_OFF || v->word == TREND_FLAT || v->doubt == DOUBT_NOISE;

	return in->hides_growth && !v->by_heap && stands;
}

/* Seconds that a user would type. */
static double round_up(double s)
{
	static const double windows[] = { 30, 60, 120, 300, 600, 1200, 1800 };
	size_t i;

	for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		if (s <= windows[i])
			return windows[i];
	return LONGEST_WINDOW_S;
}

/*
 * The interval of a slope narrows with the window to the power of 3/2; what it must be narrower than is the growth that
 * matters. Collections come as often as they did. Twice as long at least; 0 if that is longer than anybody waits.
 */
static double window_needed(const struct verdict_input *in, const struct verdict *v)
{
	const struct growth *g = v->by_heap ? &v->heap : &v->memory;
	double w = in->window_s, longer = 2 * w;
	unsigned int least = v->doubt == DOUBT_HIDDEN ? HIDDEN_COLLECTIONS : LEAST_COLLECTIONS;

	if (w >= LONGEST_WINDOW_S)
		return 0;
	if (v->doubt == DOUBT_SHORT)
		return round_up(fmax(longer, 60));
	if (v->doubt == DOUBT_COLLECTED || v->doubt == DOUBT_HIDDEN)
		return round_up(fmax(longer, w * (least + 1) / fmax(collections_seen(in, v), 0.5)));
	return round_up(fmax(longer, w * pow(fmax(g->high, -g->low) / FLAT_RATE, 2.0 / 3)));
}

static bool is_leak(const struct verdict *v)
{
	bool grows = v->why & (WHY_STRAIGHT | WHY_WINDOWS), stays = v->why & (WHY_COHORT | WHY_HISTORY | WHY_OBJECTS);

	return !v->but && (v->why & WHY_CLASSES ? grows || stays : grows && stays);
}

/* Whose objects they are may be known where their sites are not. */
static void look_at_class(const struct verdict_input *in, struct verdict *v)
{
	if (in->stays.born && in->stays.rate >= STAYS_SHARE * v->rate)
		v->why |= WHY_OBJECTS;
	if (!in->classes.objects)
		return;
	v->why |= WHY_CLASSES;
	if (in->classes.rate >= SITE_SHARE * v->rate)
		v->but &= ~(unsigned int)BUT_NO_SITE;
}

/*
 * What slows down is no leak. Where the heap is an estimate, its two halves may be alike by chance: then the memory
 * tells, if it is this growth that it shows.
 */
static void look_at_pace(const struct verdict_input *in, struct verdict *v)
{
	const struct growth *m = &v->memory;
	bool is_estimate = v->by_heap && in->heap_deviation > 0;

	if (v->by_heap ? v->heap.slows : m->slows) {
		v->but |= BUT_SLOWS;
	} else if (is_estimate && (m->slows || m->word == TREND_LEVELS_OFF) && m->ratio >= 0 && rate_of(m) > v->rate / 2) {
		v->but |= BUT_MEMORY_SLOWS;
		v->ratio = m->ratio;
	} else if (v->ratio >= STRAIGHT_LOW && v->ratio <= STRAIGHT_HIGH) {
		v->why |= WHY_STRAIGHT;
	}
}

/* From the series' word to that of the process. */
static void weigh(const struct verdict_input *in, struct verdict *v)
{
	if (v->word == TREND_GROWING)
		look_at_sites(in, v);
	if (awaits_collections(in, v) || may_hide(in, v)) {
		v->doubt = v->word == TREND_GROWING ? DOUBT_COLLECTED : DOUBT_HIDDEN;
		v->word = TREND_UNDECIDED;
		v->why = v->but = 0;
	}
	if (v->word == TREND_UNDECIDED)
		v->need_s = window_needed(in, v);
	if (v->word != TREND_GROWING)
		return;
	look_at_history(in, v);
	look_at_class(in, v);
	if (!v->by_classes)
		look_at_pace(in, v);
	if (in->lost_bytes > v->rate * in->window_s / 2)
		v->but |= BUT_LOST;
	if (!is_leak(v))
		return;
	v->word = TREND_LEAK;
	v->is_strong = n_bits(v->why) >= 3;
}

/*
 * What outlives full collections decides, where neither heap nor memory did. Where these level off and the objects
 * do not, as in a runtime that has just begun and still reads its files, it grows, but no more is said. Where they fill
 * a heap that is resident, what else grows beside it is the smaller part.
 */
static void look_at_classes(const struct verdict_input *in, struct verdict *v)
{
	const struct class_rise *r = &in->classes;
	struct verdict other = { .uptime_s = v->uptime_s, .heap = v->heap, .memory = v->memory };
	bool levels_off = v->word == TREND_LEVELS_OFF, is_inside = in->is_outside && r->rate > v->rate;

	if (v->word == TREND_LEAK || v->word == TREND_SHRINKING || v->doubt == DOUBT_SHORT ||
	    (v->but & (BUT_SLOWS | BUT_MEMORY_SLOWS) && !is_inside) || !class_rise_decides(r, in->window_s))
		return;
	other.word = TREND_GROWING;
	other.by_classes = true;
	other.rate = r->rate;
	other.low = r->low;
	other.high = r->high;
	other.ratio = r->ratio;
	weigh(in, &other);
	if (levels_off && other.word != TREND_LEAK && other.word != TREND_GROWING)
		return;
	if (levels_off) {
		other.word = TREND_GROWING;
		other.but |= BUT_MEMORY_SLOWS;
		other.ratio = v->ratio;
	}
	if (other.word == TREND_LEAK || v->word != TREND_GROWING || is_inside)
		*v = other;
}

void verdict_of(const struct verdict_input *in, struct verdict *v)
{
	*v = (struct verdict){ .uptime_s = in->uptime_s };
	choose_series(in, v);
	weigh(in, v);
	look_at_classes(in, v);
}
