/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What oracle_dlopen.c opens and closes in turn: one source, and per variant a frame of PLUGIN_ROOM bytes or
 * of another shape (PLUGIN_SHAPE). The instructions have the same lengths in the first two, so that a return address in one
 * is a return address in the other, with another distance to the caller's frame: a rule that outlives
 * dlclose gives a wrong stack. Allocates and frees at each depth, in its constructor and in its destructor.
 */
#include <alloca.h>
#include <stdlib.h>
#include <string.h>

#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")

void plugin_run(int depth, int x);

static void touch(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	free(p);
}

#if PLUGIN_SHAPE == 0 /* a fixed frame */
__attribute__((noinline)) void plugin_run(int depth, int x)
{
	char room[PLUGIN_ROOM], *p = room;

	KEEP(p);
	touch((size_t)x % 200 + 1);
	if (depth)
		plugin_run(depth - 1, x + 1);
	touch((size_t)x % 3000 + 1);
	KEEP(p);
}
#elif PLUGIN_SHAPE == 1 /* a frame of varying size, below rbp */
__attribute__((noinline)) void plugin_run(int depth, int x)
{
	char *p = alloca((size_t)x % PLUGIN_ROOM + 16);

	KEEP(p);
	touch((size_t)x % 200 + 1);
	if (depth)
		plugin_run(depth - 1, x + 1);
	touch((size_t)x % 3000 + 1);
	KEEP(p);
}
#else /* many saved registers, and two functions in turn */
static void other(int depth, int x);

__attribute__((noinline)) void plugin_run(int depth, int x)
{
	long a = x, b = depth, c = 3, d = 4, e = 5;

	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
	touch((size_t)x % 200 + 1);
	if (depth)
		other(depth - 1, x + 1);
	touch((size_t)(a + b + c + d + e) % 300 + 1);
}

__attribute__((noinline)) static void other(int depth, int x)
{
	touch((size_t)x % 500 + 1);
	plugin_run(depth ? depth - 1 : 0, x + 1);
	touch(1);
}
#endif

__attribute__((constructor)) static void begin(void)
{
	plugin_run(3, 7);
}

__attribute__((destructor)) static void end(void)
{
	plugin_run(2, 5);
}
