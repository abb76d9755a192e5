/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The targets that pay for their probes: those that run, in no order. One that has ended goes for good: its PID may be
 * another's by now, its next image's after an exec or a stranger's.
 */
#ifndef MEMPROBE_APP_PAYERS_H
#define MEMPROBE_APP_PAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/spare.h"
#include "base/table.h"
#include "bpf/memprobe.h"
#include "model/ladder.h"

struct profile;

/* One target. */
struct payer {
	uint32_t gen;
	int32_t tgid;
	struct mp_proc_totals last;
	uint64_t last_cpu_ns;
	uint64_t start_cpu_ns, start_delay_ns; /* when armed */
	struct spare_look spare;
	struct ladder_purse purse;
	struct ladder_load load; /* in the last step, per second */
	bool is_known; /* last and last_cpu_ns are set */
	bool is_forgotten;
};

/* Zero to begin with. */
struct payers {
	struct payer *v;
	size_t n, cap;
	struct table by_gen; /* -> index in v */
	size_t n_gone;	     /* that were in v, and have ended */
};

/* NULL when there is none. Valid until the list changes. */
struct payer *payers_find(const struct payers *l, uint32_t gen);
/*
 * The same; one that runs is entered, with so many seconds of CPU time in its purse, and one that has ended is taken out.
 * NULL when p does not know it, or it has ended.
 */
struct payer *payers_get(struct payers *l, const struct profile *p, uint32_t gen, double purse_seconds);
void payers_release(struct payers *l);

#endif
