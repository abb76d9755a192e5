/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* memprobe report and memprobe diff: recordings into any format. No rights are needed but to read the files. */
#ifndef MEMPROBE_APP_REPLAY_H
#define MEMPROBE_APP_REPLAY_H

#include "cli/options.h"

/* Exit statuses. */
int replay_run(const struct options *o);
int compare_run(const struct options *o);

#endif
