/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * memprobe top: a run whose figures are shown while it goes on, with keys to look around in them. Its end is that of
 * any run: the report. Without a terminal that it knows it prints a report from time to time instead, and says so.
 */
#ifndef MEMPROBE_APP_TOP_H
#define MEMPROBE_APP_TOP_H

#include "cli/options.h"

/* An exit status. */
int top_run(const struct options *o);

#endif
