/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * /proc and cgroup readers on fixture trees (tests/fixtures/proc, proc_cgroup): the expected
 * numbers are those written there, in the kernel's formats. One test reads the real /proc of this
 * process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/process.h"

#define FIXTURES "tests/fixtures/proc"
#define CGROUPS "tests/fixtures/proc_cgroup/"
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static void status_is_read_field_by_field(void **state)
{
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_read(&st, FIXTURES, 4242), 0);
	assert_string_equal(st.comm, "odd (name) x\n\\y");
	assert_int_equal(st.state, 'R');
	assert_int_equal(st.tgid, 4242);
	assert_int_equal(st.ppid, 17);
	assert_int_equal(st.ns_pid, 7);
	assert_int_equal(st.n_threads, 12);
	assert_int_equal(st.uid, 33);
	assert_int_equal(st.rss_bytes, 40960 * KIB);
	assert_int_equal(st.rss_anon_bytes, 30720 * KIB);
	assert_int_equal(st.rss_file_bytes, 8192 * KIB);
	assert_int_equal(st.rss_shmem_bytes, 2048 * KIB);
	assert_int_equal(st.swap_bytes, 512 * KIB);
	assert_true(st.has_memory);
}

static void kernel_threads_and_zombies_have_no_memory(void **state)
{
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_read(&st, FIXTURES, 77), 0);
	assert_false(st.has_memory);
	assert_int_equal(st.ns_pid, 77);
	assert_int_equal(proc_status_read(&st, FIXTURES, 900), 0);
	assert_false(st.has_memory);
	assert_int_equal(st.state, 'Z');
	assert_int_equal(proc_status_read(&st, FIXTURES, 31337), -ESRCH);
}

static void an_ended_leader_shows_the_memory_of_its_threads(void **state)
{
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_read(&st, FIXTURES, 6000), 0);
	assert_true(st.has_memory);
	assert_int_equal(st.rss_bytes, 2048 * KIB);
	assert_int_equal(st.state, 'Z');
	assert_int_equal(st.n_threads, 3);
}

static void stat_is_read_behind_a_name_with_brackets(void **state)
{
	struct proc_stat st;
	long hz = sysconf(_SC_CLK_TCK);

	(void)state;
	assert_int_equal(hz, 100); /* as the fixture was written */
	assert_int_equal(proc_stat_read(&st, FIXTURES, 4242), 0);
	assert_int_equal(st.cpu_ns, 20000000000ULL); /* 1234 + 766 ticks */
	assert_int_equal(st.start_ticks, 2500025);
	assert_int_equal(st.page_faults, 5521 + 2);
	assert_false(st.has_ended);
	assert_int_equal(st.start_age_ns, 25000000000000ULL); /* 50000.25 s - 25000.25 s */
	assert_int_equal(proc_stat_read(&st, FIXTURES, 31337), -ESRCH);
}

static void run_delay__is_the_sum_over_the_threads(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(proc_run_delay_read(&ns, FIXTURES, 4242), 0);
	assert_int_equal(ns, 4000070001ULL);
	assert_int_equal(proc_run_delay_read(&ns, FIXTURES, 31337), -ENOENT);
}

static void the_times_of_each_thread_are_read(void **state)
{
	struct proc_thread_times *v;
	uint64_t waited = 0;
	size_t n, i;

	(void)state;
	assert_int_equal(proc_thread_times_read(&v, &n, FIXTURES, 4242), 0);
	assert_int_equal(n, 2);
	for (i = 0; i < n; i++)
		waited += v[i].waited_ns;
	assert_int_equal(v[0].tid + v[1].tid, 4242 + 4243);
	assert_int_equal(waited, 4000070001ULL);
	free(v);
	assert_int_equal(proc_thread_times_read(&v, &n, FIXTURES, 31337), -ENOENT);
	assert_null(v);
}

static void processes_with_memory_are_listed_in_order(void **state)
{
	static const pid_t want[] = { 1001, 4242, 6000 };
	pid_t *pids;
	size_t n;

	(void)state;
	assert_int_equal(proc_list(&pids, &n, FIXTURES), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(pids, want, sizeof(want));
	free(pids);
	assert_int_equal(proc_list(&pids, &n, "/nonexistent"), -ENOENT);
	assert_int_equal(n, 0);
}

static void the_machines_memory_is_read(void **state)
{
	struct proc_meminfo m;

	(void)state;
	assert_int_equal(proc_meminfo_read(&m, FIXTURES), 0);
	assert_int_equal(m.total_bytes, 16 * GIB);
	assert_int_equal(m.free_bytes, 1 * GIB);
	assert_int_equal(m.available_bytes, 4 * GIB);
	assert_int_equal(m.swap_total_bytes, 2097148 * KIB);
	assert_int_equal(m.swap_free_bytes, 1 * GIB);
	assert_true(proc_meminfo_read(&m, "/nonexistent") < 0);
}

static void effective_capabilities_are_read(void **state)
{
	uint64_t caps;

	(void)state;
	assert_int_equal(proc_own_capabilities(&caps, FIXTURES), 0);
	assert_int_equal(caps, 0xc000080004ULL);
}

static void the_smallest_limit_above_a_process_is_found(void **state)
{
	static const struct {
		const char *what, *root;
		pid_t pid;
		const char *name;
		uint64_t limit, used, kills;
	} rows[] = {
		{ "v2, own group; cache that can be dropped is not used", "v2", 4242,
		  "gateway.service", 512 * MIB, 300000000, 3 },
		{ "v2, an ancestor is smaller", "v2", 4301, "pod1.slice", 256 * MIB, 150 * MIB, 2 },
		{ "v2, memory.high is lower", "v2", 4302, "throttled.service", 100 * MIB, 60 * MIB,
		  0 },
		{ "v2, above RAM", "v2", 4303, "RAM", 16 * GIB, 12 * GIB, 5 },
		{ "v2, path outside the mount", "container", 4304, "/", 1 * GIB, 300 * MIB, 1 },
		{ "v1", "v1", 5001, "abc", 128 * MIB, 100000000, 2 },
		{ "v1, kills below count", "v1", 5002, "abc", 128 * MIB, 100000000, 3 },
		{ "v1, root", "v1", 5003, "RAM", 16 * GIB, 12 * GIB, 5 },
		{ "v1, outside the cgroup namespace", "v1", 5005, "RAM", 16 * GIB, 12 * GIB, 5 },
		{ "hybrid, memory in v2", "hybrid", 5004, "box", 64 * MIB, 32 * MIB, 4 },
		{ "no cgroups mounted", "none", 4242, "RAM", 16 * GIB, 12 * GIB, 5 },
	};
	struct proc_limit l;
	char root[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(root, sizeof(root), CGROUPS "%s", rows[i].root);
		assert_int_equal(proc_limit_read(&l, FIXTURES, root, rows[i].pid), 0);
		if (strcmp(l.name, rows[i].name) != 0 || l.limit_bytes != rows[i].limit ||
		    l.used_bytes != rows[i].used || l.oom_kills != rows[i].kills)
			fail_msg("%s: got %s, limit %llu, used %llu, kills %llu", rows[i].what,
				 l.name, (unsigned long long)l.limit_bytes,
				 (unsigned long long)l.used_bytes, (unsigned long long)l.oom_kills);
	}
	assert_int_equal(proc_limit_read(&l, FIXTURES, CGROUPS "v2", 31337), -ESRCH);
}

static void this_process_reads_itself(void **state)
{
	struct proc_status st;
	struct proc_stat stat;
	struct proc_limit l;
	char *block = malloc(32 * MIB);
	uint64_t before;

	(void)state;
	assert_non_null(block);
	assert_int_equal(proc_status_read(&st, "/proc", getpid()), 0);
	before = st.rss_bytes;
	memset(block, 1, 32 * MIB);
	assert_int_equal(proc_status_read(&st, "/proc", getpid()), 0);
	assert_true(st.rss_bytes >= before + 31 * MIB);
	free(block);
	assert_int_equal(st.tgid, getpid());
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(st.uid, geteuid());
	assert_int_equal(proc_stat_read(&stat, "/proc", getpid()), 0);
	assert_true(stat.start_age_ns < 3600ULL * 1000000000);
	assert_int_equal(proc_limit_read(&l, "/proc", "/sys/fs/cgroup", getpid()), 0);
	assert_true(l.limit_bytes > 0 && l.used_bytes > 0 && *l.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_read_field_by_field),
		cmocka_unit_test(kernel_threads_and_zombies_have_no_memory),
		cmocka_unit_test(an_ended_leader_shows_the_memory_of_its_threads),
		cmocka_unit_test(stat_is_read_behind_a_name_with_brackets),
		cmocka_unit_test(run_delay__is_the_sum_over_the_threads),
		cmocka_unit_test(the_times_of_each_thread_are_read),
		cmocka_unit_test(processes_with_memory_are_listed_in_order),
		cmocka_unit_test(the_machines_memory_is_read),
		cmocka_unit_test(effective_capabilities_are_read),
		cmocka_unit_test(the_smallest_limit_above_a_process_is_found),
		cmocka_unit_test(this_process_reads_itself),
	};

	return cmocka_run_group_tests_name("proc_process", tests, NULL, NULL);
}
