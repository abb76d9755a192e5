/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * DWARF lines; see lines.h. Depends on base and libdw.
 *
 * libdw maps the file, so that only the touched parts cost memory; sections that are compressed it unpacks to
 * memory, hence their smaller limit. It keeps the line table of every unit that was asked for and has no call to
 * drop one: past MAX_KEPT_BYTES, by an estimate, the file is closed and opened anew.
 */
#include "symbol/lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/search.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "symbol/elf_internal.h"
#include "symbol/inlines.h"

#define MAX_DEBUG_BYTES (4 * GIB)
#define MAX_UNPACKED_BYTES (128 * MIB)
#define MAX_UNITS 60000 /* 1 KiB each within libdw */
#define MAX_RANGES 1000000
#define MAX_KEPT_BYTES (64 * MIB)
/* libdw's struct Dwarf_Line_s and a pointer to it; abbreviations and files of a unit, about */
#define LINE_BYTES 56
#define UNIT_BYTES (64 * KIB)

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
	struct table units; /* offset of a unit's entry -> index in inlines */
	struct inlines **inlines;
	size_t n_inlines, inlines_cap;
	uint64_t kept_bytes; /* of the units that were asked for */
	uint64_t unpacked_bytes;
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

/* False when it takes too long. */
static bool index_units(struct lines *l, uint64_t max_ns)
{
	uint64_t start_ns = clock_monotonic_ns();
	Dwarf_Off at = 0, next;
	size_t header_bytes, i, n = 0;

	while (n++ < MAX_UNITS &&
	       !dwarf_nextcu(l->dwarf, at, &next, &header_bytes, NULL, NULL, NULL)) {
		add_unit(l, at + header_bytes);
		at = next;
		if (clock_monotonic_ns() - start_ns > max_ns)
			return false;
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_start);
	for (i = 0; i < l->n; i++) {
		l->v[i].max_end = l->v[i].end;
		if (i && l->v[i - 1].max_end > l->v[i].max_end)
			l->v[i].max_end = l->v[i - 1].max_end;
	}
	return true;
}

bool lines_has(struct elf_file *f)
{
	GElf_Shdr sh;

	return elf_find_section(f, ".debug_line", &sh) && sh.sh_type != SHT_NOBITS;
}

/* Are there lines, and are the debug sections, as they will lie in memory, small enough? */
static bool is_acceptable(struct elf_file *f, uint64_t *unpacked_bytes)
{
	uint64_t total = 0;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	*unpacked_bytes = 0;
	while ((scn = elf_nextscn(f->elf, scn))) {
		GElf_Chdr ch;

		if (!gelf_getshdr(scn, &sh) || sh.sh_flags & SHF_ALLOC || sh.sh_type == SHT_NOBITS)
			continue;
		if (sh.sh_flags & SHF_COMPRESSED && gelf_getchdr(scn, &ch)) {
			sh.sh_size = ch.ch_size;
			if (ch.ch_size > MAX_UNPACKED_BYTES)
				return false;
			*unpacked_bytes += ch.ch_size;
		}
		if (sh.sh_size > MAX_DEBUG_BYTES)
			return false;
		total += sh.sh_size;
	}
	return lines_has(f) && total <= MAX_DEBUG_BYTES && *unpacked_bytes <= MAX_UNPACKED_BYTES;
}

struct lines *lines_open(struct elf_file *f, struct elf_file *debug, uint64_t max_ns)
{
	uint64_t unpacked_bytes;
	struct elf_file *with = debug && is_acceptable(debug, &unpacked_bytes) ? debug : f;
	struct lines *l;

	if (with->fd < 0 || !is_acceptable(with, &unpacked_bytes))
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->unpacked_bytes = unpacked_bytes;
	l->fd = dup(with->fd);
	l->dwarf = l->fd < 0 ? NULL : dwarf_begin(l->fd, DWARF_C_READ);
	if (!l->dwarf || !index_units(l, max_ns)) {
		lines_close(l);
		return NULL;
	}
	return l;
}

static void forget_units(struct lines *l)
{
	size_t i;

	for (i = 0; i < l->n_inlines; i++)
		inlines_free(l->inlines[i]);
	free(l->inlines);
	l->inlines = NULL;
	l->n_inlines = l->inlines_cap = 0;
	table_release(&l->units);
	l->kept_bytes = 0;
}

void lines_close(struct lines *l)
{
	if (!l)
		return;
	forget_units(l);
	dwarf_end(l->dwarf);
	if (l->fd >= 0)
		close(l->fd);
	free(l->v);
	free(l);
}

uint64_t lines_bytes(const struct lines *l)
{
	return l ? sizeof(*l) + l->cap * sizeof(*l->v) + l->kept_bytes + l->unpacked_bytes : 0;
}

/* Functions of the unit; what libdw keeps of it from now on is counted. */
static struct inlines *inlines_of(struct lines *l, Dwarf_Die *unit)
{
	uint64_t *at = table_get(&l->units, dwarf_dieoffset(unit));
	struct inlines *in;
	Dwarf_Lines *table;
	size_t n = 0;

	if (at)
		return l->inlines[*at];
	in = inlines_new(unit);
	XGROW(l->inlines, l->n_inlines, l->inlines_cap);
	table_put(&l->units, dwarf_dieoffset(unit), l->n_inlines);
	l->inlines[l->n_inlines++] = in;
	dwarf_getsrclines(unit, &table, &n);
	l->kept_bytes += inlines_bytes(in) + n * LINE_BYTES + UNIT_BYTES;
	return in;
}

static const char *function_name(Dwarf_Die *call)
{
	static const unsigned int names[] = { DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name };
	Dwarf_Attribute attr;
	const char *name;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		name = dwarf_formstring(dwarf_attr_integrate(call, names[i], &attr));
		if (name && *name)
			return name;
	}
	return "[inlined]";
}

static Dwarf_Word number_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;
	Dwarf_Word n;

	return dwarf_formudata(dwarf_attr(die, name, &attr), &n) ? 0 : n;
}

static void line_of_call(struct line_frame *out, Dwarf_Die *unit, Dwarf_Die *call)
{
	Dwarf_Files *files;
	size_t n;
	Dwarf_Word file = number_of(call, DW_AT_call_file), line = number_of(call, DW_AT_call_line);
	const char *path = NULL;

	if (!dwarf_getsrcfiles(unit, &files, &n) && file < n)
		path = dwarf_filesrc(files, file, NULL, NULL);
	out->file = path && line ? path : "";
	out->line = path && line <= INT32_MAX ? (uint32_t)line : 0;
}

static void line_of_address(struct line_frame *out, Dwarf_Die *unit, uint64_t vaddr)
{
	Dwarf_Line *at = dwarf_getsrc_die(unit, vaddr);
	const char *path = at ? dwarf_linesrc(at, NULL, NULL) : NULL;
	int line = 0;

	if (path)
		dwarf_lineno(at, &line);
	out->file = path && line > 0 ? path : "";
	out->line = path && line > 0 ? (uint32_t)line : 0;
}

static size_t find_in_unit(struct lines *l, Dwarf_Off cu, uint64_t vaddr, struct line_frame *out)
{
	Dwarf_Die calls[LINES_MAX_FRAMES - 1], unit;
	size_t n, i;

	if (!dwarf_offdie(l->dwarf, cu, &unit))
		return 0;
	n = inlines_find(inlines_of(l, &unit), l->dwarf, vaddr, calls, LINES_MAX_FRAMES - 1);
	line_of_address(&out[0], &unit, vaddr);
	for (i = 0; i < n; i++) { /* innermost first */
		out[i].function = function_name(&calls[n - 1 - i]);
		line_of_call(&out[i + 1], &unit, &calls[n - 1 - i]);
	}
	out[n].function = NULL;
	return n || out[0].line ? n + 1 : 0;
}

size_t lines_find(struct lines *l, uint64_t vaddr, struct line_frame out[LINES_MAX_FRAMES])
{
	size_t i;

	if (l->kept_bytes > MAX_KEPT_BYTES) {
		forget_units(l);
		dwarf_end(l->dwarf);
		l->dwarf = dwarf_begin(l->fd, DWARF_C_READ);
	}
	i = l->dwarf ? FIRST_ABOVE(l->v, l->n, start, vaddr) : 0;
	/* Ranges of units may overlap: back to where no earlier one reaches this far. */
	for (; i && l->v[i - 1].max_end > vaddr; i--)
		if (l->v[i - 1].end > vaddr)
			return find_in_unit(l, l->v[i - 1].cu, vaddr, out);
	return 0;
}
