/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A symbolizer under test, mappings and libraries for it. For the test files of symbol/symbolizer.h, after cmocka.h.
 */
#ifndef MEMPROBE_TEST_SYMBOLIZER_H
#define MEMPROBE_TEST_SYMBOLIZER_H

#include <sys/stat.h>

#include "symbol/symbolizer.h"
#include "test_symbol_build.h"

#define GONE "/nonexistent" /* a proc root without processes: files open by path and inode */

static inline struct symbolizer *new_symbolizer(const char *proc_root)
{
	struct symbolizer_opts o = { .proc_root = proc_root, .debug_root = "/usr/lib/debug" };

	return symbolizer_new(&o);
}

static inline const char *name_at(struct symbolizer *s, uint32_t gen, uint64_t addr)
{
	struct symbol sym;

	symbolizer_name(s, gen, addr, false, &sym);
	return sym.name;
}

/* File offset of a function that nm lists. */
static inline uint64_t offset_of(const char *file, unsigned long long vaddr)
{
	char *command =
		xasprintf("readelf -lW %s | awk '/ LOAD / && / R E / { print $2, $3 }'", file);
	char *text = output_of(command);
	unsigned long long offset, start;

	assert_int_equal(sscanf(text, "%llx %llx", &offset, &start), 2);
	free(text);
	free(command);
	return vaddr - start + offset;
}

/* A mapping of the whole file in the build directory at `start`. */
static inline struct proc_map map_of(const char *name, uint64_t start)
{
	static char paths[4][256];
	static int next;
	char *path = paths[next++ % 4];
	struct stat st;

	snprintf(path, sizeof(paths[0]), "%s", in_dir(name));
	assert_int_equal(stat(path, &st), 0);
	return (struct proc_map){ .start = start,
				  .end = start + 0x100000,
				  .ino = st.st_ino,
				  .dev = 1,
				  .exec = true,
				  .read = true,
				  .path = path };
}

static inline bool build_library(const char *name, const char *source, const char *compile)
{
	char *command = xasprintf("%s %s -o %s.so", compile, source, name),
	     *tool = xstrdup(compile);
	bool ok;

	*strchr(tool, ' ') = '\0';
	ok = has_tool(tool) && has_tool("nm");
	if (ok)
		run(command);
	free(tool);
	free(command);
	return ok;
}

static inline uint64_t address_in(const char *file, const char *symbol, uint64_t start)
{
	unsigned long long vaddr = nm_address("", file, symbol);

	assert_true(vaddr > 0);
	return start + offset_of(file, vaddr);
}

static inline bool build_two_libraries(struct proc_map *a, struct proc_map *b)
{
	write_source("one.c", "int first_one(void) { return 1; }\n");
	write_source("two.c", "int first_two(void) { return 1; }\n");
	if (!build_library("one", "one.c", "gcc -O1 -shared -fPIC") ||
	    !build_library("two", "two.c", "gcc -O1 -shared -fPIC"))
		return false;
	*a = map_of("one.so", 0x30000000);
	*b = map_of("two.so", 0x30000000);
	return true;
}

#endif
