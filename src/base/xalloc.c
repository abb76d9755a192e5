/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Allocation that ends the program when it fails; see xalloc.h. */
#include "base/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
	if (!p) {
		fputs("memprobe: out of memory; lower --max-memory\n", stderr);
		exit(1);
	}
	return p;
}

void *xmalloc(size_t size_bytes)
{
	return checked(malloc(size_bytes ? size_bytes : 1));
}

void *xcalloc(size_t n, size_t size_bytes)
{
	return checked(calloc(n ? n : 1, size_bytes ? size_bytes : 1));
}

void *xrealloc(void *p, size_t size_bytes)
{
	return checked(realloc(p, size_bytes ? size_bytes : 1));
}

void *xreallocarray(void *p, size_t n, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(n, size_bytes, &total))
		return checked(NULL);
	return xrealloc(p, total);
}

char *xstrdup(const char *s)
{
	return checked(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return checked(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : s);
}
