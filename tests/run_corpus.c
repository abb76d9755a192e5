/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Feeds files to a fuzz harness, once each: replay_NAME FILE-OR-DIRECTORY...
 *
 * Linked with tests/fuzz/fuzz_NAME.c instead of libFuzzer, so that what fuzzing once found stays
 * tested with any compiler. Reading no file at all is a failure. No part of memprobe is used.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	size_t size;
	int err = -1;

	if (!f || fstat(fileno(f), &st))
		goto out;
	/* exactly as large as the file, so that the sanitizer sees the first byte too far */
	size = (size_t)st.st_size;
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, f) != size)
		goto out;
	printf("%s: %zu bytes\n", path, size);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	err = 0;
out:
	if (err)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(data);
	if (f)
		fclose(f);
	return err;
}

/* Number of files replayed, or -1. */
static int replay_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[4096];
	int n = 0;

	if (!dir)
		return replay_file(path) ? -1 : 1;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (replay_file(name)) {
			n = -1;
			break;
		}
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay_directory(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	if (!total)
		fprintf(stderr, "no input\n");
	return total ? 0 : 1;
}
