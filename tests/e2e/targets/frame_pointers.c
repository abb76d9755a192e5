/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Three functions above each allocation, all with frame pointers, as the kernel's stack walk needs them. Blocks
 * are kept, freed and grown, so that each call has a caller to be told.
 */
#include "truth.h"

static struct site kept = { .name = "s_kept" }, grown = { .name = "s_grown" };
static void *blocks[103], *growing[53];

SITE void s_kept(size_t i)
{
	blocks[i] = malloc(100 + i);
	KEEP(blocks[i]);
	count_alloc(&kept, 100 + i);
	NO_TAIL();
}

SITE void s_grown(size_t i, size_t size)
{
	void *p = realloc(growing[i], size);

	KEEP(p);
	CHECK(p);
	growing[i] = p;
	count_alloc(&grown, size);
	NO_TAIL();
}

SITE void inner_fn(size_t i)
{
	s_kept(i);
	if (i < 53) {
		s_grown(i, 10 + i);
		count_free(&grown, 10 + i);
		s_grown(i, 1000 + i);
	}
	NO_TAIL();
}

SITE void middle_fn(size_t i)
{
	inner_fn(i);
	NO_TAIL();
}

SITE void outer_fn(void)
{
	for (size_t i = 0; i < 103; i++)
		middle_fn(i);
	for (size_t i = 0; i < 41; i++) {
		free(blocks[i]);
		count_free(&kept, 100 + i);
	}
	NO_TAIL();
}

int main(void)
{
	ready();
	hear("go");
	outer_fn();
	tell(&kept);
	tell(&grown);
	say("done");
	hear("exit");
	return 0;
}
