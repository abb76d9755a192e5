/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A snapshot of a recording, from a file, as report and diff want it. What is cut or damaged is said, and the rest is
 * read: the caller then ends with status 1.
 */
#ifndef MEMPROBE_APP_RECORDING_FILE_H
#define MEMPROBE_APP_RECORDING_FILE_H

#include <stdbool.h>

#include "cli/options.h"
#include "model/profile.h"

/* FILE, or its snapshot that is nearest to TIME, into p (the caller releases it). 0, or -errno (logged). */
int recording_load(const struct file_option *f, struct profile *p, bool *is_whole);

#endif
