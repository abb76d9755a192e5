/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who holds V8's objects of one constructor: from a sample of them to what points at most of those, to what points at
 * that, and so on to a variable, one walk over the heap each. Approximate: the heap changes between the walks, and what
 * has several holders is told by the one that most of the sample has. Stacks, handles and native code are not looked
 * at.
 *
 *	RecordTable:  property 'table' of RenderContext < Map < variable 'openContexts' in /srv/mail/contexts.js
 */
#include "runtime/v8_chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/v8_census.h"
#include "runtime/v8_names.h"

#define SAMPLE 256
#define MOST_LEVELS 12
#define MOST_GROUPS 512
#define LENGTH_AT 8
#define ARRAY_DATA 16
#define CELL_NAME 8 /* PropertyCell: map, name, details, value (src/objects/property-cell.h) */

/* An object, and how much of the sample it leads to. */
struct keeper {
	uint64_t object; /* tagged */
	uint64_t at;	 /* offset of its slot */
	uint64_t weight;
};

/* Those that point at targets in the same way. */
struct group {
	struct v8_map *map;
	uint64_t at;		      /* offset of the slot; of arrays any */
	struct keeper keepers[SAMPLE]; /* as many as there is room for, the heaviest then */
	size_t n;
	uint64_t weight; /* of the targets that they point at */
};

struct chain {
	struct v8_walk walk;
	const char *type;
	uint64_t deadline_ns;
	struct table targets; /* tagged objects whose holders are looked for -> weight */
	struct table been;    /* all that ever were targets */
	struct table counted; /* hash of {group, target} */
	uint8_t near[1 << 13]; /* as in struct v8_walk, for targets */
	uint64_t sample[SAMPLE];
	size_t n_sample, n_seen;
	struct table passed; /* maps of what the chain has passed */
	struct table by_key; /* of a group -> index */
	struct group *groups;
	size_t n_groups, groups_cap;
	uint64_t array, array_at; /* the array that the chain came through last, and its slot; 0: none */
	struct buf *out;
	bool is_late; /* the deadline has passed */
};

/* ---- the sample ---- */

static size_t near_bit(uint64_t word)
{
	return (word >> V8_PAGE_SHIFT) & (sizeof(((struct chain *)0)->near) * 8 - 1);
}

static void add_target(struct chain *c, uint64_t object, uint64_t weight)
{
	*table_put(&c->targets, object, 0) = weight;
	*table_put(&c->been, object, 0) = 1;
	c->near[near_bit(object) >> 3] |= (uint8_t)(1 << (near_bit(object) & 7));
}

/* The maps of that constructor are marked in `objects`. */
static void mark_maps(struct chain *c)
{
	struct buf name = BUF_INIT;
	size_t i;

	for (i = 0; i < c->walk.n_maps; i++) {
		struct v8_map *m = &c->walk.maps[i];

		buf_reset(&name);
		v8_name_of_map(&c->walk, m, &name);
		m->objects = m->words && !strcmp(name.data, c->type);
		if (m->objects)
			*table_put(&c->passed, m->map, 0) = 1;
	}
	buf_release(&name);
}

/* Each object with the same chance. */
static void sample_part(void *ctx, const struct v8_part *part)
{
	struct chain *c = ctx;
	uint64_t at;

	if (part->at || !part->map->objects)
		return;
	at = c->n_seen++;
	if (at >= SAMPLE)
		at = hash_u64(at) % c->n_seen;
	if (at < SAMPLE)
		c->sample[at] = part->object + 1;
}

static bool take_sample(struct chain *c)
{
	size_t i;

	mark_maps(c);
	v8_walk(&c->walk, sample_part, c, c->deadline_ns);
	c->n_sample = c->n_seen < SAMPLE ? c->n_seen : SAMPLE;
	for (i = 0; i < c->n_sample; i++)
		add_target(c, c->sample[i], 1);
	return c->n_sample;
}

/* ---- who points at them ---- */

static bool is_array(const struct v8_layout *l, const struct v8_map *m)
{
	return (m->type >= l->type_fixed_array && m->type < l->type_byte_array) || m->type == l->type_property_array;
}

static bool is_context(const struct v8_layout *l, const struct v8_map *m)
{
	return m->type >= l->first_context && m->type <= l->last_context;
}

/* NULL: too many of them. */
static struct group *group_of(struct chain *c, struct v8_map *m, uint64_t at)
{
	uint64_t key = hash_u64(m->map ^ (is_array(c->walk.l, m) ? 0 : at << 48)), *known;

	if (c->n_groups >= MOST_GROUPS && !table_get(&c->by_key, key))
		return NULL;
	known = table_put(&c->by_key, key, c->n_groups);
	if (*known == c->n_groups) {
		XGROW(c->groups, c->n_groups, c->groups_cap);
		memset(&c->groups[c->n_groups], 0, sizeof(*c->groups));
		c->groups[c->n_groups].map = m;
		c->groups[c->n_groups++].at = at;
	}
	return &c->groups[*known];
}

/* Edges of one object come together. */
static void add_keeper(struct group *g, const struct keeper *k)
{
	size_t i;

	if (g->n && g->keepers[g->n - 1].object == k->object) {
		g->keepers[g->n - 1].weight += k->weight;
		return;
	}
	if (g->n < SAMPLE) {
		g->keepers[g->n++] = *k;
		return;
	}
	for (i = 0; i + 1 < SAMPLE && g->keepers[i].weight > g->keepers[SAMPLE - 1].weight; i++)
		;
	g->keepers[i] = g->keepers[SAMPLE - 1];
	g->keepers[SAMPLE - 1] = *k;
}

static void add_edge(struct chain *c, const struct v8_part *part, uint64_t at, uint64_t target, uint64_t weight)
{
	const struct keeper k = { .object = part->object + 1, .at = at, .weight = weight };
	struct group *g = table_get(&c->been, k.object) ? NULL : group_of(c, part->map, at);
	uint64_t key;

	if (!g)
		return;
	key = hash_u64(target ^ hash_u64((uint64_t)(g - c->groups)));
	if (!table_get(&c->counted, key)) {
		*table_put(&c->counted, key, 0) = 1;
		g->weight += weight;
	}
	add_keeper(g, &k);
}

static void edge_part(void *ctx, const struct v8_part *part)
{
	struct chain *c = ctx;
	size_t i;

	for (i = part->at ? 0 : 1; i < part->n; i++) {
		uint64_t word = part->words[i];
		const uint64_t *weight;

		if (!v8_is_object(word) || !(c->near[near_bit(word) >> 3] >> (near_bit(word) & 7) & 1))
			continue;
		weight = table_get(&c->targets, word);
		if (weight)
			add_edge(c, part, part->at + 8 * i, word, *weight);
	}
}

static void forget_groups(struct chain *c)
{
	table_release(&c->by_key);
	table_release(&c->counted);
	c->n_groups = 0;
}

#define TRIES 3 /* until no scavenge falls into a walk */

/* One walk over the heap: the groups of those that point at the targets. */
static void find_edges(struct chain *c)
{
	int i;

	for (i = 0; i < TRIES && !c->is_late; i++) {
		if (i && v8_walk_refresh(&c->walk))
			return;
		forget_groups(c);
		c->is_late = !v8_walk(&c->walk, edge_part, c, c->deadline_ns);
		if (!v8_pages_changed(&c->walk.pages, c->walk.p))
			return;
	}
}

/*
 * Of those with as much, variables come first, then objects of the language. Kinds of object that the chain has passed
 * come last: what leads out of a list or a tree is not its own nodes.
 */
static uint64_t score(const struct chain *c, const struct group *g)
{
	const struct v8_layout *l = c->walk.l;
	uint64_t rank;

	if (!g->n)
		return 0;
	if (is_context(l, g->map) || g->map->type == l->type_property_cell)
		rank = 3;
	else
		rank = g->map->type >= l->type_js_object ? 2 : is_array(l, g->map);
	return (g->weight * 4 + rank + 1) << (table_get(&c->passed, g->map->map) ? 0 : 32);
}

/* The heaviest comes first. */
static void put_heaviest_first(struct group *g)
{
	struct keeper first = g->keepers[0];
	size_t i, best = 0;

	for (i = 1; i < g->n; i++)
		if (g->keepers[i].weight > g->keepers[best].weight)
			best = i;
	g->keepers[0] = g->keepers[best];
	g->keepers[best] = first;
	g->at = g->keepers[0].at;
}

/* What points at most of the targets; NULL: nothing in the heap does. */
static struct group *find_holders(struct chain *c)
{
	struct group *best = NULL;
	uint64_t most = 0;
	size_t i;

	find_edges(c);
	if (c->is_late)
		return NULL;
	for (i = 0; i < c->n_groups; i++) {
		uint64_t s = score(c, &c->groups[i]);

		if (s > most) {
			most = s;
			best = &c->groups[i];
		}
	}
	if (best)
		put_heaviest_first(best);
	return best;
}

/* Their own holders are the next ones to be looked for. */
static void climb(struct chain *c, const struct group *g)
{
	size_t i;

	table_release(&c->targets);
	memset(c->near, 0, sizeof(c->near));
	for (i = 0; i < g->n; i++)
		add_target(c, g->keepers[i].object, g->keepers[i].weight);
	if (!is_array(c->walk.l, g->map))
		*table_put(&c->passed, g->map->map, 0) = 1;
}

/* ---- what they are called ---- */

static void add_class(const struct chain *c, const struct group *g, const char *article)
{
	buf_adds(c->out, article);
	v8_name_of_map(&c->walk, g->map, c->out);
}

/* Where the functions come from whose context this is. */
static void add_file(struct chain *c)
{
	const struct v8_layout *l = c->walk.l;
	struct v8_function f = { .name = BUF_INIT, .script = BUF_INIT };
	size_t i;

	find_edges(c);
	for (i = 0; i < c->n_groups && !f.script.len; i++) {
		const struct group *g = &c->groups[i];

		if (g->map->type == l->type_js_function && g->at == (uint64_t)l->function_context && g->n)
			v8_function_read(c->walk.p, l,
					 runtime_word(c->walk.p, g->keepers[0].object - 1 + (uint64_t)l->function_shared), 0xffff, &f);
	}
	if (f.script.len) {
		buf_adds(c->out, " in ");
		buf_add_plain(c->out, strncmp(f.script.data, "file://", 7) ? f.script.data : f.script.data + 7);
	}
	buf_release(&f.name);
	buf_release(&f.script);
}

static void add_variable(struct chain *c, const struct group *g)
{
	struct buf name = BUF_INIT;

	if (v8_variable_name(&c->walk, g->keepers[0].object, g->at, &name))
		buf_addf(c->out, "variable '%s'", name.data);
	else
		buf_adds(c->out, "a variable");
	buf_release(&name);
	add_file(c);
}

static bool add_collection(struct chain *c, const struct group *g)
{
	const struct v8_layout *l = c->walk.l;
	uint16_t type = g->map->type;

	if (type != l->type_js_map && type != l->type_js_set && type != l->type_js_weak_map && type != l->type_js_weak_set)
		return false;
	add_class(c, g, "");
	return true;
}

/* The property of an object that leads on; the array that came before may be where its properties are. */
static bool property_name(const struct chain *c, const struct group *g, struct buf *name)
{
	const struct v8_walk *w = &c->walk;
	uint64_t own = v8_own_fields(w, g->map), first = (g->map->words - own) * 8;
	struct v8_map *array;

	if (g->at >= first)
		return v8_field_name(w, g->map, (g->at - first) / 8, name);
	if (g->at != (uint64_t)w->l->object_properties || !c->array ||
	    runtime_word(w->p, g->keepers[0].object - 1 + g->at) != c->array)
		return false;
	array = v8_walk_map(w, runtime_word(w->p, c->array - 1));
	if (array && array->type == w->l->type_property_array)
		return v8_field_name(w, g->map, own + (c->array_at - ARRAY_DATA) / 8, name);
	/* a dictionary: name, value, details */
	return v8_text(w->p, w->l, runtime_word(w->p, c->array - 1 + c->array_at - 8), 0, 120, name);
}

/* False: the chain ends here. */
static bool add_object(struct chain *c, const struct group *g)
{
	uint64_t file = v8_own_property(&c->walk, g->map, g->keepers[0].object, "filename");
	struct buf name = BUF_INIT, class = BUF_INIT;
	bool is_module;

	v8_name_of_map(&c->walk, g->map, &class);
	is_module = !strcmp(class.data, "Module") && file;
	if (property_name(c, g, &name))
		buf_addf(c->out, "property '%s' of %s", name.data, class.data);
	else if (g->at == (uint64_t)c->walk.l->object_elements)
		buf_addf(c->out, strcmp(class.data, "Array") ? "elements of %s" : "%s", class.data);
	else
		buf_adds(c->out, class.data);
	if (is_module) {
		buf_addc(c->out, ' ');
		v8_text(c->walk.p, c->walk.l, file, 0, 512, c->out);
	}
	buf_release(&name);
	buf_release(&class);
	return !is_module;
}

/* One more link, innermost first. False: it is the last. */
static bool add_link(struct chain *c, struct group *g)
{
	const struct v8_layout *l = c->walk.l;
	struct group at = *g;
	bool more = true;

	climb(c, g);
	if (is_array(l, g->map)) {
		c->array = g->keepers[0].object;
		c->array_at = g->at;
		return true;
	}
	if (c->out->len)
		buf_adds(c->out, " < ");
	if (is_context(l, at.map)) {
		add_variable(c, &at);
		return false;
	}
	if (at.map->type == l->type_property_cell) {
		buf_adds(c->out, "global variable '");
		v8_text(c->walk.p, l, runtime_word(c->walk.p, at.keepers[0].object - 1 + CELL_NAME), 0, 120, c->out);
		buf_addc(c->out, '\'');
		return false;
	}
	if (!add_collection(c, &at)) {
		if (at.map->type >= l->type_js_object)
			more = add_object(c, &at);
		else
			add_class(c, &at, "");
	}
	c->array = 0;
	return more;
}

static void follow(struct chain *c)
{
	struct group *g;
	int i;

	for (i = 0; i < MOST_LEVELS; i++) {
		g = find_holders(c);
		if (!g && c->out->len)
			buf_adds(c->out, c->is_late ? " < (no time for more)" : " < nothing in the heap (a stack, a handle, native code)");
		if (!g || !add_link(c, g))
			return;
	}
	buf_adds(c->out, " < ...");
}

int v8_chain(struct runtime *r, const struct v8_layout *l, const char *type, uint64_t deadline_ns, struct buf *out)
{
	struct chain *c = xcalloc(1, sizeof(*c));
	struct buf text = BUF_INIT;
	int err = v8_walk_open(&c->walk, &r->process, l);

	c->type = type;
	c->deadline_ns = deadline_ns;
	c->out = &text;
	if (!err && take_sample(c))
		follow(c);
	if (!err && !text.len)
		err = c->is_late ? -ETIMEDOUT : -ENOENT;
	if (!err)
		buf_add_plain(out, text.data);
	buf_release(&text);
	forget_groups(c);
	table_release(&c->targets);
	table_release(&c->been);
	table_release(&c->passed);
	free(c->groups);
	v8_walk_close(&c->walk);
	free(c);
	return err;
}
