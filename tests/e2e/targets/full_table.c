/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/* A program with frame pointers whose own unwind table takes 1.2 MB: more than a small --max-memory allows. */
#define BIG_TABLE_ROWS 300000
#include "big_table.h"
#include "truth.h"

static struct site inner = { .name = "s_inner" }, outer = { .name = "s_outer" };

SITE void take(struct site *s, size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(s, size);
}

SITE void s_inner(size_t n)
{
	for (size_t i = 0; i < n; i++)
		take(&inner, 100 + i);
	NO_TAIL();
}

SITE void between(size_t n)
{
	char room[200], *p = room;

	KEEP(p);
	s_inner(n);
	KEEP(p);
}

SITE void s_outer(size_t n)
{
	take(&outer, 1000 + n);
	between(n);
	NO_TAIL();
}

int main(void)
{
	ready();
	hear("go");
	for (size_t i = 0; i < 20; i++)
		s_outer(i % 7);
	tell(&inner);
	tell(&outer);
	say("done");
	hear("exit");
	return 0;
}
