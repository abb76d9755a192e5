/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classes that have grown; see class_growth.h. */
#include "collect/class_growth.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "model/class_looks.h"
#include "proc/process.h"

#define MOST_PROCESSES 8
/* A census reads up to a GiB in a second, while events wait. */
#define MOST_HEAP_BYTES (256 * MIB)
/* One that has grown meanwhile. */
#define MOST_GROWN_HEAP_BYTES (2 * MOST_HEAP_BYTES)
/* Fewer come and go at any moment. */
#define LEAST_GROWTH 50
/* Looks take no more than a fiftieth of a CPU: by what they ran, not by how long they waited for it. */
#define LOOK_SHARE 50
/* Of a heap that its runtime counts. */
#define UNIT_BYTES KIB
/* A class has more of them at some look, or is not followed. */
#define LEAST_OLD 50

struct class_growth {
	struct runtime_census first;
	struct class_looks looks;
	struct intern names; /* of the classes in looks */
	uint64_t next_ns;
	uint64_t seen; /* full collections at the last look that the next one is compared to */
	double seen_s;
};

/* No census, but the runtime itself tells how much of its heap it keeps. */
static bool is_heap_only(const struct runtime *r)
{
	return !r->ops->census && r->ops->heap && r->ops->collections;
}

static bool has_at_most(const struct runtime *r, uint64_t bytes)
{
	struct proc_status st;

	return !proc_status_read(&st, r->process.proc_root, r->process.pid) && st.rss_anon_bytes <= bytes;
}

static bool is_wanted(const struct collector *c, const struct runtime *r)
{
	return r->ops->census_is_quick && r->has_census && !options_whole_machine(c->options) && c->options->planes & PLANE_HEAP &&
	       c->profile.n_procs <= MOST_PROCESSES && has_at_most(r, MOST_HEAP_BYTES);
}

static bool is_part(const char *name)
{
	return *name == '(';
}

/* They are the first names. */
static void note_parts(struct class_growth *g)
{
	size_t i;

	for (i = 0; i < g->first.n; i++)
		if (is_part(g->first.v[i].name))
			intern_id(&g->names, g->first.v[i].name);
	g->looks.n_parts = g->names.n;
}

struct class_growth *class_growth_begin(const struct collector *c, struct runtime *r)
{
	struct class_growth *g;

	if (!is_heap_only(r) && !is_wanted(c, r))
		return NULL;
	g = xcalloc(1, sizeof(*g));
	if (is_heap_only(r))
		return g;
	if (!r->ops->census(r, &g->first)) {
		if (g->first.is_cut)
			log_warn("process %d: its objects could not all be read: which classes grew is not told",
				 (int)r->process.pid);
		note_parts(g);
		return g;
	}
	class_growth_free(g);
	return NULL;
}

void class_growth_free(struct class_growth *g)
{
	if (!g)
		return;
	runtime_census_release(&g->first);
	class_looks_release(&g->looks);
	intern_release(&g->names);
	free(g);
}

/* What a class's name stands for may be several classes. */
static void take_old(struct class_growth *g, const struct runtime_census *k, struct class_look *look)
{
	uint32_t *ids = xcalloc(k->n + 1, sizeof(*ids));
	size_t i;

	for (i = 0; i < k->n; i++) {
		look->bytes += (double)k->v[i].old_bytes;
		ids[i] = k->v[i].old >= LEAST_OLD ? intern_id(&g->names, k->v[i].name) : UINT32_MAX;
	}
	look->n = g->names.n;
	look->number = k->look;
	look->of_s = k->look ? g->seen_s : look->t_s;
	look->v = xcalloc(look->n + 1, sizeof(*look->v));
	for (i = 0; i < k->n; i++) {
		if (ids[i] == UINT32_MAX)
			continue;
		look->v[ids[i]].objects += (float)k->v[i].old;
		look->v[ids[i]].bytes += (float)k->v[i].old_bytes;
	}
	class_looks_add(&g->looks, look);
	for (i = 0; i < k->n; i++)
		if (ids[i] != UINT32_MAX && k->v[i].since)
			class_looks_count(&g->looks, ids[i], k->v[i].since);
	free(ids);
}

/* What a full collection has left: the heap as the one thing that there is. */
static void take_heap(struct class_growth *g, struct runtime *r, struct class_look *look)
{
	struct runtime_heap heap;

	if (r->ops->heap(r, &heap))
		return;
	look->bytes = (double)heap.kept_bytes;
	look->of_s = look->t_s;
	look->v = xcalloc(1, sizeof(*look->v));
	look->v[intern_id(&g->names, r->ops->heap_name)].objects = (float)(heap.kept_bytes / UNIT_BYTES);
	look->n = g->names.n;
	class_looks_add(&g->looks, look);
}

static bool is_at_rest(struct runtime *r)
{
	return !r->ops->is_at_rest || r->ops->is_at_rest(r);
}

void class_growth_look(struct class_growth *g, struct runtime *r, double t_s, uint64_t full)
{
	uint64_t ran = clock_thread_ns();
	struct class_look look = { .t_s = t_s, .full = full };
	struct runtime_census now = { 0 };

	if (clock_monotonic_ns() < g->next_ns || full == g->seen || !class_looks_is_due(&g->looks, t_s, full) || !is_at_rest(r))
		return;
	if (is_heap_only(r)) {
		take_heap(g, r, &look);
		return;
	}
	if (!has_at_most(r, MOST_GROWN_HEAP_BYTES)) {
		g->next_ns = clock_monotonic_ns() + NS_PER_S;
		return;
	}
	if (!r->ops->census(r, &now) && now.has_old)
		take_old(g, &now, &look);
	if (now.look) {
		g->seen = full;
		g->seen_s = t_s;
	}
	ran = clock_thread_ns() - ran;
	g->next_ns = clock_monotonic_ns() + ran * LOOK_SHARE;
	log_debug("process %d: after %llu full collections, %.1f s: %.0f bytes of objects outlived them, seen in %llu us%s",
		  (int)r->process.pid, (unsigned long long)full, t_s, look.bytes, (unsigned long long)(ran / 1000), now.has_old ? "" : ": tells nothing");
	runtime_census_release(&now);
}

/* Several types may have one name, as Python's property and enum's: of all of them. By the name's id; to be freed. */
static uint64_t *objects_by_name(struct intern *names, const struct runtime_census *k)
{
	uint64_t *objects;
	size_t i;

	for (i = 0; i < k->n; i++)
		intern_id(names, k->v[i].name);
	objects = xcalloc(names->n + 1, sizeof(*objects));
	for (i = 0; i < k->n; i++)
		objects[intern_id(names, k->v[i].name)] += k->v[i].objects;
	return objects;
}

/* Among those that grew most so far, behind the first ones, which stay. */
static void take(struct profile_grown *v, size_t first, uint32_t name, uint64_t grown, uint64_t now)
{
	size_t at = PROFILE_GROWN;

	while (at > first && v[at - 1].objects < grown)
		at--;
	if (at == PROFILE_GROWN)
		return;
	memmove(&v[at + 1], &v[at], (PROFILE_GROWN - 1 - at) * sizeof(v[0]));
	v[at] = (struct profile_grown){ .type = name, .objects = grown, .now = now };
}

static void note_steady(struct collector *c, struct profile_proc *proc, const struct runtime *r, const struct class_growth *g)
{
	double window_s = (double)c->profile.window_ns / (double)NS_PER_S;
	struct class_rise rise;
	struct class_stay stay;

	if (class_looks_rise(&g->looks, window_s, &rise)) {
		rise.unit_bytes = is_heap_only(r) ? UNIT_BYTES : 0;
		proc->steady = (struct profile_steady){
			.type = profile_string(&c->profile, intern_str(&g->names, (uint32_t)rise.class)),
			.rise = rise,
		};
	}
	if (class_looks_stay(&g->looks, window_s, &stay))
		proc->staying = (struct profile_staying){
			.type = profile_string(&c->profile, intern_str(&g->names, (uint32_t)stay.class)),
			.stay = stay,
		};
}

/* Classes, or what they are made of. */
static void take_grown(struct collector *c, struct profile_grown *v, const struct class_growth *g, const struct runtime_census *now,
		       bool parts)
{
	struct intern names = INTERN_INIT;
	uint64_t *after = objects_by_name(&names, now), *before;
	size_t i, first, n = names.n;

	before = objects_by_name(&names, &g->first);
	for (first = 0; first < PROFILE_GROWN && v[first].objects;)
		first++;
	for (i = 0; i < n; i++) {
		const char *name = intern_str(&names, (uint32_t)i);

		if (is_part(name) == parts && after[i] >= before[i] + LEAST_GROWTH)
			take(v, first, profile_string(&c->profile, name), after[i] - before[i], after[i]);
	}
	free(before);
	free(after);
	intern_release(&names);
}

void class_growth_end(struct collector *c, struct profile_proc *proc, struct runtime *r, const struct class_growth *g)
{
	struct runtime_census now = { 0 };

	if (g && is_heap_only(r)) {
		proc->managed_heap.told = class_looks_tell(&g->looks, (double)c->profile.window_ns / (double)NS_PER_S);
		note_steady(c, proc, r, g);
	}
	if (!g || is_heap_only(r))
		return;
	memset(proc->grown, 0, sizeof(proc->grown));
	if (g->first.is_cut) {
		log_debug("process %d: the first census was cut: no growth", (int)r->process.pid);
	} else if (!has_at_most(r, MOST_GROWN_HEAP_BYTES)) {
		log_warn("process %d: its heap has become too large to be read again: which classes grew is not told",
			 (int)r->process.pid);
	} else if (!r->ops->census(r, &now)) {
		take_grown(c, proc->grown, g, &now, false);
		take_grown(c, proc->grown, g, &now, true);
	}
	runtime_census_release(&now);
	note_steady(c, proc, r, g);
}
