/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -O2 -fomit-frame-pointer -fno-optimize-sibling-calls */
/*
 * Allocations below deep recursion: one function that calls itself, two that call each other, three depths each;
 * and one that is deeper than any walk. Between main and the recursion, and between it and malloc, stand functions of their own.
 */
#include "truth.h"

static struct site direct = { .name = "s_direct" }, mutual = { .name = "s_mutual" }, bottomless = { .name = "s_bottomless" };

SITE void s_direct(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&direct, size);
}

SITE void s_mutual(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&mutual, size);
}

SITE void s_bottomless(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&bottomless, size);
}

SITE void again(int n, void (*site)(size_t), size_t size)
{
	if (n)
		again(n - 1, site, size);
	else
		site(size);
	NO_TAIL();
}

SITE void tock(int n, size_t size);

SITE void tick(int n, size_t size)
{
	if (n)
		tock(n - 1, size);
	else
		s_mutual(size);
	NO_TAIL();
}

SITE void tock(int n, size_t size)
{
	char room[40], *p = room;

	KEEP(p);
	tick(n, size);
	KEEP(p);
}

SITE void outer_fn(int n, size_t size)
{
	again(n, s_direct, size);
	tick(n, size);
	NO_TAIL();
}

SITE void deepest_fn(int n, size_t size)
{
	again(n, s_bottomless, size);
	NO_TAIL();
}

int main(void)
{
	say("ready %d", (int)getpid());
	hear("go");
	outer_fn(200, 1009);
	outer_fn(900, 1013);
	outer_fn(1900, 1019);
	deepest_fn(20000, 1021);
	tell(&direct);
	tell(&mutual);
	tell(&bottomless);
	say("done");
	hear("exit");
	return 0;
}
