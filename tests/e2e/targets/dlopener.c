/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer -ldl */
/*
 * Opens the library of its first argument after `go`, and lets it allocate at once and, below
 * another function, a second later.
 */
#include <dlfcn.h>
#include <time.h>

#include "truth.h"

static struct site site = { .name = "s_library" };
static void (*allocate)(struct site *s, size_t size);

SITE void s_at_once(void)
{
	for (size_t i = 0; i < 37; i++)
		allocate(&site, 100 + i);
	NO_TAIL();
}

SITE void s_later(void)
{
	for (size_t i = 0; i < 41; i++)
		allocate(&site, 3000 + i);
	NO_TAIL();
}

int main(int argc, char **argv)
{
	void *library;

	ready();
	hear("go");
	library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
	CHECK(library);
	allocate = (void (*)(struct site *, size_t))dlsym(library, "s_library");
	CHECK(allocate);
	s_at_once();
	nanosleep(&(struct timespec){ 1, 0 }, NULL);
	s_later();
	tell(&site);
	say("value later_bytes %d", 41 * 3000 + 40 * 41 / 2);
	say("done");
	hear("exit");
	return 0;
}
