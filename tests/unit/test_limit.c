/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Limits: what is read of them (fixture trees, in the kernel's formats), and which comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model/limit.h"
#include "proc/process.h"

#define FIXTURES "tests/fixtures/proc_limits"
#define CGROUPS "tests/fixtures/proc_cgroup/"
#define MIB (1024ull * 1024)
#define GIB (1024 * MIB)
#define NONE UINT64_MAX

static void all_groups_above_a_process_are_read(void **state)
{
	struct proc_groups g = { 0 };

	(void)state;
	assert_int_equal(proc_groups_read(&g, FIXTURES, CGROUPS "v2_full", 4310), 0);
	assert_int_equal(g.n, 3); /* the root is one */
	assert_string_equal(g.v[0].name, "checkout.service");
	assert_int_equal(g.v[0].max_bytes, 1 * GIB);
	assert_int_equal(g.v[0].high_bytes, 900 * MIB);
	assert_int_equal(g.v[0].current_bytes, 800 * MIB);
	assert_int_equal(g.v[0].used_bytes, 700 * MIB);
	assert_int_equal(g.v[0].anon_bytes, 600 * MIB);
	assert_int_equal(g.v[0].file_bytes, 150 * MIB);
	assert_int_equal(g.v[0].shmem_bytes, 20 * MIB);
	assert_int_equal(g.v[0].kernel_bytes, 50 * MIB);
	assert_int_equal(g.v[0].swap_left_bytes, 200 * MIB);
	assert_int_equal(g.v[0].swap_bytes, 56 * MIB);
	assert_int_equal(g.v[0].oom_kills, 4);
	assert_true(g.v[0].kills_group);
	assert_int_equal(g.v[1].max_bytes, NONE);
	assert_int_equal(g.v[1].swap_left_bytes, NONE);
	assert_false(g.v[1].kills_group);
	assert_string_equal(g.v[2].name, "/");
	assert_int_equal(proc_groups_read(&g, FIXTURES, CGROUPS "v2_full", 31337), -ESRCH);
	proc_groups_release(&g);
}

static void swap_may_be_limited_above_and_where_memory_is_not(void **state)
{
	struct proc_groups g = { 0 };

	(void)state;
	assert_int_equal(proc_groups_read(&g, FIXTURES, CGROUPS "v2_swap", 4310), 0);
	assert_int_equal(g.v[0].swap_bytes, 60 * MIB);
	assert_int_equal(g.v[0].swap_left_bytes, 4 * MIB); /* its own has no end, its parent's has */
	assert_int_equal(g.v[1].max_bytes, NONE);
	assert_int_equal(g.v[1].swap_left_bytes, 4 * MIB);
	assert_int_equal(g.v[2].swap_left_bytes, NONE);
	proc_groups_release(&g);
}

static void version_1_limits_memory_and_swap_together(void **state)
{
	struct proc_groups g = { 0 };

	(void)state;
	assert_int_equal(proc_groups_read(&g, FIXTURES, CGROUPS "v1_full", 4311), 0);
	assert_string_equal(g.v[0].name, "job");
	assert_int_equal(g.v[0].max_bytes, 512 * MIB);
	assert_int_equal(g.v[0].high_bytes, NONE);
	assert_int_equal(g.v[0].used_bytes, 400 * MIB);
	assert_int_equal(g.v[0].anon_bytes, 300 * MIB);
	assert_int_equal(g.v[0].kernel_bytes, 10 * MIB);
	assert_int_equal(g.v[0].swap_left_bytes, 88 * MIB); /* 612 - 512 - 12 in use */
	proc_groups_release(&g);
}

static void limits_of_the_process_are_read(void **state)
{
	struct proc_rlimits r;

	(void)state;
	assert_int_equal(proc_rlimits_read(&r, FIXTURES, 4310), 0);
	assert_int_equal(r.address_space_bytes, 4 * GIB);
	assert_int_equal(r.data_bytes, NONE);
	assert_int_equal(r.vm_size_bytes, 3 * GIB);
	assert_int_equal(r.vm_data_bytes, 1 * GIB);
	assert_int_equal(r.oom_score_adj, -500);
	assert_int_equal(proc_rlimits_read(&r, FIXTURES, 31337), -ESRCH);
}

static void commit_limits_count_when_overcommit_is_off(void **state)
{
	struct proc_meminfo m;

	(void)state;
	assert_int_equal(proc_meminfo_read(&m, FIXTURES "/strict"), 0);
	assert_true(m.is_commit_limited);
	assert_int_equal(m.commit_limit_bytes, 9 * GIB);
	assert_int_equal(m.committed_bytes, 7 * GIB);
	assert_int_equal(proc_meminfo_read(&m, "tests/fixtures/proc"), 0);
	assert_false(m.is_commit_limited);
}

#define GROUP(limit, used, swap) { LIMIT_GROUP_MAX, limit, used, swap, false }
#define RAM(limit, used, swap) { LIMIT_RAM, limit, used, swap, false }

static void the_least_room_comes_first(void **state)
{
	static const struct {
		const char *what;
		struct limit v[4];
		size_t n;
		bool killable;
		size_t first;
		enum limit_end end;
		uint64_t room, swap;
		size_t slowed;
	} rows[] = {
		{ "nothing", { { 0 } }, 0, true, SIZE_MAX, LIMIT_ENDS_NOT, 0, 0, SIZE_MAX },
		{ "the larger limit, but fuller", { GROUP(1 * GIB, 100 * MIB, 0), GROUP(4 * GIB, 3996 * MIB, 0) },
		  2, true, 1, LIMIT_ENDS_KILLED, 100 * MIB, 0, SIZE_MAX },
		{ "RAM before a group", { GROUP(8 * GIB, 1 * GIB, 0), RAM(16 * GIB, 15 * GIB, 0) }, 2, true, 1,
		  LIMIT_ENDS_SOME_KILLED, 1 * GIB, 0, SIZE_MAX },
		{ "swap is room", { GROUP(8 * GIB, 1 * GIB, 0), RAM(16 * GIB, 15 * GIB, 32 * GIB) }, 2, true, 0,
		  LIMIT_ENDS_KILLED, 7 * GIB, 0, SIZE_MAX },
		{ "swaps first", { GROUP(1 * GIB, 512 * MIB, 64 * MIB) }, 1, true, 0, LIMIT_ENDS_KILLED,
		  512 * MIB, 64 * MIB, SIZE_MAX },
		{ "a group killed as one", { { LIMIT_GROUP_MAX, 1 * GIB, 0, 0, true } }, 1, true, 0,
		  LIMIT_ENDS_GROUP_KILLED, 1 * GIB, 0, SIZE_MAX },
		{ "protected", { RAM(2 * GIB, 1 * GIB, 0) }, 1, false, 0, LIMIT_ENDS_OTHER_KILLED, 1 * GIB, 0,
		  SIZE_MAX },
		{ "ulimit -v", { RAM(16 * GIB, 1 * GIB, 0), { LIMIT_ADDRESS_SPACE, 4 * GIB, 3 * GIB, 0, false } },
		  2, true, 1, LIMIT_ENDS_MALLOC_FAILS, 1 * GIB, 0, SIZE_MAX },
		{ "no overcommit", { RAM(16 * GIB, 1 * GIB, 0), { LIMIT_COMMIT, 9 * GIB, 8 * GIB, 0, false } }, 2,
		  true, 1, LIMIT_ENDS_MALLOC_FAILS, 1 * GIB, 0, SIZE_MAX },
		{ "slowed before", { GROUP(1 * GIB, 0, 0), { LIMIT_GROUP_HIGH, 900 * MIB, 0, 0, false } }, 2, true,
		  0, LIMIT_ENDS_KILLED, 1 * GIB, 0, 1 },
		{ "slowed after: not told", { GROUP(1 * GIB, 512 * MIB, 0), { LIMIT_GROUP_HIGH, 9 * GIB, 0, 0, false } },
		  2, true, 0, LIMIT_ENDS_KILLED, 512 * MIB, 0, SIZE_MAX },
		{ "over it already", { GROUP(1 * GIB, 2 * GIB, 0) }, 1, true, 0, LIMIT_ENDS_KILLED, 0, 0, SIZE_MAX },
		{ "unlimited", { GROUP(NONE, 2 * GIB, 0) }, 1, true, SIZE_MAX, LIMIT_ENDS_NOT, 0, 0, SIZE_MAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct limit_outlook o = limit_outlook_of(rows[i].v, rows[i].n, rows[i].killable);

		if (o.first != rows[i].first || o.end != rows[i].end || o.room_bytes != rows[i].room ||
		    o.swap_bytes != rows[i].swap || o.slowed != rows[i].slowed)
			fail_msg("%s: first %zu, end %d, room %llu, swap %llu, slowed %zu", rows[i].what, o.first,
				 o.end, (unsigned long long)o.room_bytes, (unsigned long long)o.swap_bytes,
				 o.slowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_groups_above_a_process_are_read),
		cmocka_unit_test(version_1_limits_memory_and_swap_together),
		cmocka_unit_test(swap_may_be_limited_above_and_where_memory_is_not),
		cmocka_unit_test(limits_of_the_process_are_read),
		cmocka_unit_test(commit_limits_count_when_overcommit_is_off),
		cmocka_unit_test(the_least_room_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
