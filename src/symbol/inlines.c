/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Functions of a unit by address; see inlines.h. Entries that point back to where one was already (a hostile
 * DW_AT_sibling) end the walk of their list.
 */
#include "symbol/inlines.h"

#include <dwarf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "base/xalloc.h"

#define MAX_ENTRIES 2000000 /* of a unit that are looked at: half a second */
#define MAX_SCOPES 32	    /* namespaces and classes within each other */
#define MAX_BLOCKS 256	    /* blocks and inlined calls within each other */

struct function {
	uint64_t start, end;
	uint64_t max_end; /* of this and all earlier ones */
	Dwarf_Off entry;
};

struct inlines {
	struct function *v;
	size_t n, cap;
	size_t entries_left;
};

static void add_function(struct inlines *in, Dwarf_Die *die)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		if (!start || end <= start || !in->entries_left)
			return;
		in->entries_left--;
		XGROW(in->v, in->n, in->cap);
		in->v[in->n++] = (struct function){ .start = start, .end = end, .entry = dwarf_dieoffset(die) };
	}
}

static bool is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_module;
}

/* The next entry of a list; false at its end. */
static bool next_entry(Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die);

	return !dwarf_siblingof(die, die) && dwarf_dieoffset(die) > before;
}

static void add_functions(struct inlines *in, Dwarf_Die *scope, int depth)
{
	Dwarf_Die die;

	if (depth > MAX_SCOPES || dwarf_child(scope, &die))
		return;
	do {
		int tag = dwarf_tag(&die);

		if (!in->entries_left)
			return;
		in->entries_left--;
		if (tag == DW_TAG_subprogram)
			add_function(in, &die);
		else if (is_scope(tag))
			add_functions(in, &die, depth + 1);
	} while (next_entry(&die));
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

struct inlines *inlines_new(Dwarf_Die *unit)
{
	struct inlines *in = xcalloc(1, sizeof(*in));
	size_t i;

	in->entries_left = MAX_ENTRIES;
	add_functions(in, unit, 0);
	if (in->n)
		qsort(in->v, in->n, sizeof(*in->v), by_start);
	for (i = 0; i < in->n; i++) {
		in->v[i].max_end = in->v[i].end;
		if (i && in->v[i - 1].max_end > in->v[i].max_end)
			in->v[i].max_end = in->v[i - 1].max_end;
	}
	return in;
}

void inlines_free(struct inlines *in)
{
	if (!in)
		return;
	free(in->v);
	free(in);
}

uint64_t inlines_bytes(const struct inlines *in)
{
	return sizeof(*in) + in->cap * sizeof(*in->v);
}

/* The latest that begins before vaddr and ends behind it: parts of a function may lie within another. */
static const struct function *find_function(const struct inlines *in, uint64_t vaddr)
{
	size_t i = FIRST_ABOVE(in->v, in->n, start, vaddr);

	for (; i && in->v[i - 1].max_end > vaddr; i--)
		if (in->v[i - 1].end > vaddr)
			return &in->v[i - 1];
	return NULL;
}

/* The block or inlined call within die that has vaddr becomes die. */
static bool descend(Dwarf_Die *die, uint64_t vaddr)
{
	Dwarf_Die child;

	if (dwarf_child(die, &child))
		return false;
	do {
		int tag = dwarf_tag(&child);

		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
		     tag == DW_TAG_catch_block) &&
		    dwarf_haspc(&child, vaddr) > 0) {
			*die = child;
			return true;
		}
	} while (next_entry(&child));
	return false;
}

size_t inlines_find(const struct inlines *in, Dwarf *dwarf, uint64_t vaddr, Dwarf_Die *out, size_t max)
{
	const struct function *f = find_function(in, vaddr);
	size_t n = 0, blocks;
	Dwarf_Die die;

	if (!f || !dwarf_offdie(dwarf, f->entry, &die))
		return 0;
	for (blocks = 0; blocks < MAX_BLOCKS && descend(&die, vaddr); blocks++) {
		if (dwarf_tag(&die) != DW_TAG_inlined_subroutine)
			continue;
		if (n == max)
			memmove(out, out + 1, --n * sizeof(*out));
		out[n++] = die;
	}
	return n;
}
