/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* One of the libraries of big_libraries.c, with an unwind table of its own size. */
#define BIG_TABLE_ROWS 100000
#include "big_table.h"
#include "truth.h"

SITE void s_b(struct site *s, size_t size)
{
	char room[300], *r = room;
	void *p;

	KEEP(r);
	p = malloc(size);
	KEEP(p);
	KEEP(r);
	free(p);
	s->alloc_bytes += (long)size;
	s->alloc_blocks++;
}
