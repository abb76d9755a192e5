/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -O2 -fomit-frame-pointer -static */
/* Work for the unwinder's oracle in a static binary: sorting, formatting, recursion. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int by_text(const void *a, const void *b)
{
	char *copy = strdup(*(char *const *)a); /* an allocation below qsort */
	int r = strcmp(copy, *(char *const *)b);

	free(copy);
	return r;
}

__attribute__((noinline)) static long tree(int depth)
{
	char *s = NULL;
	long n;

	if (asprintf(&s, "%*d", depth * 3 + 1, depth) < 0)
		return 0;
	n = depth ? tree(depth - 1) + tree(depth - 2 < 0 ? 0 : depth - 2) : 1;
	free(s);
	return n;
}

int main(void)
{
	time_t end = time(NULL) + 600;
	char *v[64];

	while (time(NULL) < end) {
		for (int i = 0; i < 64; i++)
			if (asprintf(&v[i], "%d", rand()) < 0)
				return 1;
		qsort(v, 64, sizeof(v[0]), by_text);
		for (int i = 0; i < 64; i++)
			free(v[i]);
		if (!tree(8))
			return 1;
	}
	return 0;
}
