/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What memprobe may do, on fixture trees (tests/fixtures/privilege): files in the kernel's formats of
 * hosts where something is missing. The right reason must be told, and the right remedy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "proc/privilege.h"

#define FIXTURES "tests/fixtures/privilege/"

static void read_fixture(struct privilege *p, const char *name)
{
	char proc[128], sys[128];

	snprintf(proc, sizeof(proc), FIXTURES "%s/proc", name);
	snprintf(sys, sizeof(sys), FIXTURES "%s/sys", name);
	assert_int_equal(privilege_read(p, proc, sys), 0);
}

static void a_missing_capability__is_named_alone(void **state)
{
	struct buf b = BUF_INIT;
	struct privilege p;

	(void)state;
	read_fixture(&p, "perfmon_only");
	assert_false(privilege_can_load(&p));
	privilege_missing(&b, &p);
	assert_string_equal(b.data, "needs CAP_BPF and CAP_PERFMON; missing: CAP_BPF");
	p.caps = 1ULL << CAP_BPF;
	buf_reset(&b);
	privilege_missing(&b, &p);
	assert_string_equal(b.data, "needs CAP_BPF and CAP_PERFMON; missing: CAP_PERFMON");
	p.caps = 1ULL << CAP_SYS_PTRACE;
	buf_reset(&b);
	privilege_missing(&b, &p);
	assert_string_equal(b.data, "needs CAP_BPF and CAP_PERFMON; missing: CAP_BPF and CAP_PERFMON");
	buf_release(&b);
}

static void two_capabilities__or_one__suffice_to_load(void **state)
{
	struct privilege p = { .caps = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON };

	(void)state;
	assert_true(privilege_can_load(&p));
	p.caps = 1ULL << CAP_SYS_ADMIN;
	assert_true(privilege_can_load(&p));
	p.caps = ~(1ULL << CAP_SYS_ADMIN | 1ULL << CAP_BPF);
	assert_false(privilege_can_load(&p));
}

static void sys_admin__is_not_taken_for_what_the_kernel_does_not_take_it_for(void **state)
{
	const struct privilege p = { .caps = 1ULL << CAP_SYS_ADMIN };
	size_t n, i;
	const struct privilege_need *needs = privilege_needs(&n);

	(void)state;
	for (i = 0; i < n; i++)
		assert_int_equal(privilege_has(&p, &needs[i]),
				 needs[i].bit != CAP_SYS_PTRACE && needs[i].bit != CAP_DAC_READ_SEARCH);
}

static void a_refusal__names_what_forbids_it(void **state)
{
	static const struct {
		const char *fixture, *word;
	} cases[] = {
		{ "user_namespace", "user namespace" },
		{ "container", "seccomp" },
		{ "lockdown", "lockdown=integrity" },
	};
	struct buf b = BUF_INIT;
	struct privilege p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_fixture(&p, cases[i].fixture);
		assert_true(privilege_can_load(&p));
		buf_reset(&b);
		privilege_refusal(&b, &p);
		assert_non_null(strstr(b.data, cases[i].word));
	}
	p = (struct privilege){ 0 };
	buf_reset(&b);
	privilege_refusal(&b, &p);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_null(strstr(b.data, cases[i].word));
	buf_release(&b);
}

static void what_cannot_be_read__is_taken_as_no_hindrance(void **state)
{
	struct privilege p;

	(void)state;
	assert_int_not_equal(privilege_read(&p, FIXTURES "none", FIXTURES "none"), 0);
	assert_true(privilege_can_load(&p));
	assert_false(p.user_namespace || p.seccomp || p.lockdown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_capability__is_named_alone),
		cmocka_unit_test(two_capabilities__or_one__suffice_to_load),
		cmocka_unit_test(sys_admin__is_not_taken_for_what_the_kernel_does_not_take_it_for),
		cmocka_unit_test(a_refusal__names_what_forbids_it),
		cmocka_unit_test(what_cannot_be_read__is_taken_as_no_hindrance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
