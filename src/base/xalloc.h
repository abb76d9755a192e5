/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Allocation that cannot fail: on out-of-memory memprobe prints one line and
 * exits with status 1. The defence on a host that is short of memory is bounded
 * tables (see --max-memory), not untested error branches.
 */
#ifndef MEMPROBE_BASE_XALLOC_H
#define MEMPROBE_BASE_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size_bytes) __attribute__((returns_nonnull));
/* n * size_bytes, checked for overflow. */
void *xreallocarray(void *p, size_t n, size_t size_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
/* asprintf that cannot fail; the caller frees the result. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Grow array `p` of element size sizeof(*p) so that index n fits; cap is updated. */
#define XGROW(p, n, cap)                                                        \
	do {                                                                    \
		if ((n) >= (cap)) {                                             \
			(cap) = (cap) ? (cap) * 2 : 16;                         \
			if ((cap) <= (n))                                       \
				(cap) = (n) + 1;                                \
			(p) = xreallocarray((p), (cap), sizeof(*(p)));          \
		}                                                               \
	} while (0)

#endif
