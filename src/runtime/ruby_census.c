/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ruby's objects by class: its heap pages, 16 or 64 KiB each at a multiple of that, found in the anonymous mappings by
 * their header, read without touching what is not in memory. Bytes are slots, and what strings and arrays have
 * allocated beyond. Objects that died since the last collection are still there, and counted.
 *
 * Counted apart are those that were old at the census before, are the same now, and that a full collection since has
 * left. Old ones are those that the page's bitmap says to be uncollectable by a minor collection; a full one begins it
 * anew, and while it marks the bitmap is not complete. What is old has outlived three minor ones only: of the garbage
 * of requests a good deal is, and in the slots of what was collected there may be some again. An object whose first
 * words have changed is not known again. Of those that are, it is known at which census they were old first.
 *
 *	page { struct heap_page * } ... slots      heap_page { s16 slot_size (not in 2.7), total, free ... start ... bitmaps }
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"
#include "runtime/ruby.h"

#define PAGE_BYTES 65536u /* at most; gc.c: HEAP_PAGE_ALIGN_LOG 14, from 3.2 on 16 */
/* Words of struct heap_page before its bitmaps, at most: a bit for each 40 bytes; the third one is uncollectible_bits. */
#define HEAP_PAGE_BITMAPS 8
#define HEAP_PAGE_WORDS (HEAP_PAGE_BITMAPS + 3 * 26)
#define BASE_SLOT 40u
#define SINGLETON (1u << 12) /* FL_USER0 of a class */
#define NOEMBED (1u << 13)   /* FL_USER1 of a string; of an array EMBED */
#define SHARED (1u << 14)    /* FL_USER2: another's text; of an array FL_USER2 and 3 count, so only where it is not embedded */
#define MOST_IVARS 64u
#define MOST_SUPERS 64
#define MOST_LOOKS UINT8_MAX
#define MOST_LOOKED_THROUGH ((uint64_t)4 << 30) /* bytes of mappings, for pages alone */

struct rb_count {
	uint64_t objects, bytes, old, old_bytes;
	uint32_t *since; /* by number of the look that saw them first; NULL: none is old */
	char *name;
};

struct rb_walk {
	struct runtime *r;
	const struct ruby_layout *layout;
	struct table by_class; /* class, or type of what has none -> index in v */
	struct rb_count *v;
	size_t n, cap;
	bool has_paths;	    /* the names of classes are where they should be: */
	uint64_t classpath; /* the id under which a class keeps it, where it is a variable */
	uint64_t free_slots, free_bytes;
	const struct ruby_old *before;
	struct ruby_old now;
	uint8_t page[PAGE_BYTES];
};

/* ---- names of classes ---- */

/*
 * Instance variables of a class: struct st_table {..., entries_start +32, entries_bound, entries}, of {hash, key,
 * record}.
 */
static uint64_t class_variable(const struct runtime_process *p, uint64_t class, uint64_t id,
			       bool (*is_it)(const struct runtime_process *p, const struct ruby_layout *l, uint64_t value),
			       const struct ruby_layout *l, uint64_t *found_id)
{
	uint64_t extension = runtime_word(p, class + 24), head[7], entries[3 * MOST_IVARS], i, n;
	uint64_t table = extension ? runtime_word(p, extension + 8) : 0;

	if (!table || table & 7 || !runtime_read(p, table, head, sizeof(head)) || head[4] > head[5])
		return 0;
	n = head[5] - head[4] < MOST_IVARS ? head[5] - head[4] : MOST_IVARS;
	if (!n || !runtime_read(p, head[6] + 24 * head[4], entries, n * 24))
		return 0;
	for (i = 0; i < n; i++) {
		if (is_it ? !is_it(p, l, entries[3 * i + 2]) : entries[3 * i + 1] != id)
			continue;
		if (found_id)
			*found_id = entries[3 * i + 1];
		return entries[3 * i + 2];
	}
	return 0;
}

static bool is_text_string(const struct runtime_process *p, const struct ruby_layout *l, uint64_t value)
{
	struct buf b = BUF_INIT;
	bool is = ruby_text(p, l, value, 16, &b) && !strcmp(b.data, "String");

	buf_release(&b);
	return is;
}

/* The class of strings is called "String": so it is seen where classes keep their names, or that they do. */
static void learn_classpath(struct rb_walk *w)
{
	const struct runtime_process *p = &w->r->process;
	const struct ruby *ruby = w->r->state;
	uint64_t class = ruby->string_class ? runtime_word(p, ruby->string_class) : 0;

	if (class && w->layout->class_path)
		w->has_paths = is_text_string(p, w->layout, runtime_word(p, class + w->layout->class_path));
	else if (class)
		w->has_paths = class_variable(p, class, 0, is_text_string, w->layout, &w->classpath);
}

static uint64_t class_path(const struct rb_walk *w, uint64_t class)
{
	if (w->layout->class_path)
		return runtime_word(&w->r->process, class + w->layout->class_path);
	return class_variable(&w->r->process, class, w->classpath, NULL, w->layout, NULL);
}

static bool is_path(const char *s)
{
	if (!isupper((unsigned char)*s) && !(*s & 0x80))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != ':' && !(*s & 0x80))
			return false;
	return true;
}

/* The name of an object's class: not of its singleton, nor of an included module's stand-in. */
static bool class_name(struct rb_walk *w, uint64_t class, struct buf *out)
{
	const struct runtime_process *p = &w->r->process;
	uint64_t flags = ruby_flags(p, class);
	int i;

	for (i = 0; i < MOST_SUPERS; i++) {
		unsigned int type = flags & 0x1f;

		if (type != RUBY_CLASS && type != RUBY_ICLASS)
			return false;
		if (type == RUBY_CLASS && !(flags & SINGLETON))
			break;
		class = runtime_word(p, class + 16);
		flags = ruby_flags(p, class);
	}
	return w->has_paths && ruby_text(p, w->layout, class_path(w, class), 200, out) && is_path(out->data);
}

static const char *type_name(unsigned int type)
{
	static const char *const names[32] = {
		[1] = "T_OBJECT", [2] = "Class", [3] = "Module", [4] = "Float", [5] = "T_STRING", [6] = "T_REGEXP",
		[7] = "T_ARRAY", [8] = "T_HASH", [9] = "T_STRUCT", [10] = "T_BIGNUM", [11] = "T_FILE", [12] = "T_DATA",
		[13] = "T_MATCH", [14] = "T_COMPLEX", [15] = "T_RATIONAL", [20] = "T_SYMBOL", [26] = "T_IMEMO (internal)",
		[27] = "T_NODE (internal)", [28] = "T_ICLASS (internal)", [29] = "T_ZOMBIE (internal)",
		[30] = "T_MOVED (internal)",
	};

	return names[type & 31];
}

/* ---- pages ---- */

static struct rb_count *count_of(struct rb_walk *w, unsigned int type, uint64_t class)
{
	bool by_type = type == RUBY_CLASS || type == RUBY_MODULE || type >= RUBY_IMEMO || !class;
	uint64_t key = by_type ? type : class, *known = table_get(&w->by_class, key);
	struct buf name = BUF_INIT;

	if (known)
		return &w->v[*known];
	if (by_type || !class_name(w, class, &name)) {
		buf_reset(&name);
		buf_adds(&name, type_name(type));
	}
	XGROW(w->v, w->n, w->cap);
	w->v[w->n] = (struct rb_count){ .name = buf_detach(&name) };
	*table_put(&w->by_class, key, 0) = w->n;
	return &w->v[w->n++];
}

/*
 * What it has allocated beside its slot: words 2 and 3 of a string are length and text, 4 its room; of an array 3 its
 * room.
 */
static uint64_t bytes_beside(const uint64_t *slot)
{
	uint64_t room = 0;

	if ((slot[0] & 0x1f) == RUBY_STRING && slot[0] & NOEMBED && !(slot[0] & SHARED))
		room = slot[4] + 1;
	else if ((slot[0] & 0x1f) == RUBY_ARRAY && !(slot[0] & (NOEMBED | SHARED)))
		room = slot[3] * 8;
	return room < 1ULL << 40 ? room : 0;
}

void ruby_old_release(struct ruby_old *old)
{
	free(old->slots);
	table_release(&old->of_page);
	*old = (struct ruby_old){ 0 };
}

/* A page of this census, with what was there at the one before. */
struct rb_page {
	uint32_t start, slot_bytes, n;
	const uint64_t *uncollectable;	    /* bitmap */
	const struct ruby_slot *before;	    /* of each 40 bytes; NULL: it was not there */
	struct ruby_slot *now;
};

static void find_old(struct rb_walk *w, uint64_t at, struct rb_page *page)
{
	const uint64_t *before = table_get(&w->before->of_page, at);
	struct ruby_old *now = &w->now;

	page->before = before ? w->before->slots + *before * now->page_slots : NULL;
	if (now->n == now->cap) {
		now->cap = now->cap ? 2 * now->cap : 64;
		now->slots = xrealloc(now->slots, now->cap * now->page_slots * sizeof(*now->slots));
	}
	page->now = now->slots + now->n * now->page_slots;
	memset(page->now, 0, now->page_slots * sizeof(*page->now));
	*table_put(&now->of_page, at, 0) = now->n++;
}

/* Notes what is old; number of the look that saw it first, 0: this one, or it is not old. */
static uint8_t old_since(const struct rb_walk *w, const struct rb_page *page, uint32_t offset, const uint64_t *slot)
{
	uint32_t i = offset / BASE_SLOT;
	uint8_t is;

	if ((slot[0] & w->layout->is_old) != w->layout->is_old || i >= w->now.page_slots || !(page->uncollectable[i / 64] >> i % 64 & 1))
		return 0;
	is = (uint8_t)(1 + hash_bytes(slot + 1, 3 * sizeof(*slot)) % 255);
	page->now[i] = (struct ruby_slot){ is, w->now.look };
	if (!page->before || page->before[i].is != is)
		return 0;
	page->now[i].since = page->before[i].since;
	return page->now[i].since;
}

static void count_slots(struct rb_walk *w, const struct rb_page *page)
{
	uint64_t slot[5], bytes;
	struct rb_count *c;
	uint8_t since;
	uint32_t i;

	for (i = 0; i < page->n && page->start + (i + 1) * page->slot_bytes <= w->layout->page_bytes; i++) {
		uint32_t offset = page->start + i * page->slot_bytes;
		unsigned int type;

		memcpy(slot, w->page + offset, sizeof(slot));
		type = slot[0] & 0x1f;
		if (!type || !type_name(type)) {
			w->free_slots += !type;
			w->free_bytes += type ? 0 : page->slot_bytes;
			continue;
		}
		c = count_of(w, type, slot[1]);
		bytes = page->slot_bytes + bytes_beside(slot);
		c->objects++;
		c->bytes += bytes;
		since = old_since(w, page, offset, slot);
		if (!since)
			continue;
		c->old++;
		c->old_bytes += bytes;
		if (!c->since)
			c->since = xcalloc(MOST_LOOKS + 1, sizeof(*c->since));
		c->since[since]++;
	}
}

bool ruby_is_slot(const struct ruby_layout *l, uint32_t bytes)
{
	uint32_t slot;

	for (slot = BASE_SLOT; slot < bytes; slot *= 2)
		;
	return slot == bytes && bytes <= l->most_slot;
}

bool ruby_page_slots(const struct ruby_layout *l, uint64_t word, uint32_t *slot_bytes, uint32_t *n)
{
	*slot_bytes = l->has_one_slot_size ? BASE_SLOT : (uint16_t)word;
	*n = (uint16_t)(l->has_one_slot_size ? word : word >> 16);
	return ruby_is_slot(l, *slot_bytes) && *n && *n * *slot_bytes <= l->page_bytes;
}

/* A heap page at that address? v: its struct heap_page, with so many words of bitmaps. */
static bool read_page(const struct runtime_process *p, const struct ruby_layout *l, uint64_t at, uint64_t *v, uint32_t bitmaps)
{
	uint64_t head, start;
	uint32_t slot, total;

	if (!runtime_read_resident(p, at, &head, sizeof(head)) || !head || head & 7 || head >> 47 ||
	    !runtime_read_resident(p, head, v, (HEAP_PAGE_BITMAPS + bitmaps) * sizeof(*v)))
		return false;
	start = v[l->page_start] - at;
	return ruby_page_slots(l, v[0], &slot, &total) && start >= 8 && start <= 8 + (uint64_t)slot;
}

static bool walk_page(struct rb_walk *w, uint64_t at)
{
	const struct runtime_process *p = &w->r->process;
	const struct ruby_layout *l = w->layout;
	uint64_t v[HEAP_PAGE_WORDS];
	struct rb_page page;

	if (!read_page(p, l, at, v, 3 * l->bitmap_words) || !runtime_read(p, at, w->page, l->page_bytes))
		return false;
	page = (struct rb_page){ .start = (uint32_t)(v[l->page_start] - at), .uncollectable = v + l->page_bitmaps + (size_t)2 * l->bitmap_words };
	ruby_page_slots(l, v[0], &page.slot_bytes, &page.n);
	find_old(w, at, &page);
	count_slots(w, &page);
	return true;
}

static bool may_hold_pages(const struct proc_map *m)
{
	return m->read && m->write && !m->shared && !m->ino && strncmp(m->path, "[stack", 6);
}

/*
 * What was old now is what the next census asks for; a bitmap of the midst of a collection is none. has_old: it was
 * asked, and tells.
 */
static void keep_old(struct rb_walk *w, bool is_marked, struct runtime_census *out)
{
	struct ruby *ruby = w->r->state;
	uint64_t full;

	if (!is_marked || !ruby_is_marked(w->r, &full) || full != w->now.full || (ruby->old.is_there && ruby->old.full == full)) {
		ruby_old_release(&w->now);
		return;
	}
	out->has_old = ruby->old.is_there;
	out->look = w->now.look < MOST_LOOKS ? w->now.look : 0; /* then it is not told any more which is which */
	ruby_old_release(&ruby->old);
	ruby->old = w->now;
	ruby->old.is_there = true;
}

int ruby_census(struct runtime *r, struct runtime_census *out)
{
	struct rb_walk *w = xcalloc(1, sizeof(*w));
	bool is_marked = ruby_is_marked(r, &w->now.full);
	uint64_t at, pages = 0, page_bytes = ((struct ruby *)r->state)->layout.page_bytes;
	size_t i;

	w->r = r;
	w->before = &((struct ruby *)r->state)->old;
	w->layout = &((struct ruby *)r->state)->layout;
	w->now.page_slots = w->layout->page_bytes / BASE_SLOT;
	w->now.look = w->before->look < MOST_LOOKS ? w->before->look + 1 : MOST_LOOKS;
	out->what = "objects in the heap's slots, dead ones that were not yet swept among them";
	runtime_process_refresh(&r->process);
	learn_classpath(w);
	for (i = 0; i < r->process.maps.n; i++) {
		const struct proc_map *m = &r->process.maps.v[i];

		if (!may_hold_pages(m))
			continue;
		at = (m->start + page_bytes - 1) / page_bytes * page_bytes;
		for (; at + page_bytes <= m->end; at += page_bytes)
			pages += walk_page(w, at);
	}
	for (i = 0; i < w->n; i++) {
		runtime_census_add(out, w->v[i].name, w->v[i].objects, w->v[i].bytes);
		runtime_census_set_old(out, w->v[i].old, w->v[i].old_bytes, w->v[i].since);
		free(w->v[i].name);
	}
	keep_old(w, is_marked, out);
	if (w->free_slots)
		runtime_census_add(out, "[free slots]", w->free_slots, w->free_bytes);
	free(w->v);
	table_release(&w->by_class);
	free(w);
	return pages ? 0 : -ESTALE;
}

/* Those that lie in malloc's heap are in its rows. */
static bool is_of_ruby_alone(const struct proc_map *m)
{
	return may_hold_pages(m) && m->path[0] != '[';
}

int ruby_pages(struct runtime *r, struct runtime_ranges *out)
{
	const struct ruby_layout *l = &((struct ruby *)r->state)->layout;
	int err = runtime_process_refresh(&r->process);
	uint64_t v[HEAP_PAGE_BITMAPS], bytes = 0, at;
	size_t i;

	if (err || !l->page_bytes) /* a version that is not known */
		return err ? err : -ENOTSUP;
	for (i = 0; i < r->process.maps.n; i++)
		bytes += is_of_ruby_alone(&r->process.maps.v[i]) ? r->process.maps.v[i].end - r->process.maps.v[i].start : 0;
	if (bytes > MOST_LOOKED_THROUGH)
		return -E2BIG;
	for (i = 0; i < r->process.maps.n; i++) {
		const struct proc_map *m = &r->process.maps.v[i];

		at = (m->start + l->page_bytes - 1) / l->page_bytes * l->page_bytes;
		for (; is_of_ruby_alone(m) && at + l->page_bytes <= m->end; at += l->page_bytes)
			if (read_page(&r->process, l, at, v, 0))
				runtime_ranges_add(out, at, at + l->page_bytes);
	}
	return out->n ? 0 : -ENOTSUP;
}
