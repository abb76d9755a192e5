/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * V8's objects by constructor, read from outside without a stop: approximate, growth is what counts. Of the new generation
 * what the old one leads to; garbage of the old one counts until it is collected.
 */
#include "runtime/v8_census.h"

#include <errno.h>

#include "base/table.h"
#include "base/xalloc.h"

#define MOST_BACK 64 /* back pointers from a map to its constructor */

void v8_name_of_map(const struct v8_walk *w, const struct v8_map *m, struct buf *name)
{
	struct v8_function f = { .name = BUF_INIT, .script = BUF_INIT };
	uint64_t up = m->map;
	int i;

	if (m->type < w->l->first_nonstring) {
		buf_adds(name, "(string)");
		return;
	}
	if (m->type == w->l->type_fixed_array || m->type == w->l->type_property_array) {
		buf_adds(name, "(array)");
		return;
	}
	for (i = 0; i < MOST_BACK; i++) {
		up = runtime_word(w->p, up - 1 + (uint64_t)w->l->map_constructor);
		if (!v8_is_object(up) || !v8_walk_is_meta(w, runtime_word(w->p, up - 1)))
			break;
	}
	if (v8_is_object(up) && v8_function_read(w->p, w->l, runtime_word(w->p, up - 1 + (uint64_t)w->l->function_shared),
						 0xffff, &f))
		buf_add_plain(name, f.name.len ? f.name.data : "(anonymous)");
	else
		buf_adds(name, "(internal)");
	buf_release(&f.name);
	buf_release(&f.script);
}

static void count_part(void *ctx, const struct v8_part *part)
{
	(void)ctx;
	part->map->objects += !part->at;
	part->map->bytes += part->n * 8;
}

/* Maps of one constructor are one type. */
static void add_types(const struct v8_walk *w, struct runtime_census *out)
{
	struct intern names = INTERN_INIT;
	struct table at = TABLE_INIT; /* name -> row */
	size_t i;

	for (i = 0; i < w->n_maps; i++) {
		const struct v8_map *m = &w->maps[i];
		struct buf name = BUF_INIT;
		uint64_t *row;

		if (!m->objects)
			continue;
		v8_name_of_map(w, m, &name);
		row = table_put(&at, intern_id(&names, name.data), out->n);
		if (*row == out->n)
			runtime_census_add(out, name.data, 0, 0);
		out->v[*row].objects += m->objects;
		out->v[*row].bytes += m->bytes;
		buf_release(&name);
	}
	table_release(&at);
	intern_release(&names);
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
			w.maps[j].objects = w.maps[j].bytes = 0;
		v8_walk(&w, count_part, NULL, 0);
		out->is_partial = v8_pages_changed(&w.pages, w.p);
		if (!out->is_partial)
			break;
		err = v8_walk_refresh(&w);
	}
	if (!err)
		add_types(&w, out);
	v8_walk_close(&w);
	return err;
}
