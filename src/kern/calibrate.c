/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The cost of a trap; see calibrate.h. CPU time, not the clock: what else runs here is not counted. What
 * is left of noise (a cold cache, an interrupt) the median takes out.
 */
#include "kern/calibrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "kern/empty_probe.h"
#include "kern/scratch.h"

#define RUNS 5
#define MAX_MS 500

/* Runs of a few tenths of a millisecond; a single step takes ten times as long as a trap. */
static const uint32_t hits_per_run[SCRATCH_N_SITES] = {
	[SCRATCH_ENTRY] = 200,
	[SCRATCH_STEPPED] = 30,
	[SCRATCH_PAIR] = 150,
};

/* All probes at once: only the first link waits for the readers of the kernel's locks. */
static int probe_scratch(struct kern *k, pid_t pid)
{
	unsigned long entries[] = { scratch_offset(SCRATCH_ENTRY), scratch_offset(SCRATCH_STEPPED) };
	unsigned long pair = scratch_offset(SCRATCH_PAIR);
	enum attach_kind entry_kind = k->kind == ATTACH_PERF ? ATTACH_PERF : ATTACH_MULTI;
	int err;

	if (!entries[0] || !entries[1] || !pair)
		return -ENOENT;
	err = empty_probe(k, entry_kind, EMPTY_ENTRY, entries, 2, pid, -1);
	if (err)
		return err;
	if (k->kind == ATTACH_SESSION)
		return empty_probe(k, ATTACH_SESSION, EMPTY_BOTH, &pair, 1, pid, -1);
	err = empty_probe(k, k->kind, EMPTY_RETURN, &pair, 1, pid, -1);
	return err ? err : empty_probe(k, k->kind, EMPTY_ENTRY, &pair, 1, pid, -1);
}

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / NS_PER_MS;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median of as many runs as fit before end_ms, one at least. */
static int measure(struct scratch *s, enum scratch_site site, uint64_t end_ms, uint32_t *ns)
{
	uint64_t v[RUNS], now, median;
	size_t n;
	int err = 0;

	for (n = 0; n < RUNS; n++) {
		now = now_ms();
		if (now >= end_ms)
			err = -ETIMEDOUT;
		else
			err = scratch_run(s, site, hits_per_run[site], (unsigned int)(end_ms - now), &v[n]);
		if (err)
			break;
	}
	if (!n)
		return err;
	qsort(v, n, sizeof(v[0]), by_size);
	median = v[n / 2] / hits_per_run[site];
	*ns = median > UINT32_MAX ? UINT32_MAX : median ? (uint32_t)median : 1;
	return err == -ETIMEDOUT ? 0 : err;
}

int kern_calibrate(struct kern *k, struct kern_trap_cost *out)
{
	uint64_t end = now_ms() + MAX_MS;
	struct kern_trap_cost c;
	struct scratch s;
	int err;

	*out = (struct kern_trap_cost){ .entry_ns = 1000, .pair_ns = 1600, .stepped_ns = 15000 };
	err = scratch_start(&s);
	if (!err)
		err = probe_scratch(k, s.pid);
	if (!err)
		err = measure(&s, SCRATCH_ENTRY, end, &c.entry_ns);
	if (!err)
		err = measure(&s, SCRATCH_PAIR, end, &c.pair_ns);
	if (!err)
		err = measure(&s, SCRATCH_STEPPED, end, &c.stepped_ns);
	scratch_stop(&s);
	if (err) {
		log_debug("calibration: %s: typical figures are used", strerror(-err));
		return err;
	}
	*out = c;
	log_debug("calibration: entry %u ns, entry and return %u ns, single-stepped %u ns", c.entry_ns,
		  c.pair_ns, c.stepped_ns);
	return 0;
}
