/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Forked workers: what of each one's memory is its own, and what it shares with its master and the others. Anonymous
 * and shared memory, swapped memory too; pages of files that can be dropped are in none of it. Pure.
 *
 *	master forks two workers	each: 0 private, 100 shared
 *	each writes to a third of it	each: 33 private, 67 shared: shared fell by 33, more than an eighth
 */
#ifndef MEMPROBE_MODEL_WORKERS_H
#define MEMPROBE_MODEL_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one process at two moments: [0] its begin, or the attach; [1] the end. */
struct sharing {
	bool is_there[2];
	uint64_t private_bytes[2]; /* of nobody else: what its end gives back */
	uint64_t shared_bytes[2];  /* in other processes' page tables, too */
	uint64_t pss_bytes[2];	   /* a page of n processes counts 1/n */
};

/*
 * The rule of the advice. Of workers that were there at both moments: together they share less than seven eighths of
 * what they did, and 4 MiB less each (their mean). Then writing to what came with the fork costs memory, once for each
 * worker.
 */
#define WORKERS_FELL_BYTES (4ULL << 20)

struct workers {
	size_t n;		/* with both moments */
	uint64_t shared[2];	/* their sums */
	uint64_t own[2];
};

void workers_add(struct workers *w, const struct sharing *s);
bool workers_advice(const struct workers *w);

#endif
