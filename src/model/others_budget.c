/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See others_budget.h. */
#include "model/others_budget.h"

#define PURSE_S (2 * OTHERS_SHARE)
#define START_S (PURSE_S / 2)
#define CALM_SHARE (OTHERS_SHARE / 2)
#define CALM_S 5.0

uint32_t others_fault_ns(enum first_touches level)
{
	static const uint32_t ns[TOUCHES_NR] = { [TOUCHES_BY_STACK] = OTHERS_STACK_NS, [TOUCHES_BY_PAGE] = OTHERS_PAGE_NS };

	return ns[level];
}

static double cost_s(enum first_touches level, double faults)
{
	return faults * others_fault_ns(level) * 1e-9;
}

/* The highest level at which that many faults a second cost no more than `share`. */
static enum first_touches highest(double rate, double share)
{
	int level = TOUCHES_BY_PAGE;

	while (level > TOUCHES_UNSEEN && cost_s((enum first_touches)level, rate) > share)
		level--;
	return (enum first_touches)level;
}

static void begin_trials(struct others_budget *b)
{
	int i;

	for (i = 0; i < TOUCHES_NR; i++)
		b->trials[i] = (struct others_trial){ .purse_s = START_S };
}

static void go_down(struct others_budget *b, enum first_touches to)
{
	b->level = to < b->level ? to : (enum first_touches)(b->level - 1);
	b->purse_s = START_S;
	b->n_cycles++;
	begin_trials(b);
}

void others_budget_start(struct others_budget *b, double dt, double faults)
{
	*b = (struct others_budget){ .level = TOUCHES_BY_PAGE, .purse_s = START_S, .rate = dt > 0 ? faults / dt : 0 };
	if (cost_s(b->level, faults) > START_S + OTHERS_SHARE * dt)
		go_down(b, highest(b->rate, OTHERS_SHARE));
}

static bool has_passed(struct others_trial *t, double dt, double cost, double wanted_s)
{
	t->purse_s += CALM_SHARE * dt - cost;
	t->calm_s += dt;
	if (t->purse_s > START_S)
		t->purse_s = START_S;
	if (t->purse_s < 0)
		*t = (struct others_trial){ 0 };
	return t->calm_s >= wanted_s;
}

static bool try_up(struct others_budget *b, double dt, double faults)
{
	double wanted_s = CALM_S * (double)(1u << (b->n_cycles - 1));
	enum first_touches to = b->level;
	int i;

	if (b->n_cycles > OTHERS_MOST_CYCLES)
		return false; /* else it is 1 at least */
	for (i = (int)b->level + 1; i < TOUCHES_NR; i++)
		if (has_passed(&b->trials[i], dt, cost_s((enum first_touches)i, faults), wanted_s))
			to = (enum first_touches)i;
	if (to == b->level)
		return false;
	b->level = to;
	b->purse_s = START_S;
	begin_trials(b);
	return true;
}

bool others_budget_step(struct others_budget *b, double dt, double faults)
{
	if (dt <= 0)
		return false;
	b->rate = faults / dt;
	b->purse_s += OTHERS_SHARE * dt - cost_s(b->level, faults);
	if (b->purse_s > PURSE_S)
		b->purse_s = PURSE_S;
	if (b->purse_s < 0) {
		go_down(b, highest(b->rate, OTHERS_SHARE));
		return true;
	}
	return b->level < TOUCHES_BY_PAGE && try_up(b, dt, faults);
}
