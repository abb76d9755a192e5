/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer -ldl */
/*
 * Opens the library of its first argument, twice: the first time only to close it again. By the second the file may be
 * another one, with an allocator of its own (own_malloc.c).
 */
#include <dlfcn.h>

#include "truth.h"

static struct site site = { .name = "s_own" };

SITE void s_second(void *library)
{
	void *(*own)(size_t) = (void *(*)(size_t))dlsym(library, "malloc");
	void (*allocate)(struct site *, void *(*)(size_t), size_t);

	allocate = (void (*)(struct site *, void *(*)(size_t), size_t))dlsym(library, "s_own");
	CHECK(own && allocate);
	for (size_t i = 0; i < 37; i++)
		allocate(&site, own, 100 + i);
	NO_TAIL();
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "";
	void *library;

	ready();
	hear("go");
	library = dlopen(path, RTLD_NOW);
	CHECK(library);
	say("done");
	hear("close");
	CHECK(dlclose(library) == 0);
	say("done");
	hear("open");
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(library);
	say("done");
	hear("allocate");
	s_second(library);
	tell(&site);
	say("done");
	hear("exit");
	return 0;
}
