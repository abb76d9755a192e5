/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * V8's objects by constructor, read from outside without a stop: approximate, growth is what counts. Of the new
 * generation what the old one leads to; garbage of the old one counts until it is collected.
 */
#include "runtime/v8_census.h"

#include <errno.h>

#include "base/table.h"
#include "base/xalloc.h"

#define MOST_BACK 64 /* back pointers from a map to its constructor */

/* What made objects of a map: where the maps that it came from end. 0: nothing that is an object. */
static uint64_t constructor_of(const struct v8_walk *w, const struct v8_map *m)
{
	uint64_t up = m->map;
	int i;

	for (i = 0; i < MOST_BACK; i++) {
		up = runtime_word(w->p, up - 1 + (uint64_t)w->l->map_constructor);
		if (!v8_is_object(up))
			return 0;
		if (!v8_walk_map(w, up))
			return up;
	}
	return 0;
}

/* Of what has no constructor that is asked for; NULL: it is. */
static const char *plain_name(const struct v8_walk *w, const struct v8_map *m)
{
	if (m->type < w->l->first_nonstring)
		return "(string)";
	if (m->type == w->l->type_fixed_array || m->type == w->l->type_property_array)
		return "(array)";
	return NULL;
}

static void add_constructor(const struct v8_walk *w, uint64_t constructor, struct buf *name)
{
	struct v8_function f = { .name = BUF_INIT, .script = BUF_INIT };

	if (constructor && v8_function_read(w->p, w->l, runtime_word(w->p, constructor - 1 + (uint64_t)w->l->function_shared), 0xffff, &f))
		buf_add_plain(name, f.name.len ? f.name.data : "(anonymous)");
	else
		buf_adds(name, "(internal)");
	buf_release(&f.name);
	buf_release(&f.script);
}

void v8_name_of_map(const struct v8_walk *w, const struct v8_map *m, struct buf *name)
{
	const char *plain = plain_name(w, m);

	if (plain)
		buf_adds(name, plain);
	else
		add_constructor(w, constructor_of(w, m), name);
}

static void count_part(void *ctx, const struct v8_part *part)
{
	(void)ctx;
	part->map->objects += !part->at;
	part->map->bytes += part->n * 8;
	if (part->is_young)
		return;
	part->map->old += !part->at;
	part->map->old_bytes += part->n * 8;
}

/* The rows of a census. */
struct rows {
	struct runtime_census *out;
	struct intern names;
	struct table by_name, by_constructor; /* -> row */
};

static size_t row_named(struct rows *r, const char *name)
{
	uint64_t *row = table_put(&r->by_name, intern_id(&r->names, name), r->out->n);

	if (*row == r->out->n)
		runtime_census_add(r->out, name, 0, 0);
	return *row;
}

/* Maps of one constructor are one type, and constructors of one name. */
static size_t row_of(struct rows *r, const struct v8_walk *w, const struct v8_map *m)
{
	const char *plain = plain_name(w, m);
	uint64_t constructor = plain ? 0 : constructor_of(w, m), *known;
	struct buf name = BUF_INIT;

	if (plain)
		return row_named(r, plain);
	known = table_get(&r->by_constructor, constructor);
	if (!known) {
		add_constructor(w, constructor, &name);
		known = table_put(&r->by_constructor, constructor, row_named(r, name.data));
		buf_release(&name);
	}
	return *known;
}

static void add_types(const struct v8_walk *w, struct runtime_census *out)
{
	struct rows rows = { .out = out };
	size_t i;

	for (i = 0; i < w->n_maps; i++) {
		const struct v8_map *m = &w->maps[i];
		struct runtime_type *t;
		size_t row;

		if (!m->objects)
			continue;
		row = row_of(&rows, w, m); /* it may move the rows */
		t = &out->v[row];
		t->objects += m->objects;
		t->bytes += m->bytes;
		t->old += m->old;
		t->old_bytes += m->old_bytes;
	}
	table_release(&rows.by_name);
	table_release(&rows.by_constructor);
	intern_release(&rows.names);
}

#define TRIES 3 /* until no scavenge falls into a walk */

int v8_census(struct runtime *r, const struct v8_layout *l, struct runtime_census *out)
{
	struct v8_walk w;
	int err = v8_walk_open(&w, &r->process, l), i;
	size_t j;

	if (err)
		return err;
	out->what = "objects by constructor, without the new generation's garbage";
	for (i = 0; !err && i < TRIES; i++) {
		for (j = 0; j < w.n_maps; j++)
			w.maps[j].objects = w.maps[j].bytes = w.maps[j].old = w.maps[j].old_bytes = 0;
		v8_walk(&w, count_part, NULL, 0);
		out->is_partial = v8_pages_changed(&w.pages, w.p);
		if (!out->is_partial)
			break;
		err = v8_walk_refresh(&w);
	}
	out->has_old = true;
	if (!err)
		add_types(&w, out);
	v8_walk_close(&w);
	return err;
}
