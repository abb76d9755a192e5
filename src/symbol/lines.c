/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * DWARF lines; see lines.h. Depends on base and libdw.
 *
 * libdw maps the file, so that only the touched parts cost memory; compressed sections are unpacked
 * by it, hence the limit.
 */
#include "symbol/lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "symbol/elf_internal.h"

#define MAX_DEBUG_BYTES ((uint64_t)1 << 30)
#define MAX_UNITS 200000
#define MAX_RANGES 2000000

struct unit_range {
	uint64_t start, end;
	uint64_t max_end; /* of this and all earlier ones */
	Dwarf_Off cu;     /* offset of the unit's entry */
};

struct lines {
	Dwarf *dwarf;
	int fd;
	struct unit_range *v;
	size_t n, cap;
};

static void add_range(struct lines *l, uint64_t start, uint64_t end, Dwarf_Off cu)
{
	if (end <= start || !start || l->n >= MAX_RANGES)
		return;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n++] = (struct unit_range){ .start = start, .end = end, .cu = cu };
}

static void add_unit(struct lines *l, Dwarf_Off cu)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	Dwarf_Die die;

	if (!dwarf_offdie(l->dwarf, cu, &die))
		return;
	while ((at = dwarf_ranges(&die, at, &base, &start, &end)) > 0)
		add_range(l, start, end, cu);
}

static int by_start(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->cu < y->cu ? -1 : x->cu > y->cu;
}

static void index_units(struct lines *l)
{
	Dwarf_Off at = 0, next;
	size_t header_bytes, i, n = 0;

	while (n++ < MAX_UNITS &&
	       !dwarf_nextcu(l->dwarf, at, &next, &header_bytes, NULL, NULL, NULL)) {
		add_unit(l, at + header_bytes);
		at = next;
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_start);
	for (i = 0; i < l->n; i++) {
		l->v[i].max_end = l->v[i].end;
		if (i && l->v[i - 1].max_end > l->v[i].max_end)
			l->v[i].max_end = l->v[i - 1].max_end;
	}
}

/* Sizes of the debug sections as they will lie in memory. */
static bool is_acceptable(struct elf_file *f)
{
	Elf_Scn *scn = NULL;
	uint64_t total = 0;
	bool has_lines = false;
	GElf_Shdr sh;

	if (elf_find_section(f, ".debug_line", &sh))
		has_lines = sh.sh_type != SHT_NOBITS;
	while ((scn = elf_nextscn(f->elf, scn))) {
		GElf_Chdr ch;

		if (!gelf_getshdr(scn, &sh) || sh.sh_flags & SHF_ALLOC || sh.sh_type == SHT_NOBITS)
			continue;
		if (sh.sh_flags & SHF_COMPRESSED && gelf_getchdr(scn, &ch))
			sh.sh_size = ch.ch_size;
		if (sh.sh_size > MAX_DEBUG_BYTES)
			return false;
		total += sh.sh_size;
	}
	return has_lines && total <= MAX_DEBUG_BYTES;
}

struct lines *lines_open(struct elf_file *f, struct elf_file *debug)
{
	struct elf_file *with = debug && is_acceptable(debug) ? debug : f;
	struct lines *l;

	if (with->fd < 0 || !is_acceptable(with))
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->fd = dup(with->fd);
	l->dwarf = l->fd < 0 ? NULL : dwarf_begin(l->fd, DWARF_C_READ);
	if (!l->dwarf) {
		lines_close(l);
		return NULL;
	}
	index_units(l);
	return l;
}

void lines_close(struct lines *l)
{
	if (!l)
		return;
	dwarf_end(l->dwarf);
	if (l->fd >= 0)
		close(l->fd);
	free(l->v);
	free(l);
}

uint64_t lines_bytes(const struct lines *l)
{
	return l ? l->cap * sizeof(*l->v) : 0;
}

static bool find_in_unit(struct lines *l, Dwarf_Off cu, uint64_t vaddr, const char **file,
			 uint32_t *line)
{
	Dwarf_Line *at;
	Dwarf_Die die;
	int number;

	if (!dwarf_offdie(l->dwarf, cu, &die))
		return false;
	at = dwarf_getsrc_die(&die, vaddr);
	*file = at ? dwarf_linesrc(at, NULL, NULL) : NULL;
	if (!*file || dwarf_lineno(at, &number) || number <= 0)
		return false;
	*line = (uint32_t)number;
	return true;
}

bool lines_find(struct lines *l, uint64_t vaddr, const char **file, uint32_t *line)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Ranges of units may overlap: back to where no earlier one reaches this far. */
	for (; lo && l->v[lo - 1].max_end > vaddr; lo--)
		if (l->v[lo - 1].end > vaddr)
			return find_in_unit(l, l->v[lo - 1].cu, vaddr, file, line);
	return false;
}
