/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A set of block addresses; see address_set.h. */
#include "alloc/address_set.h"

#include <stdlib.h>

#include "base/xalloc.h"

#define REGION_SHIFT 20
#define REGION_WORDS ((size_t)1 << (REGION_SHIFT - 4 - 6))

void address_set_release(struct address_set *s)
{
	size_t i;

	for (i = 0; i < s->n_pages; i++)
		free(s->bits[i]);
	free(s->bits);
	table_release(&s->pages);
	*s = (struct address_set)ADDRESS_SET_INIT;
}

static uint64_t bit_of(uint64_t addr, size_t *word)
{
	uint64_t slot = (addr >> 4) & ((REGION_WORDS << 6) - 1);

	*word = slot >> 6;
	return 1ULL << (slot & 63);
}

void address_set_add(struct address_set *s, uint64_t addr)
{
	uint64_t *at = table_get(&s->pages, addr >> REGION_SHIFT), bit;
	size_t word;

	if (!at && s->n_pages >= ADDRESS_SET_MAX_PAGES) {
		s->is_full = true;
		return;
	}
	if (!at) {
		XGROW(s->bits, s->n_pages, s->cap);
		s->bits[s->n_pages] = xcalloc(REGION_WORDS, sizeof(uint64_t));
		at = table_put(&s->pages, addr >> REGION_SHIFT, s->n_pages++);
	}
	bit = bit_of(addr, &word);
	s->bits[*at][word] |= bit;
}

bool address_set_has(const struct address_set *s, uint64_t addr)
{
	const uint64_t *at = table_get(&s->pages, addr >> REGION_SHIFT);
	size_t word;
	uint64_t bit = bit_of(addr, &word);

	return at && (s->bits[*at][word] & bit);
}
