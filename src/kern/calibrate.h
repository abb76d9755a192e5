/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a probe costs on this machine, measured: empty programs on functions of memprobe's own, in a
 * scratch process that is gone afterwards. CPU time of the probed thread, the median of short runs; typical
 * for a virtual machine (6.18):
 *
 *	entry_ns     800    one trap, at an instruction that the kernel emulates
 *	pair_ns    1 400    entry and return: what one probed malloc costs at least
 *	stepped_ns 11 300   at an instruction that it single-steps
 */
#ifndef MEMPROBE_KERN_CALIBRATE_H
#define MEMPROBE_KERN_CALIBRATE_H

#include <stdint.h>

struct kern;

/* Per hit of a probe, never 0. */
struct kern_trap_cost {
	uint32_t entry_ns, pair_ns, stepped_ns;
};

/*
 * 20 to 30 ms, 0.1 s on a busy machine, half a second at most. 0, or -errno and typical figures in *out:
 * nothing was logged, as a run can go on.
 */
int kern_calibrate(struct kern *k, struct kern_trap_cost *out);

#endif
