/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang processes by memory, as text for the report and for `memprobe census`: at the last look, and what they grew
 * by.
 *
 *	      MiB    GROWTH      HEAP  OLD HEAP  BINARIES  COUNT  ERLANG PROCESS
 *	     12.3      +2.1       0.9       1.4      10.0     41  <0.90.0> feed:worker/2
 *
 *	      MiB    GROWTH   PROCS  BINARIES  BIN/PROC  BEFORE  OF ONE NAME
 *	     31.5     +31.5     200       210      1.05    0.00  feed:worker/2
 *
 * Text only. Names are escaped here.
 */
#ifndef MEMPROBE_RENDER_HOLDERS_TEXT_H
#define MEMPROBE_RENDER_HOLDERS_TEXT_H

#include "base/buf.h"
#include "base/table.h"
#include "model/holders.h"

/*
 * "40 Erlang processes: heaps 1.2 MiB, old heaps 0.3 MiB, binaries 60.4 MiB; +58.1 MiB in the window" without an end of
 * line
 */
void holders_add_sum(struct buf *out, const struct holders *h);
/* The most rows. names: of the ids in h. */
void holders_add_rows(struct buf *out, const struct holders *h, const struct intern *names, size_t most);
/* Those of which there are several of one name; nothing when there are none. */
void holders_add_names(struct buf *out, const struct holders *h, const struct intern *names, size_t most);
const char *holder_advice_text(enum holder_advice a);

#endif
