/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * `memprobe doctor [-p PID]`: a dry run, on stdout. What works on this machine and why the rest does
 * not, and with -p what would be probed where, at what cost. Probes are tried on a scratch process of
 * memprobe's own; the processes that are named are read, not touched.
 */
#ifndef MEMPROBE_APP_DOCTOR_H
#define MEMPROBE_APP_DOCTOR_H

#include "cli/options.h"

/* enum exit_status: 0, 1 (stdout), 3 (memprobe cannot run here), 4 (no such process, nothing to probe in it). */
int doctor_run(const struct options *o);

#endif
