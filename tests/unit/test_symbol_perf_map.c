/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Perf maps and the painting of overlapping ranges, the latter against a byte-by-byte model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "symbol/perf_map.h"
#include "symbol/span.h"

#define ADDRESSES 256

static void the_highest_rank_wins_at_every_address(void **state)
{
	struct range ranges[40];
	struct span *spans;
	int round;

	(void)state;
	srand(7);
	for (round = 0; round < 500; round++) {
		int model[ADDRESSES];
		size_t n = (size_t)rand() % 40, i, n_spans;
		uint64_t a;

		memset(model, -1, sizeof(model));
		for (i = 0; i < n; i++) {
			uint64_t start = (uint64_t)rand() % ADDRESSES;
			uint64_t size =
				(uint64_t)rand() % (rand() % 3 ? 20 : ADDRESSES - start + 1);

			if (start + size > ADDRESSES)
				size = ADDRESSES - start;
			ranges[i] = (struct range){ start, start + size, (uint32_t)i, (uint32_t)i };
			for (a = start; a < start + size; a++)
				model[a] = (int)i; /* later rows have the higher rank */
		}
		n_spans = spans_paint(&spans, ranges, n);
		for (a = 0; a < ADDRESSES; a++) {
			const struct span *s = spans_find(spans, n_spans, a);

			assert_int_equal(s ? (int)s->name : -1, model[a]);
		}
		for (i = 1; i < n_spans; i++)
			assert_true(spans[i - 1].start + spans[i - 1].size_bytes <= spans[i].start);
		assert_true(n_spans <= 2 * n);
		free(spans);
	}
}

static void parse(struct perf_map *map, const char *text)
{
	perf_map_parse(map, xstrdup(text), strlen(text));
}

static void the_last_line_that_covers_an_address_names_it(void **state)
{
	struct perf_map map = { 0 };

	(void)state;
	parse(&map, "1000 100 old\n"
		    "2000 10 LazyCompile:*foo /srv/a b.js:12:3\n"
		    "1040 10 new inner\n"
		    "10f0 20 new tail\n"
		    "1044 4 newest\n"
		    "0x3000 0x8 with 0x\n");
	assert_string_equal(perf_map_find(&map, 0x1000), "old");
	assert_string_equal(perf_map_find(&map, 0x103f), "old");
	assert_string_equal(perf_map_find(&map, 0x1040), "new inner");
	assert_string_equal(perf_map_find(&map, 0x1044), "newest");
	assert_string_equal(perf_map_find(&map, 0x1048), "new inner");
	assert_string_equal(perf_map_find(&map, 0x1050), "old");
	assert_string_equal(perf_map_find(&map, 0x10ff), "new tail");
	assert_string_equal(perf_map_find(&map, 0x110f), "new tail");
	assert_null(perf_map_find(&map, 0x1110));
	assert_string_equal(perf_map_find(&map, 0x200f), "LazyCompile:*foo /srv/a b.js:12:3");
	assert_string_equal(perf_map_find(&map, 0x3007), "with 0x");
	assert_int_equal(map.n_bad, 0);
	perf_map_release(&map);
}

static void malformed_lines_are_skipped(void **state)
{
	struct perf_map map = { 0 };

	(void)state;
	parse(&map, "\nfoo\n1000\n1000 10\n1000 10 \n1000 0 empty\n11112222333344445 10 wide\n"
		    "ffffffffffffffff 10 wraps\n-1 10 negative\n2000 10 good\n1000 zz bad");
	assert_int_equal(map.n, 1);
	assert_int_equal(map.n_bad, 10);
	assert_string_equal(perf_map_find(&map, 0x2000), "good");
	assert_null(perf_map_find(&map, 0x1000));
	perf_map_release(&map);
}

/* A proc root of our own: 5/root/tmp/perf-3.map */
static char dir[64];

static char *map_path(void)
{
	return xasprintf("%s/5/root/tmp/perf-3.map", dir);
}

static int make_dirs(void **state)
{
	char *command;
	int err;

	(void)state;
	strcpy(dir, "/tmp/memprobe-perfmap-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	command = xasprintf("mkdir -p %s/5/root/tmp", dir);
	err = system(command);
	free(command);
	return err;
}

static int remove_dirs(void **state)
{
	char *command = xasprintf("rm -rf %s", dir);
	int err = system(command);

	(void)state;
	free(command);
	return err;
}

static void append(const char *text)
{
	char *path = map_path();
	FILE *f = fopen(path, "a");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static void a_map_is_read_again_when_it_grew__whole_lines_only(void **state)
{
	struct perf_map_owner owner = { .uid = geteuid() };
	struct perf_map map = { 0 };

	(void)state;
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	append("1000 100 one\n2000 100 tw");
	assert_true(perf_map_refresh(&map, dir, 5, 3, &owner));
	assert_string_equal(perf_map_find(&map, 0x1000), "one");
	assert_null(perf_map_find(&map, 0x2000));
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	append("o\n1080 8 three\n");
	assert_true(perf_map_refresh(&map, dir, 5, 3, &owner));
	assert_string_equal(perf_map_find(&map, 0x2000), "two");
	assert_string_equal(perf_map_find(&map, 0x1080), "three");
	perf_map_release(&map);
}

static void a_map_of_another_user_or_of_a_former_process_is_not_believed(void **state)
{
	struct perf_map_owner owner = { .uid = geteuid() };
	struct perf_map map = { 0 };
	char *path = map_path();
	struct stat st;

	(void)state;
	append("1000 100 one\n");
	assert_int_equal(stat(path, &st), 0);
	owner.not_before_ns = ((uint64_t)st.st_mtim.tv_sec + 60) * 1000000000;
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	owner.not_before_ns = ((uint64_t)st.st_mtim.tv_sec - 60) * 1000000000;
	assert_true(perf_map_refresh(&map, dir, 5, 3, &owner));
	perf_map_release(&map);
	if (chown(path, 12345, 12345)) {
		free(path);
		print_message("skipped: changing a file's owner needs root\n");
		skip();
	}
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	owner.uid = 12345;
	assert_true(perf_map_refresh(&map, dir, 5, 3, &owner));
	perf_map_release(&map);
	free(path);
}

static void a_link_or_a_fifo_in_its_place_is_not_followed(void **state)
{
	struct perf_map_owner owner = { .uid = geteuid() };
	struct perf_map map = { 0 };
	char *path = map_path(), *other = xasprintf("%s/other", dir);
	FILE *f = fopen(other, "w");

	(void)state;
	fputs("1000 100 one\n", f);
	fclose(f);
	assert_int_equal(symlink(other, path), 0);
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(perf_map_refresh(&map, dir, 5, 3, &owner));
	unlink(path);
	free(path);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_rank_wins_at_every_address),
		cmocka_unit_test(the_last_line_that_covers_an_address_names_it),
		cmocka_unit_test(malformed_lines_are_skipped),
		cmocka_unit_test_setup_teardown(a_map_is_read_again_when_it_grew__whole_lines_only,
						make_dirs, remove_dirs),
		cmocka_unit_test_setup_teardown(
			a_map_of_another_user_or_of_a_former_process_is_not_believed, make_dirs,
			remove_dirs),
		cmocka_unit_test_setup_teardown(a_link_or_a_fifo_in_its_place_is_not_followed,
						make_dirs, remove_dirs),
	};

	return cmocka_run_group_tests_name("symbol_perf_map", tests, NULL, NULL);
}
