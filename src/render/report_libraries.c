/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What libraries in Ruby and Python cost that a command has loaded: memory first touched below a library's own top
 * level, nested as they were first required; without the rss plane live heap and mappings. Only of a command: of what
 * had begun before nobody saw the start. A server that runs below a required file shows under it.
 *
 *	MEMORY BY LIBRARY, WHILE IT WAS LOADED (MiB)
 *	    ANON     SELF     FILE  LIBRARY
 *	    28.2     24.4      0.1  report_tables
 *	     3.8      3.8      0.0    mime_tables
 *	                             12 smaller ones: 1.6
 *
 * SELF: without the libraries that it loads; FILE: page cache that was mapped meanwhile. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#define CUT_OFF_BYTES (3 * MIB / 10)
#define MOST_ROWS 10u
#define MOST_DEPTH 12u
#define MOST_LIBRARIES 4096u /* what is beyond counts to the one that loads it */
#define START_NS (2 * NS_PER_S)
#define NO_LIBRARY UINT32_MAX

struct library {
	uint32_t parent, file, depth;
	uint64_t self, bytes, file_bytes;
};

struct libraries {
	const struct profile *p;
	struct library *v; /* parents before children */
	size_t n, cap;
	struct table at; /* parent and file -> index */
	uint64_t smaller_bytes, cut_off;
	size_t n_smaller, n_rows, most_rows;
};

static uint32_t child_of(struct libraries *l, uint32_t parent, uint32_t file)
{
	uint64_t key = (uint64_t)(parent + 1) << 32 | file, *known = table_get(&l->at, key);

	if (known)
		return (uint32_t)*known;
	if (l->n == MOST_LIBRARIES)
		return parent;
	XGROW(l->v, l->n, l->cap);
	l->v[l->n] = (struct library){ .parent = parent, .file = file, .depth = parent == NO_LIBRARY ? 0 : l->v[parent].depth + 1 };
	*table_put(&l->at, key, 0) = l->n;
	return (uint32_t)l->n++;
}

/* Ruby's name of a required file's top level; of Python's modules the outermost is the program itself. */
static bool is_top_level(const struct profile *p, const struct profile_frame *f, bool *met_program)
{
	const char *name = profile_str(p, f->name);

	if (!f->is_managed)
		return false;
	if (!strcmp(name, "<top (required)>"))
		return true;
	if (strcmp(name, "<module>") != 0)
		return false;
	if (*met_program)
		return true;
	*met_program = true;
	return false;
}

static uint32_t library_of(struct libraries *l, const struct profile_stack *s)
{
	uint32_t at = NO_LIBRARY, i;
	bool met_program = false;

	for (i = s->n_frames; i-- > 0;) {
		const struct profile_frame *f = &l->p->frames[l->p->stack_frames[s->first_frame + i]];

		if (is_top_level(l->p, f, &met_program) && (at == NO_LIBRARY || l->v[at].depth < MOST_DEPTH))
			at = child_of(l, at, f->file);
	}
	return at;
}

/* It began in the window, or just before. */
static bool was_seen_starting(const struct profile_proc *proc)
{
	return proc->begin_ns || proc->at_attach.start_age_ns < START_NS;
}

static bool has_touched(const struct profile *p)
{
	return p->planes & PLANE_RSS && !*profile_str(p, p->rss_missing) && !p->gaps.unseen_ns;
}

static void take_stacks(struct libraries *l)
{
	size_t i;

	for (i = 0; i < l->p->n_stacks; i++) {
		const struct profile_stack *s = &l->p->stacks[i];
		uint32_t at = was_seen_starting(&l->p->procs[s->proc]) ? library_of(l, s) : NO_LIBRARY;

		if (at == NO_LIBRARY)
			continue;
		if (has_touched(l->p))
			l->v[at].self += s->touched_bytes;
		else if (s->live_bytes > s->untouched_bytes)
			l->v[at].self += s->live_bytes - s->untouched_bytes;
		l->v[at].file_bytes += s->touched_file_bytes;
	}
	for (i = 0; i < l->n; i++)
		l->v[i].bytes = l->v[i].self;
	for (i = l->n; i-- > 0;) {
		if (l->v[i].parent == NO_LIBRARY)
			continue;
		l->v[l->v[i].parent].bytes += l->v[i].bytes;
		l->v[l->v[i].parent].file_bytes += l->v[i].file_bytes;
	}
}

/* .../geo/tables.rb -> tables; a package's __init__.py -> its directory. */
static void add_name(struct buf *out, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *end = name + strlen(name);

	if (slash && !strcmp(name, "__init__.py")) {
		end = slash;
		for (name = slash; name > path && name[-1] != '/'; name--)
			;
	} else if (end - name > 3 && (!strcmp(end - 3, ".rb") || !strcmp(end - 3, ".py"))) {
		end -= 3;
	}
	buf_add_printable(out, name, (size_t)(end - name));
}

static void add_row(struct buf *out, const struct libraries *l, const struct library *k)
{
	static const struct amount_unit unit = { "MiB", MIB };
	char live[24], self[24], file[24];

	buf_addf(out, "%8s %8s %8s  ", format_tenths(live, in_tenths((int64_t)k->bytes, &unit)),
		 format_tenths(self, in_tenths((int64_t)k->self, &unit)), format_tenths(file, in_tenths((int64_t)k->file_bytes, &unit)));
	buf_pad(out, ' ', 2 * k->depth);
	add_name(out, profile_str(l->p, k->file));
	buf_addc(out, '\n');
}

/* The largest child that is smaller than `below`, or equal and later; the order of siblings. NO_LIBRARY: none. */
static uint32_t next_child(const struct libraries *l, uint32_t parent, uint32_t last)
{
	uint32_t best = NO_LIBRARY, i;

	for (i = 0; i < l->n; i++) {
		const struct library *k = &l->v[i];

		if (k->parent != parent || (last != NO_LIBRARY && (k->bytes > l->v[last].bytes ||
								     (k->bytes == l->v[last].bytes && i <= last))))
			continue;
		if (best == NO_LIBRARY || k->bytes > l->v[best].bytes)
			best = i;
	}
	return best;
}

static void add_children(struct buf *out, struct libraries *l, uint32_t parent)
{
	uint32_t at = NO_LIBRARY;

	while ((at = next_child(l, parent, at)) != NO_LIBRARY) {
		if (l->v[at].bytes + l->v[at].file_bytes < l->cut_off || l->n_rows == l->most_rows) {
			l->n_smaller++;
			l->smaller_bytes += l->v[at].bytes;
			continue;
		}
		l->n_rows++;
		add_row(out, l, &l->v[at]);
		add_children(out, l, at);
	}
}

void report_libraries(struct buf *out, const struct report *r)
{
	struct libraries l = { .p = r->p, .most_rows = r->o->all_frames ? SIZE_MAX : MOST_ROWS };
	struct buf rows = BUF_INIT;

	l.cut_off = r->o->min_bytes ? r->o->min_bytes : CUT_OFF_BYTES;
	take_stacks(&l);
	add_children(&rows, &l, NO_LIBRARY);
	if (rows.len) {
		buf_addf(out, "\nMEMORY BY LIBRARY, WHILE IT WAS LOADED (MiB)\n%8s %8s %8s  LIBRARY\n",
			 has_touched(r->p) ? "ANON" : "LIVE", "SELF", "FILE");
		buf_add(out, rows.data, rows.len);
		if (l.n_smaller)
			buf_addf(out, "%28s%zu smaller: %.1f\n", "", l.n_smaller, (double)l.smaller_bytes / (double)MIB);
	}
	buf_release(&rows);
	table_release(&l.at);
	free(l.v);
}
