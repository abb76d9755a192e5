/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The symbolizer as a whole, on this process and on mappings laid out by hand over libraries that
 * are compiled here. Where code lies in them is nm's word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "symbol/symbolizer.h"
#include "test_symbolizer.h"

static void functions_of_this_process_have_their_names(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	struct symbol sym;

	(void)state;
	assert_int_equal(symbolizer_add_process(s, 1, getpid()), 0);
	symbolizer_name(s, 1, (uintptr_t)new_symbolizer, false, &sym);
	assert_string_equal(sym.name, "new_symbolizer");
	assert_string_equal(sym.module, "test_symbolizer");
	assert_string_equal(sym.file, "");
	assert_true(sym.has_name);
	assert_string_equal(name_at(s, 1, (uintptr_t)dlsym(RTLD_NEXT, "fopen")), "fopen");
	assert_true(symbolizer_knows(s, 1, (uintptr_t)new_symbolizer));
	assert_true(symbolizer_knows(s, 1, (uintptr_t)&sym));
	assert_false(symbolizer_knows(s, 1, 16));
	assert_false(symbolizer_knows(s, 2, (uintptr_t)new_symbolizer));
	symbolizer_free(s);
}

static void a_second_call_returns_the_same_name(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	struct symbol a, b;

	(void)state;
	symbolizer_add_process(s, 1, getpid());
	symbolizer_name(s, 1, (uintptr_t)new_symbolizer, false, &a);
	symbolizer_name(s, 1, (uintptr_t)new_symbolizer, false, &b);
	assert_ptr_equal(a.name, b.name);
	assert_ptr_equal(a.module, b.module);
	assert_int_equal(a.vaddr, b.vaddr);
	symbolizer_free(s);
}

static void what_lies_in_no_mapping_is_unknown__generated_code_without_a_map_is_jit(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	void *code = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct symbol sym;

	(void)state;
	assert_true(code != MAP_FAILED);
	symbolizer_name(s, 9, 0x1234, false, &sym);
	assert_string_equal(sym.name, "[unknown]"); /* no such process */
	symbolizer_add_process(s, 1, getpid());
	symbolizer_name(s, 1, 16, false, &sym);
	assert_string_equal(sym.name, "[unknown]");
	assert_false(sym.has_name);
	assert_string_equal(sym.module, "");
	symbolizer_name(s, 1, (uintptr_t)code + 4096, false, &sym);
	assert_string_equal(sym.name, "[jit]");
	assert_false(sym.has_name);
	symbolizer_name(s, 1, (uintptr_t)&sym, false, &sym); /* the stack is no code */
	assert_string_equal(sym.name, "[unknown]");
	symbolizer_name(s, 1, 0, true, &sym);
	assert_string_equal(sym.name, "[unknown]");
	munmap(code, 8192);
	symbolizer_free(s);
}

static void write_perf_map(const char *path, const char *mode, uint64_t at, const char *name)
{
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	fprintf(f, "%llx 10 %s\n", (unsigned long long)at, name);
	fclose(f);
}

static void generated_code_is_named_by_the_perf_map__also_by_lines_that_come_later(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	char *path = xasprintf("/tmp/perf-%d.map", (int)getpid());
	uint64_t code = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct symbol sym;

	(void)state;
	symbolizer_add_process(s, 1, getpid());
	assert_string_equal(name_at(s, 1, code + 0x20), "[jit]");
	write_perf_map(path, "w", code, "LazyCompile:~run /srv/a b.js:1");
	symbolizer_name(s, 1, code + 4, true, &sym);
	assert_string_equal(sym.name, "LazyCompile:~run /srv/a b.js:1");
	assert_string_equal(sym.module, "");
	assert_true(sym.has_name);
	write_perf_map(path, "a", code + 0x20, "later");
	assert_string_equal(name_at(s, 1, code + 0x28), "later");
	/* asked before the line was written */
	assert_string_equal(name_at(s, 1, code + 0x20), "later");
	unlink(path);
	free(path);
	munmap((void *)code, 4096);
	symbolizer_free(s);
}

static void generated_code_that_was_replaced__has_the_name_of_the_newest_perf_map(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	char *path = xasprintf("/tmp/perf-%d.map", (int)getpid()), *next = xasprintf("%s.next", path);
	uint64_t code = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct symbol before, now;
	struct timespec times[2];
	struct stat st;

	(void)state;
	symbolizer_add_process(s, 1, getpid());
	assert_int_equal(symbolizer_perf_maps(s, 1), 0);
	assert_int_equal(symbolizer_perf_maps(s, 2), 0); /* no such process */
	write_perf_map(path, "w", code, "one");
	symbolizer_name(s, 1, code, false, &before);
	assert_string_equal(before.name, "one");
	assert_int_equal(symbolizer_perf_maps(s, 1), 1);
	assert_int_equal(symbolizer_perf_maps(s, 1), 1);
	assert_false(symbolizer_name_generated(s, 1, code + 0x10, &now));
	/* another file of the same length and time */
	assert_int_equal(stat(path, &st), 0);
	times[0] = times[1] = st.st_mtim;
	write_perf_map(next, "w", code, "two");
	assert_int_equal(utimensat(AT_FDCWD, next, times, 0), 0);
	assert_int_equal(rename(next, path), 0);
	assert_true(symbolizer_name_generated(s, 1, code, &now)); /* it has not looked */
	assert_string_equal(now.name, "one");
	assert_int_equal(symbolizer_perf_maps(s, 1), 2);
	assert_true(symbolizer_name_generated(s, 1, code, &now));
	assert_string_equal(now.name, "two");
	assert_string_equal(name_at(s, 1, code), "two");
	assert_string_equal(before.name, "one");
	/* the code is gone: no name rather than an old one */
	write_perf_map(path, "w", code + 0x100, "three");
	assert_int_equal(symbolizer_perf_maps(s, 1), 3);
	assert_string_equal(name_at(s, 1, code), "[jit]");
	unlink(path);
	free(path);
	free(next);
	munmap((void *)code, 4096);
	symbolizer_free(s);
}

static void every_function_of_the_vdso_has_a_name(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	char *text, *line, *command;
	struct proc_maps maps = { 0 };
	const struct proc_map *m;
	size_t n = 0;
	FILE *f;

	(void)state;
	NEED("nm");
	assert_int_equal(proc_maps_read(&maps, "/proc", getpid()), 0);
	m = proc_maps_find(&maps, vdso);
	assert_non_null(m);
	f = fopen(in_dir("vdso.so"), "w");
	fwrite((void *)vdso, 1, m->end - m->start, f);
	fclose(f);
	proc_maps_release(&maps);
	command = xasprintf("nm -D --defined-only vdso.so | grep -i ' [tw] '");
	text = output_of(command);
	symbolizer_add_process(s, 1, getpid());
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long long at;
		char type, name[256];
		struct symbol sym;

		assert_int_equal(sscanf(line, "%llx %c %255s", &at, &type, name), 3);
		symbolizer_name(s, 1, vdso + at, false, &sym);
		assert_string_equal(sym.module, "[vdso]");
		assert_true(sym.has_name);
		/* __vdso_time and time are one function */
		if (strncmp(name, "__vdso_", 7) != 0)
			assert_memory_equal(sym.name, name, strcspn(name, "@"));
		n++;
	}
	assert_true(n >= 4);
	free(text);
	free(command);
	symbolizer_free(s);
}

static const char noreturn_source[] = ".text\n.globl caller, next\n"
				      ".type caller,@function\n.type next,@function\n"
				      "caller: .byte 0xe8; .long 0\n.size caller,5\n"
				      "next: ret\n.size next,1\n";

static void a_return_address_belongs_to_the_call_before_it(void **state)
{
	struct symbolizer *s = new_symbolizer(GONE);
	struct proc_map m;
	struct symbol sym;
	uint64_t next;

	(void)state;
	write_source("n.s", noreturn_source);
	if (!build_library("n", "n.s", "gcc -shared -nostdlib"))
		skip();
	m = map_of("n.so", 0x10000000);
	symbolizer_add_map(s, 3, &m);
	next = address_in("n.so", "next", m.start);
	symbolizer_name(s, 3, next, false, &sym);
	assert_string_equal(sym.name, "next");
	symbolizer_name(s, 3, next, true, &sym);
	assert_string_equal(sym.name, "caller");
	assert_int_equal(sym.vaddr, nm_address("", "n.so", "next") - 1);
	symbolizer_free(s);
}

static void code_without_a_symbol_is_named_by_its_address_in_the_file(void **state)
{
	struct symbolizer *s = new_symbolizer(GONE);
	unsigned long long vaddr;
	struct symbol low, high;
	struct proc_map m;
	uint64_t offset;
	char want[64];

	(void)state;
	write_source("f.c", "__attribute__((noinline)) static int hidden(int x) { return x * 7; }\n"
			    "int visible(int x) { return hidden(x) + hidden(x + 1); }\n");
	if (!build_library("f", "f.c", "gcc -O1 -shared -fPIC"))
		skip();
	vaddr = nm_address("", "f.so", "hidden");
	offset = offset_of("f.so", vaddr);
	run("cp f.so libfoo.so && strip libfoo.so");
	m = map_of("libfoo.so", 0x10000000);
	symbolizer_add_map(s, 1, &m);
	m.start += 0x5000000;
	m.end += 0x5000000;
	symbolizer_add_map(s, 2, &m);
	symbolizer_name(s, 1, 0x10000000 + offset, false, &low);
	symbolizer_name(s, 2, 0x15000000 + offset, false, &high);
	snprintf(want, sizeof(want), "[libfoo.so+0x%llx]", vaddr);
	assert_string_equal(low.name, want);
	assert_string_equal(high.name, want); /* wherever it is loaded */
	assert_int_equal(low.vaddr, vaddr);
	assert_false(low.has_name);
	assert_string_equal(low.module, "libfoo.so");
	symbolizer_free(s);
}

static void cxx_and_rust_names_are_demangled(void **state)
{
	struct symbolizer *s = new_symbolizer(GONE);
	struct proc_map m;

	(void)state;
	write_source("c.cc",
		     "#include <vector>\n#include <string>\n"
		     "namespace app { struct Cache {\n"
		     "int insert(std::vector<int> const &, long); }; \n"
		     "int Cache::insert(std::vector<int> const &v, long n) { return v[n]; } }\n"
		     "extern \"C\" int _ZN4core3fmt9Formatter3pad17h0123456789abcdefE() {"
		     " return 1; }\n");
	if (!build_library("c", "c.cc", "g++ -O1 -shared -fPIC"))
		skip();
	m = map_of("c.so", 0x20000000);
	symbolizer_add_map(s, 1, &m);
	assert_string_equal(
		name_at(s, 1,
			address_in("c.so", "_ZN3app5Cache6insertERKSt6vectorIiSaIiEEl", m.start)),
		"app::Cache::insert(std::vector<int, std::allocator<int> > const&, long)");
	assert_string_equal(
		name_at(s, 1,
			address_in("c.so", "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
				   m.start)),
		"core::fmt::Formatter::pad");
	symbolizer_free(s);
}

static void a_library_loaded_later_is_found(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	void *lib, *at;
	int i;

	(void)state;
	write_source("late.c", "int late_function(void) { return 1; }\n");
	if (!build_library("late", "late.c", "gcc -O1 -shared -fPIC"))
		skip();
	symbolizer_add_process(s, 1, getpid());
	/* wrong addresses do not keep it from looking again */
	for (i = 0; i < 3; i++)
		name_at(s, 1, 16 + (uint64_t)i);
	lib = dlopen(in_dir("late.so"), RTLD_NOW);
	assert_non_null(lib);
	at = dlsym(lib, "late_function");
	/* only more rarely */
	for (i = 1; i < 12; i++)
		name_at(s, 1, (uintptr_t)at - (uintptr_t)i);
	assert_true(symbolizer_knows(s, 1, (uintptr_t)at));
	assert_string_equal(name_at(s, 1, (uintptr_t)at), "late_function");
	dlclose(lib);
	/* stacks from before keep their names */
	symbolizer_add_process(s, 1, getpid());
	assert_string_equal(name_at(s, 1, (uintptr_t)at), "late_function");
	symbolizer_free(s);
}

static void an_address_in_no_mapping_makes_it_look_again(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	void *lib, *at;

	(void)state;
	write_source("again.c", "int again_function(void) { return 1; }\n");
	if (!build_library("again", "again.c", "gcc -O1 -shared -fPIC"))
		skip();
	symbolizer_add_process(s, 1, getpid());
	lib = dlopen(in_dir("again.so"), RTLD_NOW);
	assert_non_null(lib);
	at = dlsym(lib, "again_function");
	assert_false(symbolizer_knows(s, 1, (uintptr_t)at));
	assert_string_equal(name_at(s, 1, (uintptr_t)at), "again_function");
	dlclose(lib);
	symbolizer_free(s);
}

static void a_deleted_library_keeps_its_names(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	void *lib, *at;

	(void)state;
	write_source("gone.c", "int gone_function(void) { return 1; }\n");
	if (!build_library("gone", "gone.c", "gcc -O1 -shared -fPIC"))
		skip();
	lib = dlopen(in_dir("gone.so"), RTLD_NOW);
	assert_non_null(lib);
	at = dlsym(lib, "gone_function");
	unlink(in_dir("gone.so"));
	/* another file takes its name */
	write_source("gone.so", "nothing");
	if (geteuid() != 0) {
		print_message("skipped: map_files needs CAP_CHECKPOINT_RESTORE\n");
		skip();
	}
	symbolizer_add_process(s, 1, getpid());
	assert_string_equal(name_at(s, 1, (uintptr_t)at), "gone_function");
	dlclose(lib);
	symbolizer_free(s);
}

static void what_is_mapped_over_a_library_takes_its_addresses(void **state)
{
	struct symbolizer *s = new_symbolizer(GONE);
	struct proc_map a, b;
	uint64_t at;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	at = address_in("one.so", "first_one", a.start);
	symbolizer_add_map(s, 1, &a);
	assert_string_equal(name_at(s, 1, at), "first_one");
	symbolizer_add_map(s, 1, &b);
	assert_string_equal(name_at(s, 1, at), "first_two");
	symbolizer_free(s);
}

/* The file's code at a fixed address of this process. */
static void map_here(const char *name, uint64_t at)
{
	int fd = open(in_dir(name), O_RDONLY);

	assert_true(mmap((void *)at, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) !=
		    MAP_FAILED);
	close(fd);
}

static void a_new_snapshot_sees_what_was_mapped_over_a_library(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	uint64_t base = (uintptr_t)mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct proc_map a, b;
	uint64_t at;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	at = address_in("one.so", "first_one", base);
	map_here("one.so", base);
	symbolizer_add_process(s, 1, getpid());
	assert_string_equal(name_at(s, 1, at), "first_one");
	map_here("two.so", base);
	symbolizer_add_process(s, 1, getpid());
	assert_string_equal(name_at(s, 1, at), "first_two");
	munmap((void *)base, 8192);
	symbolizer_free(s);
}

static void a_small_memory_bound_costs_time_but_no_names(void **state)
{
	struct symbolizer_opts o = { .proc_root = GONE, .debug_root = GONE, .max_bytes = 1 };
	struct symbolizer *s = symbolizer_new(&o);
	struct proc_map a, b;
	uint64_t at_a, at_b, i;
	const char *first;

	(void)state;
	if (!build_two_libraries(&a, &b))
		skip();
	b.start += 0x1000000;
	b.end += 0x1000000;
	symbolizer_add_map(s, 1, &a);
	symbolizer_add_map(s, 1, &b);
	at_a = address_in("one.so", "first_one", a.start);
	at_b = address_in("two.so", "first_two", b.start);
	first = name_at(s, 1, at_a);
	for (i = 0; i < 3; i++) {
		assert_string_equal(name_at(s, 1, at_a + i), "first_one");
		assert_string_equal(name_at(s, 1, at_b + i), "first_two");
	}
	assert_string_equal(first, "first_one");
	symbolizer_free(s);
}

static void a_process_that_ended_keeps_its_names(void **state)
{
	struct symbolizer *s = new_symbolizer("/proc");
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		pause();
		_exit(0);
	}
	assert_int_equal(symbolizer_add_process(s, 1, child), 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(symbolizer_add_process(s, 1, child), -ESRCH);
	/* the snapshot stayed, and the program is still there by path and inode */
	assert_string_equal(name_at(s, 1, (uintptr_t)new_symbolizer), "new_symbolizer");
	symbolizer_free(s);
}

static void source_lines_come_from_dwarf_when_asked_for(void **state)
{
	struct symbolizer_opts o = { .proc_root = GONE, .debug_root = GONE, .lines = true };
	struct symbolizer *s = symbolizer_new(&o);
	static const char *const compilers[] = { "gcc -g -O0 -shared -fPIC",
						 "gcc -gdwarf-4 -gz -O0 -shared -fPIC",
						 "clang -g -O0 -shared -fPIC" };
	struct proc_map m;
	struct symbol sym;
	size_t i, n = 0;

	(void)state;
	write_source("line.c", "\n\nint on_line_three(void) { return 1; }\n\n"
			       "int on_line_five(void) { return 2; }\n");
	for (i = 0; i < 3; i++) {
		uint64_t at;

		unlink(in_dir("line.so"));
		if (!build_library("line", "line.c", compilers[i]))
			continue;
		m = map_of("line.so", 0x40000000 + 0x1000000 * i);
		symbolizer_add_map(s, 1, &m);
		at = address_in("line.so", "on_line_three", m.start);
		symbolizer_name(s, 1, at, false, &sym);
		assert_string_equal(sym.name, "on_line_three");
		assert_int_equal(sym.line, 3);
		assert_non_null(strstr(sym.file, "line.c"));
		symbolizer_name(s, 1, address_in("line.so", "on_line_five", m.start), false, &sym);
		assert_int_equal(sym.line, 5);
		n++;
	}
	symbolizer_free(s);
	if (!n)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_this_process_have_their_names),
		cmocka_unit_test(a_second_call_returns_the_same_name),
		cmocka_unit_test(
			what_lies_in_no_mapping_is_unknown__generated_code_without_a_map_is_jit),
		cmocka_unit_test(
			generated_code_is_named_by_the_perf_map__also_by_lines_that_come_later),
		cmocka_unit_test(
			generated_code_that_was_replaced__has_the_name_of_the_newest_perf_map),
		cmocka_unit_test(every_function_of_the_vdso_has_a_name),
		cmocka_unit_test(a_return_address_belongs_to_the_call_before_it),
		cmocka_unit_test(code_without_a_symbol_is_named_by_its_address_in_the_file),
		cmocka_unit_test(cxx_and_rust_names_are_demangled),
		cmocka_unit_test(a_library_loaded_later_is_found),
		cmocka_unit_test(an_address_in_no_mapping_makes_it_look_again),
		cmocka_unit_test(a_deleted_library_keeps_its_names),
		cmocka_unit_test(what_is_mapped_over_a_library_takes_its_addresses),
		cmocka_unit_test(a_new_snapshot_sees_what_was_mapped_over_a_library),
		cmocka_unit_test(a_small_memory_bound_costs_time_but_no_names),
		cmocka_unit_test(a_process_that_ended_keeps_its_names),
		cmocka_unit_test(source_lines_come_from_dwarf_when_asked_for),
	};

	return cmocka_run_group_tests_name("symbolizer", tests, build_setup, build_teardown);
}
