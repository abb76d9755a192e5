/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fno-builtin -fno-omit-frame-pointer */
/* A library with an allocator of its own, that nobody else's calls get to; reopener.c opens it. */
#include "truth.h"

static char arena[1 << 20] __attribute__((aligned(16)));
static size_t used;

void *malloc(size_t size)
{
	void *p = arena + used;

	used += (size + 15) & ~(size_t)15;
	return used <= sizeof(arena) ? p : NULL;
}

void free(void *p)
{
	KEEP(p);
}

/* Not by the loader's choice, which would take the C library's. */
SITE void s_own(struct site *s, void *(*own)(size_t), size_t size)
{
	void *p = own(size);

	KEEP(p);
	CHECK((char *)p >= arena && (char *)p < arena + sizeof(arena));
	count_alloc(s, size);
}
