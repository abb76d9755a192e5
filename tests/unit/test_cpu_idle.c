/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Idle CPUs: tests/fixtures/proc/stat, where CPU 2 is off, and the CPUs that this process may use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "proc/cpu_idle.h"

#define FIXTURES "tests/fixtures/proc"

static uint64_t tick_ns(void)
{
	return 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void each_cpu__is_idle_or_waits_for_io_or_has_what_can_wait(void **state)
{
	struct cpu_idle c = { 0 };

	(void)state;
	assert_int_equal(cpu_idle_read(&c, FIXTURES), 0);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.ns[0], 10100 * tick_ns());
	assert_int_equal(c.ns[1], 20050 * tick_ns());
	assert_int_equal(c.ns[2], 0);
	assert_int_equal(c.ns[3], 62 * tick_ns());
	cpu_idle_release(&c);
}

static void of_a_process__only_the_cpus_count_that_it_may_use(void **state)
{
	struct cpu_idle c = { 0 };
	cpu_set_t before, one;
	uint64_t ns = 0;
	int cpu;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (cpu = 0; !CPU_ISSET(cpu, &before); cpu++)
		;
	if (cpu > 1)
		skip();
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(cpu_idle_read(&c, FIXTURES), 0);
	assert_int_equal(cpu_idle_of(&c, getpid(), &ns), 0);
	assert_int_equal(ns, c.ns[cpu]);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	cpu_idle_release(&c);
}

static void a_missing_file_and_an_ended_process__are_told(void **state)
{
	struct cpu_idle c = { 0 };
	uint64_t ns;

	(void)state;
	assert_int_not_equal(cpu_idle_read(&c, FIXTURES "/gone"), 0);
	assert_int_equal(c.n, 0);
	assert_int_equal(cpu_idle_of(&c, 0x7ffffff0, &ns), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cpu__is_idle_or_waits_for_io_or_has_what_can_wait),
		cmocka_unit_test(of_a_process__only_the_cpus_count_that_it_may_use),
		cmocka_unit_test(a_missing_file_and_an_ended_process__are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
