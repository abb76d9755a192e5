/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Files that keys of `memprobe top` write, into the working directory: a flame graph, a recording of this moment.
 * Never over another file, through no link; for the user alone.
 */
#ifndef MEMPROBE_APP_TOP_FILES_H
#define MEMPROBE_APP_TOP_FILES_H

#include "base/buf.h"
#include "model/profile.h"

/* said: what became of it, for the status line. */
void top_save_flame(const struct profile *p, struct buf *said);
void top_save_recording(const struct profile *p, struct buf *said);

#endif
