/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * An allocator that is opened by dlopen and called through dlsym, next to the program's own.
 *
 *	through_dlsym LIBRARY PREFIX [later]
 *
 * PREFIX is that of its malloc, calloc, realloc and free; `later`: it is opened after `go`, and used
 * a second after that.
 */
#include <dlfcn.h>
#include <time.h>

#include "forms.h"

static void *(*their_malloc)(size_t size);
static void *(*their_calloc)(size_t n, size_t size);
static void *(*their_realloc)(void *p, size_t size);
static void (*their_free)(void *p);

MAKE(s_their_malloc, their_malloc(size), their_free(p))
MAKE(s_their_calloc, their_calloc(1, size), their_free(p))
GROW(s_their_realloc, their_malloc(size), their_realloc(p, size), their_free(p))
MAKE(s_own_malloc, malloc(size), free(p))
GROW(s_own_realloc, malloc(size), realloc(p, size), free(p))

static void *find(void *library, const char *prefix, const char *name)
{
	char symbol[64];
	void *p;

	snprintf(symbol, sizeof(symbol), "%s%s", prefix, name);
	p = dlsym(library, symbol);
	if (!p)
		say("error no %s", symbol);
	return p;
}

static void open_allocator(const char *path, const char *prefix)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		say("error %s", dlerror());
	their_malloc = (void *(*)(size_t))find(library, prefix, "malloc");
	their_calloc = (void *(*)(size_t, size_t))find(library, prefix, "calloc");
	their_realloc = (void *(*)(void *, size_t))find(library, prefix, "realloc");
	their_free = (void (*)(void *))find(library, prefix, "free");
}

#define ALL(X) \
	X(s_their_malloc) X(s_own_malloc) X(s_their_calloc) X(s_their_realloc) X(s_own_realloc)

int main(int argc, char **argv)
{
	CHECK(argc >= 3);
	if (argc == 3)
		open_allocator(argv[1], argv[2]);
	ready();
	hear("go");
	if (argc > 3) {
		open_allocator(argv[1], argv[2]);
		nanosleep(&(struct timespec){ 1, 0 }, NULL);
	}
	ALL(RUN)
	ALL(TELL)
	say("done");
	hear("exit");
	return 0;
}
