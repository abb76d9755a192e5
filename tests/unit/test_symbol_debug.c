/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Separate debug files and minidebuginfo: a program is stripped as distributions do it, and its
 * names must come back from the right file and from no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "symbol/debug_file.h"
#include "symbol/elf_symbols.h"
#include "test_symbol_build.h"

static const char library[] =
	"__attribute__((noinline)) static int hidden(int x) { return x * 7; }\n"
	"int visible(int x) { return hidden(x) + hidden(x + 1); }\n";

static unsigned long long hidden_at;

/* lib.so with all symbols, st.so stripped of them; hidden_at is where hidden lies in both. */
static bool build_library(const char *gcc_options)
{
	char *command = xasprintf("gcc -O1 -g -shared -fPIC %s lib.c -o lib.so && "
				  "strip -o st.so lib.so && "
				  "objcopy --only-keep-debug lib.so st.debug",
				  gcc_options);

	if (!has_tool("gcc") || !has_tool("objcopy") || !has_tool("nm")) {
		free(command);
		return false;
	}
	write_source("lib.c", library);
	run("rm -rf root st.* lib.so usr");
	run(command);
	free(command);
	hidden_at = nm_address("", "lib.so", "hidden");
	assert_true(hidden_at > 0);
	return true;
}

/*
 * Name of `hidden` in st.so when debug files are looked for as a process 5 of the proc root `root`.
 */
static const char *name_of_hidden(const char *debug_root)
{
	static char found[64];
	struct debug_search where = { .pid = 5 };
	struct elf_symbols s = { 0 };
	struct elf_file *f = open_elf(in_dir("st.so")), *debug;
	const char *name;

	where.proc_root = in_dir("root");
	where.debug_root = debug_root;
	where.object_path = in_dir("st.so");
	debug = debug_file_find(f, &where);
	elf_symbols_load(&s, f, debug);
	name = elf_symbols_find(&s, hidden_at);
	snprintf(found, sizeof(found), "%s", name ? name : "nothing");
	assert_string_equal(elf_symbols_find(&s, nm_address("-D", "lib.so", "visible")), "visible");
	elf_symbols_release(&s);
	elf_file_close(debug);
	elf_file_close(f);
	return found;
}

static void without_a_debug_file_a_local_function_has_no_name(void **state)
{
	(void)state;
	if (!build_library(""))
		skip();
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
}

static void a_debug_file_is_found_by_build_id__on_the_host_and_below_the_targets_root(void **state)
{
	static const char place[] = "id=$(readelf -n lib.so | awk '/Build ID:/ { print $3 }') && "
				    "d=%s/dbg/.build-id/$(echo $id | cut -c1-2) && mkdir -p $d && "
				    "cp st.debug $d/$(echo $id | cut -c3-).debug";
	char *command, *root;

	(void)state;
	if (!build_library("-Wl,--build-id=sha1"))
		skip();
	root = xasprintf("%s/dbg", build_dir);
	assert_string_equal(name_of_hidden(root), "nothing");
	command = xasprintf(place, ".");
	run(command);
	free(command);
	assert_string_equal(name_of_hidden(root), "hidden");
	run("rm -rf dbg");
	command = xasprintf(place, "root/5/root/$PWD");
	run(command);
	free(command);
	assert_string_equal(name_of_hidden(root), "hidden");
	free(root);
}

static void a_debug_link_is_followed_in_its_three_places(void **state)
{
	static const char *const places[] = {
		"cp st.debug linked.debug",
		"mkdir -p .debug && cp st.debug .debug/linked.debug",
		"mkdir -p dbg/$PWD && cp st.debug dbg/$PWD/linked.debug",
		"mkdir -p root/5/root/$PWD && cp st.debug root/5/root/$PWD/linked.debug",
		"mkdir -p root/5/root/$PWD/dbg/$PWD && cp st.debug "
		"root/5/root/$PWD/dbg/$PWD/linked.debug",
	};
	char *root;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (!build_library("-Wl,--build-id=none"))
			skip();
		root = xasprintf("%s/dbg", build_dir);
		run("rm -rf linked.debug .debug dbg root && cp st.debug linked.debug && "
		    "objcopy --add-gnu-debuglink=linked.debug st.so && rm linked.debug");
		assert_string_equal(name_of_hidden(root), "nothing");
		run(places[i]);
		assert_string_equal(name_of_hidden(root), "hidden");
		free(root);
	}
	run("rm -rf linked.debug .debug dbg root");
}

static void a_debug_file_of_another_build_is_not_used(void **state)
{
	(void)state;
	if (!build_library("-Wl,--build-id=none"))
		skip();
	/* the CRC differs by one byte at the end */
	run("cp st.debug linked.debug && objcopy --add-gnu-debuglink=linked.debug st.so");
	assert_string_equal(name_of_hidden("/nonexistent"), "hidden");
	run("printf x >>linked.debug");
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
	/* the CRC is right, the build id is not */
	if (!build_library("-Wl,--build-id=0x1111111111111111"))
		skip();
	run("gcc -O1 -g -shared -fPIC -Wl,--build-id=0x2222222222222222 lib.c -o other.so && "
	    "objcopy --only-keep-debug other.so linked.debug && "
	    "objcopy --add-gnu-debuglink=linked.debug st.so");
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
	run("rm -f linked.debug");
}

static void minidebuginfo_names_local_functions(void **state)
{
	struct elf_file *f;

	(void)state;
	NEED("xz");
	if (!build_library(""))
		skip();
	/* as Fedora's find-debuginfo does: only the function symbols, compressed */
	run("objcopy -S --keep-symbol=hidden st.debug mini 2>/dev/null || "
	    "objcopy --strip-all --keep-symbol=hidden st.debug mini; "
	    "xz -f -k mini && objcopy --add-section .gnu_debugdata=mini.xz st.so");
	assert_string_equal(name_of_hidden("/nonexistent"), "hidden");
	/* cut and damaged data give no names and no harm */
	run("strip -R .gnu_debugdata st.so -o s2.so && head -c 100 mini.xz >cut.xz && "
	    "objcopy --add-section .gnu_debugdata=cut.xz s2.so st.so");
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
	run("objcopy --add-section .gnu_debugdata=lib.c s2.so st.so");
	f = open_elf(in_dir("st.so"));
	elf_file_close(f);
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
}

/* 400 MiB of zeros in 60 KiB of xz. */
static void a_decompression_bomb_is_refused(void **state)
{
	struct rusage before, after;

	(void)state;
	NEED("xz");
	if (!build_library(""))
		skip();
	run("head -c 419430400 /dev/zero | xz -0 >bomb.xz && "
	    "objcopy --add-section .gnu_debugdata=bomb.xz st.so");
	getrusage(RUSAGE_SELF, &before);
	assert_string_equal(name_of_hidden("/nonexistent"), "nothing");
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 350 * 1024); /* KiB */
}

struct nm_symbol {
	unsigned long long address, size;
	char *name;
};

/* Sized functions by nm; *v is malloc'ed. */
static size_t list_by_nm(struct nm_symbol **v, const char *options, const char *path)
{
	char *command = xasprintf("nm -S --defined-only %s %s | grep -i ' [twi] '", options, path);
	char *text = output_of(command), *line, name[4096], type;
	struct nm_symbol s;
	size_t n = 0, cap = 0;

	*v = NULL;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%llx %llx %c %4095s", &s.address, &s.size, &type, name) != 4)
			continue;
		s.name = xstrndup(name, strcspn(name, "@"));
		XGROW(*v, n, cap);
		(*v)[n++] = s;
	}
	free(text);
	free(command);
	return n;
}

static bool covers(const struct nm_symbol *v, size_t n, const char *name,
		   unsigned long long address)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (address >= v[i].address && address - v[i].address < v[i].size &&
		    !strcmp(v[i].name, name))
			return true;
	return false;
}

static void free_list(struct nm_symbol *v, size_t n)
{
	while (n)
		free(v[--n].name);
	free(v);
}

static char *libc_debug_path(const char *libc)
{
	char *command = xasprintf("readelf -n %s | awk '/Build ID:/ { printf "
				  "\"/usr/lib/debug/.build-id/%%s/%%s.debug\", substr($3, 1, 2), "
				  "substr($3, 3) }'",
				  libc);
	char *path = output_of(command);

	free(command);
	return path;
}

static void every_function_of_libcs_debug_file_is_named_as_nm_lists_it(void **state)
{
	struct debug_search where = { "/proc", "/usr/lib/debug", getpid(), "" };
	char *libc = output_of("ldd /bin/ls | awk '/libc\\.so/ { printf \"%s\", $3 }'");
	char *debug_path = libc_debug_path(libc);
	struct elf_symbols s = { 0 };
	struct nm_symbol *debug_names, *names;
	struct elf_file *f, *debug;
	size_t n_debug, n, i;

	(void)state;
	NEED("nm");
	if (access(debug_path, R_OK)) {
		print_message("skipped: no debug file of libc (%s)\n", debug_path);
		free(debug_path);
		free(libc);
		skip();
	}
	f = open_elf(libc);
	where.object_path = libc;
	debug = debug_file_find(f, &where);
	assert_non_null(debug);
	elf_symbols_load(&s, f, debug);
	n_debug = list_by_nm(&debug_names, "", debug_path);
	n = list_by_nm(&names, "-D", libc);
	assert_true(n_debug > 3000);
	for (i = 0; i < n_debug; i++) {
		unsigned long long middle = debug_names[i].address + debug_names[i].size / 2;
		const char *got = elf_symbols_find(&s, middle);

		if (!got ||
		    (!covers(debug_names, n_debug, got, middle) && !covers(names, n, got, middle)))
			fail_msg("%s at %llx is called %s", debug_names[i].name, middle,
				 got ? got : "nothing");
	}
	print_message("%zu functions\n", n_debug);
	free_list(names, n);
	free_list(debug_names, n_debug);
	elf_symbols_release(&s);
	elf_file_close(debug);
	elf_file_close(f);
	free(debug_path);
	free(libc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_debug_file_a_local_function_has_no_name),
		cmocka_unit_test(
			a_debug_file_is_found_by_build_id__on_the_host_and_below_the_targets_root),
		cmocka_unit_test(a_debug_link_is_followed_in_its_three_places),
		cmocka_unit_test(a_debug_file_of_another_build_is_not_used),
		cmocka_unit_test(minidebuginfo_names_local_functions),
		cmocka_unit_test(a_decompression_bomb_is_refused),
		cmocka_unit_test(every_function_of_libcs_debug_file_is_named_as_nm_lists_it),
	};

	return cmocka_run_group_tests_name("symbol_debug", tests, build_setup, build_teardown);
}
