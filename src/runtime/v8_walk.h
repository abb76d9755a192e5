/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A walk over the objects in V8's heap, read from outside without a stop. Part of the V8 runtime.
 *
 * A map of maps is an object whose first word is its own address and whose instance type says map; maps are the objects
 * whose first word is such a one: until V8 11 there is one, later one more for each context's. Objects follow one
 * another: each begins with its map and is as long as that says; one whose length is not known here ends where the next
 * word is a map's. Only pages in memory are read.
 *
 * Of the new generation only what can be reached from the old one is walked over (a scavenge's own question: the rest
 * is mostly garbage); what only stacks hold is missed.
 */
#ifndef MEMPROBE_RUNTIME_V8_WALK_H
#define MEMPROBE_RUNTIME_V8_WALK_H

#include "base/table.h"
#include "runtime/v8_pages.h"

struct v8_map {
	uint64_t map; /* tagged */
	uint16_t type;
	uint8_t words;			    /* of an instance; 0: as its length says */
	uint64_t objects, bytes, old, old_bytes; /* for the caller of the walk */
};

/* A part of an object: all of it, or as much as was read at once. */
struct v8_part {
	uint64_t object; /* its address, without tag */
	struct v8_map *map;
	uint64_t at; /* bytes from its begin */
	const uint64_t *words;
	size_t n;
	bool is_young; /* of the new generation */
};

typedef void (*v8_part_fn)(void *ctx, const struct v8_part *part);

struct v8_walk {
	struct runtime_process *p;
	const struct v8_layout *l;
	struct v8_pages pages;
	struct table metas; /* tagged maps of maps */
	struct v8_map *maps;
	size_t n_maps, maps_cap;
	struct table by_map; /* tagged map -> index in maps */
	uint8_t near[1 << 13], near_young[1 << 13], near_meta[1 << 13]; /* a bit per 256 KiB (folded): may a map, a new
									object, a map of maps be there? */
};

/* 0, -ENOENT (no heap of V8's was found), -errno. */
int v8_walk_open(struct v8_walk *w, struct runtime_process *p, const struct v8_layout *l);
void v8_walk_close(struct v8_walk *w);
/* Is it the map of maps? */
bool v8_walk_is_meta(const struct v8_walk *w, uint64_t word);
struct v8_map *v8_walk_map(const struct v8_walk *w, uint64_t word);
/* Pages and maps anew, what the caller counted is kept. 0, -errno. */
int v8_walk_refresh(struct v8_walk *w);
/* Every object, until deadline_ns of CLOCK_MONOTONIC (0: to the end). False: it was cut short. */
bool v8_walk(struct v8_walk *w, v8_part_fn fn, void *ctx, uint64_t deadline_ns);

#endif
