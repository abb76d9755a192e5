/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The first three lines on a whole machine: who grows, when something is full, what to type next. Pure. */
#ifndef MEMPROBE_RENDER_MACHINE_TEXT_H
#define MEMPROBE_RENDER_MACHINE_TEXT_H

#include "base/buf.h"
#include "model/profile.h"

/* Forecasts beyond this are none. */
#define MACHINE_FAR_S (30 * 86400.0)

void machine_add_head(struct buf *out, const struct profile *p);
/* "puma (pid 311 and 3 workers)", "the kernel's own memory" */
void machine_add_name(struct buf *out, const struct profile *p, const struct machine_row *r);

/* report_machine.c, report_machine_rows.c, json_machine.c */
struct report;
void report_machine(struct buf *out, const struct report *r);
/* Its table alone, after an empty line; so many trees at most, lines of so many columns. */
void report_machine_rows(struct buf *out, const struct profile *p, size_t n_trees, unsigned int columns);
/* Tenths of MiB per minute. */
int64_t machine_rate_tenths(int64_t bytes, double seconds);
void json_add_machine(struct buf *out, const struct profile *p);

#endif
