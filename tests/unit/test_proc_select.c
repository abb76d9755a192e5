/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Choosing processes: glob patterns against fnmatch(3), which has the last word; control groups on a tree that
 * the test makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/cgroup_find.h"
#include "proc/comm_pattern.h"
#include "tests/unit/made_tree.h"

/* ---- names ---- */

static void patterns__match_what_fnmatch_matches(void **state)
{
	static const char *const globs[] = {
		"*", "a", "?", "a*", "*a", "*a*", "a*b", "**", "a**b", "a?b", "[ab]*", "[!a]*", "[^a]b", "[]a]*",
		"[a-c]b", "[[:alpha:]]*", "[[:digit:]b]*", "a[", "[a", "[", "a]b", "\\*", "\\a*", "*[b]", "*?b",
		"a*a*a", "?*", "*\\?", "[a\\]]*", "[!]a]*", "aaaaaaaaaaaaaaa", "*aaaaaaaaaaaaaaa", "a/b", "*/b",
		".*", "kworker/*", "?""?""?",
	};
	static const char bytes[] = "aabbc1?*[]/.\\!-";
	struct mp_comm_pattern p;
	unsigned int seed = 7, n_matches = 0;
	char comm[16];
	size_t g, i;
	int round;

	(void)state;
	for (g = 0; g < sizeof(globs) / sizeof(globs[0]); g++) {
		assert_int_equal(comm_pattern_compile(&p, globs[g]), 0);
		for (round = 0; round < 20000; round++) {
			size_t len = (size_t)(rand_r(&seed) % (round % 2 ? 16 : 4));
			bool want;

			for (i = 0; i < len; i++)
				comm[i] = bytes[(size_t)rand_r(&seed) % (round % 3 ? sizeof(bytes) - 1 : 4)];
			comm[len] = '\0';
			want = !fnmatch(globs[g], comm, 0);
			n_matches += want;
			if (comm_pattern_matches(&p, comm) != want)
				fail_msg("'%s' and '%s': fnmatch says %d", globs[g], comm, want);
		}
	}
	assert_true(n_matches > 10000);
}

static void a_pattern_that_can_match_no_name__is_refused(void **state)
{
	struct mp_comm_pattern p;

	(void)state;
	assert_int_equal(comm_pattern_compile(&p, ""), -EINVAL);
	assert_int_equal(comm_pattern_compile(&p, "a\\"), -EINVAL);
	assert_int_equal(comm_pattern_compile(&p, "a-name-of-16-byt"), -E2BIG);
	assert_int_equal(comm_pattern_compile(&p, "*?""?""?""?""?""?""?""?""?""?""?""?""?""?""?""?"), -E2BIG);
}

static void a_name_of_15_bytes__is_matched_to_its_end(void **state)
{
	struct mp_comm_pattern p;

	(void)state;
	assert_int_equal(comm_pattern_compile(&p, "123456789012345"), 0);
	assert_true(comm_pattern_matches(&p, "123456789012345"));
	assert_false(comm_pattern_matches(&p, "12345678901234"));
	assert_int_equal(comm_pattern_compile(&p, "*5"), 0);
	assert_true(comm_pattern_matches(&p, "123456789012345"));
}

/* ---- control groups ---- */

#define ID1 "3f2a9c1b77d0" "3f2a9c1b77d03f2a9c1b77d03f2a9c1b77d03f2a9c1b77d03f2a"
#define ID2 "3f2a9c00000000000000000000000000000000000000000000000000000000ff"

static char proc[80], groups[80];

static void process(int pid, const char *groups_text)
{
	char name[64];

	snprintf(name, sizeof(name), "proc/%d/status", pid);
	put(name, "Name:\tx\nState:\tS (sleeping)\nPPid:\t1\nVmSize:\t100 kB\n");
	snprintf(name, sizeof(name), "proc/%d/cgroup", pid);
	put(name, groups_text);
}

/* Version 1 with memory and cpu,cpuacct, one hierarchy without a controller, version 2 beside them. */
static int make_tree(void **state)
{
	if (make_root(state))
		return -1;
	snprintf(proc, sizeof(proc), "%s/proc", root);
	snprintf(groups, sizeof(groups), "%s/cgroup", root);
	put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/\n2:cpu,cpuacct:/\n0::/\n");
	put("cgroup/unified/cgroup.controllers", "");
	put("cgroup/unified/web.service/x", "");
	put("cgroup/unified/only2/x", "");
	put("cgroup/memory/web.service/deep/x", "");
	put("cgroup/memory/docker/" ID1 "/x", "");
	put("cgroup/unified/docker-" ID2 ".scope/x", "");
	put("cgroup/cpu,cpuacct/web.service/x", "");
	put("cgroup/cpu,cpuacct/only-cpu/x", "");
	put("cgroup/systemd/session/x", "");
	process(10, "4:memory:/web.service\n2:cpu,cpuacct:/\n0::/\n");
	process(11, "4:memory:/web.service/deep\n0::/only2\n");
	process(12, "4:memory:/web.service2\n0::/web.service\n");
	process(13, "4:memory:/docker/" ID1 "\n0::/\n");
	process(14, "4:memory:/\n0::/docker-" ID2 ".scope\n");
	return 0;
}

static uint64_t inode(const char *path)
{
	char full[512];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", groups, path);
	assert_int_equal(stat(full, &st), 0);
	return st.st_ino;
}

static void expect(const char *text, uint32_t hierarchy, const char *path, const char *dir)
{
	struct proc_cgroup c;

	assert_int_equal(proc_cgroup_find(&c, proc, groups, text), 0);
	assert_string_equal(c.path, path);
	assert_int_equal(c.key.hierarchy, hierarchy);
	assert_int_equal(c.key.id, inode(dir));
	proc_cgroup_release(&c);
}

static void expect_error(const char *text, int err)
{
	struct proc_cgroup c;

	assert_int_equal(proc_cgroup_find(&c, proc, groups, text), err);
	assert_null(c.path);
}

static void a_directory__names_its_hierarchy(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), "%s/unified/web.service/", groups);
	expect(text, 0, "/web.service", "unified/web.service");
	snprintf(text, sizeof(text), "%s/memory/web.service/deep", groups);
	expect(text, 4, "/web.service/deep", "memory/web.service/deep");
	snprintf(text, sizeof(text), "%s/cpu,cpuacct/web.service", groups);
	expect(text, 2, "/web.service", "cpu,cpuacct/web.service");
	snprintf(text, sizeof(text), "%s/memory", groups);
	expect(text, 4, "/", "memory");
	snprintf(text, sizeof(text), "%s/memory/none", groups);
	expect_error(text, -ENOENT);
	snprintf(text, sizeof(text), "%s/systemd/session", groups);
	expect_error(text, -EOPNOTSUPP);
}

static void a_path__is_memorys_before_version_2s_before_others(void **state)
{
	(void)state;
	expect("/web.service", 4, "/web.service", "memory/web.service");
	expect("web.service/deep", 4, "/web.service/deep", "memory/web.service/deep");
	expect("/only2", 0, "/only2", "unified/only2");
	expect("only-cpu", 2, "/only-cpu", "cpu,cpuacct/only-cpu");
	expect_error("/none", -ENOENT);
	expect_error("/web.service/../only2", -ENOENT);
}

static void first_digits__find_a_container_and_ask_for_more_when_two_begin_so(void **state)
{
	(void)state;
	expect("3f2a9c1b77d0", 4, "/docker/" ID1, "memory/docker/" ID1);
	expect(ID2, 0, "/docker-" ID2 ".scope", "unified/docker-" ID2 ".scope");
	expect("3f2a9c00", 0, "/docker-" ID2 ".scope", "unified/docker-" ID2 ".scope");
	expect_error("3f2a9c", -ENOTUNIQ);
	expect_error("3f2", -ENOENT);
	expect_error("beef", -ENOENT);
	expect_error("2a9c1b77d0", -ENOENT);
}

static void members__are_those_in_the_group_and_below(void **state)
{
	struct proc_cgroup c;

	(void)state;
	assert_int_equal(proc_cgroup_find(&c, proc, groups, "/web.service"), 0);
	assert_true(proc_cgroup_has(&c, proc, 10));
	assert_true(proc_cgroup_has(&c, proc, 11));
	assert_false(proc_cgroup_has(&c, proc, 12)); /* another name, and another hierarchy */
	assert_false(proc_cgroup_has(&c, proc, 13));
	assert_false(proc_cgroup_has(&c, proc, 31337));
	proc_cgroup_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns__match_what_fnmatch_matches),
		cmocka_unit_test(a_pattern_that_can_match_no_name__is_refused),
		cmocka_unit_test(a_name_of_15_bytes__is_matched_to_its_end),
		cmocka_unit_test(a_directory__names_its_hierarchy),
		cmocka_unit_test(a_path__is_memorys_before_version_2s_before_others),
		cmocka_unit_test(first_digits__find_a_container_and_ask_for_more_when_two_begin_so),
		cmocka_unit_test(members__are_those_in_the_group_and_below),
	};

	return cmocka_run_group_tests_name("proc_select", tests, make_tree, remove_root);
}
