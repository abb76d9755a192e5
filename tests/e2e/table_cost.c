/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the unwind table of a file costs: CPU time to build it, and its size.
 *
 *	table_cost ROUNDS FILE...
 *
 * One line per file, from the median and the fastest round:
 *
 *	FILE: table build: 81 ms for 52 MB text (155 ms/100 MB; fastest 140), 1 016 231 rows, 7.3 bytes per row
 *
 * The time holds reading the file (from the page cache); memory is the packed form, as it lies in the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "unwind/unwind_table.h"

#define MAX_ROUNDS 101
#define MB 1e6

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double text_mb(const struct unwind_table *t)
{
	double bytes = 0;
	unsigned int i;

	for (i = 0; i < t->n_seg; i++)
		bytes += (double)t->seg[i].size_bytes;
	return bytes / MB;
}

static void print(const char *path, const struct unwind_table *t, double *ms, int n)
{
	double mb = text_mb(t), words = (double)unwind_table_words(t);

	qsort(ms, (size_t)n, sizeof(*ms), compare);
	printf("%s: table build: %.1f ms for %.1f MB text (%.0f ms/100 MB; fastest %.0f), %zu rows, "
	       "%.2f bytes per row\n",
	       path, ms[n / 2], mb, ms[n / 2] / mb * 100, ms[0] / mb * 100, t->stats.n_rows,
	       words * 4 / (double)t->stats.n_rows);
}

static int measure(const char *path, int n)
{
	struct unwind_table t = { 0 };
	double ms[MAX_ROUNDS], begin;
	int i, err = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (i = 0; i < n && !err; i++) {
		unwind_table_release(&t);
		begin = cpu_ms();
		err = unwind_table_build_fd(&t, fd, 0);
		ms[i] = cpu_ms() - begin;
	}
	close(fd);
	if (!err)
		print(path, &t, ms, n);
	unwind_table_release(&t);
	return err;
}

int main(int argc, char **argv)
{
	int i, err, failed = 0, rounds = argc > 2 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	for (i = 2; i < argc; i++) {
		err = measure(argv[i], rounds);
		if (err == -ENODATA) {
			printf("%s: no unwind info\n", argv[i]);
			continue;
		}
		if (err)
			fprintf(stderr, "%s: %s\n", argv[i], err < -1 ? strerror(-err) : "cannot be opened");
		failed |= err != 0;
	}
	return failed;
}
