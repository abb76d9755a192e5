/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The ladder's arithmetic by worked examples: what each rung costs, which one is chosen, that the purse never
 * gives more than its size and its filling, and when a rung may change. No clock: time is made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>

#include <cmocka.h>

#include "bpf/memprobe.h"
#include "model/ladder.h"

#define SECOND_NS 1000000000ULL

static const struct ladder_costs costs = { .exact_s = 2.8e-6, .not_drawn_s = 1.05e-6, .free_s = 1.25e-6 };

static struct ladder_load load_of(double pairs, double bytes, double work)
{
	return (struct ladder_load){ pairs, pairs, pairs * bytes, work, 0, 0 };
}

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* ---- costs ---- */

static void ten_thousand_pairs__cost_4_percent_of_a_cpu_exact(void **state)
{
	struct ladder_load l = load_of(10000, 128, 1);

	(void)state;
	/* 10 000 x 2.8 us + 10 000 x 1.25 us */
	assert_near(ladder_cost(&l, &costs, RUNG_EXACT, 0), 0.0405);
}

static void sampled__costs_by_the_blocks_that_are_drawn(void **state)
{
	struct ladder_load l = load_of(10000, 128, 1);

	(void)state;
	/* 1.28 MB/s, every 8 KiB: 156.25 drawn x 2.8 us + 9843.75 x 1.05 us + 10 000 x 1.25 us */
	assert_near(ladder_cost(&l, &costs, RUNG_SAMPLED, 8192), 0.0232734375);
}

static void blocks_as_large_as_the_interval__cost_as_exact(void **state)
{
	struct ladder_load l = load_of(10000, 8192, 1);

	(void)state;
	assert_near(ladder_cost(&l, &costs, RUNG_SAMPLED, 8192), ladder_cost(&l, &costs, RUNG_EXACT, 0));
	/* half of them: 5000 x 2.8 us + 5000 x 1.05 us + 10 000 x 1.25 us */
	assert_near(ladder_cost(&l, &costs, RUNG_SAMPLED, 16384), 0.03175);
}

static void bursts__cost_the_frees_and_brief_ones_nothing_of_their_own(void **state)
{
	struct ladder_load l = load_of(1e6, 128, 1);

	(void)state;
	assert_near(ladder_cost(&l, &costs, RUNG_BURSTS, 0), 1.25);
	assert_near(ladder_cost(&l, &costs, RUNG_BRIEF, 0), 0);
}

/* ---- what a program that works little has to spare ---- */

static void a_program_that_sleeps__counts_as_half_a_cpu_and_one_that_waits_as_what_it_gets(void **state)
{
	(void)state;
	assert_near(ladder_counted_work(0, 0), 0.5);
	assert_near(ladder_counted_work(0.15, 0.05), 0.5);
	assert_near(ladder_counted_work(0.15, 0.85), 0.15); /* it shares a CPU with others */
	assert_near(ladder_counted_work(0.15, 0.7), 0.3);
	assert_near(ladder_counted_work(0.1, 3), 0.1); /* four threads */
	assert_near(ladder_counted_work(0.6, 0.4), 0.6);
	assert_near(ladder_counted_work(2, 0), 2);
}

static void a_starved_program__has_no_larger_purse_than_its_work_fills(void **state)
{
	struct ladder_purse p = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		ladder_purse_step(&p, 0.1, RUNG_BRIEF, 0.25, 0.05, 0);
		ladder_purse_waited(&p, 0.25, 0.2, 0.2);
	}
	assert_near(ladder_purse_size(&p, 0.1, RUNG_BRIEF), 0.2 * 0.1 * 0.6 * 0.75);
	/* and what bursts leave in it is a part of that: 8 ms would be nearly all */
	assert_near(ladder_purse_rest(&p, 0.1, RUNG_BRIEF), 0.2 * 0.1 * 0.6 * 0.75 * 0.3);
}

static void a_program_that_sleeps_while_others_use_its_cpu__has_nothing_to_spare(void **state)
{
	struct ladder_purse idle = { .work = 0.3, .waiting = 0.4, .taken = 0.4, .age = 1 }, full = idle;

	(void)state;
	ladder_purse_waited(&full, 1, 0.4, 0.7);
	assert_near(full.waiting, 0.4);
	assert_near(ladder_purse_size(&full, 0.1, RUNG_BRIEF), 0.3 * 0.1 * 0.6 * 0.75);
	assert_near(ladder_purse_size(&idle, 0.1, RUNG_BRIEF), 0.5 * 0.1 * 0.6 * 0.75);
}

static void sleep_beside_busy_cpus__is_not_to_spare_for_one_that_is_starved(void **state)
{
	(void)state;
	assert_near(ladder_taken(1, 0.25, 0.45, 0, 1), 0.45 + 0.30 * 0.45 / 0.70);
	assert_near(ladder_taken(1, 0.25, 0.45, 0.30, 1), 0.45); /* its CPU is idle then */
	assert_near(ladder_taken(1, 0.25, 0.45, 0.20, 1), 0.45 + 0.10 * 0.45 / 0.70);
	assert_near(ladder_taken(1, 0.05, 0.15, 0, 1), 0.15); /* a light one */
	assert_near(ladder_taken(1, 0.20, 0.50, 0, 0.25), 0.50); /* so are four threads together */
	assert_near(ladder_taken(1, 0.30, 0, 0, 1), 0); /* it gets what it wants */
	assert_near(ladder_taken(2, 0.50, 0.90, 0, 1), 2 * (0.45 + 0.30 * 0.45 / 0.70));
}

static void the_first_look_at_the_queue__is_taken_whole(void **state)
{
	struct ladder_purse p = { 0 };

	(void)state;
	ladder_purse_step(&p, 0.1, RUNG_EXACT, 0.25, 0.05, 0);
	ladder_purse_waited(&p, 0.25, 0.2, 0.2);
	assert_near(p.waiting, 0.8);
	ladder_purse_waited(&p, 0, 0.2, 0.2);
	assert_near(p.waiting, 0.8);
}

static void a_busy_program__leaves_8_ms_for_the_traps_until_probes_are_gone(void **state)
{
	struct ladder_purse p = { .work = 1 };

	(void)state;
	assert_near(ladder_purse_rest(&p, 0.1, RUNG_BRIEF), 0.008);
}

/* ---- choice ---- */

/* Budget 10 %, of which a prediction may use 8 %: pairs/s of one size by a program of so much work. */
static const struct {
	double pairs, bytes, work;
	enum rung rung;
	uint32_t interval;
} choices[] = {
	{ 0, 0, 0, RUNG_EXACT, 0 },
	{ 19000, 128, 1, RUNG_EXACT, 0 },	    /* 7.70 % */
	{ 20000, 128, 1, RUNG_SAMPLED, 8192 },	    /* 8.10 %; 4.65 % */
	{ 20000, 128, 2, RUNG_EXACT, 0 },	    /* two CPUs: 4.05 % of its work */
	{ 34000, 128, 1, RUNG_SAMPLED, 8192 },	    /* 7.91 % */
	{ 35000, 128, 1, RUNG_BURSTS, 0 },	    /* 8.15 %, and 8.06 % at 64 KiB: the traps alone; frees 4.4 % */
	{ 41000, 128, 1, RUNG_BRIEF, 0 },	    /* frees 5.1 % */
	{ 25000, 8192, 1, RUNG_SAMPLED, 16384 },    /* 10.1 % at 8 KiB, 7.94 % at 16 */
	{ 26000, 8192, 1, RUNG_SAMPLED, 32768 },    /* 8.26 % at 16, 7.12 % at 32 */
	{ 1000000, 128, 1, RUNG_BRIEF, 0 },
	{ 9800, 128, 0.05, RUNG_EXACT, 0 },	    /* 3.97 % of a CPU is light, though more than its work is a tenth of */
	{ 10000, 128, 0.05, RUNG_SAMPLED, 8192 },   /* 4.05 % */
	{ 4900, 128, 0, RUNG_EXACT, 0 },
};

static void a_load__has_its_rung(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct ladder_load l = load_of(choices[i].pairs, choices[i].bytes, choices[i].work);
		uint32_t interval = 1;
		enum rung r = ladder_choose(&l, &costs, 0.1, &interval);

		if (r != choices[i].rung || interval != choices[i].interval)
			fail_msg("%.0f pairs/s of %.0f bytes, work %.2f: %s at %u, not %s at %u", choices[i].pairs,
				 choices[i].bytes, choices[i].work, rung_name(r), interval, rung_name(choices[i].rung),
				 choices[i].interval);
	}
}

static void a_choice__is_within_the_budget_by_its_own_figures(void **state)
{
	double pairs, budget;
	uint32_t interval;
	enum rung r;

	(void)state;
	for (budget = 0.01; budget < 0.6; budget *= 1.5)
		for (pairs = 1000; pairs < 3e6; pairs *= 1.3) {
			struct ladder_load l = load_of(pairs, 300, 0.7);
			double most = 0.7 * budget * 0.8;

			r = ladder_choose(&l, &costs, budget, &interval);
			assert_true(ladder_cost(&l, &costs, r, interval) <= most);
			/* and what is less close was not needed */
			if (r != RUNG_EXACT)
				assert_true(ladder_cost(&l, &costs, RUNG_EXACT, 0) > most);
			if (rung_is_gated(r))
				assert_true(ladder_cost(&l, &costs, RUNG_SAMPLED, MP_SAMPLE_MOST) > most);
			if (r == RUNG_BRIEF) /* half of the budget is not enough for the frees */
				assert_true(ladder_cost(&l, &costs, RUNG_BURSTS, 0) > 0.7 * budget * 0.5);
		}
}

/* ---- the purse ---- */

/* A purse after a while at so much work per second, nothing spent. */
static struct ladder_purse purse_at(double work, double budget, enum rung r)
{
	struct ladder_purse p = { 0 };
	int i;

	for (i = 0; i < 1000; i++)
		ladder_purse_step(&p, budget, r, 0.02, work * 0.02, 0);
	return p;
}

static void a_purse__holds_a_quarter_of_a_second_of_the_budget(void **state)
{
	struct ladder_purse p = purse_at(2, 0.1, RUNG_EXACT);

	(void)state;
	assert_near(ladder_purse_size(&p, 0.1, RUNG_EXACT), 0.05); /* 10 % of 2 CPUs for 0.25 s */
	assert_near(p.seconds, 0.05);
	ladder_purse_step(&p, 0.1, RUNG_EXACT, 1, 2.3, 0.3); /* 0.3 spent, 0.2 filled */
	assert_near(p.seconds, -0.05);
	assert_near(p.work, 2);
}

static void of_the_cpu_time__what_the_probes_cost_is_not_work(void **state)
{
	struct ladder_purse p = { 0 };

	(void)state;
	ladder_purse_step(&p, 0.1, RUNG_EXACT, 0.5, 0.5, 0.2);
	assert_near(p.work, 0.6);
	assert_near(p.cost, 0.4);
}

/* The CPU time of a running process is told in steps of 4 ms, what the probes cost at once: the sum is right. */
static void a_clock_that_lags__makes_no_work_of_it(void **state)
{
	struct ladder_purse p = { 0 };

	(void)state;
	ladder_purse_step(&p, 0.1, RUNG_BRIEF, 0.003, 0, 0.0027);
	assert_near(ladder_purse_size(&p, 0.1, RUNG_BRIEF), LADDER_LEAST_WORK * 0.1 * 0.6 * 0.75);
	ladder_purse_step(&p, 0.1, RUNG_BRIEF, 0.003, 0.006, 0.0027);
	assert_near(p.work, 0.1);
}

static void the_means__are_plain_in_the_first_second(void **state)
{
	struct ladder_purse p = { 0 };
	int i;

	(void)state;
	ladder_purse_step(&p, 0.1, RUNG_EXACT, 0.02, 0.02, 0);
	assert_near(p.work, 1); /* at once, not after a second */
	for (i = 0; i < 25; i++)
		ladder_purse_step(&p, 0.1, RUNG_EXACT, 0.02, 0, 0);
	assert_near(p.work, 0.02 / 0.52);
}

/* Spends whenever there is enough in it, at a rate that the load decides; checks every window of the run. */
static void spend_all(double budget, enum rung r, double work, double cost_per_s)
{
	enum { N = 600 };
	double spent[N + 1], filled[N + 1], biggest = 0, dt = 0.01;
	struct ladder_purse p = { 0 };
	int i, j;

	spent[0] = filled[0] = 0;
	for (i = 0; i < N; i++) {
		double cost = p.seconds > cost_per_s * dt ? cost_per_s * dt : 0;
		double now = (i / 100 % 2 ? work : work / 3) * dt; /* the program's own load changes */
		double rate;

		ladder_purse_step(&p, budget, r, dt, now + cost, cost);
		rate = ladder_purse_size(&p, budget, r) / (rung_is_gated(r) ? 0.75 : 0.25);
		spent[i + 1] = spent[i] + cost;
		filled[i + 1] = filled[i] + rate * dt;
		biggest = fmax(biggest, ladder_purse_size(&p, budget, r));
		assert_true(p.seconds <= ladder_purse_size(&p, budget, r) + 1e-12);
		assert_true(rate <= fmax(work, LADDER_LEAST_WORK) * budget + 1e-12);
	}
	assert_true(spent[N] > 0);
	for (i = 0; i < N; i++)
		for (j = i + 1; j <= N; j++)
			assert_true(spent[j] - spent[i] <= biggest + filled[j] - filled[i] + 1e-9);
}

static void a_purse__never_gives_more_than_its_size_and_its_filling_in_any_window(void **state)
{
	(void)state;
	spend_all(0.1, RUNG_BURSTS, 1, 0.9);
	spend_all(0.1, RUNG_BRIEF, 1, 0.9);
	spend_all(0.1, RUNG_EXACT, 1, 0.5);
	spend_all(0.02, RUNG_BURSTS, 3, 0.9);
	spend_all(0.5, RUNG_SAMPLED, 0.2, 0.2);
	spend_all(0.1, RUNG_BURSTS, 0, 0.5);
}

static void a_spender_that_does_not_stop__is_in_debt_by_what_it_spent_too_much(void **state)
{
	struct ladder_purse p = purse_at(1, 0.1, RUNG_EXACT);
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		ladder_purse_step(&p, 0.1, RUNG_EXACT, 0.01, 0.012, 0.002);
	/* 0.025 in it, 0.1 came, 0.2 went */
	assert_near(p.seconds, -0.075);
}

static void a_filled_purse__is_full_and_bursts_have_a_larger_one_that_fills_slower(void **state)
{
	struct ladder_purse p = purse_at(1, 0.1, RUNG_BRIEF);

	(void)state;
	p.seconds = -1;
	ladder_purse_fill(&p, 0.1, RUNG_BRIEF);
	assert_near(p.seconds, 0.045); /* 0.6 x 10 % for 0.75 s */
	p.seconds = 0;
	ladder_purse_step(&p, 0.1, RUNG_BRIEF, 0.1, 0.1, 0);
	assert_near(p.seconds, 0.006);
	ladder_purse_fill(&p, 0.1, RUNG_BURSTS);
	assert_near(p.seconds, 0.06375); /* 0.85: with the frees */
}

static void a_step_of_no_time__changes_nothing(void **state)
{
	struct ladder_purse p = purse_at(1, 0.1, RUNG_EXACT), before = p;

	(void)state;
	ladder_purse_step(&p, 0.1, RUNG_EXACT, 0, 0.5, 0.5);
	assert_memory_equal(&p, &before, sizeof(p));
}

/* ---- what a block stands for ---- */

static void a_block_of_a_burst__stands_for_the_work_between_bursts(void **state)
{
	struct ladder_share s = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.010, 0.010, 0.009, 3600, 0, 0, 0.01, 0, 0 });
		ladder_share_step(&s, false, &(struct ladder_step){ 0.089, 0.089, 0, 0, 0, 0, 0.089, 0, 0 });
	}
	assert_in_range(ladder_share_weight(&s), 89, 93); /* fading favours what came last */
	assert_near(ladder_share_slowdown(&s), 10);
	for (i = 0; i < 200; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.010, 0.003, 0.001, 400, 0, 0, 0.003, 0, 0 }); /* a server: half of it is waiting */
		ladder_share_step(&s, false, &(struct ladder_step){ 0.090, 0.018, 0, 0, 0, 0, 0.018, 0, 0 });
	}
	assert_in_range(ladder_share_weight(&s), 10, 11);
}

static void one_that_sleeps_in_bursts_too__keeps_its_pace(void **state)
{
	struct ladder_share s = { 0 };
	int i;

	(void)state;
	/* 200 ms in bursts, of which it sleeps 150; the probes cost 38 ms, and are taken to cost 45 */
	for (i = 0; i < 50; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.2, 0.05, 0.045, 9000, 0, 0, 0.05, 0, 0 });
		ladder_share_step(&s, false, &(struct ladder_step){ 0.8, 0.048, 0, 0, 0, 0, 0.048, 0, 0 });
	}
	assert_in_range(ladder_share_weight(&s), 5, 6); /* fading; not 10 */
	/* so does one whose four threads wait for a CPU for a while each: together for three quarters of the time */
	s = (struct ladder_share){ 0 };
	for (i = 0; i < 50; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.2, 0.05, 0.045, 9000, 0.15, 0.15, 0.05, 0, 0 });
		ladder_share_step(&s, false, &(struct ladder_step){ 0.8, 0.048, 0, 0, 0.6, 0.6, 0.16, 0, 0 });
	}
	assert_in_range(ladder_share_weight(&s), 5, 6);
	/* one that waits for a CPU instead of sleeping does not */
	for (i = 0; i < 50; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.2, 0.05, 0.045, 9000, 0.14, 0, 0.19, 0, 0 });
		ladder_share_step(&s, false, &(struct ladder_step){ 0.8, 0.048, 0, 0, 0, 0, 0.048, 0, 0 });
	}
	assert_in_range(ladder_share_weight(&s), 10, 15);
}

static void an_estimate_that_leaves_no_work_in_a_burst__is_held_by_its_calls(void **state)
{
	struct ladder_share s = { 0 };

	(void)state;
	assert_int_equal(ladder_share_weight(&s), 1);
	assert_near(ladder_share_slowdown(&s), 1);
	ladder_share_step(&s, true, &(struct ladder_step){ 0.010, 0.010, 0.0101, 4000, 0, 0, 0.01, 0, 0 }); /* 4000 calls take 100 us at least */
	assert_int_equal(ladder_share_weight(&s), 1);
	ladder_share_step(&s, false, &(struct ladder_step){ 0.080, 0.080, 0, 0, 0, 0, 0.08, 0, 0 });
	assert_in_range(ladder_share_weight(&s), 780, 825); /* 79.9 ms / 100 us */
	assert_near(ladder_share_slowdown(&s), 102);
}

/*
 * 300 parts of 256 KiB a second, one of a hundred in bursts, in which the probes are taken to leave four times too
 * much.
 */
static void an_own_heap__tells_how_far_the_program_comes_in_bursts(void **state)
{
	struct ladder_share s = { 0 };
	double part = 256 << 10;
	int i;

	(void)state;
	for (i = 0; i < 60; i++) {
		ladder_share_step(&s, true, &(struct ladder_step){ 0.05, 0.05, 0.04, 8000, 0, 0, 0.05, 2 * part, 8000 });
		ladder_share_step(&s, false, &(struct ladder_step){ 0.55, 0.55, 0, 0, 0, 0, 0.55, 198 * part, 0 });
	}
	assert_true(ladder_share_is_told(&s));
	assert_in_range(ladder_share_weight(&s), 99, 106); /* not 56 */
	/* not of a program beside, which makes half of the calls; nor by a part or two */
	s.long_calls *= 2;
	assert_false(ladder_share_is_told(&s));
	s.long_calls /= 2;
	s.own_open = 3 * part;
	assert_false(ladder_share_is_told(&s));
}

static void without_a_gate_that_was_ever_shut__a_block_stands_for_itself(void **state)
{
	struct ladder_share s = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		ladder_share_step(&s, true, &(struct ladder_step){ 0.010, 0.010, 0.002, 1000, 0, 0, 0.01, 0, 0 });
	assert_int_equal(ladder_share_weight(&s), 1);
}

/* ---- the least that bursts can cost ---- */

static void one_percent_of_the_time__costs_a_saturated_program_one_percent(void **state)
{
	struct ladder_share s = { 0 };
	int i;

	(void)state;
	assert_near(ladder_share_least_cost(&s), 0);
	ladder_share_step(&s, true, &(struct ladder_step){ 0.02, 0.02, 0.0196, 8000, 0, 0, 0.02, 0, 0 });
	for (i = 0; i < 100; i++)
		ladder_share_step(&s, false, &(struct ladder_step){ 0.02, 0.02, 0, 0, 0, 0, 0.02, 0, 0 });
	assert_true(fabs(ladder_share_least_cost(&s) - 0.0098) < 0.0002);
	/* and the same when it gets a quarter of a CPU: in bursts, too */
	s = (struct ladder_share){ 0 };
	ladder_share_step(&s, true, &(struct ladder_step){ 0.02, 0.005, 0.0049, 2000, 0.015, 0.015, 0.02, 0, 0 });
	for (i = 0; i < 100; i++)
		ladder_share_step(&s, false, &(struct ladder_step){ 0.02, 0.005, 0, 0, 0.015, 0.015, 0.02, 0, 0 });
	assert_true(fabs(ladder_share_least_cost(&s) - 0.0098) < 0.0002);
	/* a light one: its calls come as they come, and it has time to spare */
	s = (struct ladder_share){ 0 };
	ladder_share_step(&s, true, &(struct ladder_step){ 0.02, 0.005, 0.003, 1000, 0, 0, 0.005, 0, 0 });
	for (i = 0; i < 100; i++)
		ladder_share_step(&s, false, &(struct ladder_step){ 0.02, 0.002, 0, 0, 0, 0, 0.002, 0, 0 });
	assert_near(ladder_share_least_cost(&s), 0.01 * 0.15 / 0.5);
}

/* ---- changes ---- */

static void down__is_allowed_at_once_and_four_times_at_most(void **state)
{
	(void)state;
	assert_true(ladder_may_step_down(0));
	assert_true(ladder_may_step_down(3));
	assert_false(ladder_may_step_down(4));
}

static void up__waits_ten_seconds_after_a_change(void **state)
{
	uint64_t at = 100 * SECOND_NS;

	(void)state;
	assert_true(ladder_may_step_up(0, 0, SECOND_NS));
	assert_false(ladder_may_step_up(1, at, at + 10 * SECOND_NS - 1));
	assert_true(ladder_may_step_up(1, at, at + 10 * SECOND_NS));
}

/* Whatever the load does, and whenever: there is always room to step down from where the run stands. */
static void up__is_never_the_last_change(void **state)
{
	unsigned int n, start;

	(void)state;
	for (start = 0; start < 2; start++) {
		bool up = start; /* the next step */

		for (n = 0;; n++, up = !up) {
			if (up && !ladder_may_step_up(n, 0, 1000 * SECOND_NS))
				break;
			assert_true(up || ladder_may_step_down(n));
		}
		assert_in_range(n, 3, LADDER_MAX_CHANGES);
	}
}

/*
 * A program at a steady pace, 5 % of a CPU: what its bursts stand for adds up to all of the time, from the first burst
 * on.
 */
static void long_bursts_of_a_paced_program__stand_for_all_of_the_time_and_not_for_more(void **state)
{
	struct ladder_share s = { .last_burst = 1 };
	double seen = 0, time = 0;
	int i, k;

	(void)state;
	for (k = 0; k < 5; k++) {
		for (i = 0; i < 60; i++, time += 0.05)
			ladder_share_step(&s, false, &(struct ladder_step){ 0.05, 0.0025, 0, 0, 0, 0, 0.0025, 0, 0 });
		for (i = 0; i < 100; i++, time += 0.01) {
			ladder_share_step(&s, true, &(struct ladder_step){ 0.01, 0.001, 0.0005, 20, 0, 0, 0.001, 0, 0 });
			seen += 0.01 * ladder_share_weight(&s);
		}
		assert_true(seen > 0.6 * time && seen < 1.4 * time);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_pairs__cost_4_percent_of_a_cpu_exact),
		cmocka_unit_test(sampled__costs_by_the_blocks_that_are_drawn),
		cmocka_unit_test(blocks_as_large_as_the_interval__cost_as_exact),
		cmocka_unit_test(bursts__cost_the_frees_and_brief_ones_nothing_of_their_own),
		cmocka_unit_test(a_program_that_sleeps__counts_as_half_a_cpu_and_one_that_waits_as_what_it_gets),
		cmocka_unit_test(a_starved_program__has_no_larger_purse_than_its_work_fills),
		cmocka_unit_test(sleep_beside_busy_cpus__is_not_to_spare_for_one_that_is_starved),
		cmocka_unit_test(the_first_look_at_the_queue__is_taken_whole),
		cmocka_unit_test(a_program_that_sleeps_while_others_use_its_cpu__has_nothing_to_spare),
		cmocka_unit_test(a_busy_program__leaves_8_ms_for_the_traps_until_probes_are_gone),
		cmocka_unit_test(a_load__has_its_rung),
		cmocka_unit_test(a_choice__is_within_the_budget_by_its_own_figures),
		cmocka_unit_test(a_purse__holds_a_quarter_of_a_second_of_the_budget),
		cmocka_unit_test(of_the_cpu_time__what_the_probes_cost_is_not_work),
		cmocka_unit_test(a_clock_that_lags__makes_no_work_of_it),
		cmocka_unit_test(the_means__are_plain_in_the_first_second),
		cmocka_unit_test(a_purse__never_gives_more_than_its_size_and_its_filling_in_any_window),
		cmocka_unit_test(a_spender_that_does_not_stop__is_in_debt_by_what_it_spent_too_much),
		cmocka_unit_test(a_filled_purse__is_full_and_bursts_have_a_larger_one_that_fills_slower),
		cmocka_unit_test(a_step_of_no_time__changes_nothing),
		cmocka_unit_test(a_block_of_a_burst__stands_for_the_work_between_bursts),
		cmocka_unit_test(one_that_sleeps_in_bursts_too__keeps_its_pace),
		cmocka_unit_test(an_estimate_that_leaves_no_work_in_a_burst__is_held_by_its_calls),
		cmocka_unit_test(one_percent_of_the_time__costs_a_saturated_program_one_percent),
		cmocka_unit_test(an_own_heap__tells_how_far_the_program_comes_in_bursts),
		cmocka_unit_test(without_a_gate_that_was_ever_shut__a_block_stands_for_itself),
		cmocka_unit_test(down__is_allowed_at_once_and_four_times_at_most),
		cmocka_unit_test(up__waits_ten_seconds_after_a_change),
		cmocka_unit_test(up__is_never_the_last_change),
		cmocka_unit_test(long_bursts_of_a_paced_program__stand_for_all_of_the_time_and_not_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
