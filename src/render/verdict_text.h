/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The first lines of the report: is it growing and who does it, when does it end, why, and what speaks against it.
 *
 *	LEAK, strong evidence  gatewayd (pid 4242): heap grows 86.1 MiB/min (83.0 to 89.2)
 *	                       97 % of it at one call site: #1 SessionCache::insert
 *	Runs out in 23 min  (22 min to 24 min), at the limit of gateway.service, 8.00 GiB
 *
 * Pure. Without a verdict (a look in between, a comparison, a window of seconds) the growth alone is told.
 */
#ifndef MEMPROBE_RENDER_VERDICT_TEXT_H
#define MEMPROBE_RENDER_VERDICT_TEXT_H

#include "base/buf.h"
#include "render/renderer.h"

void verdict_add(struct buf *out, const struct profile *p, const struct render_opts *o);
/* Is the word one of growth? */
bool verdict_tells_growth(const struct profile *p);
/* Do its lines tell when the limit is met, and what happens there? */
bool verdict_tells_end(const struct profile *p);
/* ... or how much room there is below it? */
bool verdict_tells_limit(const struct profile *p);
/*
 * "why" and "but" of growth, "but" of growth that ends, else nothing; no more than so many reasons of each, the best
 * first.
 */
void verdict_add_why(struct buf *out, const struct profile *p, const struct render_opts *o, unsigned int most_why,
		     unsigned int most_but);

/* How a stack's blocks live: "leak", "churn", "bounded", "open". "" without a verdict. */
const char *verdict_kind(const struct profile *p, const struct profile_stack *s);
/* Of the blocks that lived early in the window, the share that still does, 0 to 1; negative: too few to tell. */
double verdict_alive(const struct profile *p, const struct profile_stack *s);

#endif
