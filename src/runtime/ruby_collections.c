/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How often Ruby has collected all of its objects (major collections), and how many it ever made, from rb_objspace_t of gc.c, 3.1. It has no symbol: it is a
 * word of the virtual machine, and known by what holds in it alone: minor and major collections add up to all of them, and its first
 * heap page says that it is one. Where nothing does, the number is not known.
 */
#include <errno.h>

#include "runtime/ruby.h"

/* Words of rb_objspace_t */
enum { FLAGS = 2, EVER_MADE = 3, SORTED_PAGES = 32, ALLOCATED_PAGES = 33, SORTED_LENGTH = 35, RANGE_LOW = 36, RANGE_HIGH = 37, MINOR = 48, MAJOR = 49,
       MADE_THEN = 53, COUNT = 55, OBJSPACE_WORDS = 56 };

#define MODE 3 /* of the flags: none, marking, sweeping, compacting */
#define MODE_MARKING 1
#define VM_WORDS 320	    /* of rb_vm_t that may be the pointer */
#define TRIES 20	    /* it may collect meanwhile: one look may see two moments */
#define MOST_PAGES (1u << 28)

static bool is_objspace(const struct runtime_process *p, uint64_t at, uint64_t v[OBJSPACE_WORDS])
{
	uint16_t slot;

	if (!at || at & 7 || at >> 47 || !runtime_read(p, at, v, OBJSPACE_WORDS * sizeof(*v)))
		return false;
	if (!v[ALLOCATED_PAGES] || v[ALLOCATED_PAGES] > v[SORTED_LENGTH] || v[SORTED_LENGTH] > MOST_PAGES ||
	    v[RANGE_LOW] >= v[RANGE_HIGH] || v[RANGE_HIGH] >> 47)
		return false;
	slot = (uint16_t)runtime_word(p, runtime_word(p, v[SORTED_PAGES]));
	return slot == 40 || slot == 80 || slot == 160 || slot == 320;
}

static bool adds_up(const uint64_t v[OBJSPACE_WORDS])
{
	return v[COUNT] && v[MINOR] <= v[COUNT] && v[MAJOR] == v[COUNT] - v[MINOR];
}

static uint64_t find_objspace(const struct runtime_process *p, uint64_t vm)
{
	uint64_t words[VM_WORDS], v[OBJSPACE_WORDS];
	size_t i;

	if (!vm || !runtime_read(p, vm, words, sizeof(words)))
		return 0;
	for (i = 0; i < VM_WORDS; i++)
		if (is_objspace(p, words[i], v) && adds_up(v))
			return words[i];
	return 0;
}

/* A look at one moment. */
static bool read_objspace(struct runtime *r, uint64_t v[OBJSPACE_WORDS])
{
	struct ruby *ruby = r->state;
	int i;

	for (i = 0; r->has_census && i < TRIES; i++) {
		if (!ruby->objspace)
			ruby->objspace = find_objspace(&r->process, runtime_word(&r->process, ruby->vm));
		if (!ruby->objspace || !is_objspace(&r->process, ruby->objspace, v) || !adds_up(v))
			continue;
		return true;
	}
	return false;
}

int ruby_collections(struct runtime *r, uint64_t *full)
{
	uint64_t v[OBJSPACE_WORDS];

	if (!read_objspace(r, v))
		return -ESTALE;
	*full = v[MAJOR];
	return 0;
}

bool ruby_is_marked(struct runtime *r, uint64_t *full)
{
	uint64_t v[OBJSPACE_WORDS];

	if (!read_objspace(r, v))
		return false;
	*full = v[MAJOR];
	return (v[FLAGS] & MODE) != MODE_MARKING;
}

/* At the last collection it was less. */
uint64_t ruby_object_counter(struct runtime *r)
{
	struct ruby *ruby = r->state;
	uint64_t v[OBJSPACE_WORDS], full;

	if (ruby_collections(r, &full) || !is_objspace(&r->process, ruby->objspace, v) || v[EVER_MADE] < v[MADE_THEN])
		return 0;
	return ruby->objspace + EVER_MADE * sizeof(v[0]);
}
