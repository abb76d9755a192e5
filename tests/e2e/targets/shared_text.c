/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A program whose libc code is mapped shared: uprobe links to it are made and never fire.
 *
 *	shared_text first     from the beginning
 *	shared_text later     after `go`, when probes are in place
 *
 * After `go` it allocates 7 blocks of 91 bytes.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "truth.h"

static struct site site = { .name = "s_hidden" };

static unsigned long start, end, offset;
static int fd;

/* Beforehand, as it allocates. */
static void find_libc(void)
{
	unsigned long code = (unsigned long)&malloc;
	char line[512], path[256];
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	for (;;) {
		CHECK(fgets(line, sizeof(line), f));
		if (sscanf(line, "%lx-%lx r-xp %lx %*s %*s %255s", &start, &end, &offset, path) == 4 &&
		    code >= start && code < end)
			break;
	}
	fclose(f);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
}

/* The same file, the same place, the same bytes: only MAP_SHARED. */
static void remap(void)
{
	CHECK(mmap((void *)start, end - start, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd,
		   (off_t)offset) != MAP_FAILED);
}

SITE void s_hidden(void)
{
	for (int i = 0; i < 7; i++) {
		void *p = malloc(91);

		KEEP(p);
		count_alloc(&site, 91);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	find_libc();
	if (!strcmp(argv[1], "first"))
		remap();
	ready();
	hear("go");
	if (!strcmp(argv[1], "later"))
		remap();
	s_hidden();
	tell(&site);
	say("done");
	hear("exit");
	return 0;
}
