/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A library of big_libraries.c: an unwind table of BIG_TABLE_ROWS, and the function BIG_LIBRARY_SITE, which allocates and frees. */
#include "big_table.h"
#include "truth.h"

SITE void BIG_LIBRARY_SITE(struct site *s, size_t size)
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
