/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/*
 * What dlopener.c opens while it is profiled: code without frame pointers that no unwind table
 * was built for when the run began.
 */
#include <alloca.h>

#include "truth.h"

SITE void s_library(struct site *s, size_t size)
{
	char *room = alloca(size % 97 + 16);
	void *p;

	KEEP(room);
	p = malloc(size);
	KEEP(p);
	count_alloc(s, size);
}
