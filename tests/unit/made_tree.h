/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A directory of files with the content that a test wants, as /proc and control groups have them. Include cmocka
 * before.
 */
#ifndef MEMPROBE_TESTS_UNIT_MADE_TREE_H
#define MEMPROBE_TESTS_UNIT_MADE_TREE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"

static char root[64];

/* cmocka's: 0, -1. */
static inline int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/memprobe-tree.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static inline int remove_root(void **state)
{
	char *command = xasprintf("rm -r %s", root);
	int status = system(command);

	(void)state;
	free(command);
	return status;
}

/* A file below root, with the directories that it lies in. */
static inline void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", root, name), *slash;
	FILE *f;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

#endif
