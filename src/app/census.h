/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * `memprobe census -p PID [-i TIME]`: the objects of a process by type, read from outside at two moments, what grew
 * first. By the runtime where it is a known one, else C++ classes and sizes of the blocks in glibc's heap. No probe, no
 * stop.
 */
#ifndef MEMPROBE_APP_CENSUS_H
#define MEMPROBE_APP_CENSUS_H

#include "cli/options.h"

/*
 * enum exit_status: 0, 1, 2 (not one process), 3 (may not read it), 4 (no such process, or nothing that can be read).
 */
int census_run(const struct options *o);

#endif
