/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Stacks as the formats write them that carry every figure (pprof, JSON lines): stacks that read the
 * same are one, the heaviest comes first, and equal profiles have one order whatever their ids are.
 *
 *	main < parse < malloc   300 B, call at +0x12 ]
 *	main < parse < malloc   100 B, call at +0x40 ]  one of 400 B: the profile has names, not addresses
 *
 * Filled from a profile that outlives it; the same stacks are left out as in every other format.
 */
#ifndef MEMPROBE_RENDER_STACK_ORDER_H
#define MEMPROBE_RENDER_STACK_ORDER_H

#include "render/renderer.h"

struct ordered_stack {
	const struct profile_stack *s; /* for its process, frames and end */
	uint64_t id;		       /* the smallest of those that are one */
	uint64_t live_bytes, live_blocks;
	struct profile_totals t;
	uint64_t touched_bytes, touched_file_bytes, untouched_bytes, reserved_bytes, peak_bytes;
	uint64_t given_back_bytes, resident_bytes, toucher, toucher_bytes; /* the toucher of most of one of them */
	uint64_t bump_bytes, bump_var;
};

struct stack_order {
	struct ordered_stack *v;
	size_t n;
	uint32_t *procs; /* all n_procs of the profile, by PID and generation */
	struct ordered_stack sum; /* of all in v; s NULL, id 0 */
	size_t n_hidden; /* below --min-bytes */
	uint64_t hidden_bytes;
};

void stack_order_make(struct stack_order *order, const struct profile *p, const struct render_opts *o);
/* Stacks too that have first touches, or a runtime's own allocations, only. */
void stack_order_make_all(struct stack_order *order, const struct profile *p, const struct render_opts *o);
/*
 * For folded, which has names only: stacks are one, and stand in order, by their processes' and frames' names as
 * `names` has them, by index in profile.frames; they may be equal.
 */
void stack_order_make_by_names(struct stack_order *order, const struct profile *p, const struct render_opts *o,
			       const char *const *names);
void stack_order_release(struct stack_order *order);
/* Only sum and what is hidden; nothing to release. */
void stack_order_sum(struct stack_order *order, const struct profile *p, const struct render_opts *o);
uint64_t ordered_stack_metric(const struct ordered_stack *s, enum profile_metric metric);
void ordered_stack_add(struct ordered_stack *sum, const struct ordered_stack *s);

#endif
