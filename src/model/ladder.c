/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The budget's arithmetic; see ladder.h. */
#include "model/ladder.h"

#include "bpf/memprobe.h"

/* Of the budget, what a prediction may use: it is off by up to a fifth. */
#define PREDICTED_SHARE 0.8
/* Bursts spend this part of the budget: taking probes away and putting them back is not all in the books. */
#define BURST_SHARE 0.6
/* With frees always there, most is in the books. */
#define BURST_SHARE_WITH_FREES 0.85
/* Of the budget, what frees may take for themselves: the rest is for the bursts. */
#define FREES_SHARE 0.5
/* A purse holds this many seconds of its filling. */
#define PURSE_SECONDS 0.25
#define BURST_PURSE_SECONDS 0.75
/* What probes cost until they are gone: a busy thread's traps for this long; a starved one makes fewer. */
#define REST_SECONDS 0.008
#define REST_SHARE 0.3
/* Running means reach two thirds of a step in this time. */
#define MEAN_SECONDS 1.0
/* What bursts saw is weighed by so much of the past. */
#define SHARE_SECONDS 3.0
/*
 * A program's own work in a burst is at least so much per call: what an allocator takes, and a little around it. Where
 * the probes are nearly all of a burst, no estimate of their cost is exact enough to tell what is left.
 */
#define LEAST_CALL_SECONDS 25e-9
#define MOST_WEIGHT 100000
/* Of a CPU, what the busiest thread of a light program wants at most, and that of one that is starved at least. */
#define LIGHT_WANTS 0.25
#define STARVED_WANTS 0.5
/* A program that sleeps for less of its bursts may be slowed by them; for so much more, and it is not. */
#define LEAST_IDLE 0.1
#define SURE_IDLE 0.3
/*
 * An own heap tells of bursts when it handed out so much in them: it comes in parts of up to 256 KiB. So little of that
 * is in a burst that it is weighed by more of the past; and other processes must do little beside.
 */
#define OWN_SECONDS 30.0
#define LEAST_OWN_BYTES (4.0 * (256 << 10))
#define LEAST_OWN_CALLS 0.75

const char *rung_name(enum rung r)
{
	static const char *const names[] = { "exact", "sampled", "in bursts", "in brief bursts", "away" };

	return names[r];
}

double ladder_cost(const struct ladder_load *l, const struct ladder_costs *c, enum rung r,
		   uint32_t interval_bytes)
{
	double drawn;

	if (rung_is_gated(r))
		return r == RUNG_BURSTS ? l->frees * c->free_s : 0;
	drawn = r == RUNG_SAMPLED && interval_bytes ? l->capped_bytes / interval_bytes : l->allocs;
	if (drawn > l->allocs)
		drawn = l->allocs;
	return drawn * c->exact_s + (l->allocs - drawn) * c->not_drawn_s + l->frees * c->free_s;
}

double ladder_counted_work(double work, double taken)
{
	double could = taken < 1 - work ? 1 - taken : work; /* with the time that it does not use */

	if (work >= LADDER_LEAST_WORK)
		return work;
	return could < LADDER_LEAST_WORK ? could : LADDER_LEAST_WORK;
}

double ladder_taken(double dt, double used, double waited, double idle, double busiest)
{
	double others = dt - used - waited - idle, starved;

	if (others <= 0 || waited <= 0)
		return waited;
	starved = ((used + waited) * busiest / dt - LIGHT_WANTS) / (STARVED_WANTS - LIGHT_WANTS);
	starved = starved < 0 ? 0 : starved > 1 ? 1 : starved;
	return waited + others * waited / (waited + used) * starved;
}

enum rung ladder_choose(const struct ladder_load *l, const struct ladder_costs *c, double budget,
			uint32_t *interval_bytes)
{
	double allowed = budget * ladder_counted_work(l->work, l->taken), most = allowed * PREDICTED_SHARE;
	uint32_t interval;

	*interval_bytes = 0;
	if (ladder_cost(l, c, RUNG_EXACT, 0) <= most)
		return RUNG_EXACT;
	for (interval = MP_SAMPLE_LEAST; interval <= MP_SAMPLE_MOST; interval *= 2) {
		if (ladder_cost(l, c, RUNG_SAMPLED, interval) > most)
			continue;
		*interval_bytes = interval;
		return RUNG_SAMPLED;
	}
	return ladder_cost(l, c, RUNG_BURSTS, 0) <= allowed * FREES_SHARE ? RUNG_BURSTS : RUNG_BRIEF;
}

static double share_of(enum rung r)
{
	return r == RUNG_BRIEF ? BURST_SHARE : r == RUNG_BURSTS ? BURST_SHARE_WITH_FREES : 1.0;
}

static double rate(const struct ladder_purse *p, double budget, enum rung r)
{
	return budget * ladder_counted_work(p->work, p->taken) * share_of(r);
}

double ladder_purse_size(const struct ladder_purse *p, double budget, enum rung r)
{
	return rate(p, budget, r) * (rung_is_gated(r) ? BURST_PURSE_SECONDS : PURSE_SECONDS);
}

double ladder_purse_rest(const struct ladder_purse *p, double budget, enum rung r)
{
	double part = ladder_purse_size(p, budget, r) * REST_SHARE;

	return part < REST_SECONDS ? part : REST_SECONDS;
}

void ladder_purse_fill(struct ladder_purse *p, double budget, enum rung r)
{
	p->seconds = ladder_purse_size(p, budget, r);
}

static double mean_step(const struct ladder_purse *p, double mean, double value, double dt)
{
	double of = p->age < MEAN_SECONDS ? p->age : MEAN_SECONDS;

	return mean + (value - mean) * dt / (of + dt);
}

void ladder_purse_step(struct ladder_purse *p, double budget, enum rung r, double dt, double cpu, double spent)
{
	double most;

	if (dt <= 0)
		return;
	p->work = mean_step(p, p->work, (cpu - spent) / dt, dt);
	p->cost = mean_step(p, p->cost, spent / dt, dt);
	p->age += dt;
	p->seconds += rate(p, budget, r) * dt - spent;
	most = ladder_purse_size(p, budget, r);
	if (p->seconds > most)
		p->seconds = most;
}

void ladder_purse_waited(struct ladder_purse *p, double dt, double waited, double taken)
{
	double of = p->age < MEAN_SECONDS ? p->age : MEAN_SECONDS, part = dt < of ? dt / of : 1;

	if (dt <= 0)
		return;
	p->waiting += (waited / dt - p->waiting) * part;
	p->taken += (taken / dt - p->taken) * part;
}

void ladder_step_add_calls(struct ladder_step *step, double calls, uint64_t own_before, uint64_t own_now)
{
	step->calls += calls;
	step->own_bytes += (double)(own_now - own_before);
	step->own_calls += own_now ? calls : 0;
}

static void own_step(struct ladder_share *s, bool is_open, const struct ladder_step *step)
{
	double keep = step->dt < OWN_SECONDS ? 1 - step->dt / OWN_SECONDS : 0;

	s->own_all = s->own_all * keep + step->own_bytes;
	s->long_calls *= keep;
	s->own_calls *= keep;
	s->own_open *= keep;
	if (!is_open)
		return;
	s->long_calls += step->calls;
	s->own_calls += step->own_calls;
	s->own_open += step->own_bytes;
}

void ladder_share_step(struct ladder_share *s, bool is_open, const struct ladder_step *step)
{
	double keep = step->dt < SHARE_SECONDS ? 1 - step->dt / SHARE_SECONDS : 0;

	own_step(s, is_open, step);
	s->all = s->all * keep + step->cpu - step->spent;
	s->all_time = s->all_time * keep + step->dt;
	s->waiting = s->waiting * keep + step->waiting;
	s->taken = s->taken * keep + step->taken;
	s->open_time *= keep;
	s->open *= keep;
	s->calls *= keep;
	s->spent *= keep;
	s->busy *= keep;
	if (!is_open) {
		s->last_burst = s->burst > 0 ? s->burst : s->last_burst;
		s->burst = 0;
		return;
	}
	s->burst += step->dt;
	s->open_time += step->dt;
	s->spent += step->spent;
	s->open += step->cpu - step->spent;
	s->calls += step->calls;
	s->busy += step->busy;
}

/* How sure it is that the program sleeps in bursts. */
static double is_paced(const struct ladder_share *s)
{
	double idle = s->open_time > 0 ? 1 - s->busy / s->open_time : 0, sure = (idle - LEAST_IDLE) / SURE_IDLE;

	return sure < 0 ? 0 : sure > 1 ? 1 : sure;
}

bool ladder_share_is_told(const struct ladder_share *s)
{
	return s->own_open >= LEAST_OWN_BYTES && s->own_calls >= s->long_calls * LEAST_OWN_CALLS;
}

static double open_work(const struct ladder_share *s)
{
	double least = s->calls * LEAST_CALL_SECONDS, by_work = s->open > least ? s->open : least;
	double by_time = s->all_time > 0 ? s->all * s->open_time / s->all_time : 0;

	if (ladder_share_is_told(s))
		return s->all * s->own_open / s->own_all;
	/* in a burst no program does more than else */
	if (by_time <= by_work)
		return by_work;
	return by_work + (by_time - by_work) * is_paced(s);
}

double ladder_share_least_cost(const struct ladder_share *s)
{
	double time = s->all_time, work = time > 0 ? ladder_counted_work(s->all / time, s->taken / time) : 0;

	return s->open_time > 0 && work > 0 ? LADDER_LEAST_OPEN * s->spent / s->open_time / work : 0;
}

double ladder_share_slowdown(const struct ladder_share *s)
{
	double open = open_work(s);

	return open > 0 ? (open + s->spent) / open : 1;
}

/* How it will be when this burst has lasted as long as the last, if it goes on as it began. */
static struct ladder_share when_over(const struct ladder_share *s)
{
	double more = s->last_burst - s->burst, by;
	struct ladder_share e = *s;

	if (!s->burst || more <= 0 || s->open_time <= 0)
		return e;
	by = more / s->open_time;
	e.all += s->open * by;
	e.all_time += more;
	e.open += s->open * by;
	e.calls += s->calls * by;
	e.spent += s->spent * by;
	e.busy += s->busy * by;
	e.open_time += more;
	return e;
}

double ladder_share_weight(const struct ladder_share *s)
{
	struct ladder_share e = when_over(s);
	double open = open_work(&e);

	if (open <= 0 || e.all <= open)
		return 1;
	return e.all / open < MOST_WEIGHT ? e.all / open : MOST_WEIGHT;
}

bool ladder_may_step_down(unsigned int n_changes)
{
	return n_changes < LADDER_MAX_CHANGES;
}

bool ladder_may_step_up(unsigned int n_changes, uint64_t last_change_ns, uint64_t now_ns)
{
	if (n_changes + 2 > LADDER_MAX_CHANGES)
		return false;
	return !n_changes || now_ns - last_change_ns >= LADDER_REST_NS;
}
