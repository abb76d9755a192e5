/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Source lines and inlined functions at each instruction of optimised C++ programs, against two other programs:
 * elfutils' eu-addr2line, whose search is another, and binutils' addr2line, which reads DWARF by code of its
 * own. Each has errors here and there (elfutils 0.188 "??" for a name; binutils 2.40 the name of the function around,
 * no type units), so an address must be as one of the two has it. Also bounds: damaged files, time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/table.h"
#include "base/units.h"
#include "symbol/lines.h"
#include "test_symbol_build.h"

static const char source[] =
	"#include <map>\n#include <string>\n#include <vector>\n#include <algorithm>\n#include <cstdlib>\n"
	"namespace shop {\n"
	"struct Item { std::string name; int price; };\n"
	"class Cart {\n"
	"\tstd::vector<Item> items;\n\tstd::map<std::string, int> seen;\n"
	"public:\n"
	"\tinline void add(const char *name, int price)\n\t{\n"
	"\t\titems.push_back(Item{ name, price });\n"
	"\t\tseen[name] += price;\n\t}\n"
	"\tvoid sort()\n\t{\n"
	"\t\tstd::sort(items.begin(), items.end(), [](const Item &a, const Item &b) { return a.price < b.price; });\n"
	"\t}\n};\n"
	"static inline void *raw(size_t n)\n{\n\treturn malloc(n);\n}\n"
	"static inline void *twice(size_t n)\n{\n\tfree(raw(n));\n\treturn raw(2 * n);\n}\n"
	"}\n"
	"void *kept;\n"
	"__attribute__((noinline)) void hold(size_t n) { if (n > 5) { kept = shop::twice(n); } else { kept = shop::raw(n); } }\n"
	"__attribute__((noinline)) void fill(shop::Cart &c, int n)\n{\n"
	"\tfor (int i = 0; i < n; i++)\n\t\tc.add(\"a name that is longer than fits into the string\", i);\n"
	"\tc.sort();\n}\n"
	"int main(int argc, char **)\n{\n\tstatic shop::Cart c;\n\tfill(c, argc * 7);\n\thold(argc);\n\treturn 0;\n}\n";

#define MAX_ADDRESSES 20000

struct checked {
	size_t addresses, inlined, deepest;
	bool equal[MAX_ADDRESSES];
};

static char *next_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	assert_non_null(end);
	*end = '\0';
	*text = end + 1;
	return line;
}

/* "file.cc:12 (discriminator 3)" against a frame; addr2line may have "?" for what is not known. */
static bool same_place(const char *place, const struct line_frame *f)
{
	const char *colon = strrchr(place, ':'), *slash, *mine;
	uint32_t line = (uint32_t)atoi(colon + 1);

	if (line != f->line)
		return false;
	if (!line)
		return true;
	for (slash = colon; slash > place && slash[-1] != '/'; slash--)
		;
	mine = strrchr(f->file, '/');
	mine = mine ? mine + 1 : f->file;
	return strlen(mine) == (size_t)(colon - slash) && !memcmp(mine, slash, strlen(mine));
}

/* All of what addr2line says of one address, up to the next; false when a frame differs. */
static bool check_address(struct lines *l, uint64_t vaddr, char **text, struct checked *c)
{
	struct line_frame frames[LINES_MAX_FRAMES];
	size_t n = lines_find(l, vaddr, frames), i;
	bool equal = true;

	for (i = 0; **text && strncmp(*text, "0x0", 3) != 0; i++) {
		char *function = next_line(text), *place = next_line(text);

		if (i >= n) {
			equal = equal && !n && strstr(place, "?");
			continue;
		}
		equal = equal && same_place(place, &frames[i]);
		if (frames[i].function)
			equal = equal && !strcmp(function, frames[i].function);
	}
	if (n > 1)
		c->inlined++;
	if (n > c->deepest)
		c->deepest = n;
	return equal && (!n || i == n);
}

/*
 * Each instruction of the program's own code; command: addresses to frames as addr2line writes them. How many are
 * equal.
 */
static size_t check_program(struct checked *c, const char *command)
{
	struct elf_file *f = open_elf(in_dir("prog"));
	struct lines *l = lines_open(f, NULL, 10 * NS_PER_S);
	char *all = xasprintf("objdump -d -j .text --no-show-raw-insn prog | sed -n 's/^ *\\([0-9a-f]*\\):.*/0x\\1/p' | %s >truth",
			      command);
	struct buf b = BUF_INIT;
	size_t n = 0;
	char *text;
	int fd;

	assert_non_null(l);
	run(all);
	free(all);
	fd = open(in_dir("truth"), O_RDONLY);
	assert_int_equal(buf_read_fd(&b, fd, 64 * MIB), 0);
	close(fd);
	c->addresses = c->inlined = 0;
	for (text = b.data; *text; c->addresses++) {
		uint64_t vaddr = strtoull(next_line(&text), NULL, 16);

		assert_true(c->addresses < MAX_ADDRESSES);
		c->equal[c->addresses] = check_address(l, vaddr, &text, c);
		n += c->equal[c->addresses];
	}
	buf_release(&b);
	lines_close(l);
	elf_file_close(f);
	return n;
}

static void compile(const char *compiler)
{
	char *command = xasprintf("rm -f prog && %s prog.cc -o prog", compiler);

	write_source("prog.cc", source);
	run(command);
	free(command);
}

static void lines_and_inlined_functions__are_those_of_other_programs(void **state)
{
	static const char elfutils[] = "eu-addr2line -a -f -i -e prog | sed 's/ inlined at .*//; s/^\\(.*:[0-9]*\\):[0-9]*$/\\1/'";
	static const char binutils[] = "addr2line -a -f -i -e prog";
	static const struct {
		const char *compiler;
		bool by_binutils;
	} v[] = { { "g++ -O2 -g", true }, { "g++ -O2 -g -gdwarf-4 -gz", true }, { "g++ -O3 -g -fdebug-types-section", false } };
	static struct checked a, b;
	size_t i, k, n, neither;

	(void)state;
	NEED("g++");
	NEED("addr2line");
	NEED("eu-addr2line");
	NEED("objdump");
	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		compile(v[i].compiler);
		n = check_program(&a, elfutils);
		assert_in_range(n, a.addresses - a.addresses / 50, a.addresses);
		assert_in_range(a.inlined, 1000, a.addresses);
		assert_in_range(a.deepest, 8, LINES_MAX_FRAMES);
		print_message("%s: %zu of %zu addresses as elfutils has them, %zu with inlined functions, up to %zu frames\n",
			      v[i].compiler, n, a.addresses, a.inlined, a.deepest);
		if (!v[i].by_binutils)
			continue;
		n = check_program(&b, binutils);
		assert_in_range(n, b.addresses - b.addresses / 50, b.addresses);
		for (k = neither = 0; k < a.addresses; k++)
			neither += !a.equal[k] && !b.equal[k];
		print_message("%zu as binutils has them, %zu as neither\n", n, neither);
		assert_int_equal(neither, 0);
	}
}

static void without_debug_information__nothing_is_known(void **state)
{
	struct elf_file *f;

	(void)state;
	NEED("g++");
	compile("g++ -O2 -s");
	f = open_elf(in_dir("prog"));
	assert_false(lines_has(f));
	assert_null(lines_open(f, NULL, NS_PER_S));
	elf_file_close(f);
}

static void no_time__means_no_lines(void **state)
{
	struct elf_file *f;

	(void)state;
	NEED("g++");
	compile("g++ -O2 -g");
	f = open_elf(in_dir("prog"));
	assert_true(lines_has(f));
	assert_null(lines_open(f, NULL, 0));
	elf_file_close(f);
}

/* 200 bytes of the section of prog become others, the same ones for a seed. */
static void damage(const char *section, uint64_t seed)
{
	char *command = xasprintf("readelf -SW good | sed 's/^ *\\[ *[0-9]*\\]//' | awk '$1 == \"%s\" { print \"0x\" $4, \"0x\" $5 }'",
				  section);
	char *text = output_of(command), *end;
	uint64_t offset = strtoull(text, &end, 16), size = strtoull(end, NULL, 16);
	int fd = open(in_dir("prog"), O_WRONLY), i;

	assert_true(fd >= 0 && offset && size);
	for (i = 0; i < 200; i++) {
		uint64_t random = hash_u64(seed * 1000 + (uint64_t)i);

		assert_int_equal(pwrite(fd, &random, 1, (off_t)(offset + (random >> 8) % size)), 1);
	}
	close(fd);
	free(text);
	free(command);
}

/* Whatever the sections say: no crash, no hang, no more frames than there is room for. */
static void damaged_debug_information__gives_fewer_lines_and_nothing_worse(void **state)
{
	static const char *const sections[] = { ".debug_info", ".debug_abbrev", ".debug_line", ".debug_rnglists", ".debug_str" };
	size_t i, found = 0;
	uint64_t k;

	(void)state;
	NEED("g++");
	NEED("readelf");
	compile("g++ -O2 -g");
	run("mv prog good");
	for (i = 0; i < 100; i++) {
		struct line_frame frames[LINES_MAX_FRAMES];
		struct elf_file *f;
		struct lines *l;

		run("cp good prog");
		damage(sections[i % 5], i);
		f = open_elf(in_dir("prog"));
		l = lines_open(f, NULL, NS_PER_S);
		for (k = 0x1000; l && k < 0x4000; k += 3) {
			size_t n = lines_find(l, k, frames);

			assert_in_range(n, 0, LINES_MAX_FRAMES);
			found += n;
		}
		lines_close(l);
		elf_file_close(f);
	}
	assert_true(found > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_inlined_functions__are_those_of_other_programs),
		cmocka_unit_test(without_debug_information__nothing_is_known),
		cmocka_unit_test(no_time__means_no_lines),
		cmocka_unit_test(damaged_debug_information__gives_fewer_lines_and_nothing_worse),
	};

	return cmocka_run_group_tests_name("lines", tests, build_setup, build_teardown);
}
