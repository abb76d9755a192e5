/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Programs made at test time, and what binutils say of them, for the tests of src/symbol.
 * A test that needs a tool which is not installed is skipped by name.
 */
#ifndef MEMPROBE_TEST_SYMBOL_BUILD_H
#define MEMPROBE_TEST_SYMBOL_BUILD_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "symbol/elf_file.h"

static char build_dir[64];

static inline int build_setup(void **state)
{
	(void)state;
	strcpy(build_dir, "/tmp/memprobe-symbol-XXXXXX");
	return mkdtemp(build_dir) ? 0 : -1;
}

static inline int build_teardown(void **state)
{
	char *command = xasprintf("rm -rf '%s'", build_dir);
	int err = system(command);

	(void)state;
	free(command);
	return err;
}

static inline bool has_tool(const char *tool)
{
	char *command = xasprintf("command -v %s >/dev/null 2>&1", tool);
	bool found = system(command) == 0;

	free(command);
	if (!found)
		print_message("skipped: %s is not installed\n", tool);
	return found;
}

#define NEED(tool)                   \
	do {                         \
		if (!has_tool(tool)) \
			skip();      \
	} while (0)

/* Path of a file in the build directory; static buffers, four at a time. */
static inline const char *in_dir(const char *name)
{
	static char paths[4][256];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", build_dir, name);
	return path;
}

static inline void write_source(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Run in the build directory; fails the test when the command fails. */
static inline void run(const char *command)
{
	char *all = xasprintf("cd '%s' && { %s; } >log 2>&1 || { cat log >&2; false; }", build_dir,
			      command);
	int status = system(all);

	free(all);
	if (status)
		fail_msg("command failed: %s", command);
}

/* Standard output of a command run in the build directory; the caller frees. */
static inline char *output_of(const char *command)
{
	char *all = xasprintf("cd '%s' && %s 2>/dev/null", build_dir, command), chunk[4096];
	struct buf out = BUF_INIT;
	FILE *p = popen(all, "r");
	size_t n;

	free(all);
	assert_non_null(p);
	while ((n = fread(chunk, 1, sizeof(chunk), p)) > 0)
		buf_add(&out, chunk, n);
	pclose(p);
	return buf_detach(&out);
}

static inline struct elf_file *open_elf(const char *path)
{
	struct elf_file *f = NULL;
	int err = elf_file_open(&f, open(path, O_RDONLY | O_CLOEXEC));

	if (err)
		fail_msg("%s: %s", path, strerror(-err));
	return f;
}

/* Address of a symbol by `nm OPTIONS FILE`; 0 when nm does not list it. */
static inline unsigned long long nm_address(const char *options, const char *file,
					    const char *symbol)
{
	char *command = xasprintf("nm %s %s | awk '$3 == \"%s\" || index($3, \"%s@\") == 1 "
				  "{ print $1; exit }'",
				  options, file, symbol, symbol);
	char *text = output_of(command);
	unsigned long long address = strtoull(text, NULL, 16);

	free(text);
	free(command);
	return address;
}

#endif
