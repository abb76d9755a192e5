/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which files are one file to a probe: by made-up identities, and by files of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/same_file.h"

#define LAYER (1ULL << 62) /* as xino puts it into an inode number */

static const struct {
	const char *what;
	struct proc_file_id a, b;
	bool same;
} pairs[] = {
	{ "one file", { 1, 7, 3, false }, { 1, 7, 3, false }, true },
	{ "one file that grew", { 1, 7, 3, false }, { 1, 7, 4, false }, true },
	{ "hard links have one inode, copies have two", { 1, 7, 3, false }, { 1, 8, 3, false }, false },
	{ "snapshots", { 1, 7, 3, false }, { 2, 7, 3, false }, false },
	{ "two overlay mounts", { 1, 7, 3, true }, { 2, 7, 3, true }, true },
	{ "overlay mount and its lower file", { 1, 7, 3, true }, { 2, 7, 3, false }, true },
	{ "the same with xino", { 1, LAYER | 7, 3, true }, { 2, 7, 3, false }, true },
	{ "another one that ends in these bits", { 1, LAYER | 7, 3, false }, { 2, 7, 3, true }, false },
	{ "two overlays, by chance one number", { 1, 7, 3, true }, { 2, 7, 4, true }, false },
	{ "two overlays of copies", { 1, 7, 3, true }, { 2, 8, 3, true }, false },
};

static void a_pair__is_one_file_or_two(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (proc_is_same_file(&pairs[i].a, &pairs[i].b) != pairs[i].same ||
		    proc_is_same_file(&pairs[i].b, &pairs[i].a) != pairs[i].same)
			fail_msg("%s", pairs[i].what);
}

static struct proc_file_id identity(const char *path, int flags)
{
	struct proc_file_id id;
	int fd = open(path, flags);

	assert_true(fd >= 0);
	assert_int_equal(proc_file_id(fd, &id), 0);
	close(fd);
	return id;
}

static void a_file__is_the_same_by_any_descriptor_and_a_copy_is_not(void **state)
{
	struct proc_file_id one, by_path, other;
	char path[] = "/tmp/same_file.XXXXXX", copy[sizeof(path) + 5];
	int fd = mkstemp(path), fd2;

	(void)state;
	snprintf(copy, sizeof(copy), "%s.copy", path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "content", 7), 7);
	fd2 = open(copy, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd2, "content", 7), 7);
	one = identity(path, O_RDONLY);
	by_path = identity(path, O_PATH);
	other = identity(copy, O_RDONLY);
	assert_true(proc_is_same_file(&one, &by_path));
	assert_int_equal(one.content, by_path.content);
	assert_int_equal(one.content, other.content);
	assert_false(proc_is_same_file(&one, &other));
	close(fd);
	close(fd2);
	unlink(path);
	unlink(copy);
}

static void no_file__has_no_identity(void **state)
{
	struct proc_file_id id;

	(void)state;
	assert_int_equal(proc_file_id(-1, &id), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair__is_one_file_or_two),
		cmocka_unit_test(a_file__is_the_same_by_any_descriptor_and_a_copy_is_not),
		cmocka_unit_test(no_file__has_no_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
