/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A set of block addresses: one bit per 16 bytes, in pages of 8 KiB for each MiB that holds one.
 * Bounded: at most ADDRESS_SET_MAX_PAGES; is_full tells that something did not go in.
 */
#ifndef MEMPROBE_ALLOC_ADDRESS_SET_H
#define MEMPROBE_ALLOC_ADDRESS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

#define ADDRESS_SET_MAX_PAGES 8192 /* 64 MiB for 8 GiB of dense heap */

struct address_set {
	struct table pages; /* address >> 20 -> index */
	uint64_t **bits;
	size_t n_pages, cap;
	bool is_full;
};

#define ADDRESS_SET_INIT \
	{                \
		0        \
	}

void address_set_release(struct address_set *s);
void address_set_add(struct address_set *s, uint64_t addr);
bool address_set_has(const struct address_set *s, uint64_t addr);

#endif
