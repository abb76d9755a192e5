/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Who descends from whom, on a made-up /proc: the names of the directories are the processes. */
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
#include "tests/unit/made_tree.h"

static void add(int pid, int parent, bool has_memory)
{
	char name[32], text[128];

	snprintf(name, sizeof(name), "%d/status", pid);
	snprintf(text, sizeof(text), "Name:\tx\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n%s", pid, pid,
		 parent, has_memory ? "VmSize:\t100 kB\n" : "");
	put(name, text);
}

/* 1 -> 100 -> {101 -> 50 -> 200, 102}; 1 -> 300; 103 is a zombie; 50 has a smaller number than its parent. */
static int make_tree(void **state)
{
	if (make_root(state))
		return -1;
	add(1, 0, true);
	add(100, 1, true);
	add(101, 100, true);
	add(102, 100, true);
	add(103, 100, false);
	add(50, 101, true);
	add(200, 50, true);
	add(300, 1, true);
	return 0;
}

static void expect(const pid_t *roots, size_t n_roots, const pid_t *want, size_t n_want)
{
	pid_t *pids;
	size_t n;

	assert_int_equal(proc_descendants(&pids, &n, root, roots, n_roots), 0);
	assert_int_equal(n, n_want);
	if (n)
		assert_memory_equal(pids, want, n * sizeof(*pids));
	free(pids);
}

static void children_and_theirs__are_found_whatever_their_numbers(void **state)
{
	(void)state;
	expect((pid_t[]){ 100 }, 1, (pid_t[]){ 50, 101, 102, 200 }, 4);
}

static void a_root_below_another__is_not_listed(void **state)
{
	(void)state;
	expect((pid_t[]){ 100, 50 }, 2, (pid_t[]){ 101, 102, 200 }, 3);
}

static void a_process_without_children__has_none(void **state)
{
	(void)state;
	expect((pid_t[]){ 300 }, 1, NULL, 0);
	expect((pid_t[]){ 31337 }, 1, NULL, 0);
}

static void without_proc__it_is_an_error(void **state)
{
	pid_t *pids;
	size_t n;

	(void)state;
	assert_int_equal(proc_descendants(&pids, &n, "/nonexistent", (pid_t[]){ 1 }, 1), -ENOENT);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_and_theirs__are_found_whatever_their_numbers),
		cmocka_unit_test(a_root_below_another__is_not_listed),
		cmocka_unit_test(a_process_without_children__has_none),
		cmocka_unit_test(without_proc__it_is_an_error),
	};

	return cmocka_run_group_tests_name("proc_descendants", tests, make_tree, remove_root);
}
