/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How often Ruby has collected all of its objects (major collections), and how many it ever made, from rb_objspace_t of
 * gc.c. It has no symbol: it is a word of the virtual machine, and known by what holds in it alone: minor and major
 * collections add up to all of them, and its first heap page says that it is one. Where nothing does, the number is not
 * known.
 */
#include <errno.h>

#include "runtime/ruby.h"

#define FLAGS 2		 /* words of rb_objspace_t */
#define OBJSPACE_WORDS 175 /* that all of them are below */
enum { SORTED, ALLOCATED, SORTED_LENGTH = 3, RANGE_LOW, RANGE_HIGH, PAGES_WORDS }; /* from the table of pages on */

#define MODE 3 /* of the flags: none, marking, sweeping, compacting */
#define MODE_MARKING 1
#define VM_WORDS 320	    /* of rb_vm_t that may be the pointer */
#define TRIES 20	    /* it may collect meanwhile: one look may see two moments */
#define MOST_PAGES (1u << 28)

static bool is_objspace(const struct runtime_process *p, const struct ruby_layout *l, uint64_t at, uint64_t v[OBJSPACE_WORDS])
{
	const uint64_t *pages = v + l->sorted_pages / 8;
	uint32_t slot, n;

	if (!at || at & 7 || at >> 47 || !runtime_read(p, at, v, l->count + sizeof(*v)))
		return false;
	if (!pages[ALLOCATED] || pages[ALLOCATED] > pages[SORTED_LENGTH] || pages[SORTED_LENGTH] > MOST_PAGES ||
	    pages[RANGE_LOW] >= pages[RANGE_HIGH] || pages[RANGE_HIGH] >> 47)
		return false;
	return ruby_page_slots(l, runtime_word(p, runtime_word(p, pages[SORTED])), &slot, &n);
}

static uint64_t majors(const struct ruby_layout *l, const uint64_t *v)
{
	return v[l->minor / 8 + 1];
}

static bool adds_up(const struct ruby_layout *l, const uint64_t *v)
{
	uint64_t count = v[l->count / 8], minor = v[l->minor / 8];

	return count && minor <= count && majors(l, v) == count - minor;
}

static uint64_t find_objspace(const struct runtime_process *p, const struct ruby_layout *l, uint64_t vm)
{
	uint64_t words[VM_WORDS], v[OBJSPACE_WORDS];
	size_t i;

	if (!vm || !runtime_read(p, vm, words, sizeof(words)))
		return 0;
	for (i = 0; i < VM_WORDS; i++)
		if (is_objspace(p, l, words[i], v) && adds_up(l, v))
			return words[i];
	return 0;
}

/* A look at one moment. */
static bool read_objspace(struct runtime *r, uint64_t v[OBJSPACE_WORDS])
{
	struct ruby *ruby = r->state;
	const struct ruby_layout *l = &ruby->layout;
	int i;

	for (i = 0; r->has_census && i < TRIES; i++) {
		if (!ruby->objspace)
			ruby->objspace = find_objspace(&r->process, l, ruby_machine(&r->process, ruby));
		if (!ruby->objspace || !is_objspace(&r->process, l, ruby->objspace, v) || !adds_up(l, v))
			continue;
		return true;
	}
	return false;
}

int ruby_collections(struct runtime *r, uint64_t *full)
{
	const struct ruby *ruby = r->state;
	uint64_t v[OBJSPACE_WORDS];

	if (!read_objspace(r, v))
		return -ESTALE;
	*full = majors(&ruby->layout, v);
	return 0;
}

bool ruby_is_marked(struct runtime *r, uint64_t *full)
{
	const struct ruby *ruby = r->state;
	uint64_t v[OBJSPACE_WORDS];

	if (!read_objspace(r, v))
		return false;
	*full = majors(&ruby->layout, v);
	return (v[FLAGS] & MODE) != MODE_MARKING;
}

/* At the last collection it was less. */
uint64_t ruby_object_counter(struct runtime *r)
{
	const struct ruby *ruby = r->state;
	const struct ruby_layout *l = &ruby->layout;
	uint64_t v[OBJSPACE_WORDS];

	if (!l->ever_made || !read_objspace(r, v) || v[l->ever_made / 8] < v[l->made_then / 8])
		return 0;
	return ruby->objspace + l->ever_made;
}
