/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The ELF reader and the symbols of one file, against nm, readelf and objdump on programs that are
 * compiled here and on the system's libc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>

#include "base/table.h"
#include "symbol/elf_find.h"
#include "symbol/elf_symbols.h"
#include "test_symbol_build.h"

static const char program[] =
	"#include <stdlib.h>\n"
	"__attribute__((noinline)) static int helper(int x) { return x * 3; }\n"
	"__attribute__((noinline)) int exported(int x) { return helper(x) + 1; }\n"
	"int main(int argc, char **argv) { (void)argv;\n"
	"char *volatile p = malloc(argc); free(p); return exported(argc); }\n";

static char *libc_path(void)
{
	char *path = output_of("ldd /bin/ls | awk '/libc\\.so/ { print $3 }'");

	path[strcspn(path, "\n")] = '\0';
	return path;
}

struct wanted {
	const char *name;
	struct elf_symbol found;
	int count;
};

static int take_wanted(void *ctx, const struct elf_symbol *sym)
{
	struct wanted *w = ctx;

	if (strcmp(sym->name, w->name) != 0)
		return 0;
	w->found = *sym;
	w->count++;
	return 0;
}

static int stop_at_first(void *ctx, const struct elf_symbol *sym)
{
	(*(int *)ctx)++;
	(void)sym;
	return 42;
}

static void what_is_no_elf_file_is_refused(void **state)
{
	unsigned char header[64] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 };
	struct elf_file *f = (void *)1;
	FILE *file;

	(void)state;
	assert_int_equal(elf_file_open(&f, open("tests/unit/test_symbol_elf.c", O_RDONLY)),
			 -ENOEXEC);
	assert_null(f);
	assert_int_equal(elf_file_open(&f, open("/dev/null", O_RDONLY)), -ENOEXEC);
	assert_int_equal(elf_file_open(&f, open("/tmp", O_RDONLY)), -ENOEXEC);
	assert_int_equal(elf_file_open(&f, -1), -EBADF);
	file = fopen(in_dir("elf32"), "w");
	fwrite(header, 1, sizeof(header), file);
	fclose(file);
	assert_int_equal(elf_file_open(&f, open(in_dir("elf32"), O_RDONLY)), -ENOEXEC);
	header[EI_CLASS] = ELFCLASS64;
	header[18] = EM_S390;
	file = fopen(in_dir("elf64"), "w");
	fwrite(header, 1, sizeof(header), file);
	fclose(file);
	assert_int_equal(elf_file_open(&f, open(in_dir("elf64"), O_RDONLY)), -ENOEXEC);
}

static void build_ids_are_those_of_readelf(void **state)
{
	char *libc = libc_path(), *command, *want;
	struct buf got = BUF_INIT;
	struct elf_file *f;
	uint8_t id[64];
	size_t n, i;

	(void)state;
	NEED("readelf");
	command = xasprintf("readelf -n %s | awk '/Build ID:/ { print $3 }'", libc);
	want = output_of(command);
	want[strcspn(want, "\n")] = '\0';
	f = open_elf(libc);
	n = elf_file_build_id(f, id, sizeof(id));
	for (i = 0; i < n; i++)
		buf_addf(&got, "%02x", id[i]);
	assert_string_equal(got.data, want);
	assert_int_equal(elf_file_build_id(f, id, 4), 4);
	assert_false(elf_file_is_go(f));
	elf_file_close(f);
	buf_release(&got);
	free(want);
	free(command);
	free(libc);
}

/* Address of section .text by readelf. */
static unsigned long long text_address(const char *file)
{
	char *command = xasprintf("readelf -SW %s | sed -n "
				  "'s/.* \\.text *PROGBITS *\\([0-9a-f]*\\).*/\\1/p'",
				  file);
	char *text = output_of(command);
	unsigned long long address = strtoull(text, NULL, 16);

	free(text);
	free(command);
	return address;
}

static void functions_have_the_addresses_of_nm_and_the_bytes_of_the_file(void **state)
{
	static const char *const names[] = { "helper", "exported", "main" };
	unsigned char code[8], text[8];
	struct elf_file *f;
	FILE *bin;
	size_t i;

	(void)state;
	NEED("gcc");
	NEED("readelf");
	NEED("objcopy");
	write_source("p.c", program);
	run("gcc -O1 -g p.c -o p && objcopy -O binary --only-section=.text p text.bin");
	f = open_elf(in_dir("p"));
	bin = fopen(in_dir("text.bin"), "r");
	for (i = 0; i < 3; i++) {
		struct wanted w = { .name = names[i] };
		unsigned long long want = nm_address("", "p", names[i]);

		assert_int_equal(elf_file_each_function(f, take_wanted, &w), 0);
		assert_true(w.count >= 1);
		assert_int_equal(w.found.vaddr, want);
		assert_true(w.found.size_bytes >= 4);
		assert_int_equal(elf_file_read(f, w.found.offset, code, 4), 4);
		fseek(bin, (long)(want - text_address("p")), SEEK_SET);
		assert_int_equal(fread(text, 1, 4, bin), 4);
		assert_memory_equal(code, text, 4);
	}
	fclose(bin);
	elf_file_close(f);
}

static void functions_that_were_stripped_begin_where_nm_had_them(void **state)
{
	static const char *const names[] = { "helper", "exported", "main" };
	struct elf_file *f;
	uint64_t *starts;
	size_t n, i, j;

	(void)state;
	NEED("gcc");
	NEED("strip");
	write_source("p.c", program);
	run("gcc -O1 p.c -o p && strip -o p.stripped p && objcopy -R .eh_frame_hdr p.stripped p.none");
	f = open_elf(in_dir("p.stripped"));
	assert_true(elf_function_starts(f, &starts, &n));
	for (i = 1; i < n; i++)
		assert_true(starts[i - 1] < starts[i]);
	for (i = 0; i < 3; i++) {
		for (j = 0; j < n && starts[j] != nm_address("", "p", names[i]); j++)
			;
		assert_true(j < n);
	}
	free(starts);
	elf_file_close(f);
	f = open_elf(in_dir("p.none"));
	assert_false(elf_function_starts(f, &starts, &n));
	elf_file_close(f);
}

static void imports_are_told_from_definitions(void **state)
{
	struct wanted w = { .name = "malloc" };
	char *libc = libc_path();
	struct elf_file *f;
	int n = 0;

	(void)state;
	NEED("gcc");
	write_source("p.c", program);
	run("gcc -O1 p.c -o p");
	f = open_elf(in_dir("p"));
	assert_true(elf_file_imports(f, "malloc"));
	assert_true(elf_file_imports(f, "free"));
	assert_false(elf_file_imports(f, "calloc"));
	assert_false(elf_file_imports(f, "exported"));
	elf_file_each_function(f, take_wanted, &w);
	assert_int_equal(w.count, 0);
	elf_file_close(f);
	f = open_elf(libc);
	assert_false(elf_file_imports(f, "malloc"));
	elf_file_each_function(f, take_wanted, &w);
	assert_true(w.count >= 1);
	assert_int_equal(elf_file_each_function(f, stop_at_first, &n), 42);
	assert_int_equal(n, 1);
	elf_file_close(f);
	free(libc);
}

static void reads_end_at_the_end_of_the_file(void **state)
{
	struct elf_file *f;
	char bytes[8];

	(void)state;
	NEED("gcc");
	write_source("p.c", program);
	run("gcc p.c -o p");
	f = open_elf(in_dir("p"));
	assert_int_equal(elf_file_read(f, 0, bytes, 4), 4);
	assert_memory_equal(bytes, "\177ELF", 4);
	assert_int_equal(elf_file_read(f, UINT64_MAX - 2, bytes, 8), 0);
	assert_int_equal(elf_file_read(f, (uint64_t)1 << 40, bytes, 8), 0);
	elf_file_close(f);
	assert_int_equal(truncate(in_dir("p"), 100), 0);
	assert_true(elf_file_open(&f, open(in_dir("p"), O_RDONLY)) == -ENOEXEC || f);
	elf_file_close(f);
}

static void go_is_recognised_by_section_or_note(void **state)
{
	static const char *const marks[] = {
		".section .go.buildinfo,\"aw\"\\n.quad 1\\n",
		".section .gopclntab,\"a\"\\n.quad 1\\n",
		".section .note.go.buildid,\"a\",@note\\n.long 4,4,4\\n.string \"Go\\\\0\"\\n.long "
		"7\\n",
	};
	struct elf_file *f;
	size_t i;

	(void)state;
	NEED("gcc");
	for (i = 0; i < 3; i++) {
		char *source = xasprintf("int main(void) { return 0; }\n");

		write_source("g.c", source);
		free(source);
		source = xasprintf("printf '%s' > mark.s && gcc g.c mark.s -o g", marks[i]);
		run(source);
		free(source);
		f = open_elf(in_dir("g"));
		if (!elf_file_is_go(f))
			fail_msg("mark %zu is not recognised", i);
		elf_file_close(f);
	}
}

/* ---- symbols ---- */

static void load(struct elf_symbols *s, const char *path)
{
	struct elf_file *f = open_elf(path);

	elf_symbols_load(s, f, NULL);
	elf_file_close(f);
}

static const char aliases[] =
	"int __plain(void) { return 1; }\n"
	"int plain(void) __attribute__((alias(\"__plain\")));\n"
	"int plainer(void) __attribute__((alias(\"__plain\")));\n"
	"int a_plain(void) __attribute__((alias(\"__plain\")));\n"
	"static int aa(void) { return 3; }\n"
	"int __exported_aa(void) __attribute__((alias(\"aa\")));\n"
	"int __x(void) { return 4; }\n"
	"int x_in_full(void) __attribute__((alias(\"__x\")));\n"
	"int main(void) { return __plain() + aa() + __exported_aa() + __x(); }\n";

static void of_aliases_one_is_chosen_by_rule(void **state)
{
	struct elf_symbols s = { 0 };

	(void)state;
	NEED("gcc");
	NEED("nm");
	write_source("a.c", aliases);
	run("gcc -O0 a.c -o a");
	load(&s, in_dir("a"));
	/* no underscores, then the shortest, of plain, plainer, a_plain, __plain */
	assert_string_equal(elf_symbols_find(&s, nm_address("", "a", "__plain")), "plain");
	/* no underscores before shortness */
	assert_string_equal(elf_symbols_find(&s, nm_address("", "a", "__x")), "x_in_full");
	/* global before local, even with underscores */
	assert_string_equal(elf_symbols_find(&s, nm_address("", "a", "aa")), "__exported_aa");
	elf_symbols_release(&s);
}

/*
 * outer is 64 bytes with inner in its middle; gap follows without a symbol; bare has no size and
 * ends at next; last has no size and ends with the section.
 */
static const char layout[] = ".text\n"
			     ".globl outer, bare, next, last\n"
			     ".type outer,@function\n.type inner,@function\n"
			     ".type bare,@function\n.type next,@function\n"
			     "outer: .skip 16, 0x90\n"
			     "inner: .skip 16, 0x90\n.size inner,16\n"
			     "label: .skip 32, 0x90\n.size outer,64\n"
			     ".skip 16, 0xcc\n"
			     "bare: .skip 32, 0x90\n"
			     "next: .skip 8, 0x90\n.size next,8\n"
			     "last: .skip 5000, 0x90\n"
			     ".section .text.other,\"ax\"\n"
			     "tail: .skip 16, 0x90\n";

static void an_address_has_a_name_only_inside_the_symbol(void **state)
{
	static const struct {
		int at; /* from outer */
		const char *want;
	} rows[] = {
		{ 0, "outer" },       { 15, "outer" }, { 16, "inner" }, { 31, "inner" },
		{ 32, "outer" },      { 63, "outer" }, /* not "label", which lies within */
		{ 64, NULL },         { 79, NULL },    { 80, "bare" },  { 111, "bare" },
		{ 112, "next" },      { 119, "next" }, { 120, "last" }, { 120 + 4095, "last" },
		{ 120 + 4096, NULL },
	};
	struct elf_symbols s = { 0 };
	unsigned long long outer;
	size_t i;

	(void)state;
	NEED("gcc");
	NEED("nm");
	write_source("l.s", layout);
	run("gcc -nostdlib -shared l.s -o l.so");
	load(&s, in_dir("l.so"));
	outer = nm_address("", "l.so", "outer");
	assert_true(outer > 0);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *got = elf_symbols_find(&s, outer + (unsigned long long)rows[i].at);

		if ((got || rows[i].want) &&
		    (!got || !rows[i].want || strcmp(got, rows[i].want) != 0))
			fail_msg("outer+%d: got %s, want %s", rows[i].at, got ? got : "nothing",
				 rows[i].want ? rows[i].want : "nothing");
	}
	elf_symbols_release(&s);
}

static int refuse_versions(void *ctx, const struct elf_symbol *sym)
{
	(void)ctx;
	return strchr(sym->name, '@') != NULL;
}

static void versions_are_cut_off(void **state)
{
	struct elf_symbols s = { 0 };
	struct wanted w = { .name = "api" };
	struct elf_file *f;

	(void)state;
	NEED("gcc");
	NEED("nm");
	write_source("v.c",
		     "int api_v1(void) { return 1; }\nint api_v2(void) { return 2; }\n"
		     "__asm__(\".symver api_v1,api@V1\");\n__asm__(\".symver api_v2,api@@V2\");\n");
	write_source("v.map", "V1 { global: api; local: *; };\nV2 { global: api; } V1;\n");
	run("gcc -shared -fPIC v.c -Wl,--version-script=v.map -o v.so && nm v.so | grep -q "
	    "'api@@V2'");
	f = open_elf(in_dir("v.so"));
	elf_symbols_load(&s, f, NULL);
	assert_string_equal(elf_symbols_find(&s, nm_address("", "v.so", "api_v2")), "api");
	elf_file_each_function(f, take_wanted, &w);
	assert_true(w.count >= 4); /* two in .dynsym, two in .symtab */
	assert_int_equal(elf_file_each_function(f, refuse_versions, NULL), 0);
	elf_file_close(f);
	elf_symbols_release(&s);
}

static void a_stripped_static_program_has_no_names_and_does_no_harm(void **state)
{
	struct elf_symbols s = { 0 };
	struct wanted w = { .name = "main" };
	struct elf_file *f;

	(void)state;
	NEED("gcc");
	NEED("strip");
	write_source("p.c", program);
	run("gcc -O1 -static p.c -o p.static && strip p.static");
	f = open_elf(in_dir("p.static"));
	elf_symbols_load(&s, f, NULL);
	assert_int_equal(s.n, 0);
	assert_null(elf_symbols_find(&s, 0x401000));
	assert_int_equal(elf_file_each_function(f, take_wanted, &w), 0);
	assert_int_equal(w.count, 0);
	assert_false(elf_file_imports(f, "malloc"));
	elf_file_close(f);
	elf_symbols_release(&s);
}

/* Names that nm lists at an address, as text lines of address and name. */
static void check_against_nm(const char *path, const char *options, size_t least)
{
	struct table names_at = TABLE_INIT; /* hash of address and name */
	char *command = xasprintf("nm %s --defined-only %s", options, path), *text, *line;
	struct elf_symbols s = { 0 };
	size_t n = 0;

	load(&s, path);
	text = output_of(command);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long long address, size;
		char type, name[4096];

		if (sscanf(line, "%llx %llx %c %4095s", &address, &size, &type, name) == 4) {
			name[strcspn(name, "@")] = '\0';
			table_put(&names_at, hash_bytes(name, strlen(name)) ^ hash_u64(address), 1);
		}
	}
	free(text);
	text = output_of(command);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long long address, size;
		const char *got;
		char type;

		if (sscanf(line, "%llx %llx %c", &address, &size, &type) != 3 || !size ||
		    !strchr("tTwWi", type))
			continue;
		got = elf_symbols_find(&s, address + size / 2);
		if (!got)
			fail_msg("no name at %s", line);
		if (!table_get(&names_at, hash_bytes(got, strlen(got)) ^ hash_u64(address)))
			fail_msg("%s is not named so by nm at %s", got, line);
		n++;
	}
	print_message("%zu functions of %s\n", n, path);
	assert_true(n >= least);
	table_release(&names_at);
	elf_symbols_release(&s);
	free(text);
	free(command);
}

static void every_function_of_libc_has_a_name_that_nm_lists_there(void **state)
{
	char *libc = libc_path();

	(void)state;
	NEED("nm");
	check_against_nm(libc, "-D -S", 1500);
	free(libc);
}

static void libc_names_the_allocator_as_the_user_calls_it(void **state)
{
	static const char *const names[] = { "malloc", "free", "calloc", "realloc", "memalign" };
	struct elf_symbols s = { 0 };
	char *libc = libc_path();
	size_t i;

	(void)state;
	NEED("nm");
	load(&s, libc);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_string_equal(elf_symbols_find(&s, nm_address("-D", libc, names[i])),
				    names[i]);
	/* PLT and padding between functions belong to nobody */
	assert_true(s.n > 1000);
	elf_symbols_release(&s);
	free(libc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_elf_file_is_refused),
		cmocka_unit_test(build_ids_are_those_of_readelf),
		cmocka_unit_test(functions_have_the_addresses_of_nm_and_the_bytes_of_the_file),
		cmocka_unit_test(functions_that_were_stripped_begin_where_nm_had_them),
		cmocka_unit_test(imports_are_told_from_definitions),
		cmocka_unit_test(reads_end_at_the_end_of_the_file),
		cmocka_unit_test(go_is_recognised_by_section_or_note),
		cmocka_unit_test(of_aliases_one_is_chosen_by_rule),
		cmocka_unit_test(an_address_has_a_name_only_inside_the_symbol),
		cmocka_unit_test(versions_are_cut_off),
		cmocka_unit_test(a_stripped_static_program_has_no_names_and_does_no_harm),
		cmocka_unit_test(every_function_of_libc_has_a_name_that_nm_lists_there),
		cmocka_unit_test(libc_names_the_allocator_as_the_user_calls_it),
	};

	return cmocka_run_group_tests_name("symbol_elf", tests, build_setup, build_teardown);
}
