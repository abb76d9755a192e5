/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Names in processes that come from one another: forks, and generations of one process id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "test_symbolizer.h"

static void a_forked_child_starts_with_its_parents_mappings(void **state)
{
	struct symbolizer *s = new_symbolizer(GONE);
	struct proc_map a, b;
	uint64_t at;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	at = address_in("one.so", "first_one", a.start);
	symbolizer_add_map(s, 1, &a);
	symbolizer_fork(s, 1, 2, 4000001);
	assert_true(symbolizer_knows(s, 2, at));
	/* the child goes its own way */
	symbolizer_add_map(s, 2, &b);
	assert_string_equal(name_at(s, 2, at), "first_two");
	assert_string_equal(name_at(s, 1, at), "first_one");
	symbolizer_fork(s, 99, 3, 4000002); /* an unknown parent */
	assert_string_equal(name_at(s, 3, at), "[unknown]");
	symbolizer_free(s);
}

/* Its files are where its parent's are: here in this process alone, as the file is deleted. */
static void a_child_that_has_ended__has_its_parents_files(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	struct proc_map a, b;
	void *library;
	uint64_t at;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	library = dlopen(a.path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	assert_int_equal(unlink(a.path), 0);
	at = (uint64_t)(uintptr_t)dlsym(library, "first_one");
	assert_int_equal(symbolizer_add_process(s, 1, getpid()), 0);
	symbolizer_fork(s, 1, 2, 4000001);
	symbolizer_fork(s, 2, 3, 4000002);
	assert_string_equal(name_at(s, 3, at), "first_one");
	assert_string_equal(name_at(s, 2, at), "first_one");
	symbolizer_free(s);
	dlclose(library);
}

/* Between those who have the file and one who asks for it: gone. */
static void a_process_that_has_ended__is_forgotten_and_its_children_keep_theirs(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	struct proc_map a, b;
	void *library;
	uint64_t at;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	library = dlopen(a.path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	assert_int_equal(unlink(a.path), 0);
	at = (uint64_t)(uintptr_t)dlsym(library, "first_one");
	assert_int_equal(symbolizer_add_process(s, 1, getpid()), 0);
	symbolizer_fork(s, 1, 2, 4000001);
	symbolizer_fork(s, 2, 3, 4000002);
	symbolizer_fork(s, 2, 4, 4000003);
	symbolizer_end_process(s, 2);
	symbolizer_end_process(s, 2); /* not known any more */
	assert_false(symbolizer_knows(s, 2, at));
	assert_string_equal(name_at(s, 2, at), "[unknown]");
	assert_true(symbolizer_knows(s, 3, at));
	assert_string_equal(name_at(s, 4, at), "first_one");
	assert_string_equal(name_at(s, 3, at), "first_one");
	symbolizer_end_process(s, 4);
	assert_string_equal(name_at(s, 1, at), "first_one");
	assert_string_equal(name_at(s, 3, at), "first_one");
	symbolizer_free(s);
	dlclose(library);
}

/* Names with what was inlined there, too. */
static void the_places_of_forgotten_names_serve_those_of_others(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	uint32_t gen;

	(void)state;
	for (gen = 1; gen < 100; gen++) {
		symbolizer_fork(s, gen - 1, gen, getpid());
		assert_int_equal(symbolizer_add_process(s, gen, getpid()), 0);
		assert_string_equal(name_at(s, gen, (uintptr_t)new_symbolizer), "new_symbolizer");
		assert_string_equal(name_at(s, gen, (uintptr_t)build_setup), "build_setup");
		symbolizer_end_process(s, gen - 1);
		assert_string_equal(name_at(s, gen, (uintptr_t)new_symbolizer), "new_symbolizer");
		assert_string_equal(name_at(s, gen, (uintptr_t)build_setup), "build_setup");
	}
	symbolizer_free(s);
}

static void of_two_generations_of_a_pid_only_the_later_is_read_from_proc(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");

	(void)state;
	symbolizer_add_process(s, 1, getpid());
	assert_int_equal(symbolizer_add_process(s, 2, getpid()), 0);
	assert_int_equal(symbolizer_add_process(s, 1, getpid()), -ESRCH);
	assert_int_equal(symbolizer_add_process(s, 2, getpid()), 0);
	assert_string_equal(name_at(s, 1, (uintptr_t)new_symbolizer), "new_symbolizer");
	symbolizer_end_process(s, 1);
	assert_int_equal(symbolizer_add_process(s, 2, getpid()), 0);
	assert_int_equal(symbolizer_add_process(s, 3, getpid()), 0);
	assert_int_equal(symbolizer_add_process(s, 2, getpid()), -ESRCH);
	symbolizer_end_process(s, 3); /* nobody comes after it */
	assert_int_equal(symbolizer_add_process(s, 4, getpid()), 0);
	symbolizer_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forked_child_starts_with_its_parents_mappings),
		cmocka_unit_test(a_child_that_has_ended__has_its_parents_files),
		cmocka_unit_test(a_process_that_has_ended__is_forgotten_and_its_children_keep_theirs),
		cmocka_unit_test(the_places_of_forgotten_names_serve_those_of_others),
		cmocka_unit_test(of_two_generations_of_a_pid_only_the_later_is_read_from_proc),
	};

	return cmocka_run_group_tests_name("symbol_family", tests, build_setup, build_teardown);
}
