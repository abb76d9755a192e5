/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * /proc/PID/maps: text to mappings, mappings that are added later, and the files behind them. Texts
 * are what kernel 6.18 prints; the files are this process's own and ones made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "proc/maps.h"
#include "proc/process.h"

#define FIXTURES "tests/fixtures/proc"

static void parse(struct proc_maps *maps, const char *text, size_t *bad)
{
	proc_maps_parse(maps, text, strlen(text), bad);
}

static void a_line_becomes_a_mapping__field_by_field(void **state)
{
	struct proc_maps maps = { 0 };
	size_t bad = 9;

	(void)state;
	parse(&maps, "7f0010000000-7f0010003000 r-xs 0001f000 fe:10 4242      /usr/lib/libc.so.6\n",
	      &bad);
	assert_int_equal(maps.n, 1);
	assert_int_equal(bad, 0);
	assert_int_equal(maps.v[0].start, 0x7f0010000000);
	assert_int_equal(maps.v[0].end, 0x7f0010003000);
	assert_int_equal(maps.v[0].offset, 0x1f000);
	assert_int_equal(maps.v[0].dev, 0xfe << 20 | 0x10);
	assert_int_equal(maps.v[0].ino, 4242);
	assert_true(maps.v[0].read && !maps.v[0].write && maps.v[0].exec && maps.v[0].shared);
	assert_false(maps.v[0].deleted);
	assert_string_equal(maps.v[0].path, "/usr/lib/libc.so.6");
	proc_maps_release(&maps);
}

static void odd_paths_are_kept_whole(void **state)
{
	static const struct {
		const char *text, *path;
		bool deleted;
	} rows[] = {
		{ "/with blank/lib two.so", "/with blank/lib two.so", false },
		{ "/tmp/old.so (deleted)", "/tmp/old.so", true },
		{ "/tmp/a (deleted) b", "/tmp/a (deleted) b", false },
		{ "/tmp/a (deleted) (deleted)", "/tmp/a (deleted)", true },
		{ "/tmp/new\\012line", "/tmp/new\nline", false },
		{ "/tmp/\\012\\012 (deleted)", "/tmp/\n\n", true },
		{ "/tmp/back\\slash\\01", "/tmp/back\\slash\\01", false },
		{ "[anon:a name] (deleted)", "[anon:a name] (deleted)", false },
		{ "[vdso]", "[vdso]", false },
		{ "", "", false },
	};
	struct proc_maps maps = { 0 };
	size_t i, bad;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *text = xasprintf("1000-2000 r-xp 00000000 00:00 0 %s%s\n",
				       *rows[i].text ? "            " : "", rows[i].text);

		parse(&maps, text, &bad);
		free(text);
		assert_int_equal(maps.n, 1);
		assert_int_equal(bad, 0);
		assert_string_equal(maps.v[0].path, rows[i].path);
		assert_int_equal(maps.v[0].deleted, rows[i].deleted);
	}
	proc_maps_release(&maps);
}

static void a_path_of_any_length_is_read(void **state)
{
	struct proc_maps maps = { 0 };
	char *path = xmalloc(20001), *text;

	(void)state;
	memset(path, 'x', 20000);
	path[0] = '/';
	path[20000] = '\0';
	text = xasprintf("1000-2000 r-xp 00000000 00:00 7 %s", path);
	parse(&maps, text, NULL);
	assert_int_equal(maps.n, 1);
	assert_string_equal(maps.v[0].path, path);
	proc_maps_release(&maps);
	free(text);
	free(path);
}

static void malformed_lines_are_skipped_and_counted(void **state)
{
	static const char *const bad_lines[] = {
		"x",
		"1000 r-xp 0 0:0 0",
		"1000-1000 r-xp 00000000 00:00 0 ", /* empty */
		"2000-1000 r-xp 00000000 00:00 0 ", /* backwards */
		"1000-2000 rwx 00000000 00:00 0 ",  /* three letters */
		"1000-2000 r-xq 00000000 00:00 0 ",
		"1000-2000 r-xp 00000000 00-00 0 ",
		"1000-2000 r-xp 00000000 00:00 0x7 /a",
		"11111111111111111-22222222222222222 r-xp 0 0:0 0 ", /* 65 bits */
		"1000-2000 r-xp 00000000 00:00 ",
	};
	struct proc_maps maps = { 0 };
	size_t i, bad;

	(void)state;
	for (i = 0; i < sizeof(bad_lines) / sizeof(*bad_lines); i++) {
		char *text = xasprintf("%s\n3000-4000 r-xp 00000000 00:00 0 \n", bad_lines[i]);

		parse(&maps, text, &bad);
		free(text);
		if (maps.n != 1 || bad != 1)
			fail_msg("line '%s': %zu mappings, %zu bad", bad_lines[i], maps.n, bad);
		assert_int_equal(maps.v[0].start, 0x3000);
	}
	proc_maps_release(&maps);
}

static void the_fixture_process_has_its_twelve_mappings(void **state)
{
	struct proc_maps maps = { 0 };

	(void)state;
	assert_int_equal(proc_maps_read(&maps, FIXTURES, 4242), 0);
	assert_int_equal(maps.n, 12);
	assert_string_equal(maps.v[4].path, "/srv/with blank/lib two.so");
	assert_int_equal(maps.v[4].dev, 0x2f);
	assert_true(maps.v[6].deleted && maps.v[6].shared);
	assert_int_equal(maps.v[11].end, 0xffffffffff601000);
	assert_false(maps.v[11].read);
	assert_true(maps.v[11].exec);
	proc_maps_release(&maps);
}

static void
a_zombie_and_an_absent_process_are_gone__threads_of_an_ended_leader_are_not(void **state)
{
	struct proc_maps maps = { 0 };

	(void)state;
	assert_int_equal(proc_maps_read(&maps, FIXTURES, 900), -ESRCH);
	assert_int_equal(proc_maps_read(&maps, FIXTURES, 31337), -ESRCH);
	assert_int_equal(proc_maps_read(&maps, FIXTURES, 6000), 0);
	assert_int_equal(maps.n, 1);
	assert_string_equal(maps.v[0].path, "/usr/bin/dbus-daemon");
	/* an error leaves what was there */
	assert_int_equal(proc_maps_read(&maps, FIXTURES, 31337), -ESRCH);
	assert_int_equal(maps.n, 1);
	proc_maps_release(&maps);
}

static void an_address_is_found_in_its_mapping__ends_are_exclusive(void **state)
{
	struct proc_maps maps = { 0 };

	(void)state;
	parse(&maps, "5000-6000 r--p 0 0:0 0 \n1000-2000 r--p 0 0:0 0 \n2000-3000 r-xp 0 0:0 0 \n",
	      NULL);
	assert_null(proc_maps_find(&maps, 0xfff));
	assert_int_equal(proc_maps_find(&maps, 0x1000)->start, 0x1000);
	assert_int_equal(proc_maps_find(&maps, 0x1fff)->start, 0x1000);
	assert_int_equal(proc_maps_find(&maps, 0x2000)->start, 0x2000);
	assert_null(proc_maps_find(&maps, 0x3000));
	assert_null(proc_maps_find(&maps, 0x4fff));
	assert_int_equal(proc_maps_find(&maps, 0x5fff)->start, 0x5000);
	assert_null(proc_maps_find(&maps, UINT64_MAX));
	proc_maps_release(&maps);
}

/* ---- proc_maps_add against a model: who owns each page, and which page of its file it is ---- */

#define PAGES 64

struct page {
	uint64_t ino, file_page;
};

static void check_model(const struct proc_maps *maps, const struct page *model)
{
	uint64_t p;
	size_t i;

	for (i = 1; i < maps->n; i++)
		assert_true(maps->v[i - 1].end <= maps->v[i].start);
	for (p = 0; p < PAGES; p++) {
		const struct proc_map *m = proc_maps_find(maps, p * 4096 + 17);

		assert_int_equal(m ? m->ino : 0, model[p].ino);
		if (m)
			assert_int_equal((p * 4096 - m->start + m->offset) / 4096,
					 model[p].file_page);
	}
}

static void an_added_mapping_replaces_exactly_what_it_covers(void **state)
{
	struct page model[PAGES] = { { 0, 0 } };
	struct proc_maps maps = { 0 };
	char path[] = "/f";
	uint64_t ino, p;

	(void)state;
	srand(1);
	for (ino = 1; ino <= 2000; ino++) {
		uint64_t first = (uint64_t)rand() % PAGES;
		uint64_t n = 1 + (uint64_t)rand() % (ino % 5 ? 6 : PAGES - first);
		struct proc_map m = { .ino = ino, .path = path, .exec = true };

		if (first + n > PAGES)
			n = PAGES - first;
		m.start = first * 4096;
		m.end = (first + n) * 4096;
		m.offset = (uint64_t)rand() % 100 * 4096;
		proc_maps_add(&maps, &m);
		for (p = 0; p < n; p++)
			model[first + p] = (struct page){ ino, m.offset / 4096 + p };
		check_model(&maps, model);
	}
	proc_maps_release(&maps);
}

static void an_empty_mapping_is_not_added(void **state)
{
	struct proc_maps maps = { 0 };
	struct proc_map m = { .start = 0x1000, .end = 0x1000, .path = (char *)"" };

	(void)state;
	proc_maps_add(&maps, &m);
	assert_int_equal(maps.n, 0);
	proc_maps_release(&maps);
}

/* ---- files ---- */

struct mapped {
	char dir[64];
	char *path;
	void *at;
	struct proc_map map; /* from our own /proc/self/maps */
};

static void write_file(const char *path, const char *text)
{
	char page[4096] = { 0 };
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	memcpy(page, text, strlen(text));
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
}

static void map_a_file(struct mapped *f, const char *name)
{
	struct proc_maps maps = { 0 };
	const struct proc_map *m;
	int fd;

	strcpy(f->dir, "/tmp/memprobe-maps-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = xasprintf("%s/%s", f->dir, name);
	write_file(f->path, "first");
	fd = open(f->path, O_RDONLY);
	f->at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(f->at != MAP_FAILED);
	close(fd);
	assert_int_equal(proc_maps_read(&maps, "/proc", getpid()), 0);
	m = proc_maps_find(&maps, (uintptr_t)f->at);
	assert_non_null(m);
	assert_string_equal(m->path, f->path);
	f->map = *m;
	f->map.path = xstrdup(m->path);
	proc_maps_release(&maps);
}

static void unmap_file(struct mapped *f)
{
	munmap(f->at, 4096);
	unlink(f->path);
	rmdir(f->dir);
	free(f->path);
	free(f->map.path);
}

static void assert_holds(int fd, const char *text)
{
	char got[16] = "";

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, strlen(text), 0), strlen(text));
	assert_string_equal(got, text);
	close(fd);
}

static bool may_use_map_files(const struct mapped *f)
{
	char *link =
		xasprintf("/proc/self/map_files/%lx-%lx", (long)f->map.start, (long)f->map.end);
	struct stat st;
	bool ok = stat(link, &st) == 0;

	free(link);
	if (!ok)
		print_message("skipped: map_files needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN\n");
	return ok;
}

static void a_mapped_file_opens__with_odd_names_too(void **state)
{
	static const char *const names[] = { "plain", "with blank (deleted) x", "new\nline",
					     "a;b" };
	struct mapped f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path;

		map_a_file(&f, names[i]);
		assert_holds(proc_map_open("/proc", getpid(), &f.map), "first");
		path = proc_map_attach_path("/proc", getpid(), &f.map);
		assert_non_null(path);
		assert_holds(open(path, O_RDONLY), "first");
		free(path);
		unmap_file(&f);
	}
}

static void a_deleted_file_opens_by_its_mapping(void **state)
{
	struct mapped f;
	char *path;

	(void)state;
	map_a_file(&f, "gone");
	unlink(f.path);
	if (!may_use_map_files(&f)) {
		unmap_file(&f);
		skip();
	}
	assert_holds(proc_map_open("/proc", getpid(), &f.map), "first");
	path = proc_map_attach_path("/proc", getpid(), &f.map);
	assert_non_null(path);
	assert_non_null(strstr(path, "/map_files/"));
	assert_holds(open(path, O_RDONLY), "first");
	free(path);
	unmap_file(&f);
}

static void a_replaced_file_never_stands_for_the_mapped_one(void **state)
{
	struct mapped f;
	char *path, *other;
	int fd;

	(void)state;
	map_a_file(&f, "lib.so");
	other = xasprintf("%s/new", f.dir);
	write_file(other, "other");
	assert_int_equal(rename(other, f.path), 0);
	free(other);
	fd = proc_map_open("/proc", getpid(), &f.map);
	if (fd >= 0)
		assert_holds(fd, "first"); /* by map_files */
	path = proc_map_attach_path("/proc", getpid(), &f.map);
	if (path)
		assert_holds(open(path, O_RDONLY), "first");
	free(path);
	/* without the process only the path is left, and it is another file */
	assert_int_equal(proc_map_open("/nonexistent", 1, &f.map), -ENOENT);
	assert_null(proc_map_attach_path("/nonexistent", 1, &f.map));
	unmap_file(&f);
}

static void the_file_of_a_process_that_ended_opens_by_path_while_it_is_the_same_file(void **state)
{
	struct mapped f;
	char *path;

	(void)state;
	map_a_file(&f, "lib.so");
	assert_holds(proc_map_open("/nonexistent", 1, &f.map), "first");
	path = proc_map_attach_path("/nonexistent", 1, &f.map);
	assert_string_equal(path, f.path);
	free(path);
	/* the mapping begins beyond the file's end: it was another file or was cut */
	f.map.offset = 4096;
	assert_true(proc_map_open("/nonexistent", 1, &f.map) < 0);
	unmap_file(&f);
}

static void want_of_descriptors_is_not_taken_for_want_of_the_file(void **state)
{
	struct rlimit limit, none;
	struct mapped f;
	int fd;

	(void)state;
	map_a_file(&f, "lib.so");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fd = proc_map_open("/proc", getpid(), &f.map);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(fd, -EMFILE);
	unmap_file(&f);
}

static void a_mapping_that_was_merged_since_is_still_found(void **state)
{
	struct mapped f;
	uint64_t end;

	(void)state;
	map_a_file(&f, "gone");
	unlink(f.path);
	if (!may_use_map_files(&f)) {
		unmap_file(&f);
		skip();
	}
	end = f.map.end;
	f.map.end += 4096; /* as an event once reported it */
	assert_holds(proc_map_open("/proc", getpid(), &f.map), "first");
	f.map.end = end;
	unmap_file(&f);
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* A child whose main thread has ended by pthread_exit while another goes on; zombie as /proc shows
 * it. */
static pid_t start_leaderless_process(void)
{
	struct proc_status st = { .state = '?' };
	pid_t child = fork();
	pthread_t thread;
	int i;

	if (!child) {
		if (pthread_create(&thread, NULL, sleep_for_ever, NULL))
			_exit(1);
		syscall(SYS_exit, 0); /* this thread only */
	}
	for (i = 0; i < 1000 && st.state != 'Z'; i++) {
		usleep(1000);
		assert_int_equal(proc_status_read(&st, "/proc", child), 0);
	}
	assert_int_equal(st.state, 'Z');
	assert_true(st.has_memory);
	return child;
}

static void a_process_whose_leader_has_ended_still_has_mappings_and_files(void **state)
{
	pid_t child = start_leaderless_process();
	struct proc_maps maps = { 0 };
	const struct proc_map *m;
	char *path;

	(void)state;
	assert_int_equal(proc_maps_read(&maps, "/proc", child), 0);
	m = proc_maps_find(&maps, (uintptr_t)start_leaderless_process);
	assert_non_null(m);
	assert_holds(proc_map_open("/proc", child, m), "\177ELF");
	path = proc_map_attach_path("/proc", child, m);
	assert_non_null(path);
	assert_holds(open(path, O_RDONLY), "\177ELF");
	assert_non_null(strstr(path, "/task/"));
	free(path);
	proc_maps_release(&maps);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void what_is_no_regular_file_is_not_opened(void **state)
{
	struct proc_map m = { .start = 0x1000, .end = 0x2000, .path = (char *)"[heap]" };
	struct stat st;
	struct mapped f;

	(void)state;
	assert_int_equal(proc_map_open("/proc", getpid(), &m), -ENOENT);
	assert_null(proc_map_attach_path("/proc", getpid(), &m));
	map_a_file(&f, "fifo");
	unlink(f.path);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	assert_int_equal(stat(f.path, &st), 0);
	f.map.ino = st.st_ino; /* even with the right inode, and without blocking */
	f.map.start += 4096;
	f.map.end += 4096;
	assert_true(proc_map_open("/nonexistent", 1, &f.map) < 0);
	f.map.start -= 4096;
	unmap_file(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_a_mapping__field_by_field),
		cmocka_unit_test(odd_paths_are_kept_whole),
		cmocka_unit_test(a_path_of_any_length_is_read),
		cmocka_unit_test(malformed_lines_are_skipped_and_counted),
		cmocka_unit_test(the_fixture_process_has_its_twelve_mappings),
		cmocka_unit_test(
			a_zombie_and_an_absent_process_are_gone__threads_of_an_ended_leader_are_not),
		cmocka_unit_test(an_address_is_found_in_its_mapping__ends_are_exclusive),
		cmocka_unit_test(an_added_mapping_replaces_exactly_what_it_covers),
		cmocka_unit_test(an_empty_mapping_is_not_added),
		cmocka_unit_test(a_mapped_file_opens__with_odd_names_too),
		cmocka_unit_test(a_deleted_file_opens_by_its_mapping),
		cmocka_unit_test(a_replaced_file_never_stands_for_the_mapped_one),
		cmocka_unit_test(
			the_file_of_a_process_that_ended_opens_by_path_while_it_is_the_same_file),
		cmocka_unit_test(want_of_descriptors_is_not_taken_for_want_of_the_file),
		cmocka_unit_test(a_mapping_that_was_merged_since_is_still_found),
		cmocka_unit_test(a_process_whose_leader_has_ended_still_has_mappings_and_files),
		cmocka_unit_test(what_is_no_regular_file_is_not_opened),
	};

	return cmocka_run_group_tests_name("proc_maps", tests, NULL, NULL);
}
