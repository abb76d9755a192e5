/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is left below memory limits, on recorded /proc and cgroup trees of both versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "proc/room.h"

#define PROC "tests/fixtures/proc"
#define CGROUPS "tests/fixtures/proc_cgroup/"

static const struct proc_room *find(const struct proc_rooms *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].name, name))
			return &r->v[i];
	fail_msg("no group %s", name);
	return NULL;
}

static void version_2__each_group_with_a_limit_has_its_room_and_processes(void **state)
{
	struct proc_rooms r = { 0 };
	const struct proc_room *pod;

	(void)state;
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v2", 4301), 0);
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v2", 4301), 0);
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v2", 4242), 0);
	pod = find(&r, "pod1.slice");
	assert_int_equal(pod->limit_bytes, 256 * MIB);
	assert_int_equal(pod->left_bytes, 56 * MIB + 1); /* "file 1" */
	assert_int_equal(pod->n_processes, 2);
	assert_int_equal(find(&r, "kubepods.slice")->n_processes, 2);
	assert_int_equal(find(&r, "gateway.service")->n_processes, 1);
	assert_ptr_equal(proc_rooms_least(&r), pod);
	proc_rooms_release(&r);
}

static void version_1__cache_is_room_and_no_limit_is_no_group(void **state)
{
	struct proc_rooms r = { 0 };

	(void)state;
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v1", 5002), 0);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.v[0].name, "abc");
	assert_int_equal(r.v[0].left_bytes, 1); /* at its limit, with one byte of cache */
	proc_rooms_release(&r);
}

static void memory_high__is_no_limit_that_kills(void **state)
{
	struct proc_rooms r = { 0 };

	(void)state;
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v2", 4302), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].limit_bytes, 200 * MIB); /* high is 100 */
	assert_int_equal(r.v[0].left_bytes, 140 * MIB + 1);
	proc_rooms_release(&r);
}

static void a_process_that_has_ended__adds_nothing(void **state)
{
	struct proc_rooms r = { 0 };

	(void)state;
	assert_int_equal(proc_rooms_add(&r, PROC, CGROUPS "v2", 31337), -ESRCH);
	assert_int_equal(r.n, 0);
	assert_null(proc_rooms_least(&r));
	proc_rooms_release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2__each_group_with_a_limit_has_its_room_and_processes),
		cmocka_unit_test(version_1__cache_is_room_and_no_limit_is_no_group),
		cmocka_unit_test(memory_high__is_no_limit_that_kills),
		cmocka_unit_test(a_process_that_has_ended__adds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
