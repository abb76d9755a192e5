/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * From a profile to the tree of a flame graph; see flamegraph_internal.h. Pure.
 *
 * No trie is built: 100 000 stacks of 24 frames have two million nodes. The stacks are sorted by
 * their frames instead; a node is then a range of them, its size a difference of two prefix sums,
 * and its children begin where the number of frames shared with the stack before is its depth:
 *
 *	depth      0     1      2      shared
 *	stack 0   all  main    load       -
 *	stack 1   all  main    parse      2     node "main" = [0, 3), children at 0 and 1
 *	stack 2   all  main    parse get  3
 *	stack 3   all  worker             1
 *
 * Frames below a cut are not visited: their parent gets one remainder with what they hold. The cut
 * is 0 (every frame is kept) or the smallest of a fixed list for which the data fit the budget.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/flamegraph_internal.h"

/* Of a file of 3 MB the tree gets so much, the names so much, the first view the rest. */
#define MAX_NODES 100000
#define MAX_NAME_BYTES 800000
#define PLACE_BYTES 24 /* of a source file and line, about */
/* Frames of a stack above this are one note: the picture stays a picture, recursion bounded. */
#define MAX_DEPTH 512

struct path {
	uint32_t *keys; /* root first, without the root itself */
	uint32_t n;
	uint64_t bytes, blocks, grown;
};

struct child {
	uint32_t lo, hi;
	uint64_t value;
};

struct builder {
	struct flame *f;
	struct table key_ids; /* {name, module, kind} -> index in f->keys */
	size_t keys_cap;
	uint32_t *frame_keys; /* by frame of the profile; FLAME_NO_KEY: not seen yet */
	uint32_t deep_key;
	uint32_t *path_keys; /* of all paths, back to back */
	size_t n_path_keys;
	struct path *paths;
	size_t n_paths;
	uint32_t *shared; /* frames shared with the path before */
	uint64_t *bytes_before, *blocks_before, *grown_before; /* prefix sums, n_paths + 1 */
	uint64_t *totals; /* by text */
	struct child *children; /* a stack: those of all nodes on the way down */
	size_t n_children, children_cap;
	uint8_t *is_used; /* by text: in the kept tree */
	size_t name_bytes;
	bool over; /* the budget */
};

/* ---- keys: what is one frame ---- */

static uint32_t text_id(struct builder *b, const char *text, bool may_be_empty)
{
	struct buf clean = BUF_INIT;
	uint32_t id;

	if (*text || !may_be_empty)
		flame_add_clean(&clean, text);
	id = intern_id(&b->f->texts, clean.data);
	buf_release(&clean);
	return id;
}

static uint32_t key_id(struct builder *b, const struct flame_key *k)
{
	uint64_t h = hash_u64((uint64_t)k->name << 32 | k->module) + (uint64_t)k->kind;
	struct flame *f = b->f;
	uint64_t *at;

	while ((at = table_get(&b->key_ids, h))) {
		const struct flame_key *o = &f->keys[*at];

		if (o->name == k->name && o->module == k->module && o->kind == k->kind)
			return (uint32_t)*at;
		h++;
	}
	XGROW(f->keys, f->n_keys, b->keys_cap);
	f->keys[f->n_keys] = *k;
	table_put(&b->key_ids, h, f->n_keys);
	return (uint32_t)f->n_keys++;
}

/* The key has one more frame: its place is what they have in common. */
static void add_place(struct builder *b, struct flame_key *k, const struct profile_frame *pf)
{
	uint32_t none = text_id(b, "", true), file = text_id(b, profile_str(b->f->profile, pf->file), true);

	k->is_inlined = k->is_inlined && pf->inlined;
	if (file == none || k->is_mixed)
		return;
	if (k->file == none) {
		k->file = file;
		k->line = pf->line;
	} else if (k->file != file) {
		k->file = none;
		k->is_mixed = true;
		k->line = 0;
	} else if (k->line != pf->line) {
		k->line = 0;
	}
}

static uint32_t frame_key(struct builder *b, uint32_t frame)
{
	const struct profile *p = b->f->profile;
	const struct profile_frame *pf = &p->frames[frame];
	struct flame_key k = { .is_inlined = true };

	if (b->frame_keys[frame] != FLAME_NO_KEY)
		return b->frame_keys[frame];
	k.name = text_id(b, profile_str(p, pf->name), false);
	k.module = text_id(b, profile_str(p, pf->module), true);
	k.kind = flame_kind_of(pf, profile_str(p, pf->module));
	k.file = text_id(b, "", true);
	b->frame_keys[frame] = key_id(b, &k);
	add_place(b, &b->f->keys[b->frame_keys[frame]], pf);
	return b->frame_keys[frame];
}

static uint32_t note_key(struct builder *b, const char *text, enum flame_kind kind)
{
	uint32_t none = text_id(b, "", true);
	struct flame_key k = { .name = text_id(b, text, false), .module = none, .kind = kind, .file = none };

	return key_id(b, &k);
}

static uint32_t process_key(struct builder *b, const struct profile_proc *proc)
{
	struct buf name = BUF_INIT;
	uint32_t key;

	flame_add_clean(&name, profile_str(b->f->profile, proc->comm));
	if (proc->tgid)
		buf_addf(&name, "-%d", proc->tgid);
	key = note_key(b, name.data, FLAME_PROCESS);
	buf_release(&name);
	return key;
}

/* Keys in order of their text, so that equal profiles make equal files; ranks: old index -> new. */
static int by_text(const void *x, const void *y, void *ctx)
{
	const struct flame *f = ctx;
	const struct flame_key *a = &f->keys[*(const uint32_t *)x], *b = &f->keys[*(const uint32_t *)y];
	int c = strcmp(intern_str(&f->texts, a->name), intern_str(&f->texts, b->name));

	if (!c)
		c = strcmp(intern_str(&f->texts, a->module), intern_str(&f->texts, b->module));
	return c ? c : (int)a->kind - (int)b->kind;
}

static void sort_keys(struct builder *b)
{
	struct flame *f = b->f;
	uint32_t *order = xcalloc(f->n_keys, sizeof(*order));
	uint32_t *rank = xcalloc(f->n_keys, sizeof(*rank));
	struct flame_key *sorted = xcalloc(f->n_keys, sizeof(*sorted));
	size_t i;

	for (i = 0; i < f->n_keys; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, f->n_keys, sizeof(*order), by_text, f);
	for (i = 0; i < f->n_keys; i++) {
		rank[order[i]] = (uint32_t)i;
		sorted[i] = f->keys[order[i]];
	}
	for (i = 0; i < b->n_path_keys; i++)
		b->path_keys[i] = rank[b->path_keys[i]];
	free(f->keys);
	f->keys = sorted;
	free(order);
	free(rank);
}

/* ---- paths: stacks, root first, sorted ---- */

static void set_change(struct path *path, int64_t change)
{
	path->bytes = path->blocks = change < 0 ? -(uint64_t)change : (uint64_t)change;
	path->grown = change > 0 ? (uint64_t)change : 0;
}

static int64_t change_of(const struct path *path)
{
	return (int64_t)(2 * path->grown - path->bytes);
}

/* Is the stack part of the picture, above --min-bytes? hidden: what is not drawn when it is not. */
static bool is_large(const struct flame *f, const struct profile_stack *s, uint64_t min_bytes, uint64_t *hidden)
{
	int64_t change;

	*hidden = s->live_bytes;
	if (!f->diff)
		return s->live_bytes >= min_bytes;
	change = diff_change(f->diff, (size_t)(s - f->profile->stacks), f->metric);
	*hidden = change < 0 ? -(uint64_t)change : (uint64_t)change;
	return *hidden >= min_bytes;
}

static bool has_value(const struct flame *f, const struct profile_stack *s)
{
	return f->diff ? diff_change(f->diff, (size_t)(s - f->profile->stacks), f->metric) != 0 :
			 stack_metric(s, f->metric) != 0;
}

static void add_path(struct builder *b, const struct profile_stack *s, const uint32_t *process_keys)
{
	const struct profile *p = b->f->profile;
	bool allocated = b->f->metric == METRIC_ALLOC_BYTES || b->f->metric == METRIC_ALLOC_BLOCKS;
	struct buf mark = BUF_INIT;
	struct path *path = &b->paths[b->n_paths++];
	uint32_t i;

	path->keys = &b->path_keys[b->n_path_keys];
	path->keys[path->n++] = process_keys[s->proc];
	if (*stack_mark(p, s, &mark))
		path->keys[path->n++] = note_key(b, mark.data, FLAME_NOTE);
	buf_release(&mark);
	for (i = s->n_frames; i-- > 0 && path->n < MAX_DEPTH;)
		path->keys[path->n++] = frame_key(b, p->stack_frames[s->first_frame + i]);
	if (i != UINT32_MAX) {
		if (b->deep_key == FLAME_NO_KEY)
			b->deep_key = note_key(b, "[deeper frames not drawn]", FLAME_NOTE);
		path->keys[path->n - 1] = b->deep_key;
	}
	if (b->f->diff) {
		int64_t change = diff_change(b->f->diff, (size_t)(s - p->stacks), b->f->metric);

		set_change(path, change);
	} else {
		path->bytes = allocated ? s->t.alloc_bytes : s->live_bytes;
		path->blocks = allocated ? s->t.alloc_blocks : s->live_blocks;
	}
	b->n_path_keys += path->n;
}

static void add_paths(struct builder *b, uint64_t min_bytes)
{
	const struct profile *p = b->f->profile;
	uint32_t *process_keys = xcalloc(p->n_procs, sizeof(*process_keys));
	size_t i;

	b->path_keys = xcalloc(p->n_stack_frames + 2 * p->n_stacks, sizeof(*b->path_keys));
	b->paths = xcalloc(p->n_stacks, sizeof(*b->paths));
	for (i = 0; i < p->n_procs; i++)
		process_keys[i] = process_key(b, &p->procs[i]);
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		uint64_t hidden;

		if (!has_value(b->f, s))
			continue;
		if (is_large(b->f, s, min_bytes, &hidden)) {
			add_path(b, s, process_keys);
			continue;
		}
		b->f->n_hidden++;
		b->f->hidden_bytes += hidden;
	}
	free(process_keys);
}

static uint32_t n_shared(const struct path *a, const struct path *b)
{
	uint32_t n = a->n < b->n ? a->n : b->n, i;

	for (i = 0; i < n && a->keys[i] == b->keys[i]; i++)
		;
	return i;
}

static int by_keys(const void *x, const void *y)
{
	const struct path *a = x, *b = y;
	uint32_t i = n_shared(a, b);

	if (i == a->n || i == b->n)
		return a->n < b->n ? -1 : a->n > b->n;
	return a->keys[i] < b->keys[i] ? -1 : 1;
}

/* Sorts the paths, makes equal ones one, fills what the tree is read from. */
static void sort_paths(struct builder *b)
{
	size_t i, n = 0;

	qsort(b->paths, b->n_paths, sizeof(*b->paths), by_keys);
	b->shared = xcalloc(b->n_paths, sizeof(*b->shared));
	for (i = 0; i < b->n_paths; i++) {
		struct path *path = &b->paths[i];
		uint32_t same = n ? n_shared(&b->paths[n - 1], path) : 0;

		if (n && same == path->n && same == b->paths[n - 1].n) {
			if (b->f->diff) {
				set_change(&b->paths[n - 1], change_of(&b->paths[n - 1]) + change_of(path));
				continue;
			}
			b->paths[n - 1].bytes += path->bytes;
			b->paths[n - 1].blocks += path->blocks;
			continue;
		}
		b->shared[n] = same;
		b->paths[n++] = *path;
	}
	b->n_paths = n;
	b->bytes_before = xcalloc(n + 1, sizeof(*b->bytes_before));
	b->blocks_before = xcalloc(n + 1, sizeof(*b->blocks_before));
	b->grown_before = xcalloc(n + 1, sizeof(*b->grown_before));
	for (i = 0; i < n; i++) {
		b->bytes_before[i + 1] = b->bytes_before[i] + b->paths[i].bytes;
		b->blocks_before[i + 1] = b->blocks_before[i] + b->paths[i].blocks;
		b->grown_before[i + 1] = b->grown_before[i] + b->paths[i].grown;
	}
}

/* Each name counts once in a stack, however often it is there. */
static void sum_names(struct builder *b)
{
	const struct flame *f = b->f;
	size_t *seen_in = xcalloc(f->texts.n, sizeof(*seen_in)), i;
	uint32_t k;

	b->totals = xcalloc(f->texts.n, sizeof(*b->totals));
	for (i = 0; i < b->n_paths; i++) {
		const struct path *path = &b->paths[i];

		for (k = 0; k < path->n; k++) {
			uint32_t name = f->keys[path->keys[k]].name;

			if (seen_in[name] == i + 1)
				continue;
			seen_in[name] = i + 1;
			b->totals[name] += flame_by_blocks(f) ? path->blocks : path->bytes;
		}
	}
	free(seen_in);
}

/* ---- the kept tree ---- */

static uint64_t range_value(const struct builder *b, uint32_t lo, uint32_t hi)
{
	const uint64_t *before = flame_by_blocks(b->f) ? b->blocks_before : b->bytes_before;

	return before[hi] - before[lo];
}

static uint32_t add_node(struct builder *b, uint32_t key, uint32_t depth)
{
	struct flame *f = b->f;

	XGROW(f->nodes, f->n_nodes, f->nodes_cap);
	f->nodes[f->n_nodes] = (struct flame_node){ .key = key, .depth = depth };
	return (uint32_t)f->n_nodes++;
}

static void add_range(const struct builder *b, struct flame_node *n, uint32_t lo, uint32_t hi)
{
	n->bytes += b->bytes_before[hi] - b->bytes_before[lo];
	n->blocks += b->blocks_before[hi] - b->blocks_before[lo];
	n->grown += b->grown_before[hi] - b->grown_before[lo];
	n->stacks += hi - lo;
}

static void use_name(struct builder *b, uint32_t key)
{
	uint32_t name = b->f->keys[key].name;

	if (b->is_used[name])
		return;
	b->is_used[name] = 1;
	b->name_bytes += strlen(intern_str(&b->f->texts, name));
	if (*intern_str(&b->f->texts, b->f->keys[key].file))
		b->name_bytes += PLACE_BYTES;
}

static int by_size(const void *x, const void *y)
{
	const struct child *a = x, *b = y;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return a->lo < b->lo ? -1 : 1; /* that is by text */
}

/* Pushes the children of the node [lo, hi) whose frames are `depth` deep, largest first. */
static void push_children(struct builder *b, uint32_t lo, uint32_t hi, uint32_t depth)
{
	size_t base = b->n_children, i;
	uint32_t at;

	if (b->paths[lo].n == depth)
		lo++; /* the stack that ends here */
	for (at = lo; at < hi; at++) {
		if (at != lo && b->shared[at] != depth)
			continue;
		XGROW(b->children, b->n_children, b->children_cap);
		b->children[b->n_children++] = (struct child){ .lo = at };
	}
	for (i = base; i < b->n_children; i++) {
		struct child *c = &b->children[i];

		c->hi = i + 1 < b->n_children ? b->children[i + 1].lo : hi;
		c->value = range_value(b, c->lo, c->hi);
	}
	if (b->n_children > base + 1)
		qsort(b->children + base, b->n_children - base, sizeof(*b->children), by_size);
}

static void keep(struct builder *b, uint32_t key, uint32_t lo, uint32_t hi, uint32_t depth)
{
	uint32_t at = add_node(b, key, depth), rest;
	struct flame *f = b->f;
	size_t base, i;

	add_range(b, &f->nodes[at], lo, hi);
	use_name(b, key);
	b->over = b->over || f->n_nodes > MAX_NODES || b->name_bytes > MAX_NAME_BYTES;
	base = b->n_children;
	push_children(b, lo, hi, depth);
	for (i = base; i < b->n_children && b->children[i].value >= f->cut && !b->over; i++) {
		struct child c = b->children[i];

		keep(b, b->paths[c.lo].keys[depth], c.lo, c.hi, depth + 1);
	}
	if (i < b->n_children && !b->over) {
		rest = add_node(b, FLAME_NO_KEY, depth + 1);
		for (; i < b->n_children; i++)
			add_range(b, &f->nodes[rest], b->children[i].lo, b->children[i].hi);
		f->nodes[rest].end = (uint32_t)f->n_nodes;
	}
	b->n_children = base;
	f->nodes[at].end = (uint32_t)f->n_nodes;
}

static void keep_what_fits(struct builder *b, uint32_t root_key)
{
	/* parts of a million; the last one always fits: one frame in each of MAX_DEPTH rows */
	static const uint32_t cuts[] = { 0,    10,   20,    50,    100,	   200,	  500,
					 1000, 5000, 20000, 50000, 100000, 200000, 510000 };
	uint64_t total = range_value(b, 0, (uint32_t)b->n_paths);
	struct flame *f = b->f;
	size_t i;

	b->is_used = xcalloc(f->texts.n, 1);
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		memset(b->is_used, 0, f->texts.n);
		b->name_bytes = 0;
		b->over = false;
		f->n_nodes = 0;
		f->cut = (uint64_t)((double)total * cuts[i] / 1e6);
		keep(b, root_key, 0, (uint32_t)b->n_paths, 0);
		if (!b->over)
			return;
	}
}

static int by_total(const void *x, const void *y, void *ctx)
{
	const struct flame_name *a = x, *b = y;
	const struct flame *f = ctx;

	if (a->total != b->total)
		return a->total > b->total ? -1 : 1;
	return strcmp(intern_str(&f->texts, a->text), intern_str(&f->texts, b->text));
}

/* The names of the kept tree, and the largest others that fit. */
static void choose_names(struct builder *b)
{
	struct flame *f = b->f;
	size_t i, n = 0, bytes = b->name_bytes;

	f->names = xcalloc(f->texts.n, sizeof(*f->names));
	for (i = 0; i < f->texts.n; i++)
		if (b->totals[i])
			f->names[n++] = (struct flame_name){ (uint32_t)i, b->totals[i] };
	qsort_r(f->names, n, sizeof(*f->names), by_total, f);
	for (i = 0; i < n; i++) {
		size_t len = strlen(intern_str(&f->texts, f->names[i].text));

		if (!b->is_used[f->names[i].text]) {
			if (bytes + len > MAX_NAME_BYTES) {
				f->n_names_left_out++;
				continue;
			}
			bytes += len;
		}
		f->names[f->n_names++] = f->names[i];
	}
}

static void release_builder(struct builder *b)
{
	table_release(&b->key_ids);
	free(b->frame_keys);
	free(b->path_keys);
	free(b->paths);
	free(b->shared);
	free(b->bytes_before);
	free(b->blocks_before);
	free(b->grown_before);
	free(b->totals);
	free(b->children);
	free(b->is_used);
}

static void build(struct flame *f, const struct render_opts *o)
{
	const struct profile *p = f->profile;
	struct builder b = { .f = f, .deep_key = FLAME_NO_KEY };
	uint32_t root_text;
	size_t i;

	b.frame_keys = xcalloc(p->n_frames, sizeof(*b.frame_keys));
	memset(b.frame_keys, 0xff, p->n_frames * sizeof(*b.frame_keys));
	add_paths(&b, o->min_bytes);
	if (b.n_paths) {
		root_text = text_id(&b, "all", false);
		note_key(&b, "all", FLAME_ALL);
		sort_keys(&b);
		sort_paths(&b);
		if (!range_value(&b, 0, (uint32_t)b.n_paths)) { /* what went up came down, in stacks that read the same */
			release_builder(&b);
			return;
		}
		sum_names(&b);
		for (i = 0; f->keys[i].kind != FLAME_ALL || f->keys[i].name != root_text; i++)
			;
		keep_what_fits(&b, (uint32_t)i);
		choose_names(&b);
	}
	release_builder(&b);
}

void flame_build(struct flame *f, const struct profile *p, const struct render_opts *o)
{
	*f = (struct flame){ .profile = p, .metric = o->metric };
	build(f, o);
}

void flame_build_diff(struct flame *f, const struct diff *d, const struct render_opts *o)
{
	*f = (struct flame){ .profile = &d->profile, .diff = d, .metric = o->metric };
	build(f, o);
}

void flame_release(struct flame *f)
{
	intern_release(&f->texts);
	free(f->keys);
	free(f->names);
	free(f->nodes);
	*f = (struct flame){ 0 };
}
