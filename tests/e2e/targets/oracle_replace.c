/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fomit-frame-pointer -ldl */
/*
 * Work for the unwinder's oracle: a library that is replaced on disk. Puts the libraries of its arguments
 * in turn under one name, opens it, calls into it, so that it allocates with stacks through it, and closes it.
 *
 *	oracle_replace rename|overwrite DIRECTORY LIBRARY...
 *
 * rename: as package managers and install(1) do, mv of a new file over the old one; the inode number of a
 * file that is gone is soon given to the next. overwrite: as cp(1) does, the same inode with other content.
 * Ends with status 3 when no inode number came twice, since nothing would then be proved.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_TO_MEET 32
#define MAX_LIBRARY_BYTES (1 << 20)

typedef void (*plugin_fn)(int depth, int x);

static char bytes[MAX_LIBRARY_BYTES];

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* The inode number of `to`. */
static ino_t copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t n = in < 0 ? -1 : read(in, bytes, sizeof(bytes));
	struct stat st;

	if (n <= 0 || out < 0 || write(out, bytes, (size_t)n) != n || fstat(out, &st))
		fail(to);
	close(in);
	close(out);
	return st.st_ino;
}

static void open_and_call(const char *path, int x)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	plugin_fn run = library ? (plugin_fn)dlsym(library, "plugin_run") : NULL;
	int i;

	if (!run) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	for (i = 0; i < 8; i++)
		run(2 + (x + i) % 9, x + i);
	dlclose(library);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + 600;
	char path[512], fresh[512];
	ino_t last[4] = { 0 }, ino;
	int i, k, met = 0, by_rename;

	if (argc < 5)
		return 2;
	by_rename = !strcmp(argv[1], "rename");
	snprintf(path, sizeof(path), "%s/libplugin.so", argv[2]);
	snprintf(fresh, sizeof(fresh), "%s/libplugin.so.new", argv[2]);
	for (i = 0; time(NULL) < end; i++) {
		ino = copy(argv[3 + i % (argc - 3)], by_rename ? fresh : path);
		if (by_rename && rename(fresh, path))
			fail(path);
		for (k = 0; k < 4; k++)
			met += ino == last[k];
		last[i % 4] = ino;
		open_and_call(path, i);
		if (i == ROUNDS_TO_MEET && !met)
			return 3;
	}
	return 0;
}
