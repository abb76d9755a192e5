/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where figures come from and how far to trust them, as the remarks of formats that have room for
 * some (comments of pprof, beside the tree in .heapprofile):
 *
 *	memprobe 0.1.0: memprobe -p 4242 -o out.pb.gz
 *	app-17, Linux 6.1.0-25-amd64: 30 s to 2026-11-21T03:12:41Z
 *	exact: every malloc and free counted, nothing sampled
 *	complete stacks: 99.99 % of blocks
 *	lost: nothing
 *	not seen: 50.0 MiB was resident before the attach: which code allocated it was not seen
 */
#ifndef MEMPROBE_RENDER_ORIGIN_H
#define MEMPROBE_RENDER_ORIGIN_H

#include "base/buf.h"
#include "model/profile.h"

/* "exact", "incomplete" (exact but for what was lost) or "estimated" (sampled, in bursts). */
const char *origin_trust(const struct profile *p);
/* "2026-11-21T03:12:41Z" */
void origin_add_time(struct buf *out, const struct profile *p);
/* The lines above, '\n' after each; no control characters, valid UTF-8. */
void origin_add_lines(struct buf *out, const struct profile *p, size_t n_hidden, uint64_t hidden_bytes);

#endif
