/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A leak with all evidence, for tests that take something away from it; depends on series_shapes.h. */
#ifndef MEMPROBE_TESTS_UNIT_VERDICT_SCENE_H
#define MEMPROBE_TESTS_UNIT_VERDICT_SCENE_H

#include "model/verdict.h"
#include "tests/unit/series_shapes.h"

struct scene {
	struct series heap, memory;
	struct verdict_site site;
	struct verdict_input in;
};

/* A leak of 1 MiB/s at one site, seen from all sides, one hour after the start. */
static inline void a_leak_scene(struct scene *c)
{
	draw(&c->heap, leak, 60, 0.1 * MIB, 1);
	draw(&c->memory, leak, 60, 0.3 * MIB, 2);
	c->in = (struct verdict_input){
		.heap = &c->heap,
		.memory = &c->memory,
		.window_s = 60,
		.uptime_s = 3600,
		.before_bytes = 3500 * MIB,
		.counts_older = true,
		.sites = &c->site,
		.n_sites = 1,
		.blocks = 100000,
		.alive = 4300,
		.net_bytes = 58 * MIB,
	};
	c->site = (struct verdict_site){
		.net_bytes = 58 * MIB,
		.live_bytes = 58 * MIB,
		.blocks = 4000,
		.alive = 4000,
		.early_blocks = 1000,
		.early_alive = 1000,
	};
}

static inline void end_scene(struct scene *c)
{
	series_release(&c->heap);
	series_release(&c->memory);
}

/* 300 KiB/s below teeth of 30 MiB every 4 s. */
static inline void a_scene_below_teeth(struct scene *c)
{
	a_leak_scene(c);
	end_scene(c);
	draw(&c->heap, teeth, 60, 0.2 * MIB, 1);
	draw(&c->memory, teeth, 60, 0.2 * MIB, 2);
	c->in.before_bytes = 100000 * MIB;
	c->site.net_bytes = c->site.live_bytes = 17 * MIB;
	c->site.grew_in = WINDOWS_NR;
}

/* Not to be seen in the sum in half a minute, but at the site. */

#endif
