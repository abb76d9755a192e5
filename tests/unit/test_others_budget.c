/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What others pay for the watching of first touches, in made-up seconds: no kernel, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/others_budget.h"

#define STEP_S 0.2

/* What the others paid in so many seconds of so many faults a second. */
static double watch(struct others_budget *b, double seconds, double rate)
{
	double paid = 0, t;

	for (t = 0; t < seconds; t += STEP_S) {
		paid += others_fault_ns(b->level) * 1e-9 * rate * STEP_S;
		others_budget_step(b, STEP_S, rate * STEP_S);
	}
	return paid;
}

static void a_calm_machine__is_watched_to_the_page_throughout(void **state)
{
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0.3, 300);
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
	watch(&b, 600, 10000);
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
	assert_int_equal(b.n_cycles, 0);
}

static void a_busy_machine__is_never_taxed(void **state)
{
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0.3, 0.3 * 700e3);
	assert_int_equal(b.level, TOUCHES_UNSEEN);
	assert_true(watch(&b, 600, 700e3) == 0);
}

static void a_short_look_before__suffices_for_a_loop_of_faults(void **state)
{
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0.06, 0.06 * 700e3);
	assert_int_equal(b.level, TOUCHES_UNSEEN);
}

static void a_few_programs_that_start__cost_nobody_the_figures(void **state)
{
	struct others_budget b;
	int i;

	(void)state;
	others_budget_start(&b, 0.1, 5000); /* one of them just before */
	for (i = 0; i < 20; i++) {
		watch(&b, 2 * STEP_S, 20000);
		watch(&b, 2, 100);
	}
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
}

static void addresses_go_first__and_alone_where_stacks_fit(void **state)
{
	double rate = 0.8 * OTHERS_SHARE / (OTHERS_STACK_NS * 1e-9);
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0.3, 0);
	watch(&b, 60, rate);
	assert_int_equal(b.level, TOUCHES_BY_STACK);
	assert_int_equal(b.n_cycles, 1);
}

static void whatever_the_others_do__they_pay_no_more_than_the_share_and_some_purses(void **state)
{
	static const double rates[] = { 15e3, 40e3, 60e3, 200e3, 1e6, 5e6 };
	struct others_budget b;
	double paid, step;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		step = others_fault_ns(TOUCHES_BY_PAGE) * 1e-9 * rates[i] * STEP_S;
		others_budget_start(&b, 0.3, 0);
		paid = watch(&b, 120, rates[i]);
		assert_true(paid <= 120 * OTHERS_SHARE + 2 * OTHERS_SHARE + step);
	}
}

static void when_the_others_are_calm_for_a_while__all_comes_back(void **state)
{
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0.3, 0);
	watch(&b, 5, 700e3);
	assert_int_equal(b.level, TOUCHES_UNSEEN);
	watch(&b, 4, 1000);
	assert_int_equal(b.level, TOUCHES_UNSEEN);
	watch(&b, 2, 1000);
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
}

static void a_program_that_starts_now_and_then__is_no_reason_to_stay_away(void **state)
{
	struct others_budget b;
	int i;

	(void)state;
	others_budget_start(&b, 0.3, 0);
	watch(&b, 1, 700e3);
	for (i = 0; i < 5; i++) {
		watch(&b, 1, 200);
		watch(&b, STEP_S, 6000 / STEP_S);
	}
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
}

static void a_lull_that_is_too_short__brings_nothing_back(void **state)
{
	struct others_budget b;
	int i;

	(void)state;
	others_budget_start(&b, 0.3, 0);
	watch(&b, 1, 700e3);
	for (i = 0; i < 20; i++) {
		watch(&b, 4, 1000);
		watch(&b, 1, 700e3);
	}
	assert_int_equal(b.level, TOUCHES_UNSEEN);
	assert_int_equal(b.n_cycles, 1);
}

static void each_try_waits_longer__and_the_fourth_is_the_last(void **state)
{
	struct others_budget b;
	int i;

	(void)state;
	others_budget_start(&b, 0.3, 0);
	for (i = 0; i < 20; i++) {
		watch(&b, 2, 700e3);
		watch(&b, 60, 1000);
	}
	assert_int_equal(b.level, TOUCHES_UNSEEN);
	assert_int_equal(b.n_cycles, OTHERS_MOST_CYCLES + 1);
}

static void no_time__is_no_step(void **state)
{
	struct others_budget b;

	(void)state;
	others_budget_start(&b, 0, 0);
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
	assert_false(others_budget_step(&b, 0, 1e9));
	assert_int_equal(b.level, TOUCHES_BY_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_calm_machine__is_watched_to_the_page_throughout),
		cmocka_unit_test(a_busy_machine__is_never_taxed),
		cmocka_unit_test(a_short_look_before__suffices_for_a_loop_of_faults),
		cmocka_unit_test(a_few_programs_that_start__cost_nobody_the_figures),
		cmocka_unit_test(addresses_go_first__and_alone_where_stacks_fit),
		cmocka_unit_test(whatever_the_others_do__they_pay_no_more_than_the_share_and_some_purses),
		cmocka_unit_test(when_the_others_are_calm_for_a_while__all_comes_back),
		cmocka_unit_test(a_program_that_starts_now_and_then__is_no_reason_to_stay_away),
		cmocka_unit_test(a_lull_that_is_too_short__brings_nothing_back),
		cmocka_unit_test(each_try_waits_longer__and_the_fourth_is_the_last),
		cmocka_unit_test(no_time__is_no_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
