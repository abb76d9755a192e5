/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Gather function symbols, rank them, paint them into disjoint spans; see elf_symbols.h.
 * Depends on base and the ELF reader.
 */
#include "symbol/elf_symbols.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/search.h"
#include "base/xalloc.h"
#include "symbol/demangle.h"
#include "symbol/elf_internal.h"

#define MAX_SYMBOLS ((size_t)16 << 20)
#define MAX_NAMES_BYTES ((size_t)1 << 30)
#define MAX_UNSIZED_BYTES 4096
#define MAX_COMPARED_BYTES 256

struct candidate {
	uint64_t start, end; /* end == start: size 0 */
	uint64_t section_end;
	const char *name;
	uint16_t name_bytes; /* as far as it is kept */
	bool is_sized, is_global, is_plain, is_symtab;
};

struct gather {
	const struct elf_file *f; /* the mapped file: its segments say what is code */
	struct candidate *v;
	size_t n, cap;
};

/* Functions, indirect functions (their resolver's code), and labels of assembly sources. */
static bool is_code_symbol(const Elf64_Sym *s, const char *name)
{
	int type = ELF64_ST_TYPE(s->st_info);

	if (s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_ABS || !*name)
		return false;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	/* "$x", ".L1": mapping symbols and compiler labels */
	return type == STT_NOTYPE && *name != '$' && *name != '.';
}

/* The linker adds no underscore on these machines: _Z and _R begin mangled names. */
static bool is_plain_name(const char *name)
{
	return *name != '_' || name[1] == 'Z' || name[1] == 'R';
}

static uint64_t end_of_section(struct elf_file *file, const Elf64_Sym *s)
{
	Elf_Scn *scn = s->st_shndx < SHN_LORESERVE ? elf_getscn(file->elf, s->st_shndx) : NULL;
	GElf_Shdr sh;

	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_size > UINT64_MAX - sh.sh_addr)
		return UINT64_MAX;
	return sh.sh_addr + sh.sh_size;
}

static void gather_symbol(struct gather *g, struct elf_file *file, const Elf64_Sym *s,
			  const char *name, bool is_symtab)
{
	bool is_typed = ELF64_ST_TYPE(s->st_info) != STT_NOTYPE;
	struct candidate c = {
		.start = s->st_value,
		.end = s->st_value,
		.section_end = UINT64_MAX,
		.name = name,
		.name_bytes = (uint16_t)strnlen(name, SYMBOL_MAX_NAME_BYTES + 1),
		.is_sized = s->st_size && is_typed,
		.is_global = ELF64_ST_BIND(s->st_info) != STB_LOCAL,
		.is_plain = is_plain_name(name),
		.is_symtab = is_symtab,
	};

	if (c.is_sized)
		c.end += s->st_size < UINT64_MAX - c.start ? s->st_size : UINT64_MAX - c.start;
	else
		c.section_end = end_of_section(file, s);
	XGROW(g->v, g->n, g->cap);
	g->v[g->n++] = c;
}

static void gather_table(struct gather *g, struct elf_file *file, int which)
{
	const struct elf_table *t = elf_table(file, which);
	uint64_t offset;
	size_t i;

	for (i = 0; i < t->n && g->n < MAX_SYMBOLS; i++) {
		const char *name = elf_symbol_name(t, &t->v[i]);

		if (is_code_symbol(&t->v[i], name) &&
		    elf_code_offset(g->f, t->v[i].st_value, &offset))
			gather_symbol(g, file, &t->v[i], name, which == ELF_SYMTAB);
	}
}

/*
 * The order of rank, lowest first: symbols without a size only fill gaps; of nested functions the
 * inner one, which starts later, wins; at one start the better alias.
 */
static int by_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->is_sized != y->is_sized)
		return x->is_sized ? 1 : -1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->is_global != y->is_global)
		return x->is_global ? 1 : -1;
	if (x->is_plain != y->is_plain)
		return x->is_plain ? 1 : -1;
	if (x->name_bytes != y->name_bytes)
		return x->name_bytes < y->name_bytes ? 1 : -1;
	if (x->is_symtab != y->is_symtab)
		return x->is_symtab ? 1 : -1;
	return strncmp(y->name, x->name, MAX_COMPARED_BYTES);
}

/* First index in [lo, hi) of v, sorted by start there, whose start is above addr. */
static size_t above(const struct candidate *v, size_t lo, size_t hi, uint64_t addr)
{
	return lo + FIRST_ABOVE(v + lo, hi - lo, start, addr);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Where symbols without a size end. One that begins inside another function is a label of it and
 * names nothing. v is sorted by rank: those without a size are [0, n_unsized).
 */
static void close_unsized(struct gather *g, size_t n_unsized)
{
	uint64_t *reach = xcalloc(g->n, sizeof(*reach)); /* highest end of the sized ones so far */
	size_t i, next;

	for (i = n_unsized; i < g->n; i++) {
		reach[i] = g->v[i].end;
		if (i > n_unsized && reach[i - 1] > reach[i])
			reach[i] = reach[i - 1];
	}
	for (i = 0; i < n_unsized; i++) {
		struct candidate *c = &g->v[i];

		next = above(g->v, n_unsized, g->n, c->start);
		if (next > n_unsized && reach[next - 1] > c->start)
			continue;
		c->end = least(c->start + MAX_UNSIZED_BYTES, c->section_end);
		if (next < g->n)
			c->end = least(c->end, g->v[next].start);
		next = above(g->v, 0, n_unsized, c->start);
		if (next < n_unsized)
			c->end = least(c->end, g->v[next].start);
	}
	free(reach);
}

static void rank(struct gather *g)
{
	size_t n_unsized = 0;

	if (g->n)
		qsort(g->v, g->n, sizeof(*g->v), by_rank);
	while (n_unsized < g->n && !g->v[n_unsized].is_sized)
		n_unsized++;
	close_unsized(g, n_unsized);
}

static void paint(struct elf_symbols *out, struct gather *g)
{
	struct range *ranges = xcalloc(g->n, sizeof(*ranges));
	size_t i;

	for (i = 0; i < g->n; i++)
		ranges[i] = (struct range){ g->v[i].start, g->v[i].end, (uint32_t)i, (uint32_t)i };
	out->n = spans_paint(&out->v, ranges, g->n);
	free(ranges);
}

/* Replace candidate numbers by offsets of names; only names that are used are kept. */
static void keep_names(struct elf_symbols *out, const struct gather *g)
{
	uint32_t *offset = xcalloc(g->n, sizeof(*offset));
	struct buf names = BUF_INIT;
	size_t i;

	buf_addc(&names, '\0'); /* offset 0 means "not yet" */
	for (i = 0; i < out->n; i++) {
		uint32_t c = out->v[i].name;

		if (!offset[c] && names.len < MAX_NAMES_BYTES) {
			offset[c] = (uint32_t)names.len;
			buf_add(&names, g->v[c].name, g->v[c].name_bytes);
			buf_addc(&names, '\0');
		}
		out->v[i].name = offset[c];
	}
	free(offset);
	out->names_bytes = names.len;
	out->names = xrealloc(buf_detach(&names), out->names_bytes);
}

void elf_symbols_load(struct elf_symbols *out, struct elf_file *f, struct elf_file *debug)
{
	struct gather g = { .f = f };
	struct elf_file *mini;

	elf_symbols_release(out);
	gather_table(&g, f, ELF_SYMTAB);
	if (debug)
		gather_table(&g, debug, ELF_SYMTAB);
	mini = g.n ? NULL : elf_mini(f);
	if (mini)
		gather_table(&g, mini, ELF_SYMTAB);
	gather_table(&g, f, ELF_DYNSYM);
	rank(&g);
	paint(out, &g);
	keep_names(out, &g);
	free(g.v);
}

void elf_symbols_release(struct elf_symbols *s)
{
	free(s->v);
	free(s->names);
	*s = (struct elf_symbols){ 0 };
}

const char *elf_symbols_find(const struct elf_symbols *s, uint64_t vaddr)
{
	const struct span *span = spans_find(s->v, s->n, vaddr);

	return span && s->names[span->name] ? s->names + span->name : NULL;
}

size_t elf_symbols_bytes(const struct elf_symbols *s)
{
	return s->n * sizeof(*s->v) + s->names_bytes;
}
