/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Overlapping named ranges to disjoint ones, for look-up by bisection.
 *
 * Of all ranges that cover an address the one with the highest rank wins:
 *
 *	rank 0  [0x10                0x50) outer
 *	rank 1          [0x20  0x30)       inner
 *	spans   [outer )[inner )[outer   )
 *
 * ELF symbols nest and overlap; a perf map is overwritten by its later lines.
 */
#ifndef MEMPROBE_SYMBOL_SPAN_H
#define MEMPROBE_SYMBOL_SPAN_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end; /* end <= start: ignored */
	uint32_t rank;       /* distinct */
	uint32_t name;       /* whatever the caller means by it */
};

struct span {
	uint64_t start;
	uint32_t size_bytes; /* ranges are cut to 4 GiB */
	uint32_t name;
};

/*
 * Sorts ranges by start. *out is malloc'ed, sorted, disjoint, at most 2 n long; returns its length.
 */
size_t spans_paint(struct span **out, struct range *ranges, size_t n);
/* The span that holds addr, or NULL. */
const struct span *spans_find(const struct span *v, size_t n, uint64_t addr);

#endif
