/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The live view: a profile with its history, and what the user has chosen, as a screen of cells. Pure: no terminal.
 *
 *	memprobe top   gatewayd 4242   03:12:41Z   armed 2 min 05 s   exact   lost 0                  ? help
 *	RSS 5.94 GiB, swap 0 B   memory +86.0 MiB/min   heap +85.8 MiB/min   full in 24 min   cost 9 %
 *	memory ..,,--==++**##   heap ..,,--==++**## 2 min 05 s                 sorted by growth, last 60 s
 *	LEAK, strong evidence  gatewayd (pid 4242): heap grows 85.8 MiB/min (83.0 to 89.2)
 *
 *	      PID  PROCESS              MEMORY  MiB/min  10 min    TREND       FULL IN  TOP GROWING SITE
 *	>    4242  gatewayd           5.92 GiB    +86.0  ..,-=+*#  GROWING      24 min  SessionCache::insert
 *
 *	--- 4242 gatewayd --- 6.00 of 8.00 GiB (gateway.service) ---
 *	       LIVE  MiB/min  ALIVE   BLOCKS     AGE   MADE/s  WHERE
 *	  173.9 MiB    +83.2  100 %   91 200    62 s      728  SessionCache::insert session_cache.cc:118 < ...
 *
 * It fits every size; below 40 x 8 it says that it does not.
 */
#ifndef MEMPROBE_RENDER_TOP_VIEW_H
#define MEMPROBE_RENDER_TOP_VIEW_H

#include "model/history.h"
#include "render/top_canvas.h"
#include "render/top_state.h"

#define TOP_LEAST_WIDTH 40
#define TOP_LEAST_HEIGHT 8

struct top_data {
	const struct profile *p; /* names */
	const struct history *h; /* figures */
	const char *who;	 /* what is watched: "gatewayd 4242" */
	const char *verdict;	 /* in a line, "" for none yet */
	const char *message;	 /* the last one, "" for none */
};

/* Draws on all of the canvas, whose size and utf8 are set; the lists of st are kept in order. */
void top_view_draw(struct top_canvas *c, const struct top_data *d, struct top_state *st);

#endif
