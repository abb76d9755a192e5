/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The probe sites of one object; see alloc_sites.h.
 *
 * Symbols become entries, one per file offset; entries that another one shows are dropped; the rest
 * get their place. Depends on the allocator table and the ELF reader.
 */
#include "app/alloc_sites.h"

#include <stdlib.h>
#include <string.h>

#include "alloc/allocator.h"
#include "alloc/forward.h"
#include "alloc/probe_point.h"
#include "base/log.h"
#include "base/table.h"
#include "base/xalloc.h"

/* Longer functions are probed at their entry (jemalloc's mallocx, with all inlined, has 10 KiB). */
#define MAX_CODE_BYTES 65536

/* An object may have any number of names; these are for people. */
#define MAX_LEFT_OUT 256

/* ld.so calls it around each change of its list of objects, for debuggers and for us. */
#define LOADER_HOOK "_dl_debug_state"
/* Only glibc defines it, as a library or linked statically. */
#define REFUSED_ALLOC "erts_alloc_n_enomem"
#define REFUSED_REALLOC "erts_realloc_n_enomem"
#define GLIBC_MARK "gnu_get_libc_version"

/* A function of the allocator table that the object defines. */
struct entry {
	const char *name; /* the file's */
	size_t row;
	uint64_t offset, size_bytes;
	bool is_shown; /* not probed: it always calls another one, whose stack shows it */
};

struct scan {
	struct alloc_sites *out;
	struct elf_file *f;
	const char *path;
	bool at_entry;
	bool calls_malloc; /* imports malloc: its operator new is shown by the stack, not probed */
	bool is_go;
	bool is_glibc;
	struct entry *entries;
	size_t n, cap;
	struct table by_offset; /* function's offset -> index in entries */
	uint64_t loader_hook;	/* offset of _dl_debug_state, 0: none */
	uint64_t refused_alloc, refused_realloc;
};

static const struct alloc_function *function_of(size_t row)
{
	size_t n;

	return &alloc_functions(&n)[row];
}

static const char shown[] = "calls malloc, whose stack shows it";
static const char forwarding[] = "always calls malloc, free or another operator, whose stack shows it";

/* NULL, or why this object's function gets no probe. */
static const char *why_unwanted(const struct scan *s, const struct alloc_function *f)
{
	if (f->flags & ALLOC_ONLY_IF_BYPASS && s->calls_malloc)
		return shown;
	if (s->is_go && f->shape.op != MP_OP_FREE)
		return "Go code: a return probe would break its stacks";
	return NULL;
}

/* The same symbol comes from .dynsym and from .symtab. */
static void leave_out(struct scan *s, const char *name, const char *why)
{
	struct alloc_sites *out = s->out;
	size_t i;

	if (out->n_left_out >= MAX_LEFT_OUT)
		return;
	for (i = 0; i < out->n_left_out; i++)
		if (!strcmp(out->left_out[i].symbol, name))
			return;
	log_debug("%s: %s is not probed: %s", s->path, name, why);
	XGROW(out->left_out, out->n_left_out, out->left_out_cap);
	out->left_out[out->n_left_out++] = (struct alloc_left_out){ .symbol = xstrdup(name), .why = why };
}

/* The whole function's code; caller frees. NULL: its size is not known, or too large. */
static uint8_t *read_code(const struct scan *s, const struct entry *e)
{
	uint8_t *code;

	if (!e->size_bytes || e->size_bytes > MAX_CODE_BYTES)
		return NULL;
	code = xmalloc(e->size_bytes);
	if (elf_file_read(s->f, e->offset, code, e->size_bytes) == (long)e->size_bytes)
		return code;
	free(code);
	return NULL;
}

/* The first row of the table names a function that has several names. */
static void add_entry(struct scan *s, size_t row, const struct elf_symbol *sym)
{
	const uint64_t *at = table_get(&s->by_offset, sym->offset);
	size_t i = at ? *at : s->n;

	if (at && s->entries[i].row != row)
		leave_out(s, s->entries[i].row < row ? sym->name : s->entries[i].name,
			  "same code as a function that is probed");
	if (at && s->entries[i].row <= row)
		return;
	if (!at) {
		table_put(&s->by_offset, sym->offset, s->n);
		XGROW(s->entries, s->n, s->cap);
		s->n++;
	}
	s->entries[i] = (struct entry){
		.name = sym->name,
		.row = row,
		.offset = sym->offset,
		.size_bytes = sym->size_bytes,
	};
}

static int take_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct scan *s = ctx;
	int row = alloc_find(sym->name);
	const char *why;

	if (row >= 0) {
		why = why_unwanted(s, function_of((size_t)row));
		if (why)
			leave_out(s, sym->name, why);
		else
			add_entry(s, (size_t)row, sym);
		return 0;
	}
	if (!strcmp(sym->name, LOADER_HOOK))
		s->loader_hook = sym->offset;
	else if (!strcmp(sym->name, GLIBC_MARK))
		s->is_glibc = true;
	else if (!strcmp(sym->name, REFUSED_ALLOC))
		s->refused_alloc = sym->offset;
	else if (!strcmp(sym->name, REFUSED_REALLOC))
		s->refused_realloc = sym->offset;
	why = alloc_why_not_probed(sym->name);
	if (why)
		leave_out(s, sym->name, why);
	return 0;
}

/* ---- operators that only call another one, or malloc ---- */

static unsigned int op_of(const struct entry *e)
{
	return function_of(e->row)->shape.op;
}

static bool is_operator(const struct entry *e)
{
	return function_of(e->row)->flags & ALLOC_ONLY_IF_BYPASS;
}

/* Does e always call one of the others that do the same: operator new[] operator new, that malloc? */
static bool forwards(const struct scan *s, const struct entry *e)
{
	uint64_t *targets = xcalloc(s->n, sizeof(*targets));
	uint8_t *code = read_code(s, e);
	size_t n = 0, i;
	bool yes;

	for (i = 0; i < s->n; i++)
		if (&s->entries[i] != e && op_of(&s->entries[i]) == op_of(e))
			targets[n++] = s->entries[i].offset;
	yes = code && code_forwards(code, e->size_bytes, e->offset, targets, n);
	free(targets);
	free(code);
	return yes;
}

/* Where no operator new takes memory itself, no operator delete gives any back. */
static void find_shown(struct scan *s)
{
	bool bypass = false;
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct entry *e = &s->entries[i];

		if (!is_operator(e))
			continue;
		e->is_shown = forwards(s, e);
		bypass |= !e->is_shown && op_of(e) == MP_OP_ALLOC;
	}
	for (i = 0; i < s->n && !bypass; i++)
		if (is_operator(&s->entries[i]))
			s->entries[i].is_shown = true;
}

/* ---- sites ---- */

/* libc.so.6, libc-2.31.so: then nothing else's code is between its own. */
static bool is_library_of_c(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return !strncmp(name, "libc.so", 7) || !strncmp(name, "libc-", 5);
}

static void find_point(const struct scan *s, const struct entry *e, bool need_return, struct probe_point *pp)
{
	const struct mp_shape *shape = &function_of(e->row)->shape;
	uint8_t *code = read_code(s, e);

	*pp = (struct probe_point){ .cost = PROBE_COST_UNKNOWN, .why = "entry: its size is not known, or too large" };
	if (code)
		probe_point_find(pp, code, e->size_bytes, alloc_argument_mask(shape), need_return);
	free(code);
	if (s->at_entry && pp->offset)
		*pp = (struct probe_point){ .cost = PROBE_STEPPED, .why = "entry: as asked for" };
}

static void place_probe(const struct scan *s, const struct entry *e, struct probe_site *site,
			struct alloc_site_info *info)
{
	const struct mp_shape *shape = &function_of(e->row)->shape;
	bool is_bump = shape->op == MP_OP_BUMP, entry_only = shape->op == MP_OP_FREE || shape->op == MP_OP_HEAP_END || is_bump;
	struct probe_point *pp = &info->point;
	uint64_t cookie;

	*info = (struct alloc_site_info){ .symbol = xstrdup(e->name), .row = e->row, .code_offset = e->offset };
	find_point(s, e, !entry_only, pp);
	log_debug("%s: %s at 0x%llx, probe +%u: %s", s->path, e->name, (unsigned long long)e->offset,
		  pp->offset, pp->why);
	cookie = MP_COOKIE(e->row, pp->pushes,
			   (s->is_glibc ? MP_SITE_GLIBC : 0) |
				   (s->is_glibc && is_library_of_c(s->path) ? MP_SITE_LIBC : 0) |
				   (pp->cost == PROBE_STEPPED ? MP_SITE_STEPPED : 0));
	*site = (struct probe_site){
		.offset = e->offset + pp->offset,
		.cookie = MP_COOKIE_WITH_MOVED(cookie, pp->moved),
		.entry_only = entry_only,
		.is_bump = is_bump,
		.is_hot = alloc_is_hot(e->name),
	};
	elf_file_read(s->f, site->offset, info->first_bytes, sizeof(info->first_bytes));
}

/* One per entry that is to be probed. */
static void make_sites(struct scan *s)
{
	struct alloc_sites *out = s->out;
	size_t i;

	out->v = xcalloc(s->n, sizeof(*out->v));
	out->info = xcalloc(s->n, sizeof(*out->info));
	for (i = 0; i < s->n; i++) {
		const struct entry *e = &s->entries[i];

		if (e->is_shown) {
			leave_out(s, e->name, forwarding);
			continue;
		}
		place_probe(s, e, &out->v[out->n], &out->info[out->n]);
		out->n++;
	}
}

void alloc_sites_find(struct alloc_sites *out, struct elf_file *f, const char *path, bool at_entry)
{
	struct scan s = {
		.out = out,
		.f = f,
		.path = path,
		.at_entry = at_entry,
		.calls_malloc = elf_file_imports(f, "malloc"),
		.is_go = elf_file_is_go(f),
	};

	*out = (struct alloc_sites){ .is_go = s.is_go };
	elf_file_each_function(f, take_symbol, &s);
	find_shown(&s);
	out->loader_hook = s.loader_hook;
	out->refused_alloc = s.refused_alloc;
	out->refused_realloc = s.refused_realloc;
	out->is_glibc = s.is_glibc;
	make_sites(&s);
	free(s.entries);
	table_release(&s.by_offset);
}

void alloc_sites_release(struct alloc_sites *sites)
{
	size_t i;

	for (i = 0; i < sites->n; i++)
		free(sites->info[i].symbol);
	for (i = 0; i < sites->n_left_out; i++)
		free(sites->left_out[i].symbol);
	free(sites->left_out);
	free(sites->info);
	free(sites->v);
	*sites = (struct alloc_sites){ 0 };
}
