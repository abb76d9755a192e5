/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the verdict's text share. Not for others. */
#ifndef MEMPROBE_RENDER_VERDICT_INTERNAL_H
#define MEMPROBE_RENDER_VERDICT_INTERNAL_H

#include "base/buf.h"
#include "model/profile.h"

#define VERDICT_COLUMN 10 /* at which the lines of the head go on */

/* A word, and blanks up to that column, or two of them. The column that is reached. */
size_t verdict_add_head(struct buf *out, const char *word);
void verdict_add_size(struct buf *out, double bytes);
void verdict_add_time(struct buf *out, double seconds);
/* Of whole minutes, as the user types it: "5m", "1h". */
void verdict_add_window(struct buf *out, double seconds);
/* Two digits at least: "0.0012", "1.4", "100". */
void verdict_add_brief(struct buf *out, double n);

/* verdict_end.c: when the limit is reached at this rate; nothing where that is far. */
void verdict_add_end(struct buf *out, const struct profile *p);
/* Growth that ends, after so many bytes more, beside the room below the limit; nothing where there is no limit. */
void verdict_add_room(struct buf *out, const struct profile *p, double more);
/* What the verdict's series is made of: it is not RSS, which has files in it and lacks what is swapped. */
double verdict_series_now(const struct profile *p);

#endif
