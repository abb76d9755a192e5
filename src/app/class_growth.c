/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classes that have grown; see class_growth.h. */
#include "app/class_growth.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"

#define MOST_PROCESSES 8
/* A census reads up to a GiB in a second, while events wait. */
#define MOST_HEAP_BYTES (256 * MIB)
/* Fewer come and go at any moment. */
#define LEAST_GROWTH 50

static bool is_wanted(const struct collector *c, const struct runtime *r)
{
	struct proc_status st;

	return r->ops->census_is_quick && r->has_census && !options_whole_machine(c->options) && c->options->planes & PLANE_HEAP &&
	       c->profile.n_procs <= MOST_PROCESSES && !proc_status_read(&st, c->proc_root, r->process.pid) &&
	       st.rss_anon_bytes <= MOST_HEAP_BYTES;
}

struct runtime_census *class_growth_begin(const struct collector *c, struct runtime *r)
{
	struct runtime_census *first;

	if (!is_wanted(c, r))
		return NULL;
	first = xcalloc(1, sizeof(*first));
	if (!r->ops->census(r, first))
		return first;
	class_growth_free(first);
	return NULL;
}

void class_growth_free(struct runtime_census *first)
{
	if (first)
		runtime_census_release(first);
	free(first);
}

static uint64_t objects_of(const struct runtime_census *k, const char *name)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (!strcmp(k->v[i].name, name))
			return k->v[i].objects;
	return 0;
}

/* Among those that grew most so far. */
static void take(struct profile_grown *v, uint32_t name, uint64_t grown, uint64_t now)
{
	size_t at = PROFILE_GROWN;

	while (at && v[at - 1].objects < grown)
		at--;
	if (at == PROFILE_GROWN)
		return;
	memmove(&v[at + 1], &v[at], (PROFILE_GROWN - 1 - at) * sizeof(v[0]));
	v[at] = (struct profile_grown){ .type = name, .objects = grown, .now = now };
}

void class_growth_end(struct collector *c, struct profile_proc *proc, struct runtime *r, const struct runtime_census *first)
{
	struct runtime_census now = { 0 };
	uint64_t before;
	size_t i;

	if (!first || r->ops->census(r, &now))
		return;
	memset(proc->grown, 0, sizeof(proc->grown));
	for (i = 0; i < now.n; i++) {
		before = objects_of(first, now.v[i].name);
		if (now.v[i].objects >= before + LEAST_GROWTH)
			take(proc->grown, profile_string(&c->profile, now.v[i].name), now.v[i].objects - before, now.v[i].objects);
	}
	runtime_census_release(&now);
}
