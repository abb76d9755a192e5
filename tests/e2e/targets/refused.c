/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Memory is refused to it once, and it goes on. The first argument is its end: a status, or `abort`.
 *
 *	hold	2 MB at s_hold, which it keeps; then one malloc that fails
 *	map	before it, where there is a second argument: system calls that make no mapping. Tells `value refused N`, how
 *		many of them are for want of memory
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "truth.h"

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define BLOCK 200003

static struct site holds = { .name = "s_hold" };

SITE void s_hold(void)
{
	for (int i = 0; i < 10; i++) {
		char *p = malloc(BLOCK);

		KEEP(p);
		memset(p, 1, BLOCK);
		count_alloc(&holds, BLOCK);
	}
	NO_TAIL();
}

SITE void s_refused(void)
{
	size_t most = 1UL << 60;
	void *p;

	KEEP(most);
	p = malloc(most);
	CHECK(!p);
	NO_TAIL();
}

/* Of the calls that make no mapping 3 wanted memory. */
SITE void s_map(void)
{
	char *p = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
	struct rlimit was, none;
	int i;

	CHECK(p != MAP_FAILED && !munmap(p + PAGE, PAGE));
	CHECK(mmap(p + PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0) == p + PAGE);
	for (i = 0; i < 5; i++)
		CHECK(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	for (i = 0; i < 4; i++)
		CHECK(mremap(p, PAGE, PAGE - 7, MREMAP_MAYMOVE) == p);
	for (i = 0; i < 2; i++)
		CHECK(mremap(p, PAGE, 3 * PAGE, 0) == MAP_FAILED);
	CHECK(mremap(p, PAGE, PAGE, 0) == p);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(!getrlimit(RLIMIT_AS, &was));
	none = was;
	none.rlim_cur = PAGE;
	CHECK(!setrlimit(RLIMIT_AS, &none));
	for (i = 0; i < 2; i++)
		CHECK(mmap(NULL, PAGE, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(mremap(p, PAGE, 3 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	CHECK(!setrlimit(RLIMIT_AS, &was));
	say("value refused 3");
	say("done");
}

int main(int argc, char **argv)
{
	ready();
	if (argc > 2) {
		hear("map");
		s_map();
	}
	hear("hold");
	s_hold();
	s_refused();
	tell(&holds);
	say("done");
	hear("exit");
	if (!strcmp(argv[1], "abort"))
		abort();
	return atoi(argv[1]);
}
